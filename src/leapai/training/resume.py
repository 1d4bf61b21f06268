"""The checkpoint of a running training, from which a run resumes (docs/design.md, section 8).

`last.ckpt` is a checkpoint like any other, with one more section, `training`: the optimiser by
name of parameter, the step, the weights where those of the checkpoint are averages, and for each
rank its streams' memory, when tracks were last seen, the last predictions of the static task, and
its random states. The data's position is the step, because a window is a function of it. A run that
resumes equals, bit for bit on a CPU, one that never stopped. The checkpoint before it stays as
`before_last.ckpt`, for the case that the disk damages the last one.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from leapai.checkpoints import (
    Checkpoint,
    UnreadableCheckpointError,
    check_classes,
    header,
    read_checkpoint,
    write_checkpoint,
)
from leapai.config.options import BEFORE_LAST, LAST
from leapai.config.schema import TaskConfig
from leapai.distributed import Ranks, all_gather
from leapai.io import whole_file
from leapai.models.tensors import StaticMemory, TemporalState
from leapai.training.kept_checkpoints import keep_weights
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
    "prefetch",
    "checkpoint_every",
    "validate_every",
    "validation_frames",
    "loggers",
    "keep_every",
    "keep_count",
    "best_metric",
    "pretrained_backbone",
    "recompute_backbones",
)
"""Variables that may change when a run resumes: training depends on none of them."""


def save_training(path: Path, step: TrainStep) -> None:
    """Writes all that training needs to go on. All ranks must call; the first writes.

    The checkpoint that was there is kept as `before_last.ckpt`. Raises OSError where the disk is
    full or refuses; the checkpoint written before survives.
    """
    ranks = all_gather(_rank_state(step))
    if not step.ranks.is_first:
        return
    training = {
        **vars(step.progress),
        "optimizer": _optimizer_state(step.model, step.optimizer),
        "ranks": ranks,
    }
    if step.averaged:
        training["weights"] = step.model.state_dict()
    if step.scaler.is_enabled():
        training["scaler"] = step.scaler.state_dict()
    content = {"state_dict": step.weights(), **header(step.config), "training": training}
    with _keeping(path):
        write_checkpoint(path, content)


@contextmanager
def _keeping(path: Path) -> Iterator[None]:
    """Keeps the checkpoint that its block replaces as the one before, unless the block raises."""
    if not path.is_file():
        yield
        return
    with whole_file(path.with_name(BEFORE_LAST), durable=False) as before:
        try:
            before.hardlink_to(path)
        except OSError:  # a disk without links
            shutil.copyfile(path, before)
        yield


def undamaged(path: Path) -> tuple[Checkpoint, str]:
    """Returns the checkpoint to go on from, and why it is not `path`; empty: it is.

    Where `path` is damaged or gone it is the one before. Raises ValueError where that cannot be
    read either.
    """
    before = path.with_name(BEFORE_LAST)
    try:
        return read_checkpoint(path), ""
    except ValueError as error:
        damaged = isinstance(error, UnreadableCheckpointError) or not path.exists()
        if path.name != LAST or not damaged or not before.is_file():
            raise
        return read_checkpoint(before), f"{error}; {before} is used, which was written before it"


def read_training(source: Path | Checkpoint, config: TaskConfig, ranks: Ranks) -> dict[str, Any]:
    """Returns the content of a training's checkpoint.

    Raises ValueError where it cannot be read, holds no training, or was made with another
    configuration or number of processes.
    """
    checkpoint = read_checkpoint(source)
    path, content = checkpoint.path, dict(checkpoint.content)
    if "training" not in content:
        raise ValueError(
            f"--resume {path}: holds weights, but no training to go on with; "
            f"name a {LAST}, or begin from these weights with --ckpt"
        )
    check_classes(checkpoint, config)
    with _as_written(path):
        made_with = len(content["training"]["ranks"])
        Progress(**{f.name: int(content["training"][f.name]) for f in fields(Progress)})
        # A variable that is newer than the checkpoint had its default then.
        made_by = TaskConfig.model_validate_json(json.dumps(content["config"]))
        before = _flat(made_by.model_dump(mode="json"))
    now = _flat(config.model_dump(mode="json"))
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name) and not _may_differ(name):
            raise ValueError(
                f"--resume {path}: {name} was {before.get(name)!r} and is {now.get(name)!r} now; "
                "go on with the configuration it began with, or begin anew with --ckpt"
            )
    if made_with != ranks.count:
        raise ValueError(
            f"--resume {path}: made with {made_with} processes, but this is a run of "
            f"{ranks.count}; use --nproc_per_node so that there are {made_with}"
        )
    return content


@contextmanager
def _as_written(path: Path | None) -> Iterator[None]:
    """Turns what goes wrong with the section `training` into an error that a user can read.

    A file whose digests are right has it as this version writes it, or another program wrote it.
    """
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        where = "the checkpoint" if path is None else str(path)
        raise ValueError(
            f"--resume {where}: its section 'training' is not as this version writes it "
            f"({type(error).__name__}: {str(error)[:200]}); begin anew from its weights with --ckpt"
        ) from error


def progress_of(content: dict[str, Any] | None) -> Progress:
    """Returns how far the training of a checkpoint had come; without one, the start."""
    if content is None:
        return Progress()
    return Progress(**{f.name: content["training"][f.name] for f in fields(Progress)})


def restore_training(content: dict[str, Any], step: TrainStep) -> None:
    """Puts back what `save_training` wrote, except the weights and the progress, with which `step`
    was built.

    Raises ValueError where the section is not as it was written.
    """
    with _as_written(None):
        training = content["training"]
        names = {name: p for name, p in step.model.named_parameters() if p.requires_grad}
        for name, state in training["optimizer"].items():
            parameter = names[name]
            step.optimizer.state[parameter] = {k: _like(v, parameter) for k, v in state.items()}
        if step.averaged:
            step.averaged.restore(content["state_dict"])
        if step.scaler.is_enabled():
            step.scaler.load_state_dict(training["scaler"])
        own, losses = training["ranks"][step.ranks.rank], step.losses
        memory = _memory_of(own["memory"]) if own["memory"] else None
        losses.memory = memory and memory.to(step.ranks.device)
        losses.targets.restore(own["targets"])
        if losses.consistency_loss is not None:
            losses.consistency_loss.restore(own["steadiness"], step.ranks.device)
        torch.set_rng_state(own["random"])
        if own["random_gpu"] is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(own["random_gpu"])


def _like(value: Tensor, parameter: Tensor) -> Tensor:
    """Returns a tensor of an optimiser on the device of its parameter, laid out in memory like it:
    a file keeps values alone."""
    if value.shape != parameter.shape:
        return value.to(parameter.device)
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value)


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
    """Writes `last.ckpt` every `training.checkpoint_every` steps, at the end, before a validation,
    and before a stop; and the weights that are kept every `training.keep_every` steps."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def after(self, step: TrainStep, *, now: bool) -> None:
        """Writes it where it is due after a step, or `now`. All ranks must call."""
        config, done = step.config, step.progress.step
        if now or done == config.max_steps or done % config.training.checkpoint_every == 0:
            save_training(self.path, step)
        every = config.training.keep_every
        if every and done % every == 0 and step.ranks.is_first:
            keep_weights(self.path.parent, step)
