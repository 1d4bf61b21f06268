"""AdamW and its schedule (docs/design.md, section 8): the rate is a function of the step and
nothing else, so that resuming needs no scheduler."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

import torch
from torch import nn

from leapai.config.schema import TaskConfig

DESIGN_GPUS = 8
"""Number of GPUs for which `optimizer.learning_rate` holds."""
_LAYER = re.compile(r"(stage1_backbone\d+)\.net\.(\w+(?:\.\w+)*?\.\d+(?=\.)|\w+)")
"""Backbone and layer of a parameter: a block, which timm and we number, or else a module such as
the stem."""


def learning_rate(config: TaskConfig, step: int, ranks: int = 1) -> float:
    """Returns the rate of optimiser step `step` (0 is the first), before `group_lr_scale`.

    learning_rate x sqrt(ranks / 8), as each rank brings a batch of its own and the square root
    keeps AdamW's noise alike (Malladi et al., NeurIPS 2022); a process on a CPU counts as a GPU.
    It rises linearly over the warm-up. It falls by `decay` at each milestone, or along a cosine.
    """
    optimizer = config.optimizer
    rate = optimizer.learning_rate * math.sqrt(ranks / DESIGN_GPUS)
    rate *= min(1.0, (step + 1) / max(optimizer.warmup_steps, 1))
    if optimizer.schedule == "cosine":
        return rate * _cosine(config, step)
    passed = sum(step >= milestone * config.max_steps for milestone in optimizer.milestones)
    return float(rate * optimizer.decay**passed)


def _cosine(config: TaskConfig, step: int) -> float:
    """Returns the share of the rate at a step: half a cosine from 1 at the end of the warm-up to
    `cosine_floor` at the last step (Loshchilov and Hutter, ICLR 2017, eq. 5)."""
    warmup, floor = config.optimizer.warmup_steps, config.optimizer.cosine_floor
    passed = (step - warmup) / max(config.max_steps - 1 - warmup, 1)
    half_turn = math.pi * min(max(passed, 0.0), 1.0)
    return floor + (1 - floor) * (1 + math.cos(half_turn)) / 2


def build_optimizer(model: nn.Module, config: TaskConfig) -> torch.optim.AdamW:
    """Builds AdamW over what is trainable now; norms, biases and other vectors do not decay.

    Each parameter group has its `scale` of the rate from `group_lr_scale` and, in the backbones,
    from `backbone_layer_decay`.
    """
    grouped: dict[tuple[float, float], list[nn.Parameter]] = {}
    of_layer = layer_scales(
        (name for name, _ in model.named_parameters()), config.optimizer.backbone_layer_decay
    )
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decay = config.optimizer.weight_decay if parameter.ndim > 1 else 0.0
            scale = scale_of(name, config.group_lr_scale) * of_layer.get(name, 1.0)
            grouped.setdefault((scale, decay), []).append(parameter)
    groups = [
        {"params": parameters, "scale": scale, "weight_decay": decay}
        for (scale, decay), parameters in grouped.items()
    ]
    return torch.optim.AdamW(groups, lr=config.optimizer.learning_rate, fused=True)


def layer_scales(names: Iterable[str], decay: float) -> dict[str, float]:
    """Returns the scale of each parameter of the backbones, by name: decay^n for a layer with n
    layers after it in its backbone (Clark et al., ELECTRA, ICLR 2020, appendix A).

    `names` of parameters, in the order of the network.
    """
    found = {name: match.groups() for name in names if (match := _LAYER.match(name))}
    layers: dict[str, list[str]] = {}
    for backbone, layer in found.values():
        numbered = layers.setdefault(backbone, [])
        if layer not in numbered:
            numbered.append(layer)
    return {
        name: decay ** (len(layers[backbone]) - 1 - layers[backbone].index(layer))
        for name, (backbone, layer) in found.items()
    }


def scale_of(name: str, scales: Mapping[str, float]) -> float:
    """Returns the scale of a parameter's rate from `group_lr_scale`: the longest prefix that fits
    wins."""
    fitting = [prefix for prefix in scales if name.startswith(prefix)]
    return scales[max(fitting, key=len)] if fitting else 1.0


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Gives every parameter group its share of the rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]
