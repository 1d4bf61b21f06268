"""One optimiser step: frames without, then frames with gradient; and what is not finite.

The network's own step, `predictions, state = model(batch, state)`, is the same as everywhere. This
module moves windows through it, carries the streams' memory on, and steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from leapai.config import TaskConfig
from leapai.distributed import Ranks, all_gather, any_rank
from leapai.models.perception import Perception
from leapai.models.tensors import (
    DenoisingQueries,
    FrameBatch,
    Predictions,
    StaticPredictions,
    TemporalState,
)
from leapai.training.criterion import DynamicCriterion, Parts
from leapai.training.denoising import make_denoising_queries, noise_seed
from leapai.training.optim import build_optimizer, learning_rate, set_rate
from leapai.training.static_criterion import StaticCriterion, static_targets
from leapai.training.steps import (
    Progress,
    StepReport,
    Stopwatch,
    now,
)
from leapai.training.targets import TargetMaker, Targets
from leapai.training.temporal_consistency import TemporalConsistencyLoss

Window = Sequence[FrameBatch]
"""The frames of one step, in order."""
SKIPS_IN_A_ROW = 10
"""So many steps that are not finite stop the run: it would not recover."""


class TrainingModule(pl.LightningModule):
    """Trains `model`. Manual optimisation: a step may be skipped, on all ranks together."""

    def __init__(self, config: TaskConfig, model: Perception, ranks: Ranks) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.config, self.model, self.ranks = config, model, ranks
        self.dynamic = DynamicCriterion(config) if config.dynamic_task else None
        self.static = StaticCriterion(config) if config.static_task else None
        steady = config.static_task and config.loss.static.steadiness_weight > 0
        self.consistency_loss = TemporalConsistencyLoss(config) if steady else None
        self.targets = TargetMaker(config)
        self.memory: TemporalState | None = None
        self.progress, self.report, self.watch = Progress(), StepReport(), Stopwatch()
        self._not_finite = False
        self._frame_names: list[str] = []
        self._kept_statistics: list[tuple[Tensor, Tensor]] = []
        self._idle_since = now()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW; the rate is set at each step."""
        return build_optimizer(self.model, self.config)

    def transfer_batch_to_device(
        self, batch: Window, device: torch.device, dataloader_idx: int
    ) -> list[FrameBatch]:
        """A window to the device."""
        return [frames.to(device) for frames in batch]

    def on_train_start(self) -> None:
        """Setting up is no waiting for data."""
        self._idle_since = now()

    def on_train_batch_start(self, batch: Window, batch_idx: int) -> None:
        """What passed since the last step was waiting for data."""
        self.watch.seconds["data"] += now() - self._idle_since

    def on_train_batch_end(self, outputs: object, batch: Window, batch_idx: int) -> None:
        """After the callbacks."""
        self._idle_since = now()

    def training_step(self, batch: Window, batch_idx: int) -> None:
        """One window; every `accumulate_grad_batches` of them make an optimiser step."""
        accumulate = self.config.accumulate_grad_batches
        if batch_idx % accumulate == 0:
            self._begin()
        losses = self._losses(batch, batch_idx % accumulate)
        if any_rank(not bool(losses["total"].isfinite())):
            self._not_finite = True
        else:
            with self.watch("backward"):
                self.manual_backward(losses["total"] / accumulate)
        self.report.losses = {name: value.detach() for name, value in losses.items()}
        self._frame_names += names_of(batch)
        if (batch_idx + 1) % accumulate == 0:
            with self.watch("optimiser"):
                self._step()

    def _begin(self) -> None:
        """Batch norm learns while it looks: what it knew is kept until the step is known to be
        good."""
        self.report, self._frame_names, self._not_finite = StepReport(), [], False
        norms = (m for m in self.model.modules() if isinstance(m, nn.BatchNorm2d) and m.training)
        self._kept_statistics = [(b, b.clone()) for norm in norms for b in norm.buffers()]

    def _losses(self, window: Window, part: int) -> dict[str, Tensor]:
        """Means over the frames with gradient."""
        warm_up = len(window) - self.config.streaming.frames_with_gradient
        if self.memory is None:
            self.memory = self.model.initial_state(window[0].streams, self.device)
        for batch in window[:warm_up]:
            self.targets.make(batch)  # so that it knows what was seen
            with self.watch("forward without gradient"), torch.no_grad():
                predictions, self.memory = self.model(batch, self.memory)
            if self.consistency_loss is not None:
                self.consistency_loss.remember(static_of(predictions), batch)
        frames = [
            self._frame(batch, part * len(window) + warm_up + i)
            for i, batch in enumerate(window[warm_up:])
        ]
        self.report.frames += len(window) * window[0].streams * self.ranks.count
        return {k: torch.stack([frame[k] for frame in frames]).mean() for k in frames[0]}

    def _frame(self, batch: FrameBatch, index: int) -> dict[str, Tensor]:
        with self.watch("targets and losses"):
            targets = self.targets.make(batch)
            denoising = self._denoising(targets, batch, index)
        assert self.memory is not None
        with self.watch("forward"):
            predictions, self.memory = self.model(replace(batch, denoising=denoising), self.memory)
        with self.watch("targets and losses"):
            return joined(self._parts(predictions, batch, targets, denoising))

    def _denoising(
        self, targets: Sequence[Targets], batch: FrameBatch, index: int
    ) -> DenoisingQueries | None:
        if self.dynamic is None:
            return None
        first, seed = self.ranks.rank * batch.streams, self.config.training.seed
        seeds = [
            noise_seed(seed, first + stream, self.progress.step, index)
            for stream in range(batch.streams)
        ]
        return make_denoising_queries(targets, self.dynamic.grid, self.config.loss, seeds)

    def _parts(
        self,
        predictions: Predictions,
        batch: FrameBatch,
        targets: Sequence[Targets],
        denoising: DenoisingQueries | None,
    ) -> list[Parts]:
        """Losses of each task that is on; a stream without labels of one trains the other."""
        parts = []
        if self.dynamic is not None:
            assert predictions.dynamic is not None
            parts.append(self.dynamic(predictions.dynamic, targets, denoising))
        if self.static is not None:
            gt = static_targets(batch, self.config)
            parts.append(self.static(static_of(predictions), gt))
        if self.consistency_loss is not None:
            parts.append(self.consistency_loss(static_of(predictions), batch))
        return parts

    def _step(self) -> None:
        """Clips and steps, or skips."""
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        wanted = [p for group in optimizer.param_groups for p in group["params"]]
        norm = nn.utils.clip_grad_norm_(wanted, self.config.optimizer.clip_gradient_norm)
        self.report.gradient_norm = float(norm)
        self.report.rate = learning_rate(self.config, self.progress.step, self.ranks.count)
        if any_rank(self._not_finite or not bool(norm.isfinite())):
            self._skip()
        else:
            set_rate(optimizer, self.report.rate)
            optimizer.step()
            self.progress.skipped_in_row = 0
        optimizer.zero_grad()
        self.progress.step += 1

    def _skip(self) -> None:
        """Nothing of the step stays: no gradient, no statistics, no memory.

        Raises ValueError with the frames' names when it happened too often in a row.
        """
        for buffer, kept in self._kept_statistics:
            buffer.copy_(kept)
        self.memory, self.targets = None, TargetMaker(self.config)
        if self.consistency_loss is not None:
            self.consistency_loss.last = None
        self.progress.skipped += 1
        self.progress.skipped_in_row += 1
        self.report.skipped = tuple(n for names in all_gather(self._frame_names) for n in names)
        if self.progress.skipped_in_row >= SKIPS_IN_A_ROW:
            raise ValueError(
                f"loss or gradients were not finite in {SKIPS_IN_A_ROW} steps in a row, last in "
                f"step {self.progress.step} with frames {', '.join(self.report.skipped)}: look at "
                "these with `leapai inspect`, or lower optimizer.learning_rate"
            )


def static_of(predictions: Predictions) -> StaticPredictions:
    """What was said of the road, where the task is on."""
    assert predictions.static is not None
    return predictions.static


def joined(parts: Sequence[Parts]) -> Parts:
    """The parts of all tasks, and the sum of their totals."""
    total = torch.stack([of_task["total"] for of_task in parts]).sum()
    named = {name: value for of_task in parts for name, value in of_task.items()}
    return named | {"total": total}


def names_of(window: Window) -> list[str]:
    """Every frame of a window, for messages."""
    return [f"{f.sequence} at {f.timestamp_us} us" for batch in window for f in batch.frames]
