"""The error of a frame that does not keep its contract, and the checks of form that raise it."""

from __future__ import annotations

from numbers import Integral

import numpy as np

_KINDS = {"f": "float", "u": "uint8", "iu": "integer", "b": "bool"}
"""Kinds of `np.dtype.kind` and their name."""
_SHOWN = 200
"""Characters that a message shows of a value."""


class FrameError(ValueError):
    """A frame that cannot be used: its message names sequence, time, field, value and remedy."""


def check_array(
    name: str, value: object, shape: tuple[int | None, ...], kinds: str, remedy: str
) -> None:
    """Raises FrameError unless `value` is an array of `shape`, where None stands for any length,
    and of `kinds`, a key of `_KINDS`."""
    # Both are arrays whose slices behave in other ways.
    is_special = isinstance(value, np.ma.MaskedArray | np.matrix)
    if is_special or not isinstance(value, np.ndarray):
        raise FrameError(f"{name} is a {type(value).__name__}, not a NumPy array; {remedy}")
    fits = value.ndim == len(shape) and all(
        wanted is None or wanted == there for wanted, there in zip(shape, value.shape, strict=True)
    )
    if not fits:
        form = ", ".join("N" if side is None else str(side) for side in shape)
        raise FrameError(f"{name} has the shape {list(value.shape)}, not [{form}]; {remedy}")
    if value.dtype.kind not in kinds:
        raise FrameError(f"{name} is of type {value.dtype}, not {_KINDS[kinds]}; {remedy}")


def shown(value: object) -> str:
    """Returns any value as a few words in one line, as messages show it."""
    words = repr(value)
    printable = "".join(each if each.isprintable() else " " for each in words[:_SHOWN])
    return " ".join(printable.split()) + ("..." if len(words) > _SHOWN else "")


def is_whole(value: object) -> bool:
    """Returns whether `value` is an integer, of Python or NumPy, and no bool."""
    return isinstance(value, Integral) and not isinstance(value, bool)
