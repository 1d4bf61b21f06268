"""Agreement of detected with labelled occlusion levels."""

from __future__ import annotations

import numpy as np

from leapai.types import OCCLUSION_NAMES, IntArray

Confusion = tuple[tuple[int, ...], ...]
"""[4][4] counts by labelled level, then detected level."""


def level_confusion(labelled: IntArray, detected: IntArray) -> Confusion:
    """Counts levels [K], labelled (-1: not) and detected."""
    levels = len(OCCLUSION_NAMES)
    cell = labelled * levels + detected
    counts = np.bincount(cell[labelled >= 0], minlength=levels * levels)
    return tuple(tuple(int(n) for n in row) for row in counts.reshape(levels, levels))


def macro_f1(confusion: Confusion) -> float | None:
    """Returns the mean of F1 over the levels that are labelled; None without any.

    Unlike the accuracy it is low where everything is taken for the most frequent level.
    """
    counts = np.array(confusion, np.float64)
    labelled, detected = counts.sum(1), counts.sum(0)
    f1 = 2 * counts.diagonal() / np.maximum(labelled + detected, 1)
    return float(f1[labelled > 0].mean()) if labelled.any() else None
