"""Weights of sequences by which rare classes come more often in training.

Source: class-balanced grouping and sampling (Zhu et al., CBGS, 2019, section 3.1). It draws single
frames; here whole sequences have the weight, because clips are walked frame by frame.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from leapai.data.log import DrivingLog
from leapai.types import BoolArray
from leapai.types.vocabulary import MOST_CLASSES

LOOKED_AT = 20
"""Frames of a sequence, evenly spread, in which its classes are looked for."""


def sequence_weights(logs: Sequence[DrivingLog], balance: float) -> tuple[float, ...]:
    """Returns how often a clip of each log comes, 1 in the mean over frames.

    Each class gets the same number of draws, shared out over the frames that show it: a frame has
    the weight of the sum over its classes of 1 / number of frames with the class, a sequence the
    mean of its frames. `balance` in [0, 1] is the share of clips that are drawn so; the others are
    drawn evenly. Without labels all weights are 1.
    """
    lengths = np.array([len(log) for log in logs], np.float64)
    shares = np.stack([_classes_of(log).mean(0) for log in logs])  # [S, K]
    frames = lengths @ shares  # frames with each class [K]
    rare = (shares[:, frames > 0] / frames[frames > 0]).sum(1)
    total = lengths @ rare
    if total == 0:
        return (1.0,) * len(logs)
    return tuple(float(w) for w in 1 - balance + balance * rare * lengths.sum() / total)


def _classes_of(log: DrivingLog) -> BoolArray:
    """Returns which classes the frames show that are looked at [F, K]; one empty row without
    frames."""
    count = min(len(log), LOOKED_AT)
    shown = np.zeros((max(count, 1), MOST_CLASSES), bool)
    for row, index in enumerate(np.linspace(0, len(log) - 1, count).round().astype(int)):
        labels = log.ground_truth(int(index)).labels
        if labels is not None:
            shown[row, labels.class_id] = True
    return shown
