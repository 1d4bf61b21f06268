"""Counts where a computation reads values of tensors: on a GPU the host would wait there."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

READS = {
    "_local_scalar_dense",  # item(), bool(), float(), int(), an if
    "equal",
    "nonzero",
    "masked_select",
    "_unique2",
    "unique_dim",
    "unique_consecutive",
    "bincount",
    "lift_fresh",  # torch.tensor(list): on a GPU a copy that waits
}
"""Operators whose result, or its shape, the host must know."""


class HostReads(TorchDispatchMode):
    """Counts operators that read values, while it is active: `READS`, indices of booleans, and
    numbers of repetitions that are tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = func.overloadpacket.__name__
        if name in READS or _depends_on_values(name, args, kwargs or {}):
            self.counts[name] += 1
        return func(*args, **(kwargs or {}))


def _depends_on_values(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Returns whether the shape of the result depends on a mask or on counts."""
    if name in ("index", "index_put", "index_put_", "_index_put_impl_"):
        return any(isinstance(i, Tensor) and i.dtype == torch.bool for i in args[1])
    if name == "repeat_interleave":
        return isinstance(args[-1], Tensor) and kwargs.get("output_size") is None
    return False
