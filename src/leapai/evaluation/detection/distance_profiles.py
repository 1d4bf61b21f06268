"""Curves behind the metrics: precision over recall by class, and every error against distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leapai.config.network_sections import BevConfig
from leapai.evaluation.detection.detection_metrics import Evaluator
from leapai.evaluation.detection.detection_results import (
    AP_DISTANCES_M,
    OPERATING_CONFIDENCE,
    OPERATING_DISTANCE_M,
)
from leapai.evaluation.detection.labelled_frames import LabelledFrame
from leapai.evaluation.detection.precision_recall import curve
from leapai.types import BoolArray, FloatArray, IntArray, Vocabulary


@dataclass(frozen=True)
class Hits:
    """K objects found at the operating point."""

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
    """Curves and errors of one run."""

    precision: dict[str, dict[float, FloatArray]]
    """Precision by class that has objects and matching distance: [101] at
    `precision_recall.RECALLS`."""
    hits: Hits
    gt_distance_m: FloatArray
    """[T] of every object that counts."""
    vocabulary: Vocabulary


def profiles(frames: Sequence[LabelledFrame], bev: BevConfig) -> Profiles:
    """Returns the curves of labelled frames of any number of sequences, in any order."""
    evaluator = Evaluator(frames, bev)
    precision = {
        name: {distance: _precision(evaluator, i, distance) for distance in AP_DISTANCES_M}
        for i, name in enumerate(evaluator.vocabulary.names)
        if _objects(evaluator, i).any()
    }
    distance_m = evaluator.gt.distance_m[evaluator.gt.counted]
    return Profiles(precision, _hits(evaluator), distance_m, evaluator.vocabulary)


def _objects(evaluator: Evaluator, class_id: int) -> BoolArray:
    return np.asarray(evaluator.gt.counted & (evaluator.gt.class_id == class_id))


def _precision(evaluator: Evaluator, class_id: int, distance_m: float) -> FloatArray:
    found = evaluator.found[distance_m]
    used = evaluator.evaluated(class_id, found)
    positives = int(_objects(evaluator, class_id).sum())
    return curve(
        evaluator.right(found)[used], evaluator.detections.score[used], positives
    ).precision


def _hits(evaluator: Evaluator) -> Hits:
    found = evaluator.found[OPERATING_DISTANCE_M]
    sure = evaluator.detections.score >= OPERATING_CONFIDENCE
    rows = np.flatnonzero(evaluator.right(found) & sure)
    objects = found[rows]
    class_id = evaluator.detections.class_id[rows]
    still, no_heading = evaluator.vocabulary.still_ids, evaluator.vocabulary.round_ids
    return Hits(
        class_id=class_id,
        distance_m=evaluator.gt.distance_m[objects],
        position_m=evaluator.position_error(rows, objects),
        velocity_mps=_unless(class_id, still, evaluator.velocity_error(rows, objects)),
        yaw_rad=_unless(class_id, no_heading, evaluator.yaw_error(rows, objects)),
    )


def _unless(class_id: IntArray, without: Sequence[int], error: FloatArray) -> FloatArray:
    """Returns `error` [K], NaN where the class is one of `without`."""
    return np.where(np.isin(class_id, without), np.nan, error)
