"""What figures average away: precision over recall by class, and every error against distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leapai.config import BevConfig
from leapai.evaluation.detection.detection_metrics import Evaluator
from leapai.evaluation.detection.detection_results import (
    AP_DISTANCES_M,
    ERROR_DISTANCE_M,
    RECALL_CONFIDENCE,
    ROUND_CLASS_IDS,
)
from leapai.evaluation.detection.labelled_frames import LabelledFrame
from leapai.evaluation.detection.precision_recall import curve
from leapai.types import (
    CLASS_NAMES,
    STATIC_CLASS_IDS,
    BoolArray,
    FloatArray,
    IntArray,
)


@dataclass(frozen=True)
class Hits:
    """K objects that were found within 2 m at a confidence of `RECALL_CONFIDENCE`."""

    class_id: IntArray
    distance_m: FloatArray
    """[K] of the object, from the ego's origin."""
    position_m: FloatArray
    """[K] error on the ground."""
    velocity_mps: FloatArray
    """[K] error on the ground; NaN where velocity is not labelled and of what never moves."""
    yaw_rad: FloatArray
    """[K] error; NaN of what is round."""


@dataclass(frozen=True)
class Profiles:
    """Of one run."""

    precision: dict[str, dict[float, FloatArray]]
    """By class that has objects and matching distance: [101] at `curves.RECALLS`."""
    hits: Hits
    gt_distance_m: FloatArray
    """[T] of every object that counts."""


def profiles(frames: Sequence[LabelledFrame], bev: BevConfig) -> Profiles:
    """Of labelled frames of any number of sequences, in any order."""
    evaluate = Evaluator(frames, bev)
    precision = {
        name: {distance: _precision(evaluate, i, distance) for distance in AP_DISTANCES_M}
        for i, name in enumerate(CLASS_NAMES)
        if _objects(evaluate, i).any()
    }
    return Profiles(precision, _hits(evaluate), evaluate.gt.distance_m[evaluate.gt.counted])


def _objects(evaluate: Evaluator, class_id: int) -> BoolArray:
    return np.asarray(evaluate.gt.counted & (evaluate.gt.class_id == class_id))


def _precision(evaluate: Evaluator, class_id: int, distance_m: float) -> FloatArray:
    found = evaluate.found[distance_m]
    used = evaluate.evaluated(class_id, found)
    positives = int(_objects(evaluate, class_id).sum())
    return curve(evaluate.right(found)[used], evaluate.said.score[used], positives).precision


def _hits(evaluate: Evaluator) -> Hits:
    found = evaluate.found[ERROR_DISTANCE_M]
    rows = np.flatnonzero(evaluate.right(found) & (evaluate.said.score >= RECALL_CONFIDENCE))
    objects = found[rows]
    class_id = evaluate.said.class_id[rows]
    return Hits(
        class_id=class_id,
        distance_m=evaluate.gt.distance_m[objects],
        position_m=evaluate.position_error(rows, objects),
        velocity_mps=_unless(class_id, STATIC_CLASS_IDS, evaluate.velocity_error(rows, objects)),
        yaw_rad=_unless(class_id, ROUND_CLASS_IDS, evaluate.yaw_error(rows, objects)),
    )


def _unless(class_id: IntArray, without: Sequence[int], error: FloatArray) -> FloatArray:
    """`error` [K], NaN where the class is one of `without`."""
    return np.where(np.isin(class_id, without), np.nan, error)
