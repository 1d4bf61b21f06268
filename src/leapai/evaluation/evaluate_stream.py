"""Evaluation of a network on drives, without a run folder: `evaluate_stream`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import Field

from leapai.config.schema import TaskConfig
from leapai.data.log import DrivingLog
from leapai.distributed import broadcast, gather, shard
from leapai.evaluation.consistency import consistency
from leapai.evaluation.detection.detection_metrics import detection_metrics
from leapai.evaluation.detection.detection_results import ConsistencyMetrics, DetectionMetrics
from leapai.evaluation.detection.labelled_frames import LabelledFrame
from leapai.evaluation.map.map_evaluator import MapEvaluator, merged_map_metrics
from leapai.evaluation.run_metrics import RunMetrics
from leapai.streaming.session import Network, StreamSession
from leapai.streaming.step_result import StepResult

if TYPE_CHECKING:
    import torch

    from leapai.models.perception import Perception


class StreamMetrics(RunMetrics):
    """Metrics of a network: `detection`, which is never None, and `road`, None where the static
    task is off. Tracks are not evaluated."""

    detection: DetectionMetrics
    tracking: None = None
    consistency: ConsistencyMetrics = Field(default_factory=lambda: consistency(()))


def evaluate_stream(
    model: Perception | Network,
    config: TaskConfig,
    logs: Sequence[DrivingLog],
    max_frames: int | None = None,
    device: torch.device | str = "cpu",
) -> StreamMetrics:
    """Streams every drive in order, at most `max_frames` of each, and evaluates the frames that
    have labels, or a map; frames that are refused are left out. Writes nothing; `model` goes back
    to the mode, module by module, that it had.

    Where processes are joined they share the drives, all must call, and all get the metrics of the
    whole.
    """
    frames, maps = [], MapEvaluator(config)
    with _mode_kept(model):
        for number, log in shard(logs):
            session = StreamSession(model, config, device, first_sequence=number)
            evaluate_map = maps.of_sequence(log)
            for index in range(min(len(log), max_frames or len(log))):
                result = session.try_step(log[index])
                if result is None:
                    continue
                frames += labelled(result)
                evaluate_map(result)
    parts = gather((frames, maps.tally))
    metrics = None
    if parts is not None:
        together = [frame for part, _ in parts for frame in part]
        detection = detection_metrics(together, config.bev, config.evaluation, config.vocabulary)
        map_metrics = merged_map_metrics(tally for _, tally in parts)
        metrics = StreamMetrics(detection=detection, road=map_metrics)
    return broadcast(metrics)


def labelled(result: StepResult) -> list[LabelledFrame]:
    """Returns the frame of a step in a list, which is empty where the frame has no labels, or where
    the dynamic task is off."""
    labels = result.frame.labels
    if labels is None or result.memory is None:
        return []
    return [LabelledFrame(result.detections, labels)]


@contextmanager
def _mode_kept(model: Perception | Network) -> Iterator[None]:
    modules = () if isinstance(model, Network) else model.modules()
    training = {module: module.training for module in modules}
    try:
        yield
    finally:
        for module, was_training in training.items():
            module.training = was_training
