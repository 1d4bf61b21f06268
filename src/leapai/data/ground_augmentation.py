"""Augmentation of the ground under a clip, and of what stands on it without a label: kerbs, low
walls, undulation, and surfaces that reflect differently.

A simulated ground is flat and of one material. A network that saw no other takes a kerb, or a patch
of brighter stone, for the feet of a person. Simulated walls and plants are brighter than objects,
and real ones are not (`docs/world.md`). The pattern is fixed to the global frame, so it stands
still through a clip while the ego moves over it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from leapai.config.training import GroundAugmentationConfig
from leapai.geometry import poses
from leapai.geometry.boxes import points_inside
from leapai.types import BoolArray, FloatArray, Frame, Labels

_STRIPS = 3
_WAVES = 2
_TALLEST_M = 0.8
_LOW_M = 0.4
"""Points below this height above the ego's origin, or at it, are on the ground."""
_MARGIN_M = 0.2
"""Points this near to a labelled box are of its object."""


@dataclass(frozen=True)
class Stripes:
    """K patterns of parallel stripes that repeat over the whole plane."""

    direction: FloatArray
    """[K, 2] unit vectors across the stripes."""
    period_m: FloatArray
    """[K]"""
    phase: FloatArray
    """[K] in [0, 1)."""
    share: FloatArray
    """[K] of a period that a stripe covers."""

    def turns(self, xy_m: FloatArray) -> FloatArray:
        """Returns how many periods [K, P] each place of [P, 2] is from where its pattern begins."""
        turns: FloatArray = (self.direction @ xy_m.T) / self.period_m[:, None]
        return turns + self.phase[:, None]

    def covers(self, xy_m: FloatArray) -> FloatArray:
        """Returns 1 where a stripe of a pattern lies at a place, else 0: [K, P] of [P, 2]."""
        return np.asarray(self.turns(xy_m) % 1.0 < self.share[:, None], np.float64)


@dataclass(frozen=True)
class GroundAugmentation:
    """One random draw for a clip; heights and gains of zero change nothing."""

    steps: Stripes
    step_m: FloatArray
    """[K] heights of the stripes, like pavements and low walls."""
    waves: Stripes
    wave_m: FloatArray
    """[K] amplitudes of sines, like a road that is not even."""
    patches: Stripes
    log_gain: FloatArray
    """[K] logarithms of the gain on the intensity of the ground."""
    background_log_gain: FloatArray
    """[K] the same of what stands on it without a label."""

    def height_m(self, xy_m: FloatArray) -> FloatArray:
        """Returns how much the ground rises [P] at places [P, 2] of the global frame."""
        steps = np.minimum(self.step_m @ self.steps.covers(xy_m), _TALLEST_M)
        waves: FloatArray = self.wave_m @ np.sin(2 * np.pi * self.waves.turns(xy_m))
        return np.asarray(steps + waves)

    def gain(self, xy_m: FloatArray, is_low: BoolArray) -> FloatArray:
        """Returns the gain on intensity [P] at places [P, 2], of the ground where `is_low`."""
        covers = self.patches.covers(xy_m)
        return np.exp(np.where(is_low, self.log_gain @ covers, self.background_log_gain @ covers))


def draw_ground_augmentation(
    config: GroundAugmentationConfig, rng: np.random.Generator
) -> GroundAugmentation:
    """Draws the ground of a clip. Some clips keep nearly flat ground."""
    relief_m = config.relief_m * rng.random()
    return GroundAugmentation(
        steps=_draw_stripes(rng, _STRIPS, 4.0, 30.0),
        step_m=rng.exponential(1.0, _STRIPS) * relief_m,
        waves=_draw_stripes(rng, _WAVES, 15.0, 60.0),
        wave_m=rng.normal(0.0, 1.0, _WAVES) * relief_m,
        patches=_draw_stripes(rng, _STRIPS, 2.0, 20.0),
        log_gain=rng.normal(0.0, 1.0, _STRIPS) * config.log_gain,
        background_log_gain=-rng.exponential(1.0, _STRIPS) * config.background_darker,
    )


def with_ground(frame: Frame, ground: GroundAugmentation) -> Frame:
    """Returns the frame with its points and boxes lifted by the ground below them, and with other
    intensities of the ground and of what has no label. Images stay: what they show differs by
    decimetres at most. In a frame without labels only the ground changes: an object would be taken
    for background there, and not in other frames of its clip."""
    changes = ground.step_m, ground.wave_m, ground.log_gain, ground.background_log_gain
    if not any(each.any() for each in changes):
        return frame
    points, labels = frame.points, frame.labels
    if points is not None:
        place = _global_xy(frame, points)
        is_low = points[:, 2] <= _LOW_M
        changed = is_low.copy()
        if labels is not None and ground.background_log_gain.any():
            changed[~is_low] = ~_is_of_object(points[~is_low], labels)
        points = points.copy()
        gain = ground.gain(place[changed], is_low[changed])
        points[changed, 3] = np.clip(points[changed, 3] * gain, 0, 1)
        points[:, 2] += ground.height_m(place).astype(points.dtype)
    if labels is not None:
        lifted = labels.boxes.copy()
        lifted[:, 2] += ground.height_m(_global_xy(frame, lifted))
        labels = replace(labels, boxes=lifted)
    return replace(frame, points=points, labels=labels)


def _is_of_object(points: FloatArray, labels: Labels) -> BoolArray:
    """Returns which points [P] lie in a labelled box or very near to one."""
    boxes = labels.boxes.copy()
    boxes[:, 3:6] += 2 * _MARGIN_M
    return np.asarray(points_inside(points[:, :3], boxes).any(0))


def _draw_stripes(
    rng: np.random.Generator, count: int, shortest_m: float, longest_m: float
) -> Stripes:
    angle = rng.uniform(0.0, np.pi, count)
    return Stripes(
        direction=np.stack([np.cos(angle), np.sin(angle)], axis=1),
        period_m=rng.uniform(shortest_m, longest_m, count),
        phase=rng.random(count),
        share=rng.uniform(0.1, 0.9, count),
    )


def _global_xy(frame: Frame, points: FloatArray) -> FloatArray:
    return poses.apply(frame.ego2global, points[:, :3].astype(np.float64))[:, :2]
