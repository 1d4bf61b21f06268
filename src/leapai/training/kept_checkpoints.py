"""Weights that a training keeps in addition to `last.ckpt`: from time to time, and the best."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from leapai.checkpoints import UnreadableCheckpointError, header, read_checkpoint, write_checkpoint
from leapai.evaluation.metric_types import Better, RunMetric, Shown
from leapai.evaluation.metrics import run_metrics

if TYPE_CHECKING:
    from leapai.training.train_step import TrainStep

BEST = "best.ckpt"
_PERIODIC = re.compile(r"step_(\d{6,})\.ckpt")


def compared_metric(name: str) -> RunMetric | None:
    """Returns the metric by which `training.best_metric` compares; None where that is empty.

    Raises ValueError, with the names there are, for one that no validation during training
    measures.
    """
    if not name:
        return None
    known = {m.event: m for m in run_metrics(Shown.SCALAR) if m.better is not Better.NEITHER}
    if name not in known:
        raise ValueError(
            f"training.best_metric = '{name}' is no metric of a validation; name one of "
            f"{', '.join(sorted(known))}"
        )
    return known[name]


def keep_weights(folder: Path, step: TrainStep) -> None:
    """Writes the weights after a step as `step_000500.ckpt`, and removes the oldest such files
    beyond `training.keep_count`. Raises OSError as `write_checkpoint` does."""
    write_weights(folder / f"step_{step.progress.step:06d}.ckpt", step, {})
    kept = {int(match[1]): p for p in folder.iterdir() if (match := _PERIODIC.fullmatch(p.name))}
    for number in sorted(kept)[: -step.config.training.keep_count]:
        kept[number].unlink()


class BestCheckpoint:
    """The file `best.ckpt`: the weights that did best in a validation so far, by
    `training.best_metric`.

    A training that is `resumed` compares with the file that is there; one that begins does not.
    """

    def __init__(self, folder: Path, *, resumed: bool) -> None:
        self.path = folder / BEST
        self._is_unread = resumed
        self._best: float | None = None

    def offer(self, step: TrainStep, metrics: Mapping[str, float]) -> bool:
        """Writes the weights after a step where its validation is the best so far; returns whether
        it is. A validation that did not measure the metric is not compared."""
        metric = compared_metric(step.config.training.best_metric)
        if metric is None or metric.event not in metrics:
            return False
        self._read(metric.event)
        value = metrics[metric.event]
        if self._best is not None and (value - self._best) * metric.better.value <= 0:
            return False
        self._best = value
        write_weights(self.path, step, metrics)
        return True

    def _read(self, name: str) -> None:
        """Reads what the file that is there reached, once."""
        if self._is_unread and self.path.is_file():
            try:
                self._best = read_checkpoint(self.path).metrics.get(name)
            except UnreadableCheckpointError:
                self._best = None  # a damaged file is replaced
        self._is_unread = False


def write_weights(path: Path, step: TrainStep, metrics: Mapping[str, float]) -> None:
    """Writes the weights that a training has reached, averaged where it averages, with metrics.
    Raises OSError as `write_checkpoint` does."""
    content = {"state_dict": step.weights(), **header(step.config), "figures": dict(metrics)}
    write_checkpoint(path, content)
