"""Activations that are computed again in the backward pass instead of being kept (Chen et al.,
"Training Deep Nets with Sublinear Memory Cost", 2016)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

NORMS = (nn.BatchNorm2d, nn.SyncBatchNorm)
"""Layers whose statistics a forward pass changes."""


def recompute_stages(net: nn.Module) -> None:
    """Makes each stage of a backbone keep its input alone in training. A stage is a child with
    modules of its own.

    Outputs, gradients and statistics are those of a backbone that keeps everything.
    """
    for stage in net.children():
        if next(stage.children(), None) is not None:
            object.__setattr__(stage, "forward", partial(_recomputed, stage))


def _recomputed(stage: nn.Module, x: Tensor) -> Tensor:
    forward = partial(type(stage).forward, stage)
    if not (stage.training and torch.is_grad_enabled()):
        kept: Tensor = forward(x)
        return kept
    again: Tensor = checkpoint(
        forward, x, use_reentrant=False, context_fn=lambda: (nullcontext(), _unchanged(stage))
    )
    return again


@contextmanager
def _unchanged(stage: nn.Module) -> Iterator[None]:
    """Runs a block in which batch norm normalises as in training, but learns no statistics: the
    first pass has done so."""
    norms = [m for m in stage.modules() if isinstance(m, NORMS) and m.training]
    kept = [(norm, norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
        norm.num_batches_tracked = norm.num_batches_tracked.clone()  # type: ignore[union-attr]
    try:
        yield
    finally:
        for norm, momentum, tracked in kept:
            norm.momentum, norm.num_batches_tracked = momentum, tracked
