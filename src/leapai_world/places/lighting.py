"""The light of a place: time of day and weather, or lamps under a ceiling."""

from __future__ import annotations

import numpy as np

from leapai.types.vocabulary import FloatArray
from leapai_world.random_generators import random_generator
from leapai_world.sensors.light import Light


def daylight(seed: int) -> Light:
    """Draws time of day and weather: day mostly, a low sun or dusk sometimes, night now and
    then."""
    rng = random_generator(seed, 31)
    time = rng.random()
    if time < 0.18:
        return _night(rng)
    return _day(rng, low_sun=time < 0.42)


def _day(rng: np.random.Generator, *, low_sun: bool) -> Light:
    bearing = rng.uniform(-np.pi, np.pi)
    height = np.radians(rng.uniform(9, 18) if low_sun else rng.uniform(24, 62))
    warmth = rng.uniform(1.6, 2.6) if low_sun else rng.uniform(0.0, 1.0)
    overcast = rng.uniform(0.75, 0.95) if rng.random() < 0.25 else 0.0
    sun = rng.uniform(0.80, 1.05) * np.array([1.0, 0.97 - 0.07 * warmth, 0.92 - 0.16 * warmth])
    sky = np.array([0.36, 0.56, 0.84]) + rng.uniform(-0.06, 0.06)
    grey = np.array([0.66, 0.69, 0.72])
    return Light(
        to_sun=_towards(bearing, height),
        sun=sun * (1 - overcast),
        ambient=(rng.uniform(0.58, 0.72) + 0.25 * overcast - 0.06 * warmth * low_sun)
        * np.array([0.93, 0.98, 1.06]),
        zenith=sky * (1 - overcast) + grey * overcast,
        horizon=np.array([0.80, 0.86, 0.92]) - warmth * np.array([0.02, 0.07, 0.13]),
        haze_m=rng.uniform(70.0, 140.0) if rng.random() < 0.2 else rng.uniform(180.0, 450.0),
    )


def _night(rng: np.random.Generator) -> Light:
    """Draws town light from above and a moon, as cameras with a long exposure show them."""
    return Light(
        to_sun=_towards(rng.uniform(-np.pi, np.pi), np.radians(rng.uniform(35, 60))),
        sun=rng.uniform(0.10, 0.18) * np.array([0.85, 0.95, 1.2]),
        ambient=rng.uniform(0.26, 0.36) * np.array([1.05, 0.95, 0.85]),
        zenith=np.array([0.03, 0.04, 0.09]),
        horizon=np.array([0.16, 0.14, 0.15]),
        haze_m=rng.uniform(150.0, 300.0),
    )


def lamplight(seed: int) -> Light:
    """Draws the light under a ceiling: no sun, dim light from all sides."""
    rng = random_generator(seed, 31)
    warmth = rng.uniform(-0.05, 0.08)
    return Light(
        to_sun=np.array([0.0, 0.0, 1.0]),
        sun=np.zeros(3),
        ambient=rng.uniform(0.62, 0.85) * np.array([1.0 + warmth, 1.0, 1.0 - warmth]),
        zenith=np.array([0.10, 0.10, 0.10]),
        horizon=np.array([0.18, 0.18, 0.17]),
        haze_m=rng.uniform(90.0, 200.0),
    )


def _towards(bearing_rad: float, height_rad: float) -> FloatArray:
    level = np.cos(height_rad)
    return np.array([level * np.cos(bearing_rad), level * np.sin(bearing_rad), np.sin(height_rad)])
