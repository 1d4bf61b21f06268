"""Starting a training from the weights of another one, such as Step 2 from Step 1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from leapai.checkpoints import Checkpoint, check_classes, differences, listed, read_checkpoint
from leapai.config.checks import ALL_MODULES, DENSE_HEADS
from leapai.config.schema import TaskConfig
from leapai.types import CAMERA_GROUPS

SHAPING_SECTIONS = ("bev", "camera", "lidar", "dynamic", "static")
"""Sections of the configuration that define what a weight means."""


@dataclass(frozen=True)
class LoadReport:
    """Report of `initialise_from`: numbers of weights by module."""

    path: Path
    version: str
    """Version of the package that wrote the checkpoint."""
    loaded: Mapping[str, int]
    new: Mapping[str, int]
    """Modules that the checkpoint lacks: their weights are those the network was built with."""
    left_out: Mapping[str, int]
    """Modules that the network lacks."""
    settings: tuple[str, ...]
    """Differences that the shapes do not show, such as
    `bev.x_range_m was (-40.0, 62.4), is (-20.0, 82.4)`."""

    def __str__(self) -> str:
        """Returns one paragraph for the console."""
        lines = [f"{self.path} (leapai {self.version}): loaded {_sum(self.loaded)}"]
        if self.new:
            lines.append(f"new, as built: {_sum(self.new)}")
        if self.left_out:
            lines.append(f"left out: {_sum(self.left_out)}")
        if self.settings:
            lines.append(f"trained with other settings: {', '.join(self.settings)}")
        return "; ".join(lines)


def initialise_from(source: Path | Checkpoint, model: nn.Module, config: TaskConfig) -> LoadReport:
    """Starts `model` from the weights of another run, such as Step 2 from Step 1.

    Whole modules of the design may be new or left out, parts of a module, but for the dense heads,
    may not. Cameras that shared a backbone start groups that do not share one. Raises
    ValueError, and changes nothing, as `read_checkpoint` and `check_classes` do and where: a shape
    or a part of a module differs; nothing is in common; `config` freezes a module from step 0 on
    that the checkpoint does not have, which would keep random weights for ever.
    """
    checkpoint = read_checkpoint(source)
    check_classes(checkpoint, config)
    theirs, ours, path = _trained_weights(checkpoint, config), model.state_dict(), checkpoint.path
    shared = {_module(name) for name in theirs} & {_module(name) for name in ours}
    if not shared & set(ALL_MODULES):
        raise ValueError(
            f"checkpoint {path}: has nothing in common with this network: it has "
            f"{listed(sorted({_module(name) for name in theirs})) or 'no weights'}; "
            "name a checkpoint that `leapai train` wrote"
        )
    settled = {*ALL_MODULES, DENSE_HEADS} - shared
    problems = differences(
        {name: value for name, value in theirs.items() if _module(name) not in settled},
        {name: value for name, value in ours.items() if _module(name) not in settled},
    )
    if problems:
        raise ValueError(
            f"checkpoint {path}: of another size than this configuration ({config.job_name}): "
            f"{listed(problems)}; use a checkpoint trained with the same network sizes, or train "
            "Step 1 with these"
        )
    new = _sizes(ours, {_module(name) for name in ours} - shared)
    _refuse_frozen_and_new(path, new, config)
    model.load_state_dict({**ours, **{n: v for n, v in theirs.items() if _module(n) in shared}})
    return LoadReport(
        path,
        checkpoint.version,
        loaded=_sizes(ours, shared),
        new=new,
        left_out=_sizes(theirs, {_module(name) for name in theirs} - shared),
        settings=_other_settings(checkpoint.content.get("config"), config),
    )


def _trained_weights(checkpoint: Checkpoint, config: TaskConfig) -> Mapping[str, Tensor]:
    """Returns the weights of a checkpoint that its training reached, as `config` needs them.

    Without any task only the cameras learn: the fuser is random, and may be of other sensors.
    """
    weights = checkpoint.state_dict
    if "config" not in checkpoint.content:
        return weights
    trained = checkpoint.config
    if not trained.has_task:
        weights = {n: v for n, v in weights.items() if not n.startswith("fuser.")}
    if trained.camera.shared and not config.camera.shared:
        weights = for_every_group(weights)
    return weights


def for_every_group(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns weights in which every group of cameras has the backbone and the neck of the first,
    which all of them shared."""
    copies = {
        f"{family}{group}.{rest}": value
        for name, value in weights.items()
        for family in ("stage1_backbone", "stage1_neck")
        for group in range(1, len(CAMERA_GROUPS))
        if (rest := name.removeprefix(f"{family}0.")) != name
    }
    return {**weights, **copies}


def _refuse_frozen_and_new(path: Path, new: Mapping[str, int], config: TaskConfig) -> None:
    random = [module for module in new if config.freeze_module_schedules.get(module) == 0]
    if random:
        raise ValueError(
            f"checkpoint {path}: lacks {listed(random)}, which freeze_module_schedules freezes at "
            "step 0: it would stay as random as it is; use a checkpoint that has it, or do not "
            "freeze it"
        )


def _other_settings(theirs: object, config: TaskConfig) -> tuple[str, ...]:
    """Lists settings of the network that differ although every shape fits, such as an area that
    has moved by 10 m."""
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
    """Returns the module of a weight; the dense heads count as one."""
    return DENSE_HEADS if name.startswith(f"{DENSE_HEADS}.") else name.partition(".")[0]


def _sizes(state: Mapping[str, Tensor], modules: set[str]) -> dict[str, int]:
    """Counts the weights of each of `modules`, in the order of the network."""
    sizes: Counter[str] = Counter()
    for name, value in state.items():
        if _module(name) in modules:
            sizes[_module(name)] += value.numel()
    return dict(sizes)


def _sum(sizes: Mapping[str, int]) -> str:
    """Returns a count and its modules, such as `1,234 weights of stage1_backbone0..3, fuser`."""
    families: dict[str, list[str]] = {}
    for module in sizes:
        families.setdefault(module.rstrip("0123456789"), []).append(module)
    names = [f"{m[0]}..{m[-1][-1]}" if len(m) > 1 else m[0] for m in families.values()]
    return f"{sum(sizes.values()):,} weights of {', '.join(names)}"
