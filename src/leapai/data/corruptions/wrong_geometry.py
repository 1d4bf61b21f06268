"""Calibration that is off by an exact amount, and noisy poses: Frame -> Frame."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from leapai.data.corruptions.seeded_draws import generator
from leapai.data.perturbation import pose_noise, with_camera_errors
from leapai.types import Frame


def calibration_off_by(frame: Frame, rotation_deg: float, translation_m: float, seed: int) -> Frame:
    """Returns the frame with every camera turned by exactly this angle, about an axis of its own,
    and moved by exactly this distance: the same in all frames of a drive."""
    errors = np.tile(np.eye(4), (len(frame.cameras), 1, 1))
    for error, camera in zip(errors, frame.cameras, strict=True):
        rng = generator(seed, "calibration", frame.sequence, camera.name)
        turn, shift = rng.normal(size=(2, 3))
        turn_deg = rotation_deg * turn / np.linalg.norm(turn)
        error[:3, :3] = Rotation.from_rotvec(turn_deg, degrees=True).as_matrix()
        error[:3, 3] = translation_m * shift / np.linalg.norm(shift)
    return with_camera_errors(frame, errors)


def with_pose_noise(frame: Frame, noise_m: float, noise_deg: float, seed: int) -> Frame:
    """Returns the frame with noise of these standard deviations in the ego pose, another draw in
    each frame."""
    rng = generator(seed, "pose", frame.sequence, frame.timestamp_us)
    return pose_noise(frame, noise_deg, noise_m, rng)
