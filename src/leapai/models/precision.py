"""Mixed precision: which parts of the network run in 16 bits, and which never do.

Convolutions and linear layers take 16 bits under autocast. Reference points, position encodings,
attention logits, projections and memory stay in float32 (docs/design.md, section 8): in bfloat16 a
position in the BEV range would be off by decimetres, and attention would lose small differences.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import torch
from torch import Tensor

if TYPE_CHECKING:
    from leapai.config.schema import TaskConfig

_P = ParamSpec("_P")
_T = TypeVar("_T")
_DEVICE_TYPES = ("cuda", "cpu")


def low_precision(device: torch.device) -> torch.dtype:
    """Returns the type of 16 bits that a device computes in: bfloat16, or float16 on a GPU without
    it."""
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.float16
    return torch.bfloat16


def autocasts_backbones(config: TaskConfig, device: torch.device) -> bool:
    """Returns whether backbones and necks run in 16 bits whatever surrounds them: on a GPU, where
    `use_backbone_amp` is set."""
    return config.use_backbone_amp and device.type == "cuda"


def needs_loss_scaling(config: TaskConfig, device: torch.device) -> bool:
    """Returns whether gradients of a training would vanish in 16 bits: those of float16 do, as its
    smallest number is 6e-8."""
    mixed = config.training.mixed_precision or autocasts_backbones(config, device)
    return mixed and low_precision(device) == torch.float16


def mixed_precision(device: torch.device, enabled: bool) -> AbstractContextManager[object]:
    """Returns the context in which layers run in 16 bits; without effect where it is not
    enabled."""
    return torch.autocast(device.type, low_precision(device)) if enabled else nullcontext()


def in_float32(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Makes a function run outside of autocast; its arguments of 16 bits become float32."""

    @wraps(function)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        active = [kind for kind in _DEVICE_TYPES if torch.is_autocast_enabled(kind)]
        if not active:
            return function(*args, **kwargs)
        widened = {name: _widened(value) for name, value in kwargs.items()}
        with torch.autocast(active[0], enabled=False):
            return function(*map(_widened, args), **widened)  # type: ignore[arg-type]

    return run


def _widened(value: object) -> object:
    is_short = isinstance(value, Tensor) and value.dtype in (torch.bfloat16, torch.float16)
    return value.float() if is_short and isinstance(value, Tensor) else value
