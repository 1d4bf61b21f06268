"""The quantities of a data set, as `leapai inspect --stats` compares and draws them."""

from __future__ import annotations

from dataclasses import dataclass

from leapai.types import FloatArray


@dataclass(frozen=True)
class Sample:
    """All values of one quantity in a data set."""

    name: str
    unit: str
    values: FloatArray
    """[K] float64"""
    is_count: bool = False


@dataclass(frozen=True)
class Shares:
    """Shares of kinds in a data set."""

    name: str
    kinds: tuple[str, ...]
    share: FloatArray
    """[len(kinds)] in [0, 1]; NaN: not labelled."""


@dataclass(frozen=True)
class Samples:
    """Every quantity of one data set; the same names in the same order for all data sets."""

    rows: tuple[tuple[Sample, ...], ...]
    """Quantities that belong side by side."""
    shares: tuple[Shares, ...]
