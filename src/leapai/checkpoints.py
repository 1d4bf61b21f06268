"""Checkpoints: tensors and plain data only, written whole or not at all, read once.

A checkpoint is a dictionary in PyTorch's own format: `state_dict`, `config`, `class_names`,
`version`, and the metrics that the weights reached, under the key `figures`. Training adds sections
of its own to resume from; readers of weights ignore them. Reading never runs code
(`weights_only=True`), and what cannot be used is refused with the file, the difference and the
remedy.

`read_checkpoint` opens the file once and gives a `Checkpoint`. Whatever else takes a checkpoint
takes its path or a `Checkpoint` that was read before, so a command reads a file a single time.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from leapai.config.options import existing_checkpoint
from leapai.config.schema import TaskConfig
from leapai.io import whole_file
from leapai.types.vocabulary import CLASS_NAMES
from leapai.version import __version__

SHOWN_DIFFERENCES = 4
"""A refusal lists this many and counts the rest."""

_UNREADABLE = (
    RuntimeError,
    pickle.UnpicklingError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    struct.error,
    OSError,
)
"""Errors that `torch.load` raises for files that are no checkpoints, cut short, or damaged."""


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
        return list(self.content.get("class_names", CLASS_NAMES))

    @cached_property
    def config(self) -> TaskConfig:
        """The configuration that the checkpoint was made with, validated when first asked for.

        Raises ValueError where it is missing or of another version of the schema.
        """
        if "config" not in self.content:
            raise ValueError(
                f"checkpoint {self.path}: holds no configuration; name one by --task-config"
            )
        try:
            return TaskConfig.model_validate_json(json.dumps(self.content["config"]))
        except (ValidationError, TypeError, ValueError) as error:
            raise ValueError(
                f"checkpoint {self.path}: its configuration, of version {self.version}, "
                f"is not valid in {__version__}: {_first_problem(error)}; name one by --task-config"
            ) from error


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
        "class_names": list(CLASS_NAMES),
        "version": __version__,
    }


def write_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Writes tensors and plain data to a temporary name, then moves them to `path`.

    Raises OSError that names the file and the reason (no space, no permission); a file that was
    there before is untouched then.
    """
    try:
        with whole_file(path) as temporary, temporary.open("wb") as file:
            torch.save(dict(content), file)
    except (OSError, RuntimeError) as error:
        reason = _cause_on_disk(error)
        kept = "; the one written before is untouched" if path.is_file() else ""
        raise OSError(f"checkpoint {path} cannot be written: {reason}{kept}") from error


def _cause_on_disk(error: BaseException) -> str:
    """Returns the disk's own reason, which PyTorch's writer hides behind a message about its
    position."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, OSError):
        seen = seen.__context__
    return (isinstance(seen, OSError) and seen.strerror) or _first_line(error)


def read_checkpoint(source: Path | Checkpoint) -> Checkpoint:
    """Reads a checkpoint file, or returns the checkpoint that was read already.

    Raises ValueError with the file and the reason: missing, a folder, not a checkpoint, cut short,
    with code in it, made for other classes.
    """
    if isinstance(source, Checkpoint):
        return source
    existing_checkpoint(source)
    try:
        with source.open("rb") as file:  # the digest is that of the bytes that are loaded
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            content = torch.load(file, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise ValueError(
            f"checkpoint {source}: cannot be read as a checkpoint: {_reason(error)}"
        ) from error
    state = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ValueError(
            f"checkpoint {source}: holds no 'state_dict' of tensors; is it a LeapAI checkpoint?"
        )
    names = content.get("class_names", list(CLASS_NAMES))
    if names != list(CLASS_NAMES):
        raise ValueError(
            f"checkpoint {source}: made for classes {names}, this version has {list(CLASS_NAMES)}; "
            "it cannot serve here: train one with these classes"
        )
    return Checkpoint(source, sha256, content)


def config_of(source: Path | Checkpoint) -> TaskConfig:
    """Returns the configuration that a checkpoint was made with.

    Raises ValueError as `read_checkpoint` and `Checkpoint.config` do.
    """
    return read_checkpoint(source).config


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
    ]


def listed(items: list[str]) -> str:
    """Returns the first `SHOWN_DIFFERENCES` items and the number of the others, as one line."""
    more = len(items) - SHOWN_DIFFERENCES
    return ", ".join(items[:SHOWN_DIFFERENCES]) + (f" and {more} more" if more > 0 else "")


def _reason(error: BaseException) -> str:
    """Returns what is wrong with a file, without PyTorch's advice to run the code in it."""
    if isinstance(error, pickle.UnpicklingError):
        return "it holds no plain tensors, or code, which is not run"
    return _first_line(error)


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _first_problem(error: BaseException) -> str:
    if not isinstance(error, ValidationError):
        return _first_line(error)
    problem = error.errors()[0]
    return f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
