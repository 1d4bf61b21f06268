"""Fog and snow in LiDAR sweeps, as the corruptions of `lidar_corruptions.py`.

Fog follows Hahner et al., "Fog Simulation on Real LiDAR Point Clouds", ICCV 2021, section 3, with
the integral computed here. Snow is an approximation: the benchmark traces beams through snowflakes
of files that do not belong to it.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.integrate import trapezoid

from leapai.data.corruptions.lidar_corruptions import SENSOR_M, with_xyz
from leapai.data.corruptions.seeded_draws import Generator
from leapai.types import FloatArray

FOG = ((0.02, 0.008), (0.03, 0.008), (0.06, 0.05))
"""Attenuation alpha in 1/m and backscattering beta in 1/(m sr), by severity."""
SNOWFALL = ((0.5, 1.2), (2.5, 1.6), (1.5, 0.4))
"""Rate in mm/h and speed of fall in m/s, by severity; the densest is the third."""
_BETA_0 = 1e-6 / np.pi
"""Differential reflectivity of the solid target that the model is calibrated with."""
_HALF_PULSE_S = 20e-9
_LIGHT_M_PER_S = 2.99792458e8
_OVERLAP_M = (0.9, 1.0)
"""Distances between which the beam comes into the receiver's view."""
_NOISE_M = 10.0
"""Half the range of the noise in the distance of returns from fog."""
_NEAREST_M = 0.5


def fog(points: FloatArray, severity: int, rng: Generator) -> FloatArray:
    """Weakens returns in fog, and puts fog in the place of those that it outshines.

    An object at distance R returns i exp(-2 alpha R). The fog before it returns at most
    i R^2 beta / beta_0 max_d response(d), at the d of the maximum; the stronger one is seen. The
    distance of fog is spread by R / (R + u), u uniform in +-10 m, within a factor of two. The
    number of points stays, intensities end at 1.
    """
    alpha, beta = FOG[severity - 1]
    offset, distance = _polar(points)
    solid = points[:, 3] * np.exp(-2 * alpha * distance)
    place, response = fog_response(alpha)
    at = np.clip(np.searchsorted(place, distance, "right") - 1, 0, len(place) - 1)
    best = np.minimum(at, int(response.argmax()))  # the response rises once and falls
    soft = points[:, 3] * distance**2 * (beta / _BETA_0) * response[best]
    spread = distance / np.maximum(distance + rng.uniform(-_NOISE_M, _NOISE_M, len(points)), 1e-3)
    seen_at = place[best] * np.clip(spread, 0.5, 2.0)
    is_fog = soft > solid
    share = np.where(is_fog, np.minimum(seen_at, distance) / distance, 1.0)
    moved = with_xyz(
        points, np.where(is_fog[:, None], SENSOR_M + offset * share[:, None], points[:, :3])
    )
    moved[:, 3] = np.clip(np.where(is_fog, soft, solid), 0, 1)
    return moved


class FogResponse(NamedTuple):
    """Response of fog over the distance at which it is seen."""

    place_m: FloatArray
    """[K] rising."""
    value: FloatArray
    """[K] in s/m^2; it rises to one maximum and falls."""


@cache
def fog_response(alpha: float) -> FogResponse:
    """Returns the response of fog: the integral of the pulse sin^2 over what it lights, attenuated
    and seen by the receiver (eq. 11), in front of an object that is further away."""
    place = np.linspace(_NEAREST_M, 120.0, 1200)
    time = np.linspace(0.0, 2 * _HALF_PULSE_S, 400)
    lit = place[:, None] - _LIGHT_M_PER_S * time / 2
    low, high = _OVERLAP_M
    overlap = np.clip((lit - low) / (high - low), 0, 1)
    safe = np.maximum(lit, low)
    pulse = np.sin(np.pi * time / (2 * _HALF_PULSE_S)) ** 2
    integrand = pulse * np.exp(-2 * alpha * safe) / safe**2 * overlap
    return FogResponse(place, np.asarray(trapezoid(integrand, time, axis=1)))


_FLAKES_PER_M = 0.025
"""Reflecting flakes on a metre of a beam for each mm/h and s/m of snow."""
_FLAKE_RANGE_M = 20.0
"""A flake further away returns too little to be seen."""
_CAUGHT = 0.5
"""Share of the beams with a flake in range whose flake outshines the object behind it."""


def snow(points: FloatArray, severity: int, rng: Generator) -> FloatArray:
    """Replaces returns by flakes near the sensor, and weakens and loses others: an approximation.

    A beam meets its first reflecting flake at a distance that is exponentially distributed. The
    density of flakes is proportional to the share of the air that is snow, which is rate over speed
    of fall. In front of the object and within 20 m, every second flake is seen in its place, with
    an intensity below 0.1. Of the other points a share is lost that grows with density and
    distance.
    """
    rate_mm_h, speed_mps = SNOWFALL[severity - 1]
    per_m = _FLAKES_PER_M * rate_mm_h / speed_mps
    offset, distance = _polar(points)
    flake = 1.0 + rng.exponential(1 / per_m, len(points))
    caught = rng.random(len(points)) < _CAUGHT
    is_flake = caught & (flake < np.minimum(distance, _FLAKE_RANGE_M))
    share = np.where(is_flake, flake / distance, 1.0)
    moved = with_xyz(
        points, np.where(is_flake[:, None], SENSOR_M + offset * share[:, None], points[:, :3])
    )
    weaker = points[:, 3] * np.exp(-0.4 * per_m * distance)
    moved[:, 3] = np.where(is_flake, rng.uniform(0.0, 0.1, len(points)), weaker)
    lost = ~is_flake & (rng.random(len(points)) >= np.exp(-0.1 * per_m * distance))
    return np.asarray(moved[~lost])


def _polar(points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Returns the points from the sensor [P, 3], and their distances [P] above 0."""
    offset = points[:, :3].astype(np.float64) - SENSOR_M
    return offset, np.maximum(np.linalg.norm(offset, axis=1), 1e-3)
