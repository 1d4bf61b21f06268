"""The checkpoint of a running training, from which a run resumes (docs/design.md, section 8).

`last.ckpt` is a checkpoint like any other, with one more section, `training`: the optimiser by
name of parameter, the step, and for each rank its streams' memory, when tracks were last seen, the
last predictions of the static task, and its random states. The data's position is the step, because
a window is a function of it. A run that resumes equals, bit for bit on a CPU, one that never
stopped.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from leapai.checkpoints import header, read_checkpoint, write_checkpoint
from leapai.config.options import LAST
from leapai.config.schema import TaskConfig
from leapai.distributed import Ranks, all_gather
from leapai.models.tensors import StaticMemory, TemporalState
from leapai.training.progress import Progress
from leapai.training.train_step import TrainStep

MAY_DIFFER = (
    "job_name",
    "data.val",
    "cache",
    "evaluation",
    "tracking",
    "draw_dynamic_cfg",
    "draw_static_cfg",
    "freeze_modules",
    "trainable_modules",
)
MAY_DIFFER_OF_TRAINING = (
    "workers",
    "checkpoint_every",
    "validate_every",
    "validation_frames",
    "loggers",
)
"""Variables that may change when a run resumes: training depends on none of them."""


def save_training(path: Path, step: TrainStep) -> None:
    """Writes all that training needs to go on. All ranks must call; the first writes.

    Raises OSError where the disk is full or refuses; the checkpoint written before survives.
    """
    ranks = all_gather(_rank_state(step))
    if not step.ranks.is_first:
        return
    training = {
        **vars(step.progress),
        "optimizer": _optimizer_state(step.model, step.optimizer),
        "ranks": ranks,
    }
    state = step.model.state_dict()
    write_checkpoint(path, {"state_dict": state, **header(step.config), "training": training})


def read_training(path: Path, config: TaskConfig, ranks: Ranks) -> dict[str, Any]:
    """Returns the content of a training's checkpoint.

    Raises ValueError where it cannot be read, holds no training, or was made with another
    configuration or number of processes.
    """
    content = dict(read_checkpoint(path).content)
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


def progress_of(content: dict[str, Any] | None) -> Progress:
    """Returns how far the training of a checkpoint had come; without one, the start."""
    if content is None:
        return Progress()
    return Progress(**{f.name: content["training"][f.name] for f in fields(Progress)})


def restore_training(content: dict[str, Any], step: TrainStep) -> None:
    """Puts back what `save_training` wrote, except the weights and the progress, with which `step`
    was built."""
    training = content["training"]
    names = {name: p for name, p in step.model.named_parameters() if p.requires_grad}
    for name, state in training["optimizer"].items():
        parameter = names[name]
        step.optimizer.state[parameter] = {k: v.to(parameter.device) for k, v in state.items()}
    own, losses = training["ranks"][step.ranks.rank], step.losses
    memory = _memory_of(own["memory"]) if own["memory"] else None
    losses.memory = memory and memory.to(step.ranks.device)
    losses.targets.restore(own["targets"])
    if losses.consistency_loss is not None:
        losses.consistency_loss.restore(own["steadiness"], step.ranks.device)
    torch.set_rng_state(own["random"])
    if own["random_gpu"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(own["random_gpu"])


def _rank_state(step: TrainStep) -> dict[str, Any]:
    losses = step.losses
    return {
        "memory": _plain(losses.memory.to("cpu")) if losses.memory else {},
        "targets": losses.targets.state(),
        "steadiness": {} if losses.consistency_loss is None else losses.consistency_loss.state(),
        "random": torch.get_rng_state(),
        "random_gpu": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def _plain(memory: TemporalState | StaticMemory) -> dict[str, Any]:
    """Returns tensors by name, those of the static task's memory in a dictionary of their own."""
    values = {f.name: getattr(memory, f.name) for f in fields(memory)}
    return {
        name: _plain(value) if isinstance(value, StaticMemory) else value
        for name, value in values.items()
    }


def _memory_of(values: dict[str, Any]) -> TemporalState:
    """Makes a memory of the dictionary that `_plain` returned."""
    static = values.get("static")
    return TemporalState(**{**values, "static": StaticMemory(**static) if static else None})


def _optimizer_state(
    model: nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, dict[str, torch.Tensor]]:
    """Returns the state by name, so that it does not depend on the order of groups."""
    return {
        name: dict(optimizer.state[parameter])
        for name, parameter in model.named_parameters()
        if parameter in optimizer.state
    }


def _flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns the values of nested sections by dotted name."""
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


class CheckpointKeeper:
    """Writes `last.ckpt` every `training.checkpoint_every` steps, at the end, and before a stop."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def after(self, step: TrainStep, *, stopping: bool) -> None:
        """Writes it where it is due after a step. All ranks must call."""
        config, done = step.config, step.progress.step
        at_end = done == config.max_steps
        if stopping or at_end or done % config.training.checkpoint_every == 0:
            save_training(self.path, step)
