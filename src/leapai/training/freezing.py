"""Freezing modules on schedule (docs/design.md, section 8).

A frozen module has no gradient, normalises in eval mode whatever `train()` is called with, is not
in the optimiser, and keeps no graph: with neither a parameter nor an input that requires a
gradient, autograd records nothing.
"""

from __future__ import annotations

import fnmatch

import torch
from torch import nn

from leapai.config.schema import TaskConfig


def frozen_modules(config: TaskConfig, step: int) -> tuple[str, ...]:
    """Returns the names of the network's modules that are frozen in `step`:
    `freeze_module_schedules` names the first step of each."""
    schedule = config.freeze_module_schedules
    return tuple(n for n in config.active_modules() if n in schedule and schedule[n] <= step)


def freeze(module: nn.Module) -> None:
    """Freezes one module for good."""
    module.requires_grad_(requires_grad=False)
    for parameter in module.parameters():
        parameter.grad = None
    module.eval()
    # Validation and users call train() on the whole network; this part stays as it is.
    object.__setattr__(module, "train", lambda mode=True: module)


def remove_frozen(optimizer: torch.optim.Optimizer) -> None:
    """Takes parameters that require no gradient any more out of the optimiser, with their state."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if not parameter.requires_grad:
                optimizer.state.pop(parameter, None)
        group["params"] = [p for p in group["params"] if p.requires_grad]
    optimizer.param_groups[:] = [g for g in optimizer.param_groups if g["params"]]


def check_frozen(model: nn.Module, config: TaskConfig, step: int) -> None:
    """Asserts that the trainable modules are those that the configuration asks for, in either of
    its forms."""
    frozen = frozen_modules(config, step)
    norms = backbone_norms(model) if config.training.frozen_backbone_norm else []
    of_norms = {id(p) for norm in norms for p in norm.parameters()}
    for name in config.active_modules():
        module = model.get_submodule(name)
        trainable = name not in frozen
        found = {p.requires_grad for p in module.parameters() if id(p) not in of_norms}
        assert found <= {trainable}, (
            f"step {step}: {name} should be {'trainable' if trainable else 'frozen'}"
        )
        assert trainable or not any(m.training for m in module.modules()), f"{name} is not in eval"
    active = config.active_modules()
    if step == 0 and config.freeze_modules:
        assert set(frozen) == set(_matching(active, config.freeze_modules))
    if step == 0:
        assert not set(frozen) & set(_matching(active, config.trainable_modules))


def _matching(names: tuple[str, ...], patterns: tuple[str, ...]) -> list[str]:
    return [n for n in names if any(fnmatch.fnmatchcase(n, pattern) for pattern in patterns)]


def backbone_norms(model: nn.Module) -> list[nn.BatchNorm2d]:
    """Returns the batch norms of all backbones."""
    backbones = (m for name, m in model.named_children() if name.startswith("stage1_backbone"))
    return [
        m for backbone in backbones for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)
    ]


class FreezeSchedule:
    """Freezes each module of `model` when its step has come; the norms of backbones, where
    `training.frozen_backbone_norm` asks for it, at once."""

    def __init__(self, model: nn.Module, config: TaskConfig) -> None:
        self.model, self.config = model, config
        if config.training.frozen_backbone_norm:
            for norm in backbone_norms(model):
                freeze(norm)
        self._frozen: set[str] = set()

    def advance(self, step: int, optimizer: torch.optim.Optimizer | None = None) -> None:
        """Freezes the modules that are due in `step`, takes them out of `optimizer`, and checks the
        outcome. Call it before each step."""
        due = [n for n in frozen_modules(self.config, step) if n not in self._frozen]
        for name in due:
            freeze(self.model.get_submodule(name))
        self._frozen.update(due)
        if due and optimizer is not None:
            remove_frozen(optimizer)
        if due or step == 0:
            check_frozen(self.model, self.config, step)
