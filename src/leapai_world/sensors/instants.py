"""Instants at which sensors measure: each camera at its own exposure, each packet of the LiDAR at
its own time.

Times are given as `dt_s`, seconds relative to the timestamp of the frame, as `Frame.points` has
them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leapai.geometry import poses
from leapai.types.vocabulary import FloatArray

SWEEP_S = 0.1
"""Duration of a turn of the LiDAR, which ends at the timestamp of the frame."""
SAMPLES_S = (-SWEEP_S, -SWEEP_S / 2, 0.0)


@dataclass(frozen=True)
class Instants:
    """Poses of the ego and boxes of N actors at K times, in the window frame."""

    dt_s: FloatArray
    """[K]"""
    window_from_ego: FloatArray
    """[K, 4, 4]"""
    boxes: FloatArray
    """[K, N, 7]"""


@dataclass(frozen=True)
class FramePaths:
    """Ego path and paths of N actors during a frame: the parabola through three exact samples.

    It is off by at most jerk x 8e-6 s^3, less than a tenth of a millimetre in traffic. The last
    sample, the time of the frame itself, is met exactly.
    """

    window_from_ego: FloatArray
    """[3, 4, 4] at `SAMPLES_S`; upright, turned only by a yaw."""
    boxes: FloatArray
    """[3, N, 7]"""

    def __post_init__(self) -> None:
        assert len(self.boxes) == len(self.window_from_ego) == len(SAMPLES_S)

    @staticmethod
    def still(window_from_ego: FloatArray, boxes: FloatArray) -> FramePaths:
        """Returns the paths of a world where nothing moves: pose [4, 4], boxes [N, 7]."""
        return FramePaths(np.stack([window_from_ego] * 3), np.stack([boxes] * 3))

    def at(self, dt_s: FloatArray) -> Instants:
        """Returns poses and boxes at times [K]."""
        dt = np.atleast_1d(np.asarray(dt_s, np.float64))
        yaw = np.unwrap(poses.yaw_of(self.window_from_ego))
        xyz = _parabola(self.window_from_ego[:, :3, 3], dt)
        ego = poses.from_xyz_yaw(xyz, _parabola(yaw, dt))
        heading = np.unwrap(self.boxes[..., 6], axis=0)
        moving = np.concatenate([self.boxes[..., :3], heading[..., None]], -1)
        place = _parabola(moving, dt)
        size = np.broadcast_to(self.boxes[-1, :, 3:6], (len(dt), *self.boxes.shape[1:2], 3))
        boxes = np.concatenate([place[..., :3], size, place[..., 3:]], -1)
        return Instants(dt, ego, boxes)


def _parabola(samples: FloatArray, dt_s: FloatArray) -> FloatArray:
    """Returns values [K, ...] at times [K] of the parabola through `samples` [3, ...]
    (Lagrange)."""
    u = dt_s / (SWEEP_S / 2)  # -2, -1, 0 at the samples.
    weights = np.stack([u * (u + 1) / 2, -u * (u + 2), (u + 1) * (u + 2) / 2], -1)
    return np.asarray(np.tensordot(weights, samples, 1))


def dt_of_azimuth(azimuth_rad: FloatArray | float) -> FloatArray:
    """Returns when the LiDAR looks in a direction: it starts backward, turns to the left past the
    right side, the front and the left side, and ends backward at the timestamp of the frame."""
    return np.asarray(SWEEP_S * (np.asarray(azimuth_rad) - np.pi) / (2 * np.pi))
