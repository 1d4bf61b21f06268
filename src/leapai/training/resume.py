"""Stopping and going on: the checkpoint of a running training (docs/design.md, section 8).

`last.ckpt` is a checkpoint like any other, with one more section, `training`: the optimiser by
name of parameter, the step, and for each rank its streams' memory, when tracks were last seen, what
was last said of the road, and its random states. The data's position is the step, because a window
is a function of it. A run that goes on from there is, bit for bit on a CPU, one that never stopped.
"""

from __future__ import annotations

import signal
import threading
from dataclasses import fields
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn

from leapai.checkpoints import header, read_checkpoint, write_checkpoint
from leapai.config import TaskConfig
from leapai.distributed import Ranks, all_gather, any_rank
from leapai.models.tensors import StaticMemory, TemporalState
from leapai.training.module import TrainingModule

LAST = "last.ckpt"
MAY_DIFFER = (
    "job_name",
    "data.val",
    "cache",
    "evaluation",
    "tracking",
    "draw_dynamic_cfg",
    "draw_static_cfg",
)
MAY_DIFFER_OF_TRAINING = ("workers", "checkpoint_every", "validate_every", "validation_frames")
"""What a run that goes on may have otherwise than before it stopped: nothing of it trains."""


def save_training(path: Path, module: TrainingModule, optimizer: torch.optim.Optimizer) -> None:
    """Writes all that training needs to go on. All ranks must call; the first writes.

    Raises OSError where the disk is full or refuses; the checkpoint written before survives.
    """
    ranks = all_gather(_rank_state(module))
    if not module.ranks.is_first:
        return
    training = {
        "step": module.progress.step,
        "skipped": module.progress.skipped,
        "skipped_in_row": module.progress.skipped_in_row,
        "optimizer": _optimizer_state(module.model, optimizer),
        "ranks": ranks,
    }
    state = module.model.state_dict()
    write_checkpoint(path, {"state_dict": state, **header(module.config), "training": training})


def read_training(path: Path, config: TaskConfig, ranks: Ranks) -> dict[str, Any]:
    """The content of a training's checkpoint.

    Raises ValueError where it cannot be read, holds no training, or was made with another
    configuration or number of processes.
    """
    content = read_checkpoint(path)
    if "training" not in content:
        raise ValueError(
            f"--resume {path}: holds weights, but no training to go on with; "
            f"name a {LAST}, or begin from these weights with --ckpt"
        )
    before, now = (_flat(c) for c in (content["config"], config.model_dump(mode="json")))
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name) and not _may_differ(name):
            raise ValueError(
                f"--resume {path}: {name} was {before.get(name)} and is {now.get(name)} now; "
                "go on with the configuration it began with, or begin anew with --ckpt"
            )
    made_with = len(content["training"]["ranks"])
    if made_with != ranks.count:
        raise ValueError(
            f"--resume {path}: made with {made_with} processes, but this is a run of "
            f"{ranks.count}; use --nproc_per_node so that there are {made_with}"
        )
    return content


def restore_training(
    content: dict[str, Any], module: TrainingModule, optimizer: torch.optim.Optimizer
) -> None:
    """Puts back what `save_training` wrote, except the weights, which the network has already."""
    training = content["training"]
    names = {name: p for name, p in module.model.named_parameters() if p.requires_grad}
    for name, state in training["optimizer"].items():
        parameter = names[name]
        optimizer.state[parameter] = {k: v.to(parameter.device) for k, v in state.items()}
    own = training["ranks"][module.ranks.rank]
    memory = _memory_of(own["memory"]) if own["memory"] else None
    module.memory = memory and memory.to(module.ranks.device)
    module.targets.restore(own["targets"])
    if module.consistency_loss is not None:
        module.consistency_loss.restore(own["steadiness"], module.ranks.device)
    torch.set_rng_state(own["random"])
    if own["random_gpu"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(own["random_gpu"])


def _rank_state(module: TrainingModule) -> dict[str, Any]:
    return {
        "memory": _plain(module.memory.to("cpu")) if module.memory else {},
        "targets": module.targets.state(),
        "steadiness": {} if module.consistency_loss is None else module.consistency_loss.state(),
        "random": torch.get_rng_state(),
        "random_gpu": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def _plain(memory: TemporalState | StaticMemory) -> dict[str, Any]:
    """Tensors by name; those of the static task's memory in a dictionary of their own."""
    values = {f.name: getattr(memory, f.name) for f in fields(memory)}
    return {
        name: _plain(value) if isinstance(value, StaticMemory) else value
        for name, value in values.items()
    }


def _memory_of(values: dict[str, Any]) -> TemporalState:
    """The inverse of `_plain`."""
    static = values.get("static")
    return TemporalState(**{**values, "static": StaticMemory(**static) if static else None})


def _optimizer_state(
    model: nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, dict[str, torch.Tensor]]:
    """By name, so that it does not depend on the order of groups."""
    return {
        name: dict(optimizer.state[parameter])
        for name, parameter in model.named_parameters()
        if parameter in optimizer.state
    }


def _flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values by dotted name."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _may_differ(name: str) -> bool:
    if name.startswith("training."):
        return name.removeprefix("training.") in MAY_DIFFER_OF_TRAINING
    return any(name == free or name.startswith(f"{free}.") for free in MAY_DIFFER)


class StopOnSignal(pl.Callback):
    """SIGTERM or Ctrl-C end the run after the step that is under way; a second Ctrl-C ends it at
    once."""

    def __init__(self) -> None:
        self.received: int | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Takes the place of Lightning's handler, which talks to other ranks from inside a signal;
        Lightning puts back what was there before when the run ends."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received == number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = number


class KeepCheckpoint(pl.Callback):
    """Saves `last.ckpt` every `training.checkpoint_every` steps, at the end, and when a signal
    stops the run."""

    def __init__(self, path: Path, stop: StopOnSignal) -> None:
        self.path, self.stop = path, stop
        self.saved_at: int | None = None
        self.stopped_by = 0
        """Signal that came to one rank at least; 0: none."""

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        """After each window; between two steps only."""
        assert isinstance(pl_module, TrainingModule)
        config, step = pl_module.config, pl_module.progress.step
        if (batch_idx + 1) % config.accumulate_grad_batches:
            return
        if any_rank(self.stop.received is not None):
            self.stopped_by = max(all_gather(self.stop.received or 0))
        at_end = step == config.max_steps
        if self.stopped_by or at_end or step % config.training.checkpoint_every == 0:
            save_training(self.path, pl_module, trainer.optimizers[0])
            self.saved_at = step
        if self.stopped_by:
            trainer.should_stop = True
