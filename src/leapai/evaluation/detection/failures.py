"""Failures, frame by frame: objects that were missed and false positives.

They are taken at the operating point of the detection metrics. Each failure weighs by how near it
is, as objects do in training (docs/design.md, section 7): 4 within 6 m, 2 within 12 m, 1 beyond."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leapai.config.network_sections import BevConfig
from leapai.config.training import DistanceWeights
from leapai.evaluation.detection.detection_metrics import Evaluator
from leapai.evaluation.detection.detection_results import OPERATING_CONFIDENCE, OPERATING_DISTANCE_M
from leapai.evaluation.detection.labelled_frames import LabelledFrame
from leapai.types import BoolArray, FloatArray, IntArray

WEIGHTS = DistanceWeights()


@dataclass(frozen=True)
class Failures:
    """Table of the K failures of one frame."""

    missed: BoolArray
    """[K] whether it is an object that was not found; else it is a false positive."""
    class_id: IntArray
    boxes: FloatArray
    """[K, 7] of the object or of the detection, ego frame."""
    occlusion_level: IntArray
    """[K] -1: not labelled."""
    distance_m: FloatArray
    weight: FloatArray

    def nearest_first(self) -> IntArray:
        """Returns the rows [K] in order of distance."""
        return np.argsort(self.distance_m, kind="stable")


def failures(frame: LabelledFrame, bev: BevConfig) -> Failures:
    """Returns the failures of one frame. Metrics of a whole run count their sum over its frames."""
    evaluator = Evaluator([frame], bev)
    gt, detections = evaluator.gt, evaluator.detections
    sure = detections.score >= OPERATING_CONFIDENCE
    found = evaluator.found[OPERATING_DISTANCE_M]
    reached = np.zeros(len(gt.frame), bool)
    reached[found[sure & (found >= 0)]] = True
    missed = gt.rows(gt.counted & ~reached)
    false = detections.rows(sure & (found < 0))
    distance_m = np.concatenate([missed.distance_m, false.distance_m])
    return Failures(
        missed=np.arange(len(distance_m)) < len(missed.frame),
        class_id=np.concatenate([missed.class_id, false.class_id]),
        boxes=np.concatenate([missed.boxes, false.boxes]),
        occlusion_level=np.concatenate([missed.occlusion_level, false.occlusion_level]),
        distance_m=distance_m,
        weight=np.select(
            [distance_m < WEIGHTS.near_m, distance_m < WEIGHTS.middle_m],
            [WEIGHTS.near, WEIGHTS.middle],
            WEIGHTS.far,
        ),
    )
