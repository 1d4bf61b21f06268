"""AdamW and its schedule (docs/design.md, section 8): the rate is a function of the step and
nothing else, so that resuming needs no scheduler."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import nn

from leapai.config.schema import TaskConfig

DESIGN_GPUS = 8
"""Number of GPUs for which `optimizer.learning_rate` holds."""


def learning_rate(config: TaskConfig, step: int, ranks: int = 1) -> float:
    """Returns the rate of optimiser step `step` (0 is the first), before `group_lr_scale`.

    learning_rate x sqrt(ranks / 8), as each rank brings a batch of its own and the square root
    keeps AdamW's noise alike (Malladi et al., NeurIPS 2022); a process on a CPU counts as a GPU.
    It rises linearly over the warm-up and falls by `decay` at each milestone.
    """
    optimizer = config.optimizer
    rate = optimizer.learning_rate * math.sqrt(ranks / DESIGN_GPUS)
    rate *= min(1.0, (step + 1) / max(optimizer.warmup_steps, 1))
    passed = sum(step >= milestone * config.max_steps for milestone in optimizer.milestones)
    return float(rate * optimizer.decay**passed)


def build_optimizer(model: nn.Module, config: TaskConfig) -> torch.optim.AdamW:
    """Builds AdamW over what is trainable now; norms, biases and other vectors do not decay.

    Each parameter group has its `scale` of the rate from `group_lr_scale`.
    """
    grouped: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decay = config.optimizer.weight_decay if parameter.ndim > 1 else 0.0
            key = (scale_of(name, config.group_lr_scale), decay)
            grouped.setdefault(key, []).append(parameter)
    groups = [
        {"params": parameters, "scale": scale, "weight_decay": decay}
        for (scale, decay), parameters in grouped.items()
    ]
    return torch.optim.AdamW(groups, lr=config.optimizer.learning_rate, fused=True)


def scale_of(name: str, scales: Mapping[str, float]) -> float:
    """Returns the scale of a parameter's rate from `group_lr_scale`: the longest prefix that fits
    wins."""
    fitting = [prefix for prefix in scales if name.startswith(prefix)]
    return scales[max(fitting, key=len)] if fitting else 1.0


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Gives every parameter group its share of the rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]
