"""Evaluation of a whole run: `evaluate(...)`."""

from __future__ import annotations

from collections.abc import Sequence

from leapai.config.schema import TaskConfig
from leapai.evaluation.consistency import consistency
from leapai.evaluation.detection.detection_metrics import detection_metrics
from leapai.evaluation.map.map_results import MapMetrics
from leapai.evaluation.metrics import extra_values
from leapai.evaluation.run_metrics import RunMetrics
from leapai.evaluation.sequence_result import SequenceResult
from leapai.evaluation.tracking.instances import instance_rows
from leapai.evaluation.tracking.tracking_metrics import tracking_metrics
from leapai.evaluation.tracking.tracking_results import InstanceMetrics


def evaluate(
    sequences: Sequence[SequenceResult], config: TaskConfig, map_metrics: MapMetrics | None = None
) -> RunMetrics:
    """Returns the metrics of a run; the order of its sequences does not matter. Where the dynamic
    task is off, objects are not evaluated. `map_metrics` were counted while the sequences
    streamed."""
    frames = [frame for each in sequences for frame in each.labelled() if config.dynamic_task]
    metrics = RunMetrics(
        detection=detection_metrics(frames, config.bev, config.evaluation) if frames else None,
        tracking=tracking_metrics(frames, config.bev) if frames else None,
        consistency=consistency([frame for each in sequences for frame in each.detections]),
        road=map_metrics,
    )
    return metrics.model_copy(update={"extra": extra_values(metrics)})


def evaluate_instances(
    sequences: Sequence[SequenceResult], config: TaskConfig
) -> list[InstanceMetrics] | None:
    """Returns metrics of every labelled object; None: `eval_instance` does not ask for them."""
    if not config.eval_instance:
        return None
    frames = [frame for sequence in sequences for frame in sequence.labelled()]
    return instance_rows(frames, config.bev)
