"""Checkpoints: tensors and plain data only, written whole or not at all, read once.

A checkpoint is a dictionary in a file of tensors (`tensor_file.py`): `state_dict`, `config`,
`class_names`, `version`, and the metrics that the weights reached, under the key `figures`.
Training adds sections of its own to resume from; readers of weights ignore them. Reading never runs
code, and what cannot be used is refused with the file, the difference and the remedy.

`read_checkpoint` opens the file once and gives a `Checkpoint`. Whatever else takes a checkpoint
takes its path or a `Checkpoint` that was read before, so a command reads a file a single time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from leapai.config.checkpoint_names import existing_checkpoint
from leapai.config.schema import TaskConfig
from leapai.config.untrusted_data import untrusted
from leapai.tensor_file import DamagedError, read_tensors, write_tensors
from leapai.types import vocabulary
from leapai.version import __version__

SHOWN_DIFFERENCES = 4
"""A refusal lists this many and counts the rest."""
WEIGHT_TYPES = (torch.float32, torch.float16, torch.int64)
"""Types of weights: parameters and statistics, shortened parameters, counters."""
LARGEST_WEIGHT = 1e8
"""Largest value of a weight. Trained ones stay below 1e2, and variances of metres and of images
below 1e5; beyond this the first products already lose all digits of what they are added to."""
_PLAIN_NAME = re.compile(r"[\w.+-]{1,64}")
"""Form of a version and of a metric's name, which are printed."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Content of a checkpoint file, on the CPU."""

    path: Path
    sha256: str
    """Digest of the bytes that were read, as hexadecimal digits."""
    content: Mapping[str, Any]
    """The whole dictionary, with the sections of training where there are any."""

    def __str__(self) -> str:
        """Returns the path, which names the checkpoint to a user."""
        return str(self.path)

    @property
    def state_dict(self) -> Mapping[str, Tensor]:
        """Weights by name; half of them may be float16."""
        weights: Mapping[str, Tensor] = self.content["state_dict"]
        return weights

    @property
    def metrics(self) -> Mapping[str, Any]:
        """Metrics that the weights reached; empty where none were measured."""
        metrics: Mapping[str, Any] = self.content.get("figures", {})
        return metrics

    @property
    def version(self) -> str:
        """Version of the package that wrote the checkpoint, or `unknown`."""
        return str(self.content.get("version", "unknown"))

    @property
    def class_names(self) -> list[str]:
        """Names of the classes that the weights detect, in the order of their logits."""
        return list(self.content.get("class_names", vocabulary.CLASS_NAMES))

    @cached_property
    def config(self) -> TaskConfig:
        """The configuration that the checkpoint was made with, validated when first asked for.

        Data that it names by a function of code is marked as `untrusted` and is not opened; a file
        of pretrained weights that it names is left out. Raises ValueError where it is missing or of
        another version of the schema.
        """
        if "config" not in self.content:
            raise ValueError(
                f"checkpoint {self.path}: holds no configuration; name one by --task-config"
            )
        try:
            config = TaskConfig.model_validate_json(json.dumps(self.content["config"]))
        except (ValidationError, TypeError, ValueError) as error:
            raise ValueError(
                f"checkpoint {self.path}: its configuration, of version {self.version}, "
                f"is not valid in {__version__}: {_first_problem(error)}; name one by --task-config"
            ) from error
        train = config.data.train
        data = {
            "train": untrusted(train)
            if isinstance(train, str)
            else tuple(untrusted(source) for source in train),
            "val": untrusted(config.data.val),
        }
        if config.training.pretrained_backbone:
            config = config.replace(training={"pretrained_backbone": ""})
        return config if data == dict(config.data) else config.replace(data=data)


def save_checkpoint(
    path: Path,
    model: nn.Module,
    config: TaskConfig,
    metrics: Mapping[str, Any] | None = None,
    half: bool = False,
) -> None:
    """Writes weights, configuration, class names, version and metrics (plain data).

    `half` writes parameters as float16, at half the size; buffers such as the running statistics
    of batch norm keep their type. Raises OSError as `write_checkpoint` does.
    """
    state = model.state_dict()
    if half:
        for name, parameter in model.named_parameters():
            short = parameter.detach().half()
            # Beyond 65504 float16 is infinite; such a weight keeps its type.
            if parameter.is_floating_point() and short.isfinite().all():
                state[name] = short
    content = {"state_dict": state, **header(config), "figures": dict(metrics or {})}
    write_checkpoint(path, content)


def header(config: TaskConfig) -> dict[str, Any]:
    """Returns what every checkpoint holds in addition to its weights and metrics."""
    return {
        "config": config.model_dump(mode="json"),
        "class_names": list(config.vocabulary.names),
        "version": __version__,
    }


def write_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Writes tensors and plain data to a temporary name, then moves them to `path`.

    Raises OSError that names the file and the reason (no space, no permission); a file that was
    there before is untouched then.
    """
    try:
        write_tensors(path, content)
    except OSError as error:
        reason = error.strerror or _first_line(error)
        kept = "; the one written before is untouched" if path.is_file() else ""
        raise OSError(
            f"checkpoint {path} cannot be written: {reason}{kept}; make room on that disk, or name "
            "a folder on another one"
        ) from error


def read_checkpoint(source: Path | Checkpoint) -> Checkpoint:
    """Reads a checkpoint file, or returns the checkpoint that was read already.

    Raises ValueError with the file and the reason: missing, a folder, not a checkpoint, cut short,
    damaged, with weights that no training gives, made for other classes.
    """
    if isinstance(source, Checkpoint):
        return source
    source = existing_checkpoint(source)
    try:
        content, sha256 = read_tensors(source)
    except (DamagedError, OSError) as error:
        raise UnreadableCheckpointError(
            f"checkpoint {source}: cannot be read as a checkpoint: {_first_line(error)}"
        ) from error
    problem = next(_problems(content), None)
    if problem is not None:
        raise ValueError(f"checkpoint {source}: {problem}")
    return Checkpoint(source, sha256, content)


class UnreadableCheckpointError(ValueError):
    """A checkpoint whose file is cut short or damaged, or is no checkpoint at all."""


def _problems(content: object) -> Iterator[str]:
    """Yields what is wrong with the content of a checkpoint, each with its remedy."""
    state = content.get("state_dict") if isinstance(content, dict) else None
    if not (
        isinstance(content, dict)
        and isinstance(state, dict)
        and all(isinstance(value, Tensor) for value in state.values())
    ):
        yield "holds no 'state_dict' of tensors; is it a LeapAI checkpoint?"
        return
    yield from _problems_of_classes(content)
    version, metrics = content.get("version", ""), content.get("figures", {})
    if not isinstance(version, str) or (version and not _PLAIN_NAME.fullmatch(version)):
        yield f"its version is {version!r:.80}, which is none; is it a LeapAI checkpoint?"
    if not isinstance(metrics, dict) or not all(map(_is_metric, metrics.items())):
        yield "its metrics are not a name and a number each; is it a LeapAI checkpoint?"
    for name, weight in state.items():
        fault = _fault_of(name, weight)
        if fault:
            yield f"{name!r} {fault}; take one whose training went well"


def _problems_of_classes(content: Mapping[str, Any]) -> Iterator[str]:
    """Yields what is wrong with the names of the classes: they are printed, and must be those of
    the configuration."""
    default = list(vocabulary.CLASS_NAMES)
    names = content.get("class_names", default)
    try:
        vocabulary.check_class_names(names if isinstance(names, list) else ())
    except ValueError as error:
        yield f"its class_names cannot be: {error}; is it a LeapAI checkpoint?"
        return
    config = content.get("config")
    listed = config.get("vocabulary") if isinstance(config, dict) else None
    classes = listed.get("classes") if isinstance(listed, dict) else None
    if config is not None and names != (list(classes) if isinstance(classes, dict) else default):
        yield (
            f"its class_names are {vocabulary.listed(names)}, and those of its configuration are "
            "others: somebody has changed it; take the one that training wrote"
        )


def _is_metric(item: tuple[object, object]) -> bool:
    name, value = item
    is_number = value is None or isinstance(value, int | float)
    return isinstance(name, str) and is_number and bool(_PLAIN_NAME.fullmatch(name))


def _fault_of(name: str, weight: Tensor) -> str:
    """Returns what makes a weight useless; empty: nothing."""
    if weight.dtype not in WEIGHT_TYPES:
        allowed = ", ".join(str(kind).removeprefix("torch.") for kind in WEIGHT_TYPES)
        return f"is of type {str(weight.dtype).removeprefix('torch.')}, weights are of {allowed}"
    if not weight.is_floating_point() or not weight.numel():
        return ""
    low, high = (float(value) for value in weight.aminmax())
    if not -LARGEST_WEIGHT <= low <= high <= LARGEST_WEIGHT:  # false for NaN, too
        return f"has values from {low:g} to {high:g}, which no weights have"
    if name.endswith("running_var") and low < 0:
        return f"has a variance of {low:g}"
    return ""


def config_of(source: Path | Checkpoint) -> TaskConfig:
    """Returns the configuration that a checkpoint was made with.

    Raises ValueError as `read_checkpoint` and `Checkpoint.config` do.
    """
    return read_checkpoint(source).config


def check_classes(checkpoint: Checkpoint, config: TaskConfig) -> None:
    """Raises ValueError where a checkpoint was made for other classes of objects than those of
    `config`, or for the same ones in another order."""
    theirs, ours = checkpoint.class_names, list(config.vocabulary.names)
    if theirs != ours and config.dynamic_task:
        raise ValueError(
            f"checkpoint {checkpoint.path}: made for the classes {vocabulary.listed(theirs)}, and "
            f"{config.job_name} has {vocabulary.listed(ours)}; set `vocabulary` as the checkpoint "
            "has it, or train from the beginning with these classes"
        )


def load_checkpoint(source: Path | Checkpoint, model: nn.Module) -> None:
    """Loads weights into `model`, all of them or none; float16 becomes the network's type.

    Raises ValueError as `read_checkpoint` does, and where a name or a shape differs.
    """
    checkpoint = read_checkpoint(source)
    problems = differences(checkpoint.state_dict, model.state_dict())
    if problems:
        raise ValueError(
            f"checkpoint {checkpoint.path}: not made with this configuration: {listed(problems)}; "
            "use the configuration it was trained with"
        )
    model.load_state_dict(dict(checkpoint.state_dict))


def differences(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> list[str]:
    """Lists what keeps weights `theirs` from fitting into `ours`.

    Shapes come first, because they explain most.
    """
    return [
        *(
            f"{name} is {tuple(theirs[name].shape)}, the network has {tuple(ours[name].shape)}"
            for name in ours
            if name in theirs and theirs[name].shape != ours[name].shape
        ),
        *(f"lacks {name}" for name in ours if name not in theirs),
        *(f"has {name}, which the network lacks" for name in theirs if name not in ours),
        *(
            f"{name} is {theirs[name].dtype}, the network has {ours[name].dtype}"
            for name in ours
            if name in theirs and theirs[name].is_floating_point() != ours[name].is_floating_point()
        ),
    ]


def listed(items: list[str]) -> str:
    """Returns the first `SHOWN_DIFFERENCES` items and the number of the others, as one line."""
    more = len(items) - SHOWN_DIFFERENCES
    return ", ".join(items[:SHOWN_DIFFERENCES]) + (f" and {more} more" if more > 0 else "")


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _first_problem(error: BaseException) -> str:
    if not isinstance(error, ValidationError):
        return _first_line(error)
    problem = error.errors()[0]
    return f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
