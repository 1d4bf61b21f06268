"""Counts where a computation waits: where it reads values of tensors, or gives some to a device.
What is counted on a CPU costs nothing there; on a GPU the host would wait for all work before it.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

OPERATORS = {
    "_local_scalar_dense",  # item(), bool(), float(), int(), an if
    "bincount",
    "equal",
    "lift_fresh",  # a tensor of numbers, which goes from the host to the device
    "masked_select",
    "nonzero",
    "_unique2",
    "unique_consecutive",
    "unique_dim",
}
"""Operators whose result, or its shape, the host must know."""
METHODS = {Tensor.cpu, Tensor.numpy, Tensor.tolist}


class _Operators(TorchDispatchMode):
    """Counts `OPERATORS`, indices of booleans, numbers of repetitions that are tensors, and copies
    from the CPU to another device."""

    def __init__(self, counts: Counter[str]) -> None:
        super().__init__()
        self.counts = counts

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = func.overloadpacket.__name__
        result = func(*args, **(kwargs or {}))
        if Waits.is_paused:
            return result
        if name in OPERATORS or _depends_on_values(name, args, kwargs or {}):
            self.counts[name] += 1
        if name == "_to_copy" and args[0].device.type == "cpu" != result.device.type:
            self.counts["copy to the device"] += 1
        return result


class Waits(TorchFunctionMode):
    """Counts waits by the name of their operator while it is active."""

    is_paused = False
    """Whether work of the host alone is done, on its own tensors, which is no wait."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._operators = _Operators(self.counts)

    def __enter__(self) -> Waits:
        super().__enter__()
        self._operators.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._operators.__exit__(*error)
        super().__exit__(*error)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func in METHODS and not Waits.is_paused:
            self.counts[func.__name__] += 1
        return func(*args, **(kwargs or {}))


def _depends_on_values(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Returns whether the shape of the result depends on a mask or on counts."""
    if name in ("index", "index_put", "index_put_", "_index_put_impl_"):
        return any(isinstance(i, Tensor) and i.dtype == torch.bool for i in args[1])
    if name == "repeat_interleave":
        return isinstance(args[-1], Tensor) and kwargs.get("output_size") is None
    return False
