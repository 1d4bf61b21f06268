"""The quintic step with which things change smoothly: kerbs, lane changes, scripted motion."""

from __future__ import annotations

import numpy as np

from leapai.types.vocabulary import FloatArray


def smooth_step(x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Returns the quintic step 6 x^5 - 15 x^4 + 10 x^3 of x clipped to [0, 1], and its first two
    derivatives."""
    x = np.clip(x, 0.0, 1.0)
    rest = 1 - x
    return x**3 * (10 + x * (6 * x - 15)), 30 * (x * rest) ** 2, 60 * x * rest * (1 - 2 * x)
