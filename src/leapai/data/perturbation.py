"""Sensors that are lost, calibration and poses that are wrong: Frame -> Frame.

Training applies them as augmentation (`augmentation`); measurements show what they cost.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

import cv2
import numpy as np

from leapai.data.log import DrivingLog, LogWrapper
from leapai.types import FloatArray, Frame


def without_lidar(frame: Frame) -> Frame:
    """Returns the frame with its LiDAR failed."""
    return replace(frame, points=None, faults=(*frame.faults, "LiDAR: left out"))


def without_cameras(frame: Frame, names: Collection[str] | None = None) -> Frame:
    """Returns the frame with the cameras of these names failed; None: with all of them failed.

    Raises ValueError for a name that no camera has.
    """
    known = [camera.name for camera in frame.cameras]
    lost = set(known if names is None else names)
    if lost - set(known):
        raise ValueError(
            f"{frame.sequence} has no camera '{min(lost - set(known))}'; "
            f"its cameras: {', '.join(known)}"
        )
    cameras = tuple(
        replace(c, image=None, pixel_labels=None) if c.name in lost else c for c in frame.cameras
    )
    faults = (f"{name}: left out" for name in known if name in lost)
    return replace(frame, cameras=cameras, faults=(*frame.faults, *faults))


def small_motion(
    rotation_deg: float, translation_m: float, rng: np.random.Generator, count: int
) -> FloatArray:
    """Draws rigid transforms [count, 4, 4] near the identity: rotation vector and translation are
    normal with these standard deviations about, and along, each axis."""
    turns = rng.normal(scale=np.deg2rad(rotation_deg), size=(count, 3))
    motions = np.tile(np.eye(4), (count, 1, 1))
    for motion, turn in zip(motions, turns, strict=True):
        motion[:3, :3] = cv2.Rodrigues(turn)[0]
    motions[:, :3, 3] = rng.normal(scale=translation_m, size=(count, 3))
    return motions


def with_camera_errors(frame: Frame, calibration_error: FloatArray) -> Frame:
    """Returns the frame with a wrong `ego_from_camera` for each of its N cameras.

    `calibration_error` [N, 4, 4] takes a point from where a camera sees it to where the
    reported calibration puts it, both in that camera's axes. What the camera sees does not change.
    """
    cameras = (
        replace(camera, ego_from_camera=camera.ego_from_camera @ error)
        for camera, error in zip(frame.cameras, calibration_error, strict=True)
    )
    return replace(frame, cameras=tuple(cameras))


def calibration_off(
    frame: Frame, rotation_deg: float, translation_m: float, rng: np.random.Generator
) -> Frame:
    """Returns the frame with every camera wrongly calibrated, by normal errors of these standard
    deviations about, and along, each axis."""
    errors = small_motion(rotation_deg, translation_m, rng, len(frame.cameras))
    return with_camera_errors(frame, errors)


def pose_noise(
    frame: Frame, rotation_deg: float, translation_m: float, rng: np.random.Generator
) -> Frame:
    """Returns the frame with an error of these standard deviations in its ego pose, as bad odometry
    makes it. Sensors and labels, which live in the ego frame, stay right."""
    (error,) = small_motion(rotation_deg, translation_m, rng, 1)
    return replace(frame, ego2global=frame.ego2global @ error)


class PerturbedLog(LogWrapper):
    """A log whose frames pass through a function as they are read.

    The function must depend on nothing but the frame, so that frames may be read in any order: it
    makes its generator anew, from a number for an error that stays, from the timestamp for one
    that changes.
    """

    def __init__(self, inner: DrivingLog, function: Callable[[Frame], Frame]) -> None:
        super().__init__(inner)
        self._function = function

    def __getitem__(self, index: int) -> Frame:
        return self._function(self.inner[index])

    def ground_truth(self, index: int) -> Frame:
        """Returns the perturbed frame without cameras and points."""
        return DrivingLog.ground_truth(self, index)
