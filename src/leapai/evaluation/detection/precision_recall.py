"""Precision over recall, its average, and errors averaged over recall, as the nuScenes detection
evaluation defines them (Caesar et al., "nuScenes", CVPR 2020, section 3.1): curves are read at
recalls of 0, 0.01, ..., 1; what lies at a recall of 0.1 or less, or below a precision of 0.1, is
cut off.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from leapai.evaluation.detection.detection_results import (
    MIN_PRECISION,
    MIN_RECALL,
    STAND_IN_ERROR,
    OperatingPoint,
)
from leapai.types import BoolArray, FloatArray

RECALLS = np.linspace(0.0, 1.0, 101)
_FIRST = int(np.searchsorted(RECALLS, MIN_RECALL, "right"))
"""Index of the first recall above `MIN_RECALL`."""


class Curve(NamedTuple):
    """A curve read at `RECALLS`; 0 beyond the recall that was reached."""

    precision: FloatArray
    """[101]"""
    confidence: FloatArray
    """[101] confidence from which detections give that recall."""


def curve(hit: BoolArray, score: FloatArray, positives: int) -> Curve:
    """Returns the curve of detections [N] by falling confidence, of which `hit` [N] found an object
    each, and of the number of objects."""
    if not hit.any():
        return Curve(np.zeros(len(RECALLS)), np.zeros(len(RECALLS)))
    hits = np.cumsum(hit)
    recall, precision = hits / positives, hits / np.arange(1, len(hit) + 1)
    return Curve(
        np.interp(RECALLS, recall, precision, right=0),
        np.interp(RECALLS, recall, score, right=0),
    )


def average_precision(precision: FloatArray) -> float:
    """Returns AP in [0, 1] of a curve's precision [101]."""
    above = np.maximum(precision[_FIRST:] - MIN_PRECISION, 0)
    return float(above.mean() / (1 - MIN_PRECISION))


def mean_error(error: FloatArray, score: FloatArray, confidence: FloatArray) -> float:
    """Returns the mean over recalls of the mean error of what was found up to that recall.

    `error` [K] (NaN: not labelled) and `score` [K] of the hits by falling confidence, `confidence`
    [101] of the curve. `STAND_IN_ERROR` where a recall of 0.1 is not reached.
    """
    reached = np.flatnonzero(confidence)
    if not len(reached) or reached[-1] < _FIRST:
        return STAND_IN_ERROR
    known = ~np.isnan(error)
    count = np.cumsum(known)
    so_far = np.cumsum(np.where(known, error, 0)) / np.maximum(count, 1)
    at_recall = np.interp(confidence[::-1], score[::-1], so_far[::-1])[::-1]
    return float(at_recall[_FIRST : reached[-1] + 1].mean())


def operating_point(true_positives: int, false_positives: int, objects: int) -> OperatingPoint:
    """Returns counts and rates of detections, of which so many are right and wrong, and of the
    ground-truth objects."""
    detected = true_positives + false_positives
    return OperatingPoint(
        true_positives=true_positives,
        false_positives=false_positives,
        truths=objects,
        precision=true_positives / detected if detected else None,
        recall=true_positives / objects if objects else None,
        f1=2 * true_positives / (detected + objects) if detected + objects else None,
    )
