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


FLAKE_RADIUS_M = 0.00075
FLAKE_REFLECTIVITY = 0.9
BEAM_RAD = 0.003
"""Full divergence of a beam."""


def snow(points: FloatArray, severity: int, rng: Generator) -> FloatArray:
    """Puts a flake in the place of each return that it outshines, and weakens the others: an
    approximation with flakes of one size.

    The share of the air that is snow is rate over speed of fall, which gives the flakes in a cubic
    metre. The nearest flake in the cone of a beam, at a distance d, covers a share f of the beam
    that falls with d^2. It is seen where 0.9 f / d^2 exceeds i / R^2 of the object at R, with an
    intensity of 0.9 f. Objects are attenuated by twice the area of all flakes on the way and back.
    The number of points stays.
    """
    rate_mm_h, speed_mps = SNOWFALL[severity - 1]
    snow_share = rate_mm_h * 1e-3 / 3600 / speed_mps
    flakes_per_m3 = snow_share / (4 / 3 * np.pi * FLAKE_RADIUS_M**3)
    offset, distance = _polar(points)
    in_cone = -np.log1p(-rng.random(len(points)))  # flakes expected up to the nearest one
    flake = np.cbrt(3 * in_cone / (flakes_per_m3 * np.pi * (BEAM_RAD / 2) ** 2))
    flake = np.maximum(flake, _NEAREST_M)
    covered = np.minimum((FLAKE_RADIUS_M / (flake * BEAM_RAD / 2)) ** 2, 1.0)
    returned = FLAKE_REFLECTIVITY * covered
    is_flake = (flake < distance) & (returned / flake**2 > points[:, 3] / distance**2)
    share = np.where(is_flake, flake / distance, 1.0)
    moved = with_xyz(
        points, np.where(is_flake[:, None], SENSOR_M + offset * share[:, None], points[:, :3])
    )
    attenuation = 2 * flakes_per_m3 * np.pi * FLAKE_RADIUS_M**2
    weaker = points[:, 3] * np.exp(-2 * attenuation * distance)
    moved[:, 3] = np.where(is_flake, returned, weaker)
    return moved


def _polar(points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Returns the points from the sensor [P, 3], and their distances [P] above 0."""
    offset = points[:, :3].astype(np.float64) - SENSOR_M
    return offset, np.maximum(np.linalg.norm(offset, axis=1), 1e-3)
