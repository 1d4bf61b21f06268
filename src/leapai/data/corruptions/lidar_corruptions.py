"""Corruptions of LiDAR sweeps: fewer points, fewer beams, motion, misalignment, fog, snow
(Beemelmanns et al., MultiCorrupt, IV 2024).

Every function takes points [P, 5] of the ego frame, a severity 1, 2 or 3 and a random generator,
and returns points [P', 5].
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.spatial.transform import Rotation

from leapai.types import FloatArray, IntArray

Generator = np.random.Generator
SENSOR_M = np.array([0.95, 0.0, 1.85])
"""Where the LiDAR is taken to be, ego frame: points do not tell. A roof over the front axle."""
BEAMS = 32
MISALIGNMENT = (0.2, 0.4, 0.6)
"""Share of the frames that are misaligned."""


def points_reducing(points: FloatArray, severity: int, rng: Generator) -> FloatArray:
    """Drops 70, 80 or 90 % of the points."""
    return points[rng.random(len(points)) >= (0.7, 0.8, 0.9)[severity - 1]]


def beams_reducing(points: FloatArray, severity: int, rng: Generator) -> FloatArray:
    """Keeps every second, fourth or eighth of 32 beams, told apart by their elevation."""
    del rng
    step = (2, 4, 8)[severity - 1]
    return points[rings(points) % step == 1]


def rings(points: FloatArray) -> IntArray:
    """Returns the beam [P] of each point, 0 to 31 from the lowest: bands of equal elevation between
    the 0.5th and 99.5th percentile, as points carry no ring."""
    offset = points[:, :3] - SENSOR_M
    elevation = np.arctan2(offset[:, 2], np.hypot(offset[:, 0], offset[:, 1]))
    if not len(points):
        return np.zeros(0, np.int64)
    low, high = np.percentile(elevation, (0.5, 99.5))
    share = (elevation - low) / max(high - low, 1e-6)
    return np.clip((share * BEAMS).astype(np.int64), 0, BEAMS - 1)


def motion_blur(points: FloatArray, severity: int, rng: Generator) -> FloatArray:
    """Shifts the sweep, and each point a little more, by normal errors cut at 3 sigma."""
    sigma_m = (0.06, 0.10, 0.13)[severity - 1]
    shift = rng.normal(0.0, sigma_m, 3)
    each = sigma_m * np.array([0.15, 0.20, 0.12])
    jitter = np.clip(rng.normal(0.0, each, (len(points), 3)), -3 * each, 3 * each)
    return _moved(points, points[:, :3] + shift + jitter)


def spatial_misalignment(points: FloatArray, severity: int, rng: Generator) -> FloatArray:
    """Turns the sweep by 1, 2 or 3 degrees about each axis and shifts it 2 m ahead, in 20, 40 or
    60 % of the frames. The shift is the same at all severities, as the benchmark has it."""
    if rng.random() >= MISALIGNMENT[severity - 1]:
        return points
    turn = Rotation.from_euler("zyx", [float(severity)] * 3, degrees=True).as_matrix()
    return _moved(points, points[:, :3] @ turn.T + np.array([2.0, 0.0, 0.0]))


def fog(points: FloatArray, severity: int, rng: Generator) -> FloatArray:
    """Attenuates returns in fog and replaces those that it outshines (Hahner et al., ICCV 2021,
    section 3).

    A solid object returns i exp(-2 alpha r). The fog before it returns at most
    i r^2 beta / beta_0 max_d response(d); where that is more, the point lies at that d.
    """
    alpha, beta = ((0.02, 0.008), (0.03, 0.008), (0.06, 0.05))[severity - 1]
    offset = (points[:, :3] - SENSOR_M).astype(np.float64)
    distance = np.maximum(np.linalg.norm(offset, axis=1), 1e-3)
    solid = points[:, 3] * np.exp(-2 * alpha * distance)
    place, response = _fog_response(alpha)
    strongest = np.maximum.accumulate(response)
    at = np.clip(np.searchsorted(place, distance) - 1, 0, len(place) - 1)
    soft = points[:, 3] * distance**2 * (beta / _BETA_0) * strongest[at]
    peak = place[np.minimum(at, int(response.argmax()))]
    is_fog = soft > solid
    moved = points.copy()
    moved[:, 3] = solid
    jitter = 1 + rng.uniform(-0.1, 0.1, len(points))
    share = np.minimum(peak * jitter, distance) / distance
    moved[is_fog, :3] = (SENSOR_M + offset * share[:, None])[is_fog]
    moved[is_fog, 3] = np.clip(soft, 0, 1)[is_fog]
    seen = moved[:, 3] > 1 / 1024
    return moved[seen]


_BETA_0 = 1e-6 / np.pi
_HALF_PULSE_S = 20e-9
_LIGHT_M_PER_S = 2.99792458e8
_OVERLAP_M = (0.9, 1.0)
"""Distances between which the beam comes into the receiver's view."""


@cache
def _fog_response(alpha: float) -> tuple[FloatArray, FloatArray]:
    """Returns distances [K] and the response of fog at each: the integral of the pulse sin^2 over
    what it lights (Hahner et al., eq. 11), attenuated and seen by the receiver."""
    place = np.linspace(0.5, 120.0, 1200)
    time = np.linspace(0.0, 2 * _HALF_PULSE_S, 200)
    lit = place[:, None] - _LIGHT_M_PER_S * time / 2
    low, high = _OVERLAP_M
    overlap = np.clip((lit - low) / (high - low), 0, 1)
    safe = np.maximum(lit, low)
    pulse = np.sin(np.pi * time / (2 * _HALF_PULSE_S)) ** 2
    integrand = pulse * np.exp(-2 * alpha * safe) / safe**2 * overlap
    return place, np.asarray(np.trapezoid(integrand, time, axis=1))


def snow(points: FloatArray, severity: int, rng: Generator) -> FloatArray:
    """Replaces returns by flakes near the sensor, and weakens the others: an approximation.

    The benchmark traces each beam through flakes of files that do not belong to it. Here a beam
    meets its first reflecting flake at a distance that is exponentially distributed with mean 1 /
    density, seen up to 20 m; density follows the share of the air that is snow at its rates of fall
    (0.5, 2.5 and 1.5 mm/h at 1.2, 1.6 and 0.4 m/s).
    """
    rate_mm_h, speed_mps = ((0.5, 1.2), (2.5, 1.6), (1.5, 0.4))[severity - 1]
    per_m = 0.025 * rate_mm_h / speed_mps
    offset = (points[:, :3] - SENSOR_M).astype(np.float64)
    distance = np.maximum(np.linalg.norm(offset, axis=1), 1e-3)
    flake = 1.0 + rng.exponential(1 / per_m, len(points))
    is_flake = (flake < distance) & (flake < _FLAKE_RANGE_M) & (rng.random(len(points)) < 0.5)
    moved = points.copy()
    moved[is_flake, :3] = (SENSOR_M + offset * (flake / distance)[:, None])[is_flake]
    moved[is_flake, 3] = rng.uniform(0.0, 0.1, int(is_flake.sum()))
    weaker = ~is_flake
    moved[weaker, 3] *= np.exp(-2 * 0.2 * per_m * distance[weaker])
    lost = weaker & (rng.random(len(points)) < 1 - np.exp(-0.1 * per_m * distance))
    return moved[~lost]


_FLAKE_RANGE_M = 20.0


def _moved(points: FloatArray, xyz: FloatArray) -> FloatArray:
    return np.concatenate([xyz, points[:, 3:]], 1).astype(points.dtype)
