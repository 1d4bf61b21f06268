"""Figures of a network on drives: `evaluate_stream`, and how they are shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch

from leapai.config import TaskConfig
from leapai.data.log import DrivingLog
from leapai.distributed import broadcast, gather, shard
from leapai.evaluation.detection.detection_metrics import detection_metrics
from leapai.evaluation.detection.detection_results import (
    DetectionMetrics,
)
from leapai.evaluation.detection.labelled_frames import LabelledFrame
from leapai.evaluation.map.map_evaluator import MapEvaluator, merged_map_metrics
from leapai.evaluation.map.map_results import MapMetrics
from leapai.models.perception import Perception
from leapai.streaming.session import StepResult, StreamSession


class StreamMetrics(NamedTuple):
    """How good a network is."""

    detection: DetectionMetrics
    road: MapMetrics | None
    """None: it has no static task."""


def evaluate_stream(
    model: Perception,
    config: TaskConfig,
    logs: Sequence[DrivingLog],
    max_frames: int | None = None,
    device: torch.device | str = "cpu",
) -> StreamMetrics:
    """Streams every drive in order, at most `max_frames` of each, and judges the frames that have
    labels, or a map. Writes nothing; `model` goes back to the mode, module by module, that it had.

    Where processes are joined they share the drives, all must call, and all get the figures of
    the whole.
    """
    frames, roads = [], MapEvaluator(config)
    with _mode_kept(model):
        for number, log in shard(logs):
            session = StreamSession(model, config, device, first_sequence=number)
            evaluate_map = roads.of_drive(log)
            for index in range(min(len(log), max_frames or len(log))):
                result = session.step(log[index])
                frames += labelled(result)
                evaluate_map(result)
    parts = gather((frames, roads.tally))
    metrics = None
    if parts is not None:
        together = [frame for part, _ in parts for frame in part]
        detection = detection_metrics(together, config.bev, config.evaluation)
        metrics = StreamMetrics(detection, merged_map_metrics(tally for _, tally in parts))
    return broadcast(metrics)


def labelled(result: StepResult) -> list[LabelledFrame]:
    """What can be judged of a step: one frame, or none where it has no labels, or where the dynamic
    task is off."""
    labels = result.frame.labels
    if labels is None or result.memory is None:
        return []
    return [LabelledFrame(result.detections, labels)]


@contextmanager
def _mode_kept(model: Perception) -> Iterator[None]:
    training = {module: module.training for module in model.modules()}
    try:
        yield
    finally:
        for module, was_training in training.items():
            module.training = was_training
