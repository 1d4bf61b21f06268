"""Predictions to `Detections`: confidence, NMS, metres (docs/design.md, sections 6 and 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from leapai.config.validation_sections import EvaluationConfig
from leapai.geometry.overlap import nms_bev
from leapai.geometry.poses import ArrayOrTensor
from leapai.types import DESIGN, BevGrid, Detections, FloatArray, ObjectOutputs, Vocabulary

if TYPE_CHECKING:
    from leapai.models.tensors import DynamicPredictions, FrameBatch


def occlusion_levels(score: ArrayOrTensor, thresholds: ArrayOrTensor) -> ArrayOrTensor:
    """Returns levels [...] 0..3 of scores [..., 1]: how many of the thresholds [3] a score
    passes."""
    levels: ArrayOrTensor = (score > thresholds).sum(-1)
    return levels


def decode(
    predictions: DynamicPredictions,
    batch: FrameBatch,
    grid: BevGrid,
    config: EvaluationConfig,
    vocabulary: Vocabulary = DESIGN,
) -> list[Detections]:
    """Decodes one `Detections` a stream, by falling confidence, overlaps removed. Track ids are -1:
    the tracker gives them."""
    return [
        decode_objects(
            outputs_of(predictions, stream),
            nothing_found(
                batch.frames[stream].sequence if batch.frames else "",
                int(batch.timestamp_us[stream]),
                batch.ego2global[stream].cpu().numpy(),
                vocabulary,
            ),
            grid,
            config,
        )
        for stream in range(batch.streams)
    ]


def outputs_of(predictions: DynamicPredictions, stream: int) -> ObjectOutputs:
    """Returns what detections of a stream are made of, on the host."""
    tensors = (
        predictions.class_logits[-1, stream],
        predictions.boxes[stream],
        predictions.occlusion_score[-1, stream],
        predictions.occlusion_thresholds,
    )
    return ObjectOutputs(*(tensor.detach().float().cpu().numpy() for tensor in tensors))


def decode_objects(
    outputs: ObjectOutputs, nothing: Detections, grid: BevGrid, config: EvaluationConfig
) -> Detections:
    """Decodes the outputs of one frame; `nothing` are its detections without any."""
    probability, boxes = expit(outputs.class_logits), outputs.boxes
    extent_m, low_m = (np.array(side, np.float32) for side in (grid.extent_m, grid.low_m))
    centre = boxes[:, :3] * extent_m + low_m
    yaw = np.arctan2(boxes[:, 6], boxes[:, 7])
    levels = occlusion_levels(outputs.occlusion_score, outputs.occlusion_thresholds)
    return _most_confident(
        Detections(
            sequence=nothing.sequence,
            timestamp_us=nothing.timestamp_us,
            ego2global=nothing.ego2global,
            boxes=np.concatenate([centre, boxes[:, 3:6], yaw[:, None]], 1).astype(np.float64),
            velocity_mps=boxes[:, 8:11].astype(np.float64),
            score=probability.max(1).astype(np.float64),
            class_id=probability.argmax(1),
            occlusion_level=levels.astype(np.int64),
            track_id=np.full(len(boxes), -1, np.int64),
            query_index=np.arange(len(boxes)),
            vocabulary=nothing.vocabulary,
        ),
        config,
    )


def nothing_found(
    sequence: str, timestamp_us: int, ego2global: FloatArray, vocabulary: Vocabulary = DESIGN
) -> Detections:
    """Returns the detections of a frame in which nothing is detected."""
    none = np.zeros(0, np.int64)
    return Detections(
        sequence=sequence,
        timestamp_us=timestamp_us,
        ego2global=ego2global,
        boxes=np.zeros((0, 7)),
        velocity_mps=np.zeros((0, 3)),
        score=np.zeros(0),
        class_id=none,
        occlusion_level=none,
        track_id=none,
        query_index=none,
        vocabulary=vocabulary,
    )


def _most_confident(detections: Detections, config: EvaluationConfig) -> Detections:
    boxes, velocity, score = detections.boxes, detections.velocity_mps, detections.score
    finite = np.isfinite(boxes).all(1) & np.isfinite(velocity).all(1) & np.isfinite(score)
    detections = detections.select(finite & (score >= config.min_score))
    kept = nms_bev(detections.boxes, detections.score, detections.class_id, config.nms_iou)
    return detections.select(kept[: config.max_detections])
