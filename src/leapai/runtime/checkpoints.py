"""Checkpoints: tensors and plain data only, written whole or not at all."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from torch import nn

from leapai import __version__
from leapai.config import TaskConfig
from leapai.runtime.files import whole_file
from leapai.types import CLASS_NAMES


def save_checkpoint(path: Path, model: nn.Module, config: TaskConfig) -> None:
    """Writes weights, configuration, class names and version to a temporary name, then moves it."""
    content = {
        "state_dict": model.state_dict(),
        "config": config.model_dump(mode="json"),
        "class_names": list(CLASS_NAMES),
        "version": __version__,
    }
    with whole_file(path) as temporary:
        torch.save(content, temporary)


def load_checkpoint(path: Path, model: nn.Module) -> None:
    """Loads weights into `model`, all of them or none.

    Raises ValueError that names the file and what differs: not a checkpoint, other classes, other
    modules or shapes. Only tensors and plain data are read, never code (`weights_only=True`).
    """
    content = _read(path)
    names = content.get("class_names", list(CLASS_NAMES))
    if names != list(CLASS_NAMES):
        raise ValueError(f"{path}: made for classes {names}, this version has {list(CLASS_NAMES)}")
    theirs, ours = content["state_dict"], model.state_dict()
    problems = [
        *(f"lacks {name}" for name in ours if name not in theirs),
        *(f"has {name}, which the network lacks" for name in theirs if name not in ours),
        *(
            f"{name} is {tuple(theirs[name].shape)}, the network has {tuple(ours[name].shape)}"
            for name in ours
            if name in theirs and theirs[name].shape != ours[name].shape
        ),
    ]
    if problems:
        raise ValueError(
            f"{path}: not made with this configuration: {problems[0]}"
            f" ({len(problems)} differences); use the configuration it was trained with"
        )
    model.load_state_dict(theirs)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(f"--ckpt {path}: there is no such file")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"--ckpt {path}: cannot be read as a checkpoint: {reason}") from error
    if not isinstance(content, dict) or "state_dict" not in content:
        raise ValueError(f"--ckpt {path}: holds no 'state_dict'; is it a LeapAI checkpoint?")
    return content
