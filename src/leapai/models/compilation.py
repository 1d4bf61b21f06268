"""Compilation of the image encoders by `torch.compile`: fewer passes over memory, equal results up
to rounding."""

from __future__ import annotations

import warnings
from functools import cache

import torch
from torch import Tensor, nn

ENCODERS = ("stage1_backbone", "stage1_neck")
"""Prefixes of the names of modules that are compiled: their shapes depend on no data but the number
of images."""


def compile_encoders(model: nn.Module) -> None:
    """Compiles backbones and necks in place, each at its first call.

    Names of parameters stay as they are. Where this machine cannot compile, warns and leaves the
    modules uncompiled.
    """
    reason = why_not("cuda" if torch.cuda.is_available() else "cpu")
    if reason:
        warnings.warn(
            f"compile = True, but torch.compile does not work here: {reason}; the backbones run "
            "uncompiled, with the same results (on a CPU it needs a C++ compiler such as g++, on a "
            "GPU Triton)",
            stacklevel=2,
        )
        return
    for name, module in model.named_children():
        if name.startswith(ENCODERS):
            module.compile()


@cache
def why_not(device: str) -> str:
    """Returns in one line why `torch.compile` does not work for a type of device; empty where it
    does. The first call takes seconds, as it compiles something."""
    compiled = torch.compile(_something)
    try:
        compiled(torch.ones(8, device=device))
    except Exception as error:  # what is missing differs by platform and version
        return f"{str(error).strip().splitlines()[0]:.200}"
    return ""


def _something(x: Tensor) -> Tensor:
    return x * x + 1
