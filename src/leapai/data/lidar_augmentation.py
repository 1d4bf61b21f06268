"""Augmentation of LiDAR points, drawn once a clip: another convention of intensity, fewer beams,
fewer points, a sensor that stands higher or tilts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leapai.config.training import LidarAugmentationConfig
from leapai.types import BoolArray, FloatArray

_SENSOR_HEIGHT_M = 1.8
"""Height above the ground from which the elevation of beams is taken."""


@dataclass(frozen=True)
class LidarAugmentation:
    """One random draw for a clip."""

    gain: float
    gamma: float
    blind: bool
    """Every intensity is 0."""
    thinned_rad: float
    """Beams are taken away in bands of this elevation; 0: none is."""
    kept: float
    """Share of the points that stay."""
    tilt: FloatArray
    """[3, 3] rotation about the ego's origin, a small pitch and roll."""
    seed: int
    """Seed of what is drawn anew in every frame."""


def draw_lidar_augmentation(
    config: LidarAugmentationConfig, rng: np.random.Generator
) -> LidarAugmentation:
    """Draws the augmentation of a clip."""
    roll, pitch = np.radians(rng.normal(0.0, config.tilt_deg, 2))
    tilt = np.array([[1, 0, pitch], [0, 1, -roll], [-pitch, roll, 1]])
    is_thinned = rng.random() < config.thinning_probability
    is_sparse = rng.random() < config.sparse_probability
    return LidarAugmentation(
        gain=float(np.exp(rng.normal(0.0, config.log_gain))),
        gamma=float(np.exp(rng.normal(0.0, config.log_gamma))),
        blind=bool(rng.random() < config.blind_probability),
        thinned_rad=float(np.radians(rng.uniform(0.3, 2.0))) if is_thinned else 0.0,
        kept=float(rng.uniform(0.3, 1.0)) if is_sparse else 1.0,
        tilt=tilt,
        seed=int(rng.integers(1 << 31)),
    )


def augmented_points(
    points: FloatArray, augmentation: LidarAugmentation, timestamp_us: int
) -> FloatArray:
    """Returns the augmented points [P', 5] of a frame; what was not drawn changes nothing."""
    changed = points.astype(np.float32)  # a copy
    if augmentation.kept < 1 or augmentation.thinned_rad:
        rng = np.random.default_rng([augmentation.seed, timestamp_us])
        changed = changed[_kept(points, augmentation, rng)]
    if not np.array_equal(augmentation.tilt, np.eye(3)):
        changed[:, :3] @= augmentation.tilt.T.astype(np.float32)
    if augmentation.blind or (augmentation.gain, augmentation.gamma) != (1.0, 1.0):
        intensity = np.clip(changed[:, 3], 0, None) ** np.float32(augmentation.gamma)
        changed[:, 3] = np.clip(augmentation.gain * intensity, 0, 1) * (not augmentation.blind)
    return changed


def _kept(
    points: FloatArray, augmentation: LidarAugmentation, rng: np.random.Generator
) -> BoolArray:
    kept = rng.random(len(points)) < augmentation.kept
    if augmentation.thinned_rad:
        distance = np.maximum(np.hypot(points[:, 0], points[:, 1]), 1e-3)
        elevation = np.arctan2(points[:, 2] - _SENSOR_HEIGHT_M, distance)
        kept &= np.floor(elevation / augmentation.thinned_rad) % 2 == 0
    return np.asarray(kept)
