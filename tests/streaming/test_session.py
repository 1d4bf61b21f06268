"""Streams: sequence changes, faults, saved state."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from leapai.streaming.session import StreamSession
from tests.scenes import joint_config, make_frame, seeded_model, small_config
from tests.wrong_frames import FAILING, REFUSED, wrong

CONFIG = small_config()
SURE = CONFIG.model_copy(
    update={
        "evaluation": CONFIG.evaluation.model_copy(update={"min_score": 0.0}),
        "tracking": CONFIG.tracking.model_copy(update={"birth_score": 0.0}),
    }
)

JOINT = joint_config(evaluation={"min_score": 0.0})


def session():
    return StreamSession(seeded_model(SURE), SURE)


def test_a_new_sequence_starts_with_empty_memory_and_new_ids():
    stream = session()
    for i in range(4):
        last = stream.step(make_frame(i, sequence="one"))
    assert last.memory.valid.all()
    assert (last.detections.track_id >= 0).any()
    first = stream.step(make_frame(4, sequence="two"))
    assert not first.memory.valid.any()
    assert not set(last.detections.track_id) & set(first.detections.track_id) - {-1}


def test_a_sequence_does_not_depend_on_the_one_before_it():
    alone, after = session(), session()
    for i in range(3):
        after.step(make_frame(i, sequence="other", seed=5))
    for i in range(4):
        a = alone.step(make_frame(i, sequence="one")).detections
        b = after.step(make_frame(i, sequence="one")).detections
        np.testing.assert_allclose(a.boxes, b.boxes, atol=1e-5)
        np.testing.assert_allclose(a.score, b.score, atol=1e-6)


def test_a_session_can_be_saved_and_set_back_exactly():
    stream = session()
    for i in range(3):
        stream.step(make_frame(i))
    saved = pickle.dumps(stream.state)
    expected = [stream.step(make_frame(i)).detections for i in (3, 4)]
    assert (expected[1].track_id >= 0).any()
    other = session()
    for restored in (stream, other):
        restored.state = pickle.loads(saved)
        again = [restored.step(make_frame(i)).detections for i in (3, 4)]
        for one, two in zip(expected, again, strict=True):
            np.testing.assert_array_equal(one.boxes, two.boxes)
            np.testing.assert_array_equal(one.track_id, two.track_id)


def test_a_frame_with_failed_sensors_goes_on_and_the_result_says_so():
    stream = session()
    stream.step(make_frame(0))
    frame = make_frame(1)
    cameras = tuple(replace(c, image=None) if c.name == "back" else c for c in frame.cameras)
    result = stream.step(replace(frame, cameras=cameras, points=None, faults=("back: no file",)))
    assert len(result.detections) > 0
    assert result.frame.faults == ("back: no file",)


@pytest.mark.parametrize("left_out", [{"cameras": ()}, {"points": None}])
def test_a_rig_without_cameras_and_one_without_lidar_stream(left_out):
    stream = StreamSession(seeded_model(JOINT), JOINT)
    for i in range(3):
        result = stream.step(replace(make_frame(i), **left_out))
    assert len(result.detections) > 0
    assert result.memory.valid.any()
    assert np.isfinite(result.map.probability).all()


def test_detections_reach_memory_with_their_ids():
    stream = session()
    result = stream.step(make_frame(0))
    slots = result.state.track_id[0]
    written = set(slots[slots >= 0].tolist())
    assert written
    assert written <= set(result.detections.track_id.tolist())


def test_a_stream_goes_on_after_every_kind_of_wrong_frame_as_if_it_had_not_come():
    """A refused frame leaves the state as it was, so the next frame is the one after the last."""
    stream, undisturbed = session(), session()
    for each in (stream, undisturbed):
        each.step(make_frame(0))
    for change, _ in REFUSED.values():
        with pytest.raises(ValueError, match=" us: "):
            stream.step(wrong(change))
    one, other = stream.step(make_frame(1)), undisturbed.step(make_frame(1))
    assert one.memory.valid.any()
    np.testing.assert_array_equal(one.detections.boxes, other.detections.boxes)
    np.testing.assert_array_equal(one.detections.track_id, other.detections.track_id)


def test_a_wrong_sensor_costs_itself_and_shows_in_the_health_of_the_step():
    stream = session()
    start = stream.step(make_frame(0)).state
    saved = stream.state
    for change, sensor, status, words in FAILING.values():
        stream.state = saved
        result = stream.step(wrong(change))
        assert result.health.failing[sensor].status == status
        assert words in result.health.failing[sensor].reason
        assert len(result.detections) > 0
        assert result.health.outputs.status == "ok"
        assert result.state.query.isfinite().all()
    assert start is saved.memory


def test_one_absurd_point_changes_nothing_that_leaving_it_out_does_not():
    points = make_frame(0).points.copy()
    points[17, 3] = 3e38
    one = session().step(replace(make_frame(0), points=points)).detections
    without = np.delete(make_frame(0).points, 17, 0)
    other = session().step(replace(make_frame(0), points=without)).detections
    np.testing.assert_array_equal(one.boxes, other.boxes)
    np.testing.assert_array_equal(one.score, other.score)


def test_a_jump_is_refused_until_memory_is_dropped_anyway():
    stream = session()
    stream.step(make_frame(0))
    away = make_frame(1).ego2global.copy()
    away[0, 3] += 5000.0
    for i in (1, 20):
        with pytest.raises(ValueError, match=r"ego2global moved by .* m in"):
            stream.step(replace(make_frame(i), ego2global=away))
    assert stream.step(replace(make_frame(21), ego2global=away)).health.memory_reset
    assert not stream.step(replace(make_frame(22), ego2global=away)).health.memory_reset
