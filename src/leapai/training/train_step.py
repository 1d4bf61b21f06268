"""One optimiser step: forward and backward over its windows, then AdamW, or a skip where a loss or
gradient is not finite."""

from __future__ import annotations

import math
import warnings
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from leapai.config.schema import TaskConfig
from leapai.distributed import Ranks, all_gather, any_rank
from leapai.models.perception import Perception
from leapai.models.precision import needs_loss_scaling
from leapai.models.recompute import NORMS
from leapai.training.averaged_weights import AveragedWeights
from leapai.training.optim import build_optimizer, learning_rate, set_rate
from leapai.training.progress import Progress, StepReport, Stopwatch
from leapai.training.synced_norm import synchronise
from leapai.training.window_losses import Window, WindowLosses

SKIPS_IN_A_ROW = 10
"""Number of steps in a row that are not finite after which the run ends: it would not recover."""


class TrainStep:
    """Trains `model`: every `accumulate_grad_batches` windows make one optimiser step.

    Modules that are frozen already are not in the optimiser. All ranks must call together.
    """

    def __init__(
        self, config: TaskConfig, model: Perception, ranks: Ranks, progress: Progress
    ) -> None:
        self.config, self.model, self.ranks, self.progress = config, model, ranks, progress
        self.report, self.watch = StepReport(), Stopwatch()
        self.losses = WindowLosses(config, model, ranks, self.watch).to(ranks.device)
        self._forward = wrapped_for(ranks, self.losses)
        self.optimizer: torch.optim.Optimizer = build_optimizer(model, config)
        scales = needs_loss_scaling(config, ranks.device)
        self.scaler = torch.amp.GradScaler(ranks.device.type, enabled=scales)
        decay = config.training.ema_decay
        self.averaged = AveragedWeights(model, decay) if decay else None
        self._windows = 0
        self._not_finite = False
        self._frame_names: list[str] = []
        self._kept_statistics: list[tuple[Tensor, Tensor]] = []

    @property
    def is_complete(self) -> bool:
        """Whether the last window was the last one of its optimiser step."""
        return self._windows == 0

    def weights(self) -> dict[str, Tensor]:
        """Returns the weights to validate and to ship, by name: their average where there is
        one."""
        return self.averaged.state_dict if self.averaged else self.model.state_dict()

    def add(self, window: Window) -> None:
        """Takes one window forward and backward, and steps after the last one of a step."""
        if self._windows == 0:
            self._begin()
        with self._reduction():
            losses = self._forward(window, self.progress.step, self._windows)
            if any_rank(not bool(losses["total"].isfinite())):
                self._not_finite = True
            else:
                with self.watch("backward"):
                    self._backward(losses["total"])
        self.report.losses = {name: value.detach() for name, value in losses.items()}
        self.report.frames += len(window) * window[0].streams * self.ranks.count
        self._frame_names += names_of(window)
        self._windows = (self._windows + 1) % self.config.accumulate_grad_batches
        if self._windows == 0:
            with self.watch("optimiser"):
                self._step()

    def _reduction(self) -> AbstractContextManager[None]:
        """Returns the context of one window: only the last one of a step averages gradients over
        ranks, its own and those that the windows before it left."""
        is_last = self._windows + 1 == self.config.accumulate_grad_batches
        if is_last or not isinstance(self._forward, DistributedDataParallel):
            return nullcontext()
        return self._forward.no_sync()

    def _begin(self) -> None:
        """Starts a report, and keeps the statistics of batch norm until the step is known to be
        finite: the forward pass changes them."""
        self.report, self._frame_names, self._not_finite = StepReport(), [], False
        norms = (m for m in self.model.modules() if isinstance(m, NORMS) and m.training)
        self._kept_statistics = [(b, b.clone()) for norm in norms for b in norm.buffers()]

    def _backward(self, total: Tensor) -> None:
        """Adds the gradients of one window."""
        share = total / self.config.accumulate_grad_batches
        self.scaler.scale(share).backward()  # type: ignore[no-untyped-call]

    def _step(self) -> None:
        """Clips and steps, or skips."""
        if not self._not_finite:
            self.scaler.unscale_(self.optimizer)
        trained = [p for group in self.optimizer.param_groups for p in group["params"]]
        clipped_at = self.config.optimizer.clip_gradient_norm
        self.report.gradient_norm = norm = float(nn.utils.clip_grad_norm_(trained, clipped_at))
        self.report.rate = learning_rate(self.config, self.progress.step, self.ranks.count)
        if any_rank(self._not_finite or not math.isfinite(norm)):
            self._skip()
        else:
            set_rate(self.optimizer, self.report.rate)
            self.scaler.step(self.optimizer)
            self.progress.skipped_in_row = 0
            if self.averaged:
                self.averaged.update(self.model, self.progress.step)
        if not self._not_finite:
            self.scaler.update()
        self.optimizer.zero_grad()
        self.progress.step += 1

    def _skip(self) -> None:
        """Drops all of the step: gradients, statistics and memory.

        Raises ValueError with the frames' names when it happened too often in a row.
        """
        for buffer, kept in self._kept_statistics:
            buffer.copy_(kept)
        self.losses.forget()
        self.progress.skipped += 1
        # Gradients of float16 overflow until their scale has fallen far enough, which is no fault.
        scale_falls = not self._not_finite and self.scaler.get_scale() > 1
        self.progress.skipped_in_row += not scale_falls
        self.report.skipped = tuple(n for names in all_gather(self._frame_names) for n in names)
        if self.progress.skipped_in_row >= SKIPS_IN_A_ROW:
            raise ValueError(
                f"loss or gradients were not finite in {SKIPS_IN_A_ROW} steps in a row, last in "
                f"step {self.progress.step} with frames {', '.join(self.report.skipped)}: look at "
                "these with `leapai inspect`, or lower optimizer.learning_rate"
            )


def wrapped_for(ranks: Ranks, losses: WindowLosses) -> nn.Module:
    """Returns `losses` as it is for one rank. For several, batch norm takes its statistics over all
    of them, unless it is frozen or configured otherwise, and DDP averages their gradients.

    What a step leaves unused differs: no object, no denoising, modules that are frozen later. The
    statistics are the same on all ranks already, so buffers are not broadcast.
    """
    if ranks.count == 1:
        return losses
    if losses.config.training.synced_batch_norm:
        synchronise(losses.model, ranks.device)
    with warnings.catch_warnings():  # the newer name of `broadcast_buffers` is not in torch 2.11
        warnings.simplefilter("ignore", FutureWarning)
        return DistributedDataParallel(losses, find_unused_parameters=True, broadcast_buffers=False)


def names_of(window: Window) -> list[str]:
    """Returns the name of every frame of a window, for messages."""
    return [f"{f.sequence} at {f.timestamp_us} us" for batch in window for f in batch.frames]
