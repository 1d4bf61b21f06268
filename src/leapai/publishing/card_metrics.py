"""The metrics that a card gives: those of a run, or else those that the checkpoint holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from leapai.checkpoints import Checkpoint
from leapai.evaluation.metric_types import RunMetric, Shown
from leapai.evaluation.metrics import run_metrics
from leapai.publishing.card_text import public_data
from leapai.runs.run_folder import RunRecord, config_json


@dataclass(frozen=True)
class MeasuredMetrics:
    """Metrics of some weights, and how they were measured."""

    data: str
    """Data, without the folders above it."""
    how: str
    """Sentence on the frames that were evaluated."""
    values: tuple[tuple[RunMetric, float], ...]
    ap_by_class: Mapping[str, float]


def measured_metrics(checkpoint: Checkpoint, run: RunRecord | None) -> MeasuredMetrics | None:
    """Returns the metrics of a run, or else those of the checkpoint; None: there are none."""
    if run is not None:
        return _of_run(run, checkpoint)
    return _of_checkpoint(checkpoint) if checkpoint.metrics else None


def _of_run(run: RunRecord, checkpoint: Checkpoint) -> MeasuredMetrics:
    summary, detection = run.summary, run.metrics.detection
    sequences = len(summary.frames_by_sequence)
    how = (
        f"`leapai val` over {summary.labelled_frames} labelled frames of {sequences} "
        f"drive{'s' * (sequences != 1)}, with version {summary.version}."
    )
    if config_json(run.config) != config_json(checkpoint.config):
        how += " Variables of the configuration were others than those of `config.json`."
    found = ((metric, metric.value(run.metrics)) for metric in run_metrics(Shown.SCALAR))
    classes = {} if detection is None else detection.class_results()
    return MeasuredMetrics(
        data=public_data(summary.data),
        how=how,
        values=tuple((metric, value) for metric, value in found if value is not None),
        ap_by_class={n: r.mean_ap for n, r in classes.items() if r.mean_ap is not None},
    )


def _of_checkpoint(checkpoint: Checkpoint) -> MeasuredMetrics:
    metrics, config = checkpoint.metrics, checkpoint.config
    found = ((metric, metrics.get(metric.event)) for metric in run_metrics(Shown.SCALAR))
    classes = {name: metrics.get(f"AP_{name}") for name in checkpoint.class_names}
    return MeasuredMetrics(
        data=public_data(config.data.val),
        how=(
            "The validation at the end of the training, over at most "
            f"{config.training.validation_frames} frames of each drive."
        ),
        values=tuple((metric, value) for metric, value in found if value is not None),
        ap_by_class={name: value for name, value in classes.items() if value is not None},
    )
