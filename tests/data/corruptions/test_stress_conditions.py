"""The conditions: which there are, and what each does to the frames and their labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from leapai.data.corruptions.chosen_frames import (
    FrameMemory,
    KeptFrames,
    SomeFrames,
    before_outage,
    in_outage,
)
from leapai.data.corruptions.frame_rates import RateLogs, rate_of
from leapai.data.corruptions.multicorrupt import CORRUPTIONS
from leapai.data.corruptions.stress_conditions import conditions_of
from leapai.data.corruptions.swapped_images import with_image
from leapai.data.corruptions.wrong_geometry import calibration_off_by
from leapai.data.perturbation import without_lidar
from leapai.types import CAMERA_GROUPS
from tests.scenes import make_frame
from tests.training.runs import StubLog


class TimedLog(StubLog):
    """A drive whose frames come at a rate of its own."""

    def __init__(self, frames, rate_hz, seed=0):
        super().__init__(seed, frames)
        self.rate_hz = rate_hz

    @property
    def timestamps_us(self):
        return np.round(1_000_000 + 1e6 * np.arange(self.frames) / self.rate_hz).astype(np.int64)

    def __getitem__(self, index):
        return replace(super().__getitem__(index), timestamp_us=int(self.timestamps_us[index]))


@pytest.fixture
def logs():
    return [TimedLog(30, 10, seed) for seed in (0, 1)]


def named(logs, quick=False, fine=None):
    found, skipped = conditions_of(logs, 0, quick, RateLogs(rate_of(logs), fine))
    return {condition.name: condition for condition in found}, {s.name: s.reason for s in skipped}


def test_all_corruptions_have_three_severities_and_each_sensor_is_lost(logs):
    found, _ = named(logs)
    corruptions = {(c.corruption, c.severity) for c in found.values() if c.corruption}
    assert corruptions == {(name, s) for name in CORRUPTIONS for s in (1, 2, 3)}
    for sensor in ("lidar", "cameras", *CAMERA_GROUPS):
        assert {f"lost_{sensor}", f"lost_1s_{sensor}"} <= set(found)
    kinds = {condition.kind for condition in found.values()}
    assert kinds == {
        "corruption", "lost", "lost_1s", "images", "calibration", "pose", "dropped", "rate",
    }  # fmt: skip
    assert len({c.words for c in found.values()}) == len(found)


def test_a_quick_run_has_one_severity(logs):
    found, skipped = named(logs, quick=True)
    assert {c.severity for c in found.values() if c.corruption} == {2}
    assert len(found) < 25
    assert "frame rates" in skipped


def test_what_the_rig_does_not_have_cannot_be_lost():
    blind = StubLog(frames=3, change=lambda _, frame: replace(frame, cameras=()))
    found, skipped = named([blind])
    assert "lost_lidar" in found
    assert not {"lost_cameras", "frozen", "calibration_1_degree"} & set(found)
    assert skipped["lost_back"] == "the source has no camera of the group back"
    found, skipped = named([StubLog(frames=3, change=lambda _, frame: without_lidar(frame))])
    assert "lost_lidar" not in found
    assert skipped["lost_lidar"] == "the source has no LiDAR"


def test_a_sensor_lost_for_good_is_missing_in_every_frame(logs):
    found, _ = named(logs)
    (lidar, _), (back, _) = (found[name].apply(logs) for name in ("lost_lidar", "lost_back"))
    for index in (0, 29):
        assert lidar[index].points is None
        assert {c.group for c in back[index].cameras if c.image is None} == {"back"}
        assert back[index].points is not None
        assert back[index].labels is not None


def test_an_outage_lasts_a_second_and_is_all_that_is_evaluated(logs):
    found, _ = named(logs)
    (log, _) = found["lost_1s_lidar"].apply(logs)
    lost = [index for index in range(30) if log[index].points is None]
    # Slowly: a drive of 2.9 s, of which the first outage begins in the middle, at 1.45 s.
    assert lost == [index for index in range(30) if 1.45 <= index / 10 < 2.45]
    assert [index for index in range(30) if log[index].labels is not None] == lost


def test_outages_come_every_four_seconds():
    lost = in_outage(TimedLog(100, 10))
    assert np.flatnonzero(lost).tolist() == [*range(20, 30), *range(60, 70)]
    assert in_outage(TimedLog(1, 10)).tolist() == [True]


def test_a_frozen_sensor_shows_what_it_saw_last():
    lost = np.array([False, False, True, True, False, True])
    assert before_outage(lost).tolist() == [0, 1, 1, 1, 4, 4]


def images(frame):
    return [camera.image for camera in frame.cameras]


def test_frozen_images_are_those_of_the_first_frame_and_points_go_on(logs):
    found, _ = named(logs)
    (log, _) = found["frozen"].apply(logs)
    np.testing.assert_array_equal(images(log[9]), images(logs[0][0]))
    np.testing.assert_array_equal(log[9].points, logs[0][9].points)
    (log, _) = found["frozen_1s"].apply(logs)
    np.testing.assert_array_equal(images(log[20]), images(logs[0][14]))
    np.testing.assert_array_equal(images(log[14]), images(logs[0][14]))


def test_images_come_from_another_drive_or_from_the_other_half_of_the_only_one(logs):
    found, _ = named(logs)
    apply = found["other_images"].apply
    np.testing.assert_array_equal(images(apply(logs)[0][4]), images(logs[1][4]))
    np.testing.assert_array_equal(images(apply(logs)[1][4]), images(logs[0][4]))
    np.testing.assert_array_equal(images(apply(logs[:1])[0][4]), images(logs[0][19]))
    assert apply(logs)[0][4].labels is not None


def test_an_image_of_another_camera_gets_its_size():
    camera, source = make_frame(0).cameras[0], make_frame(3)
    large = [replace(c, image=np.full((128, 192, 3), 7, np.uint8)) for c in source.cameras]
    renamed = replace(large[0], name="other")
    found = with_image(camera, replace(source, cameras=(renamed,)))
    assert found.image.shape == camera.image.shape
    assert (found.image == 7).all()
    elsewhere = replace(large[0], name="other", group="back")
    assert not with_image(camera, replace(source, cameras=(elsewhere,))).image.any()


@pytest.mark.parametrize(("turn_deg", "shift_m"), [(0.5, 0.0), (2.0, 0.0), (0.0, 0.1), (1.0, 0.1)])
def test_calibration_is_off_by_exactly_this_and_the_same_over_a_drive(turn_deg, shift_m):
    errors = []
    for index in (0, 3):
        frame = make_frame(index)
        wrong = calibration_off_by(frame, turn_deg, shift_m, seed=0)
        errors.append(
            [
                np.linalg.inv(one.ego_from_camera) @ two.ego_from_camera
                for one, two in zip(frame.cameras, wrong.cameras, strict=True)
            ]
        )
    np.testing.assert_allclose(errors[0], errors[1], atol=1e-9)
    for error in errors[0]:
        angle = np.arccos(np.clip((np.trace(error[:3, :3]) - 1) / 2, -1, 1))
        assert np.degrees(angle) == pytest.approx(turn_deg, abs=1e-4)
        assert np.linalg.norm(error[:3, 3]) == pytest.approx(shift_m, abs=1e-9)


def test_pose_noise_differs_from_frame_to_frame_and_has_its_size(logs):
    found, _ = named(logs)
    (log, _) = found["pose_0.2_m"].apply(logs)
    moves = [(np.linalg.inv(logs[0][i].ego2global) @ log[i].ego2global)[:3, 3] for i in range(30)]
    assert np.std(moves) == pytest.approx(0.2, rel=0.2)


def test_dropped_frames_are_nested_and_the_first_one_stays(logs):
    found, _ = named(logs)
    kept = [
        set(found[f"dropped_{share}"].apply(logs)[0].timestamps_us.tolist())
        for share in (20, 40, 60)
    ]
    assert kept[2] < kept[1] < kept[0] < set(logs[0].timestamps_us.tolist())
    assert 1_000_000 in kept[2]
    assert len(kept[2]) / 30 == pytest.approx(0.4, abs=0.2)


def test_a_thinned_drive_is_divided_so_that_every_frame_is_evaluated(logs):
    found, skipped = named(logs)
    assert [name for name in found if name.startswith("rate")] == ["rate_1_hz", "rate_2_hz"]
    assert skipped["rate_10_hz"] == "it is the rate of the source: the clean row"
    assert "cannot be thinned" in skipped["rate_4_hz"]
    assert "there are none in between" in skipped["rate_20_hz"]
    thinned = found["rate_2_hz"].apply(logs)
    assert len(thinned) == 10
    assert len({log.name for log in thinned}) == 10
    for log in thinned:
        assert set(np.diff(log.timestamps_us)) == {500_000}
    frames = [
        (f.sequence, f.timestamp_us) for log in thinned for f in map(log.__getitem__, range(6))
    ]
    assert sorted(frames) == sorted((log.name, int(t)) for log in logs for t in log.timestamps_us)


def test_a_source_that_can_be_opened_at_another_rate_evaluates_its_own_frames():
    logs, fine = [TimedLog(8, 4)], [TimedLog(36, 20)]
    found, skipped = named(logs, fine=lambda: fine)
    assert {name for name in found if name.startswith("rate")} == {
        "rate_1_hz", "rate_2_hz", "rate_10_hz", "rate_20_hz",
    }  # fmt: skip
    assert list(skipped) == ["rate_4_hz"]
    for name, drives, step_us in (("rate_20_hz", 1, 50_000), ("rate_10_hz", 2, 100_000)):
        opened = found[name].apply(logs)
        assert len(opened) == drives
        assert all(set(np.diff(log.timestamps_us)) == {step_us} for log in opened)
        evaluated = sorted(
            frame.timestamp_us
            for log in opened
            for frame in map(log.__getitem__, range(len(log)))
            if frame.labels is not None
        )
        assert evaluated == logs[0].timestamps_us.tolist()


class CountingLog(StubLog):
    """A drive that counts how often a frame is read."""

    reads = 0

    def __getitem__(self, index):
        self.reads += 1
        return super().__getitem__(index)


def test_frames_are_read_once_as_long_as_there_is_room():
    log = CountingLog(frames=3)
    images_bytes = sum(c.image.nbytes for c in make_frame(0).cameras) + 600 * 20
    kept = KeptFrames(log, FrameMemory(2.5 * images_bytes))
    for _ in range(4):
        assert [kept[i].timestamp_us for i in range(3)] == log.timestamps_us.tolist()
    assert log.reads == 2 + 4  # the third has no room


def test_some_frames_keep_the_name_of_their_sequence():
    log = SomeFrames(StubLog(frames=6), range(1, 6, 2), "drive0+1")
    assert len(log) == 3
    assert log.name == "drive0+1"
    assert [log[i].timestamp_us for i in range(3)] == log.timestamps_us.tolist()
    assert log[0].sequence == log.ground_truth(0).sequence == "drive0"
