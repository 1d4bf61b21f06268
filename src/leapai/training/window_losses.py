"""The forward pass of training: a window of frames -> named losses.

The network's own step, `predictions, state = model(batch, state)`, is the same as everywhere. Here
the windows go through it: the first frames only fill the memory, the others have losses and
gradients. The memory of the streams is carried on from window to window.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

import torch
from torch import Tensor, nn

from leapai.config.schema import TaskConfig
from leapai.distributed import Ranks
from leapai.models.perception import Perception
from leapai.models.precision import mixed_precision
from leapai.models.tensors import (
    DenoisingQueries,
    FrameBatch,
    Predictions,
    StaticPredictions,
    TemporalState,
)
from leapai.training.auxiliary_criterion import AuxiliaryCriterion
from leapai.training.criterion import DynamicCriterion, Parts
from leapai.training.denoising import make_denoising_queries, noise_seed
from leapai.training.progress import Stopwatch
from leapai.training.static_criterion import StaticCriterion, static_targets
from leapai.training.targets import TargetMaker, Targets
from leapai.training.temporal_consistency import TemporalConsistencyLoss

Window = Sequence[FrameBatch]
"""Frames of one step in the order of time, each of all streams of this rank."""


class WindowLosses(nn.Module):
    """The network and all its losses as one module, so that DDP sees the whole graph of a step."""

    def __init__(
        self, config: TaskConfig, model: Perception, ranks: Ranks, watch: Stopwatch
    ) -> None:
        super().__init__()
        self.config, self.model, self.ranks, self.watch = config, model, ranks, watch
        self.dynamic = DynamicCriterion(config) if config.dynamic_task else None
        self.static = StaticCriterion(config) if config.static_task else None
        consistent = config.static_task and config.loss.static.steadiness_weight > 0
        self.consistency_loss = TemporalConsistencyLoss(config) if consistent else None
        self.auxiliary = AuxiliaryCriterion(config)
        self.targets = TargetMaker(config)
        self.memory: TemporalState | None = None

    def forward(self, window: Window, step: int, part: int) -> dict[str, Tensor]:
        """Returns the losses of window number `part` of optimiser step `step`: means over the
        frames with gradient. Only "total" has a gradient."""
        warm_up = len(window) - self.config.streaming.frames_with_gradient
        if self.memory is None:
            self.memory = self.model.initial_state(window[0].streams, self.ranks.device)
        for batch in window[:warm_up]:
            self._fill_memory(batch)
        frames = [
            self._frame(batch, step, part * len(window) + warm_up + i)
            for i, batch in enumerate(window[warm_up:])
        ]
        return {k: torch.stack([frame[k] for frame in frames]).mean() for k in frames[0]}

    def forget(self) -> None:
        """Drops the memory of all streams, in the network, the targets and the losses."""
        self.memory, self.targets = None, TargetMaker(self.config)
        if self.consistency_loss is not None:
            self.consistency_loss.last = None

    def _fill_memory(self, batch: FrameBatch) -> None:
        """Runs a frame without gradient."""
        self.targets.make(batch)  # notes which objects were seen
        with self.watch("forward without gradient"), torch.no_grad(), self._precision():
            predictions, self.memory = self.model(batch, self.memory)
        if self.consistency_loss is not None:
            self.consistency_loss.remember(static_of(predictions), batch)

    def _frame(self, batch: FrameBatch, step: int, index: int) -> Parts:
        """Returns the losses of one frame with gradient."""
        with self.watch("targets and losses"):
            targets = self.targets.make(batch)
            denoising = self._denoising(targets, batch, (step, index))
        assert self.memory is not None
        with self.watch("forward"), self._precision():
            predictions, self.memory = self.model(replace(batch, denoising=denoising), self.memory)
        with self.watch("targets and losses"):
            return joined(self._parts(predictions, batch, targets, denoising))

    def _precision(self) -> AbstractContextManager[object]:
        """Returns the context of one frame of the network; losses are outside of it.

        Autocast keeps what it shortened until its block ends: a block for all frames would hand
        weights without gradient, of the frames that fill the memory, to those with losses.
        """
        return mixed_precision(self.ranks.device, self.config.training.mixed_precision)

    def _denoising(
        self, targets: Sequence[Targets], batch: FrameBatch, frame: tuple[int, int]
    ) -> DenoisingQueries | None:
        """Returns the denoising queries of a frame, given by its optimiser step and its number in
        it; None where the dynamic task is off."""
        if self.dynamic is None:
            return None
        first, seed = self.ranks.rank * batch.streams, self.config.training.seed
        seeds = [noise_seed(seed, first + stream, *frame) for stream in range(batch.streams)]
        return make_denoising_queries(targets, self.dynamic.grid, self.config.loss, seeds)

    def _parts(
        self,
        predictions: Predictions,
        batch: FrameBatch,
        targets: Sequence[Targets],
        denoising: DenoisingQueries | None,
    ) -> list[Parts]:
        """Returns the losses of each task that is on; a stream without labels of one task trains
        the other."""
        parts = []
        if self.dynamic is not None:
            assert predictions.dynamic is not None
            parts.append(self.dynamic(predictions.dynamic, targets, denoising))
        if self.static is not None:
            gt = static_targets(batch, self.config)
            parts.append(self.static(static_of(predictions), gt))
        if self.consistency_loss is not None:
            parts.append(self.consistency_loss(static_of(predictions), batch))
        if predictions.auxiliary is not None:
            parts.append(self.auxiliary(predictions.auxiliary, batch, targets))
        return parts


def static_of(predictions: Predictions) -> StaticPredictions:
    """Returns the predictions of the static task, which must be on."""
    assert predictions.static is not None
    return predictions.static


def joined(parts: Sequence[Parts]) -> Parts:
    """Returns the parts of all tasks, and the sum of their totals."""
    total = torch.stack([of_task["total"] for of_task in parts]).sum()
    named = {name: value for of_task in parts for name, value in of_task.items()}
    return named | {"total": total}
