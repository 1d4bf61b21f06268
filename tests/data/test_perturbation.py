"""Lost sensors, wrong calibration, wrong poses."""

from __future__ import annotations

import numpy as np
import pytest

from leapai.data.log import DrivingLog, version_of
from leapai.data.perturbation import (
    PerturbedLog,
    calibration_off,
    pose_noise,
    without_cameras,
    without_lidar,
)
from leapai.data.transforms import collate
from leapai.geometry import poses
from leapai.types import Frame
from tests.scenes import make_frame


class StubLog(DrivingLog):
    """Three frames."""

    name = "stub"
    version = "7"

    @property
    def timestamps_us(self) -> np.ndarray:
        return np.arange(3) * 100_000

    def __getitem__(self, index: int) -> Frame:
        return make_frame(index)


def test_a_lost_lidar_is_one_that_failed():
    frame = without_lidar(make_frame(0))
    assert frame.faults == ("LiDAR: left out",)
    batch = collate([frame], [True])
    assert batch.lidar_valid.tolist() == [False]
    assert batch.camera_valid.all()


def test_lost_cameras_are_those_named_or_all():
    one = without_cameras(make_frame(0), ["back"])
    assert one.faults == ("back: left out",)
    assert collate([one], [True]).camera_valid.tolist() == [[True, True, False] + [True] * 4]
    none = without_cameras(make_frame(0))
    assert not collate([none], [True]).camera_valid.any()
    assert len(none.faults) == 7
    assert none.points is not None
    with pytest.raises(ValueError, match="no camera 'rear'; its cameras: front_narrow"):
        without_cameras(make_frame(0), ["back", "rear"])


def test_calibration_is_off_by_rigid_motions_of_the_size_asked():
    frame = make_frame(0)
    shifts = []
    for seed in range(100):
        reported = calibration_off(frame, 1.0, 0.1, np.random.default_rng(seed))
        for true, wrong in zip(frame.cameras, reported.cameras, strict=True):
            rotation = wrong.ego_from_camera[:3, :3]
            np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
            error = poses.invert(true.ego_from_camera) @ wrong.ego_from_camera
            axis = [error[2, 1] - error[1, 2], error[0, 2] - error[2, 0], error[1, 0] - error[0, 1]]
            shifts.append([*error[:3, 3], *np.rad2deg(np.array(axis) / 2)])
    np.testing.assert_allclose(np.std(shifts, axis=0), [0.1] * 3 + [1.0] * 3, rtol=0.12)
    np.testing.assert_array_equal(reported.points, frame.points)
    np.testing.assert_array_equal(reported.ego2global, frame.ego2global)


def test_pose_noise_moves_the_ego_in_the_world_and_nothing_else():
    frame = make_frame(4)
    denoising = pose_noise(frame, 0.5, 0.2, np.random.default_rng(0))
    error = poses.invert(frame.ego2global) @ denoising.ego2global
    assert 0.02 < np.linalg.norm(error[:3, 3]) < 1
    assert 0.05 < np.rad2deg(np.arccos((np.trace(error[:3, :3]) - 1) / 2)) < 3
    assert denoising.cameras is frame.cameras
    assert denoising.points is frame.points


def test_no_error_changes_nothing():
    frame, rng = make_frame(0), np.random.default_rng(0)
    same = pose_noise(calibration_off(frame, 0, 0, rng), 0, 0, rng)
    np.testing.assert_allclose(same.ego2global, frame.ego2global, atol=1e-15)
    for one, other in zip(same.cameras, frame.cameras, strict=True):
        np.testing.assert_allclose(one.ego_from_camera, other.ego_from_camera, atol=1e-15)


def test_a_perturbed_drive_is_the_drive_with_each_frame_changed():
    log = PerturbedLog(StubLog(), without_lidar)
    assert (log.name, len(log), version_of([log])) == ("stub", 3, "7")
    assert log.vector_map() is None
    np.testing.assert_array_equal(log.timestamps_us, [0, 100_000, 200_000])
    assert all(log[i].points is None for i in range(3))
    assert log[2].timestamp_us == make_frame(2).timestamp_us


def test_sensors_and_ego_turn_about_themselves():
    frame = make_frame(4)
    reported = calibration_off(frame, 1.0, 0.0, np.random.default_rng(0))
    for true, wrong in zip(frame.cameras, reported.cameras, strict=True):
        np.testing.assert_allclose(wrong.ego_from_camera[:3, 3], true.ego_from_camera[:3, 3])
        assert not np.allclose(wrong.ego_from_camera, true.ego_from_camera)
    denoising = pose_noise(frame, 1.0, 0.0, np.random.default_rng(0))
    np.testing.assert_allclose(denoising.ego2global[:3, 3], frame.ego2global[:3, 3])
    assert not np.allclose(denoising.ego2global, frame.ego2global)
