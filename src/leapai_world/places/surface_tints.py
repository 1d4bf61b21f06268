"""Tints of the surfaces of a drive: no two have the same asphalt and the same fronts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from leapai_world import meshes
from leapai_world.random_generators import random_generator


def tints_of(seed: int) -> npt.NDArray[np.float32]:
    """Draws factors [K, 3] of the colours of each texture: asphalt, paving, leaves, grass and
    fronts are lighter or darker, warmer or colder in each drive."""
    rng = random_generator(seed, 41)
    lightness = np.exp(rng.normal(0.0, 0.22, (meshes.GLASS + 1, 1)))
    tints = (lightness * np.exp(rng.normal(0.0, 0.07, (len(lightness), 3)))).astype(np.float32)
    tints[[meshes.PLAIN, meshes.GLASS]] = 1
    return tints
