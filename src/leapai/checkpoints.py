"""Checkpoints: tensors and plain data only, written whole or not at all.

A checkpoint is a dictionary in PyTorch's own format: `state_dict`, `config`, `class_names`,
`version`, and `metrics`, what the weights reached. Training adds sections of its own to resume
from; whoever only wants weights never looks at them. Reading never runs code
(`weights_only=True`), and what cannot be used is refused with the file, the difference and the
remedy.
"""

from __future__ import annotations

import json
import pickle
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from leapai import __version__
from leapai.config import TaskConfig
from leapai.config.checks import ALL_MODULES
from leapai.config.options import existing_checkpoint
from leapai.io import whole_file
from leapai.types import CLASS_NAMES

SHOWN_DIFFERENCES = 4
"""A refusal lists this many and counts the rest."""
SHAPING_SECTIONS = ("bev", "camera", "lidar", "dynamic", "static")
"""Sections of the configuration that say what a weight means."""

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
"""What `torch.load` raises for files that are no checkpoints, cut short, or damaged."""


@dataclass(frozen=True)
class LoadReport:
    """What `initialise_from` did: numbers of weights by module."""

    path: Path
    version: str
    """Of the package that wrote the checkpoint."""
    loaded: Mapping[str, int]
    new: Mapping[str, int]
    """The checkpoint has none of it: the weights are those the network was built with."""
    left_out: Mapping[str, int]
    """The network has none of it."""
    settings: tuple[str, ...]
    """What the shapes do not show: `bev.x_range_m was (-40.0, 62.4), is (-20.0, 82.4)`."""

    def __str__(self) -> str:
        """One paragraph for the console."""
        lines = [f"{self.path} (leapai {self.version}): loaded {_sum(self.loaded)}"]
        if self.new:
            lines.append(f"new, as built: {_sum(self.new)}")
        if self.left_out:
            lines.append(f"left out: {_sum(self.left_out)}")
        if self.settings:
            lines.append(f"trained with other settings: {', '.join(self.settings)}")
        return "; ".join(lines)


def save_checkpoint(
    path: Path,
    model: nn.Module,
    config: TaskConfig,
    metrics: Mapping[str, Any] | None = None,
    half: bool = False,
) -> None:
    """Writes weights, configuration, class names, version and figures (plain data).

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
    """What every checkpoint says of itself beside its weights."""
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
    """PyTorch's writer hides what the disk said behind a message about its own position."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, OSError):
        seen = seen.__context__
    return (isinstance(seen, OSError) and seen.strerror) or _first_line(error)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, on the CPU.

    Raises ValueError with the file and the reason: missing, a folder, not a checkpoint, cut short,
    with code in it, made for other classes.
    """
    existing_checkpoint(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise ValueError(
            f"checkpoint {path}: cannot be read as a checkpoint: {_first_line(error)}"
        ) from error
    state = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ValueError(
            f"checkpoint {path}: holds no 'state_dict' of tensors; is it a LeapAI checkpoint?"
        )
    names = content.get("class_names", list(CLASS_NAMES))
    if names != list(CLASS_NAMES):
        raise ValueError(
            f"checkpoint {path}: made for classes {names}, this version has {list(CLASS_NAMES)}; "
            "it cannot serve here: train one with these classes"
        )
    checked: dict[str, Any] = content
    return checked


def config_of(path: Path) -> TaskConfig:
    """The configuration that a checkpoint was made with.

    Raises ValueError as `read_checkpoint` does, and where the configuration is missing or of
    another version of the schema.
    """
    return config_in(read_checkpoint(path), path)


def config_in(content: Mapping[str, Any], path: Path) -> TaskConfig:
    """The configuration in the content of the checkpoint `path`. Raises ValueError as
    `config_of`."""
    if "config" not in content:
        raise ValueError(f"checkpoint {path}: holds no configuration; name one by --task-config")
    try:
        return TaskConfig.model_validate_json(json.dumps(content["config"]))
    except (ValidationError, TypeError, ValueError) as error:
        version = content.get("version", "unknown")
        raise ValueError(
            f"checkpoint {path}: its configuration, of version {version}, "
            f"is not valid in {__version__}: {_first_problem(error)}; name one by --task-config"
        ) from error


def load_checkpoint(path: Path, model: nn.Module) -> None:
    """Loads weights into `model`, all of them or none; float16 becomes the network's type.

    Raises ValueError as `read_checkpoint` does, and where a name or a shape differs.
    """
    theirs, ours = read_checkpoint(path)["state_dict"], model.state_dict()
    problems = _differences(theirs, ours)
    if problems:
        raise ValueError(
            f"checkpoint {path}: not made with this configuration: {_listed(problems)}; "
            "use the configuration it was trained with"
        )
    model.load_state_dict(theirs)


def initialise_from(path: Path, model: nn.Module, config: TaskConfig) -> LoadReport:
    """Starts `model` from the weights of another run, such as Step 2 from Step 1.

    Whole modules of the design may be new or left out, parts of a module may not. Raises
    ValueError, and changes nothing, as `read_checkpoint` does and where: a shape or a part of a
    module differs; nothing is in common; `config` freezes a module from step 0 on that the
    checkpoint does not have, which would keep random weights for ever.
    """
    content = read_checkpoint(path)
    theirs, ours = content["state_dict"], model.state_dict()
    shared = {_module(name) for name in theirs} & {_module(name) for name in ours}
    if not shared & set(ALL_MODULES):
        raise ValueError(
            f"checkpoint {path}: has nothing in common with this network: it has "
            f"{_listed(sorted({_module(name) for name in theirs})) or 'no weights'}; "
            "name a checkpoint that `leapai train` wrote"
        )
    settled = {*ALL_MODULES} - shared
    problems = _differences(
        {name: value for name, value in theirs.items() if _module(name) not in settled},
        {name: value for name, value in ours.items() if _module(name) not in settled},
    )
    if problems:
        raise ValueError(
            f"checkpoint {path}: of another size than this configuration ({config.job_name}): "
            f"{_listed(problems)}; use a checkpoint trained with the same network sizes, or train "
            "Step 1 with these"
        )
    new = _sizes(ours, {_module(name) for name in ours} - shared)
    _refuse_frozen_and_new(path, new, config)
    model.load_state_dict({**ours, **{n: v for n, v in theirs.items() if _module(n) in shared}})
    return LoadReport(
        path,
        str(content.get("version", "unknown")),
        loaded=_sizes(ours, shared),
        new=new,
        left_out=_sizes(theirs, {_module(name) for name in theirs} - shared),
        settings=_other_settings(content.get("config"), config),
    )


def _refuse_frozen_and_new(path: Path, new: Mapping[str, int], config: TaskConfig) -> None:
    random = [module for module in new if config.freeze_module_schedules.get(module) == 0]
    if random:
        raise ValueError(
            f"checkpoint {path}: lacks {_listed(random)}, which freeze_module_schedules freezes at "
            "step 0: it would stay as random as it is; use a checkpoint that has it, or do not "
            "freeze it"
        )


def _differences(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> list[str]:
    """What keeps weights `theirs` from fitting into `ours`, shapes first: they tell most."""
    return [
        *(
            f"{name} is {tuple(theirs[name].shape)}, the network has {tuple(ours[name].shape)}"
            for name in ours
            if name in theirs and theirs[name].shape != ours[name].shape
        ),
        *(f"lacks {name}" for name in ours if name not in theirs),
        *(f"has {name}, which the network lacks" for name in theirs if name not in ours),
    ]


def _other_settings(theirs: object, config: TaskConfig) -> tuple[str, ...]:
    """Settings of the network that differ although every shape fits; an area that has moved by
    10 m, say."""
    if not isinstance(theirs, dict):
        return ()
    ours = config.model_dump(mode="json")
    return tuple(
        f"{section}.{name} was {theirs[section][name]}, is {value}"
        for section in SHAPING_SECTIONS
        if isinstance(theirs.get(section), dict)
        for name, value in ours[section].items()
        if theirs[section].get(name, value) != value
    )


def _module(name: str) -> str:
    return name.partition(".")[0]


def _sizes(state: Mapping[str, Tensor], modules: set[str]) -> dict[str, int]:
    """Numbers of weights of `modules`, in the order of the network."""
    sizes: Counter[str] = Counter()
    for name, value in state.items():
        if _module(name) in modules:
            sizes[_module(name)] += value.numel()
    return dict(sizes)


def _sum(sizes: Mapping[str, int]) -> str:
    """`1,234 weights of stage1_backbone0..3, fuser`."""
    families: dict[str, list[str]] = {}
    for module in sizes:
        families.setdefault(module.rstrip("0123456789"), []).append(module)
    names = [f"{m[0]}..{m[-1][-1]}" if len(m) > 1 else m[0] for m in families.values()]
    return f"{sum(sizes.values()):,} weights of {', '.join(names)}"


def _listed(items: list[str]) -> str:
    more = len(items) - SHOWN_DIFFERENCES
    return ", ".join(items[:SHOWN_DIFFERENCES]) + (f" and {more} more" if more > 0 else "")


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _first_problem(error: BaseException) -> str:
    if not isinstance(error, ValidationError):
        return _first_line(error)
    problem = error.errors()[0]
    return f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
