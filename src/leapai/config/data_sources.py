"""Sources of training data with their weights: `nuscenes:ROOT@3` is three parts of nuScenes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class DataSource:
    """One data set, and its weight among others that a training mixes."""

    data: str
    """The data set, as `leapai val --data` takes it."""
    weight: float = 1.0
    """Its share of the clips is its weight divided by the sum of all weights."""


def parse_source(text: str) -> DataSource:
    """Reads `DATA` or `DATA@WEIGHT`; what follows an `@` and is no number belongs to the data.

    Raises ValueError for a weight that is not positive and finite.
    """
    data, _, after = text.rpartition("@")
    try:
        weight = float(after)
    except ValueError:
        return DataSource(text)
    if not data:
        return DataSource(text)
    if not (math.isfinite(weight) and weight > 0):
        raise ValueError(f"'{text}': the weight after @ must be a number above 0")
    return DataSource(data, weight)


def parse_sources(given: str | Iterable[str]) -> tuple[DataSource, ...]:
    """Reads one source or several. Raises ValueError for a wrong weight, or where there is none."""
    sources = tuple(map(parse_source, (given,) if isinstance(given, str) else given))
    if not sources:
        raise ValueError("name at least one data set")
    return sources
