"""Predictions to `Detections`: confidence, NMS, metres (docs/design.md, sections 6 and 9)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from leapai.config.validation_sections import EvaluationConfig
from leapai.geometry.overlap import nms_bev
from leapai.models.tensors import DynamicPredictions, FrameBatch
from leapai.types import DESIGN, BevGrid, Detections, Vocabulary


def occlusion_levels(score: Tensor, thresholds: Tensor) -> Tensor:
    """Returns levels [...] 0..3 of scores [..., 1]: how many of the thresholds [3] a score
    passes."""
    return (score > thresholds).sum(-1)


@torch.no_grad()
def decode(
    predictions: DynamicPredictions,
    batch: FrameBatch,
    grid: BevGrid,
    config: EvaluationConfig,
    vocabulary: Vocabulary = DESIGN,
) -> list[Detections]:
    """Decodes one `Detections` a stream, by falling confidence, overlaps removed. Track ids are -1:
    the tracker gives them."""
    probability, class_id = predictions.class_logits[-1].float().sigmoid().max(-1)
    centre = grid.denormalise(predictions.boxes[..., :3])
    yaw = torch.atan2(predictions.boxes[..., 6], predictions.boxes[..., 7])
    boxes = torch.cat([centre, predictions.boxes[..., 3:6], yaw[..., None]], -1)
    levels = occlusion_levels(predictions.occlusion_score[-1], predictions.occlusion_thresholds)
    arrays = [
        tensor.cpu().numpy()
        for tensor in (boxes, predictions.boxes[..., 8:11], probability, class_id, levels)
    ]
    return [
        _most_confident(
            _detections([array[stream] for array in arrays], batch, stream, vocabulary), config
        )
        for stream in range(batch.streams)
    ]


def nothing_found(batch: FrameBatch, vocabulary: Vocabulary = DESIGN) -> list[Detections]:
    """Returns one empty `Detections` a stream, for a network without the dynamic task."""
    none = [np.zeros((batch.streams, 0, width)) for width in (7, 3)]
    scores = [np.zeros((batch.streams, 0))] * 3
    return [
        _detections([array[stream] for array in (*none, *scores)], batch, stream, vocabulary)
        for stream in range(batch.streams)
    ]


def _most_confident(detections: Detections, config: EvaluationConfig) -> Detections:
    boxes, velocity, score = detections.boxes, detections.velocity_mps, detections.score
    finite = np.isfinite(boxes).all(1) & np.isfinite(velocity).all(1) & np.isfinite(score)
    detections = detections.select(finite & (score >= config.min_score))
    kept = nms_bev(detections.boxes, detections.score, detections.class_id, config.nms_iou)
    return detections.select(kept[: config.max_detections])


def _detections(
    arrays: list[np.ndarray], batch: FrameBatch, stream: int, vocabulary: Vocabulary
) -> Detections:
    boxes, velocity, score, class_id, level = arrays
    return Detections(
        sequence=batch.frames[stream].sequence if batch.frames else "",
        timestamp_us=int(batch.timestamp_us[stream]),
        ego2global=batch.ego2global[stream].cpu().numpy(),
        boxes=boxes.astype(np.float64),
        velocity_mps=velocity.astype(np.float64),
        score=score.astype(np.float64),
        class_id=class_id.astype(np.int64),
        occlusion_level=level.astype(np.int64),
        track_id=np.full(len(boxes), -1, np.int64),
        query_index=np.arange(len(boxes)),
        vocabulary=vocabulary,
    )
