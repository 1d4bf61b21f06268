"""Corruptions of LiDAR sweeps: fewer points, fewer beams, motion, misalignment (Beemelmanns et al.,
"MultiCorrupt", IV 2024). Fog and snow are in `lidar_weather.py`.

Every function takes points [P, 5] of the ego frame, a severity 1, 2 or 3 and a random generator,
and returns points [P', 5].
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from leapai.data.corruptions.seeded_draws import Generator
from leapai.types import FloatArray, IntArray

SENSOR_M = np.array([0.95, 0.0, 1.85])
"""Where the LiDAR is taken to be, ego frame: points do not tell. A roof over the front axle."""
BEAMS = 32
BEAM_STEPS = (2, 4, 8)
DROPPED = (0.7, 0.8, 0.9)
MISALIGNED = (0.2, 0.4, 0.6)
"""Share of the frames that are misaligned."""
SHIFT_M = 2.0
"""Shift of a misaligned sweep along x, the same at all severities."""
_OUTER_PERCENT = (0.5, 99.5)


def points_reducing(points: FloatArray, severity: int, rng: Generator) -> FloatArray:
    """Drops 70, 80 or 90 % of the points."""
    return np.asarray(points[rng.random(len(points)) >= DROPPED[severity - 1]])


def beams_reducing(points: FloatArray, severity: int, rng: Generator) -> FloatArray:
    """Keeps every second, fourth or eighth of 32 beams, from beam 1 on (`rings`)."""
    del rng
    return np.asarray(points[rings(points) % BEAM_STEPS[severity - 1] == 1])


def rings(points: FloatArray) -> IntArray:
    """Returns the beam [P] of each point, 0 to 31 from the lowest.

    The benchmark reads it from the file. Frames do not have it, so it is taken from the elevation
    seen from `SENSOR_M`: 32 equal steps between the outermost percentiles. This is exact for a
    level sensor of 32 equally spaced beams at that place. On others the beams become bands of
    elevation, of which as many are kept.
    """
    if not len(points):
        return np.zeros(0, np.int64)
    offset = points[:, :3] - SENSOR_M
    elevation = np.arctan2(offset[:, 2], np.hypot(offset[:, 0], offset[:, 1]))
    low, high = np.percentile(elevation, _OUTER_PERCENT)
    share = (elevation - low) / max(high - low, 1e-6)
    return np.asarray(np.clip(np.rint(share * (BEAMS - 1)).astype(np.int64), 0, BEAMS - 1))


def motion_blur(points: FloatArray, severity: int, rng: Generator) -> FloatArray:
    """Shifts the sweep, and each point a little more, by normal errors cut at 3 sigma.

    The shift has a sigma of 6, 10 or 13 cm along each axis, the jitter of a point 0.15, 0.20 and
    0.12 of that along x, y and z.
    """
    sigma_m = (0.06, 0.10, 0.13)[severity - 1]
    each_m = sigma_m * np.array([0.15, 0.20, 0.12])
    shift = np.clip(rng.normal(0.0, sigma_m, 3), -3 * sigma_m, 3 * sigma_m)
    jitter = np.clip(rng.normal(0.0, each_m, (len(points), 3)), -3 * each_m, 3 * each_m)
    return with_xyz(points, points[:, :3] + shift + jitter)


def spatial_misalignment(points: FloatArray, severity: int, rng: Generator) -> FloatArray:
    """Turns the sweep by 1, 2 or 3 degrees about each axis and shifts it 2 m ahead, in 20, 40 or
    60 % of the frames. The shift is the same at all severities, as the benchmark has it."""
    if rng.random() >= MISALIGNED[severity - 1]:
        return points
    turn = Rotation.from_euler("XYZ", [float(severity)] * 3, degrees=True).as_matrix()
    return with_xyz(points, points[:, :3] @ turn.T + np.array([SHIFT_M, 0.0, 0.0]))


def with_xyz(points: FloatArray, xyz: FloatArray) -> FloatArray:
    """Returns the points [P, 5] at other places [P, 3]."""
    return np.concatenate([xyz, points[:, 3:]], 1).astype(points.dtype)
