"""What went wrong, frame by frame: objects that were missed and detections of nothing.

At the operating point of the detection figures. Each failure weighs by how near it is, as objects
do in training (docs/design.md, section 7): 4 within 6 m, 2 within 12 m, 1 beyond.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leapai.config import BevConfig
from leapai.config.training import DistanceWeights
from leapai.evaluation.detection.detection_metrics import (
    OPERATING_CONFIDENCE,
    OPERATING_DISTANCE_M,
    Evaluator,
)
from leapai.evaluation.detection.labelled_frames import LabelledFrame
from leapai.types import BoolArray, FloatArray, IntArray

WEIGHTS = DistanceWeights()


@dataclass(frozen=True)
class Failures:
    """K failures."""

    missed: BoolArray
    """[K] an object that was not found; else a detection of nothing."""
    class_id: IntArray
    boxes: FloatArray
    """[K, 7] of the object or of the detection, ego frame."""
    occlusion_level: IntArray
    """[K] -1: not labelled."""
    distance_m: FloatArray
    weight: FloatArray

    def nearest_first(self) -> IntArray:
        """Rows [K]."""
        return np.argsort(self.distance_m, kind="stable")


def failures(frame: LabelledFrame, bev: BevConfig) -> Failures:
    """Of one frame. What the figures of a whole run count is the sum over its frames."""
    evaluate = Evaluator([frame], bev)
    gt, said = evaluate.gt, evaluate.said
    sure = said.score >= OPERATING_CONFIDENCE
    found = evaluate.found[OPERATING_DISTANCE_M]
    reached = np.zeros(len(gt.frame), bool)
    reached[found[sure & (found >= 0)]] = True
    missed = gt.rows(gt.counted & ~reached)
    false = said.rows(sure & (found < 0))
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
