"""Temporal consistency: 1 for what holds together, less for each way in which it does not."""

from dataclasses import replace

import numpy as np
import pytest

from leapai.data.log import open_logs
from leapai.evaluation.consistency import consistency
from leapai.geometry import boxes as box_geometry
from leapai.geometry import poses
from leapai.types import CLASS_NAMES, Detections
from tests.evaluation.made_up import detections_at

CAR, PERSON, BARRIER, PILLAR = (
    CLASS_NAMES.index(n) for n in ("car", "person", "barrier", "pillar")
)
OBJECTS, FRAMES, STEP_S = 20, 30, 0.1
AMOUNTS = (0.05, 0.1, 0.2, 0.4)


def drive(name="drive", start_m=5e6):
    """Objects of constant velocity, seen by an ego that drives a bend far from the map's origin."""
    rng = np.random.default_rng(0)
    position = np.stack([*rng.uniform(-40, 40, (2, OBJECTS)), np.ones(OBJECTS)], -1)
    position[:, 0] += start_m
    velocity = rng.normal(0, 6, (OBJECTS, 3)) * (1, 1, 0)
    class_id = np.arange(OBJECTS) % len(CLASS_NAMES)
    velocity[class_id > 4] = 0
    yaw = rng.uniform(-3, 3, OBJECTS)
    frames = []
    for i in range(FRAMES):
        t = i * STEP_S
        pose = poses.from_xyz_yaw(np.array([start_m + 10 * t, t * t, 0.3]), 0.3 * t)
        boxes = np.column_stack(
            [position + velocity * t, np.tile([4.0, 2.0, 1.5], (OBJECTS, 1)), yaw]
        )
        ego_from_global = poses.invert(pose)
        frames.append(
            detections_at(
                np.zeros((OBJECTS, 2)),
                class_id,
                sequence=name,
                timestamp_us=1_000_000 + round(t * 1e6),
                ego2global=pose,
                boxes=box_geometry.transform(boxes, ego_from_global),
                velocity_mps=poses.rotate(ego_from_global, velocity),
                track_id=np.arange(OBJECTS),
                occlusion_level=np.full(OBJECTS, min(i // 8, 3)),
            )
        )
    return frames


def figure(frames):
    return consistency(frames).consistency


def with_noise(frames, amount, column):
    """The same noise in every call, times `amount`."""
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 1, (len(frames), OBJECTS))
    result = []
    for frame, more in zip(frames, noise, strict=True):
        boxes = frame.boxes.copy()
        boxes[:, column] += amount * more
        result.append(replace(frame, boxes=boxes))
    return result


def with_id_switches(frames, share):
    """From some frame on, ever more objects have another id."""
    rng = np.random.default_rng(2)
    switched = rng.random((len(frames), OBJECTS)) < share
    new = np.cumsum(switched, 0) * 1000
    return [replace(f, track_id=f.track_id + add) for f, add in zip(frames, new, strict=True)]


def with_flicker(frames, share):
    seen = np.random.default_rng(3).random((len(frames), OBJECTS)) >= share
    seen[0] = seen[-1] = True
    return [frame.select(mask) for frame, mask in zip(frames, seen, strict=True)]


def with_frozen_velocities(frames, share):
    """In the last frames, velocities stay what they were, in axes that turn with the ego."""
    last_good = round((len(frames) - 2) * (1 - share))
    frozen = frames[last_good].velocity_mps
    return frames[:last_good] + [replace(f, velocity_mps=frozen) for f in frames[last_good:]]


def with_class_flips(frames, share):
    flipped = np.random.default_rng(5).random((len(frames), OBJECTS)) < share
    return [
        replace(f, class_id=np.where(flip, (f.class_id + 1) % len(CLASS_NAMES), f.class_id))
        for f, flip in zip(frames, flipped, strict=True)
    ]


def with_occlusion_flips(frames, share):
    flipped = np.random.default_rng(6).random((len(frames), OBJECTS)) < share
    return [
        replace(f, occlusion_level=(f.occlusion_level + 2 * flip) % 4)
        for f, flip in zip(frames, flipped, strict=True)
    ]


SPOILT = {
    "jitter": lambda frames, a: with_noise(frames, a, 0),
    "jitter in height": lambda frames, a: with_noise(frames, a, 2),
    "size": lambda frames, a: with_noise(frames, a, 3),
    "heading": lambda frames, a: with_noise(frames, a, 6),
    "id switches": with_id_switches,
    "flicker": with_flicker,
    "frozen velocities": with_frozen_velocities,
    "class flips": with_class_flips,
    "occlusion flips": with_occlusion_flips,
}


def test_constant_velocity_is_perfect_also_far_from_the_origin():
    result = consistency(drive())
    assert result.consistency == pytest.approx(1, abs=1e-9)
    assert result.expected == OBJECTS * (FRAMES - 1)
    assert all(part == pytest.approx(1, abs=1e-9) for _, part in result.parts)
    counts = (result.missing, result.id_changes, result.class_flips, result.occlusion_flips)
    assert counts == (0, 0, 0, 0)


@pytest.mark.parametrize("data", ["rate_hz=4", "rate_hz=10"])
def test_gt_of_the_embedded_world_brakes_and_turns_and_is_almost_perfect(data):
    frames = []
    for log in open_logs(f"synthetic:seed=7,drives=3,frames=24,{data}", image_size_px=(64, 96)):
        frames += [Detections.from_labels(log.ground_truth(i)) for i in range(len(log))]
    result = consistency(frames)
    assert result.expected > 1000
    assert result.parts.position > 0.999
    assert result.parts.heading > 0.999
    assert result.consistency > 0.98  # objects leave the range of labels and come back


@pytest.mark.parametrize("name", SPOILT)
def test_each_fault_lowers_it_and_more_of_it_lowers_it_more(name):
    values = [figure(SPOILT[name](drive(), amount)) for amount in (0.0, *AMOUNTS)]
    assert values[0] == pytest.approx(1, abs=1e-9)
    assert np.all(np.diff(values) < -1e-4), values
    assert min(values) >= 0


def test_neither_the_order_of_frames_nor_that_of_detections_matters():
    frames = with_flicker(with_noise(drive("a") + drive("b"), 0.2, 0), 0.1)
    rng = np.random.default_rng(0)
    shuffled = [frames[i].select(rng.permutation(len(frames[i]))) for i in rng.permutation(60)]
    assert consistency(shuffled) == consistency(frames)


def test_sequences_do_not_know_each_other():
    one, two = drive("a"), with_noise(drive("b"), 0.3, 1)
    apart, together = [consistency(one), consistency(two)], consistency(one + two)
    assert together.tracks == apart[0].tracks + apart[1].tracks
    assert together.frames == apart[0].frames + apart[1].frames
    assert together.id_changes == 0


def standing(class_id, yaw, name="drive", **fields):
    """One object, 10 m ahead of a standing ego, that turns by `yaw` [T]."""
    return [
        detections_at(
            [[10, 0]],
            class_id,
            yaw=angle,
            sequence=name,
            timestamp_us=100_000 * i,
            track_id=np.array([5]),
            **fields,
        )
        for i, angle in enumerate(yaw)
    ]


@pytest.mark.parametrize(
    ("class_id", "half_turn", "quarter_turn"),
    [
        (CAR, np.exp(-np.pi), np.exp(-np.pi / 2)),
        (BARRIER, 1, np.exp(-np.pi / 2)),
        (PILLAR, 1, 1),
    ],
)
def test_heading_knows_what_has_no_front(class_id, half_turn, quarter_turn):
    assert figure(standing(class_id, [0.3, 0.3 - np.pi])) == pytest.approx(half_turn)
    assert figure(standing(class_id, [0.3, 0.3 + np.pi / 2])) == pytest.approx(quarter_turn)


def test_what_an_object_can_do_is_free_and_what_it_cannot_do_is_not():
    """A bend at 5 m/s: 0.8 rad/s is 4 m/s^2; twice that is beyond it. At a stand nothing turns."""
    driving = {"velocity_mps": np.array([[0.0, 0, 0]])}
    assert figure(standing(CAR, [0.0, 0.05], **driving)) == pytest.approx(np.exp(-0.05))
    for turn, expected in ((0.08, 1.0), (0.16, np.exp(-0.08))):
        frames = standing(CAR, [0.0, turn], velocity_mps=np.array([[5.0, 0, 0]]))
        frames[1].boxes[:, 0] += 0.5
        assert figure(frames) == pytest.approx(expected)
    still = detections_at([[10.03, 0]], PILLAR, timestamp_us=100_000, track_id=np.array([5]))
    assert figure([standing(PILLAR, [0.0])[0], still]) == pytest.approx(np.exp(-0.03))


def test_the_velocity_of_what_never_moves_is_not_believed():
    frames = standing(BARRIER, [0.0] * 5, velocity_mps=np.array([[3.0, 0, 0]]))
    assert figure(frames) == 1


def test_a_gap_costs_each_frame_of_it_and_is_told():
    frames = standing(CAR, [0.0] * 10)
    for i in (4, 5):
        frames[i] = frames[i].select(np.zeros(0, int))
    result = consistency(frames)
    assert result.consistency == pytest.approx(7 / 9)
    assert [f.consistency for f in result.frames] == [None, 1, 1, 1, 0, 0, 1, 1, 1, 1]
    (track,) = result.tracks
    assert (track.frames, track.missing, track.consistency) == (8, 2, pytest.approx(7 / 9))


def test_what_comes_back_after_two_seconds_has_been_away():
    frames = standing(CAR, [0.0] * 30)
    result = consistency(frames[:3] + [f.select([]) for f in frames[3:25]] + frames[25:])
    assert (result.consistency, result.missing, result.expected) == (1, 0, 6)


def renamed(frame, track_id):
    return replace(frame, track_id=np.full(len(frame), track_id))


def test_an_object_that_goes_on_under_another_id_costs_and_the_new_track_says_whom_it_continues():
    frames = standing(CAR, [0.0] * 10)
    frames = frames[:4] + [f.select([]) for f in frames[4:6]] + [renamed(f, 6) for f in frames[6:]]
    result = consistency(frames)
    assert result.id_changes == 1
    assert result.missing == 2
    assert result.consistency == pytest.approx(6 / 9)
    assert [(t.track_id, t.missing, t.continues) for t in result.tracks] == [
        (5, 0, None),
        (6, 2, 5),
    ]


@pytest.mark.parametrize("other", ["far", "late", "person", "overlapping"])
def test_another_object_is_no_other_id(other):
    frames = standing(CAR, [0.0] * 40)
    before, after = frames[:4], [renamed(f, 6) for f in frames[4:]]
    if other == "far":
        for frame in after:
            frame.boxes[:, 0] += 2.5
    elif other == "late":
        after = after[21:]
    elif other == "person":
        after = [replace(f, class_id=np.array([PERSON])) for f in after]
    elif other == "overlapping":
        both = [[10, 0], [10, 1]]
        before[3] = detections_at(both, CAR, timestamp_us=300_000, track_id=np.array([5, 6]))
    assert consistency(before + after).id_changes == 0


def test_an_object_of_another_sequence_is_no_other_id():
    """It begins half a second after the other one has ended, by the clock of either sequence."""
    ends = standing(CAR, [0.0] * 4)
    begins = [renamed(f, 9) for f in standing(PERSON, [0.0] * 9, "other")]
    begins[8] = detections_at(
        [[10, 0], [10, 0]],
        np.array([PERSON, CAR]),
        sequence="other",
        timestamp_us=800_000,
        track_id=np.array([9, 6]),
    )
    assert consistency(ends + begins).id_changes == 0


def test_swapped_ids_cost_by_the_distance_between_the_two():
    frames = [
        detections_at([[10, 0], [10, 3]], CAR, timestamp_us=100_000 * i, track_id=np.array([0, 1]))
        for i in range(6)
    ]
    frames[3:] = [replace(f, track_id=np.array([1, 0])) for f in frames[3:]]
    assert figure(frames) == pytest.approx((8 + 2 * np.exp(-3 + 0.02)) / 10)


@pytest.mark.parametrize(
    ("levels", "flips"), [((0, 1, 2, 3, 3), 0), ((0, 3, 0, 0, 0), 1), ((0, 1, 0, 1, 0), 3)]
)
def test_occlusion_may_rise_and_fall_but_not_flicker(levels, flips):
    frames = [
        replace(f, occlusion_level=np.array([level]))
        for f, level in zip(standing(CAR, [0.0] * 5), levels, strict=True)
    ]
    result = consistency(frames)
    assert result.occlusion_flips == flips
    assert (result.consistency < 1) is (flips > 0)


def test_levels_of_one_track_are_no_flips_of_the_next():
    frames = [
        detections_at(
            [[10, 0], [10, 9]],
            timestamp_us=100_000 * i,
            track_id=np.array([0, 1]),
            occlusion_level=np.array([2, level]),
        )
        for i, level in enumerate([0, 2, 2])
    ]
    assert consistency(frames).occlusion_flips == 0


def test_nothing_to_measure_is_none():
    for frames in (
        [],
        [detections_at([])],
        standing(CAR, [0.0]),
        [detections_at([[1, 1]]), detections_at([], sequence="b")],
    ):
        result = consistency(frames)
        assert result.consistency is None
        assert result.expected == 0
        assert len(result.frames) == len(frames)
    assert consistency(standing(CAR, [0.0])).tracks[0].consistency is None


def test_detections_without_identity_and_frames_without_a_pose_are_left_out():
    frames = standing(CAR, [0.0] * 6)
    frames[3] = replace(frames[3], ego2global=np.full((4, 4), np.nan))
    result = consistency(frames)
    assert result.consistency == 1
    assert len(result.frames) == 5
    assert figure([renamed(f, -1) for f in frames]) is None


def test_what_is_given_twice_is_refused():
    frame = standing(CAR, [0.0])[0]
    with pytest.raises(ValueError, match="'drive' has two frames of timestamp_us = 0"):
        consistency([frame, frame])
    with pytest.raises(ValueError, match="two detections have track_id = 5"):
        consistency([frame.select([0, 0])])


@pytest.mark.parametrize("harm", [with_class_flips, with_occlusion_flips])
def test_what_breaks_it_is_counted_in_its_frame(harm):
    result = consistency(harm(drive(), 0.2))
    for name in ("expected", "missing", "id_changes", "class_flips", "occlusion_flips"):
        assert sum(getattr(frame, name) for frame in result.frames) == getattr(result, name)


def _frames_with_a_gap():
    """Two tracks that stand still; the first is missing in frame 2 and ends under another id."""
    ids = [[1, 2], [1, 2], [2], [1, 2], [7, 2]]
    places = {1: [10.0, 0.0], 7: [10.0, 0.0], 2: [20.0, 5.0]}
    return [
        detections_at(
            [places[i] for i in of_frame],
            timestamp_us=1_000_000 + 100_000 * step,
            track_id=np.array(of_frame),
        )
        for step, of_frame in enumerate(ids)
    ]


def test_a_gap_and_another_id_stand_in_the_frames_where_they_happen():
    frames = consistency(_frames_with_a_gap()).frames
    assert [frame.missing for frame in frames] == [0, 0, 1, 0, 0]
    assert [frame.id_changes for frame in frames] == [0, 0, 0, 0, 1]
