"""Random generators of the embedded world, one for each thing that is drawn."""

from __future__ import annotations

import numpy as np


def random_generator(seed: int, *stream: int) -> np.random.Generator:
    """Returns a generator of its own for each part of the world, so that no part depends on what
    was drawn before."""
    return np.random.default_rng([seed, *(index + (1 << 20) for index in stream)])
