"""Frames of a few boxes for tests of figures, and a crowd of random ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from leapai.config import BevConfig, EvaluationConfig
from leapai.evaluation.detection.detection_metrics import detection_metrics
from leapai.evaluation.detection.detection_results import DetectionMetrics
from leapai.evaluation.detection.labelled_frames import LabelledFrame
from leapai.types import Detections, Labels

BEV, EVALUATION = BevConfig(), EvaluationConfig()


def boxes_at(xy: Sequence[Sequence[float]], yaw: Sequence[float] | float = 0.0) -> np.ndarray:
    """Boxes [N, 7] of 4 x 2 x 1.5 m at positions [N, 2]."""
    boxes = np.zeros((len(xy), 7))
    boxes[:, :2] = np.reshape(xy, (-1, 2))
    boxes[:, 3:6] = (4.0, 2.0, 1.5)
    boxes[:, 6] = yaw
    return boxes


def gt(xy, class_id=0, yaw=0.0, **fields) -> Labels:
    """Objects that stand still and are seen in full, unless `fields` say otherwise."""
    count = len(xy)
    labels = Labels.unlabelled(boxes_at(xy, yaw), np.broadcast_to(class_id, count))
    defaults = {
        "velocity_valid": np.ones(count, bool),
        "occlusion_level": np.zeros(count, np.int64),
        "num_lidar_points": np.full(count, 9),
        "visible_fraction": np.ones(count),
    }
    return replace(labels, **(defaults | {k: np.asarray(v) for k, v in fields.items()}))


def detections_at(xy, class_id=0, score=0.9, yaw=0.0, **fields) -> Detections:
    """Detections at positions [N, 2]; `sequence` and `timestamp_us` among `fields`."""
    count = len(xy)
    values = {
        "sequence": "drive",
        "timestamp_us": 1_000_000,
        "ego2global": np.eye(4),
        "boxes": boxes_at(xy, yaw),
        "velocity_mps": np.zeros((count, 3)),
        "score": np.broadcast_to(np.asarray(score, float), count).copy(),
        "class_id": np.broadcast_to(class_id, count).copy(),
        "occlusion_level": np.zeros(count, np.int64),
        "track_id": np.full(count, -1, np.int64),
        "query_index": np.arange(count),
    }
    return Detections(**(values | fields))


def metrics(*frames: tuple[Detections, Labels]) -> DetectionMetrics:
    """Of frames in the full-size range."""
    return detection_metrics([LabelledFrame(*frame) for frame in frames], BEV, EVALUATION)


def crowd(seed: int, frames: int = 6, objects: int = 30, detections: int = 40):
    """Frames in which objects of three classes stand close together and detections are many, so
    that they compete; a third of the objects is hidden. Scores are coarse: some are equal."""
    rng = np.random.default_rng(seed)
    result = []
    for i in range(frames):
        labels = gt(
            rng.uniform(-8, 8, (objects, 2)),
            rng.integers(0, 3, objects),
            rng.uniform(-3, 3, objects),
            velocity_mps=rng.normal(0, 3, (objects, 3)),
            velocity_valid=rng.random(objects) < 0.8,
            occlusion_level=rng.integers(-1, 4, objects),
            num_lidar_points=rng.integers(0, 3, objects),
            visible_fraction=np.zeros(objects),
        )
        found = detections_at(
            rng.uniform(-8, 8, (detections, 2)),
            rng.integers(0, 3, detections),
            np.round(rng.random(detections), 2),
            rng.uniform(-3, 3, detections),
            timestamp_us=1_000_000 + 100_000 * i,
            velocity_mps=rng.normal(0, 3, (detections, 3)),
            occlusion_level=rng.integers(0, 4, detections),
        )
        result.append((found, labels))
    return result
