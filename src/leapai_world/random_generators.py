"""Random generators of the embedded world, one for each thing that is drawn."""

from __future__ import annotations

import numpy as np


def random_generator(seed: int, *stream: int) -> np.random.Generator:
    """A generator of its own for each place of the world, so that no place depends on what came
    before."""
    return np.random.default_rng([seed, *(index + (1 << 20) for index in stream)])
