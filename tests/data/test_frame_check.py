"""The contract of a frame: what does not fit is refused, what a sensor got wrong costs it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import leapai
from leapai.data.frame_check import check_frame
from leapai.data.frame_errors import FrameError, shown
from leapai.data.transforms import prepare
from leapai.streaming.sensor_health import health_of
from leapai.types import Labels
from tests.scenes import IMAGE_SIZE_PX, make_frame
from tests.wrong_frames import FAILING, REFUSED, before, wrong


def test_a_frame_in_order_comes_back_as_it_was():
    frame = make_frame(1)
    checked = check_frame(frame, before())
    assert checked.faults == ()
    assert checked.points is frame.points
    assert all(a is b for a, b in zip(checked.cameras, frame.cameras, strict=True))
    assert leapai.check_frame is check_frame


def test_more_kinds_of_wrong_frames_are_known_than_were_found_to_pass():
    assert len(REFUSED) + len(FAILING) >= 46


@pytest.mark.parametrize("kind", REFUSED)
def test_what_does_not_fit_is_named_with_sequence_time_field_value_and_remedy(kind):
    change, words = REFUSED[kind]
    frame = wrong(change)
    with pytest.raises(ValueError, match=" us: ") as raised:
        check_frame(frame, before())
    message = str(raised.value)
    assert isinstance(raised.value, FrameError)
    named = shown(frame.sequence) if words[0].startswith("sequence is") else frame.sequence
    assert message.startswith(f"{named} at {frame.timestamp_us} us: ")
    for word in words:
        assert word in message


@pytest.mark.parametrize("kind", FAILING)
def test_what_a_sensor_got_wrong_shows_in_health_and_costs_that_sensor(kind):
    change, sensor, status, words = FAILING[kind]
    checked = check_frame(wrong(change), before())
    (failing,) = health_of(checked, None).failing.items()
    assert (failing[0], failing[1].status.value) == (sensor, status)
    assert words in failing[1].reason
    working = [c.name for c in checked.cameras if c.image is not None]
    expected = [c.name for c in make_frame(1).cameras]
    if sensor == "lidar":
        assert (checked.points is None) == (status in ("corrupt", "missing"))
    elif status != "stale":
        expected.remove(sensor)
    assert working == expected


@pytest.mark.parametrize("kind", FAILING)
def test_a_checked_frame_passes_again_and_its_calibration_can_be_computed_with(kind):
    checked = check_frame(wrong(FAILING[kind][0]))
    again = check_frame(checked)
    assert again.faults == checked.faults
    prepared = prepare(checked, IMAGE_SIZE_PX)
    for camera in prepared.cameras:
        assert np.isfinite(camera.intrinsics).all()
        assert np.isfinite(camera.ego_from_camera).all()


def test_what_is_no_frame_is_named():
    with pytest.raises(FrameError, match=r"a frame is a leapai\.Frame, not a dict"):
        check_frame({"sequence": "drive"})


def test_one_point_costs_that_point_only():
    points = make_frame(0).points.copy()
    points[17, 3] = 3e38
    checked = check_frame(replace(make_frame(0), points=points))
    np.testing.assert_array_equal(checked.points, np.delete(make_frame(0).points, 17, 0))


def test_reflectors_brighter_than_white_are_kept():
    points = make_frame(0).points.copy()
    points[:20, 3] = 2.5
    checked = check_frame(replace(make_frame(0), points=points))
    assert len(checked.points) == 600
    assert checked.faults == ()


@pytest.mark.parametrize("rate_hz", [2, 20])
def test_a_fast_drive_far_from_the_origin_passes_at_any_rate(rate_hz):
    """60 m/s, turning at 1 rad/s, in coordinates of a national grid."""
    last = None
    for i in range(5):
        angle = i / rate_hz
        pose = make_frame(0).ego2global.copy()
        pose[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        pose[:2, 3] = 4e5 + 60 * i / rate_hz, 5e6
        time_us = 1_000_000 + i * 1_000_000 // rate_hz
        cameras = tuple(replace(c, timestamp_us=time_us) for c in make_frame(0).cameras)
        frame = replace(make_frame(0), timestamp_us=time_us, ego2global=pose, cameras=cameras)
        last = check_frame(frame, last)
        assert last.faults == ()


def test_a_name_of_a_megabyte_is_not_repeated_in_its_refusal():
    frame = replace(make_frame(0), sequence="x" * 10**6)
    with pytest.raises(FrameError, match="give a name, a str") as raised:
        check_frame(frame)
    assert len(str(raised.value)) < 500


def test_a_jump_within_one_instant_is_refused():
    away = make_frame(1).ego2global.copy()
    away[0, 3] += 5000.0
    frame = replace(make_frame(1), ego2global=away, timestamp_us=before().timestamp_us)
    with pytest.raises(FrameError, match=r"moved by 500\d m in 0\.000 s"):
        check_frame(frame, before())


def test_a_late_image_may_be_as_far_away_as_the_ego_drives_in_between():
    """ego_from_camera holds the motion of the ego since the exposure."""

    def camera_at(distance_m: float, away_us: int):
        pose = make_frame(0).cameras[2].ego_from_camera.copy()
        pose[0, 3] -= distance_m
        time_us = make_frame(0).timestamp_us - away_us
        camera = replace(make_frame(0).cameras[2], ego_from_camera=pose, timestamp_us=time_us)
        return check_frame(replace(make_frame(0), cameras=(camera,))).cameras[0]

    assert camera_at(50.0, 500_000).image is not None
    assert camera_at(50.0, 0).image is None
    assert camera_at(100.0, 500_000).image is None


def test_another_sequence_and_a_gap_may_be_anywhere():
    away = make_frame(1).ego2global.copy()
    away[0, 3] = 5000.0
    frame = replace(make_frame(1), ego2global=away)
    with pytest.raises(FrameError, match="moved by"):
        check_frame(frame, before())
    check_frame(replace(frame, sequence="other"), before())
    check_frame(replace(frame, timestamp_us=frame.timestamp_us + 2_000_000), before())


def test_groups_of_a_configuration_come_before_the_check():
    camera = replace(make_frame(0).cameras[2], group="rear")
    frame = replace(make_frame(0), cameras=(camera,))
    assert check_frame(frame, groups={"back": "back"}).cameras[0].group == "back"


def test_boxes_that_no_object_has_are_dropped_and_counted():
    boxes = np.tile([10.0, 0, 1, 4, 2, 1.5, 0], (8, 1))
    boxes[0, 0], boxes[1, 3], boxes[2, 4] = np.nan, 4000.0, 0.0
    boxes[5, 1], boxes[6, 6] = 1e300, 1e300  # infinite in float32
    velocity, acceleration = np.zeros((8, 3)), np.full((8, 3), np.nan)
    velocity[3], acceleration[7] = 1e30, np.inf
    labels = replace(
        Labels.unlabelled(boxes, np.arange(8)),
        velocity_mps=velocity,
        acceleration_mps2=acceleration,
        track_id=np.arange(8),
    )
    checked = check_frame(replace(make_frame(0), labels=labels))
    assert checked.labels.track_id.tolist() == [4]
    (fault,) = checked.faults
    assert fault.startswith("labels: 7 of 8 boxes dropped")
    assert health_of(checked, None).failing == {}
