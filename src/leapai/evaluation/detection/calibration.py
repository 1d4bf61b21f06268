"""Calibration: how well the confidence of detections agrees with how often they are right."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from leapai.evaluation.detection.detection_results import Calibration, ReliabilityBin
from leapai.types import BoolArray, FloatArray

CALIBRATION_BINS = 10
_NEAREST = 1e-6
"""Scores nearer to 0 or to 1 count as this near: their logits would be infinite."""


def calibration(score: FloatArray, right: BoolArray) -> Calibration:
    """Returns the calibration of detections [N] and whether each is right."""
    number = np.minimum((score * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    count, confident, correct = (
        np.bincount(number, weights, CALIBRATION_BINS) for weights in (None, score, right)
    )
    bins = tuple(
        ReliabilityBin(
            low=i / CALIBRATION_BINS,
            high=(i + 1) / CALIBRATION_BINS,
            detections=int(n),
            confidence=float(confident[i] / n) if n else None,
            precision=float(correct[i] / n) if n else None,
        )
        for i, n in enumerate(count)
    )
    ece = float(np.abs(confident - correct).sum() / len(score)) if len(score) else None
    return Calibration(ece=ece, bins=bins)


def fitted_logistic(score: FloatArray, right: BoolArray) -> tuple[float, float]:
    """Returns scale and shift of the logit of scores [N] in [0, 1], by which their sigmoid becomes
    the probability of being right: those of maximum likelihood (Platt, "Probabilistic Outputs for
    Support Vector Machines", 1999). Raises ValueError where none are found."""
    given = logit(np.clip(score, _NEAREST, 1 - _NEAREST))
    target = right.astype(np.float64)

    def loss(values: FloatArray) -> tuple[float, FloatArray]:
        moved = values[0] * given + values[1]
        slope = expit(moved) - target
        likelihood = np.logaddexp(0.0, moved) - target * moved
        return float(likelihood.mean()), np.array([(slope * given).mean(), slope.mean()])

    found = minimize(loss, np.array([1.0, 0.0]), jac=True)
    if not found.success:
        raise ValueError(
            f"no logistic curve through {len(score)} scores was found: {found.message}"
        )
    scale, shift = found.x
    return float(scale), float(shift)
