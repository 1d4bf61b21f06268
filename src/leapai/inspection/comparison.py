"""Comparison of two data sets: medians, ranges, and coverage of one by the other."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table

from leapai.inspection.samples import Sample, Samples, Shares
from leapai.types import FloatArray

_COVERING_PERCENT = (1.0, 99.0)
_COVERED_PERCENT = (5.0, 95.0)


class _Metrics(BaseModel):
    model_config = ConfigDict(frozen=True)


class Spread(_Metrics):
    """Percentiles of one quantity in one data set."""

    count: int
    percent_1: float
    percent_5: float
    median: float
    percent_95: float
    percent_99: float


class Quantity(_Metrics):
    """One quantity of the data, and of the data it is compared with; None: there are no values."""

    name: str
    unit: str
    data: Spread | None
    against: Spread | None
    share_covered: float | None
    """Share of the values of `against` from the 1st to the 99th percentile of the data."""
    covered: bool | None
    """Whether the 5th to 95th percentile of `against` lie within that range."""


class Kind(_Metrics):
    """The share of one kind, of classes or occlusion levels; None: not labelled."""

    name: str
    kind: str
    data: float | None
    against: float | None


class Statistics(_Metrics):
    """Result of `leapai inspect --stats`."""

    data: str
    against: str | None
    quantities: tuple[Quantity, ...]
    shares: tuple[Kind, ...]


def compare(data: str, own: Samples, against: str | None, other: Samples | None) -> Statistics:
    """Compares the samples of the data set `data` with those of `against` where there is one."""
    own_samples = [sample for row in own.rows for sample in row]
    others: list[Sample | None] = [None] * len(own_samples)
    other_shares: list[Shares | None] = [None] * len(own.shares)
    if other:
        others = [sample for row in other.rows for sample in row]
        other_shares = list(other.shares)
    return Statistics(
        data=data,
        against=against,
        quantities=tuple(map(_quantity, own_samples, others)),
        shares=tuple(
            Kind(name=mine.name, kind=kind, data=_known(mine, i), against=_known(theirs, i))
            for mine, theirs in zip(own.shares, other_shares, strict=True)
            for i, kind in enumerate(mine.kinds)
        ),
    )


def spread(values: FloatArray) -> Spread | None:
    """Returns the percentiles of values [K], or None without any."""
    if not len(values):
        return None
    low, five, median, ninety_five, high = np.percentile(values, (1, 5, 50, 95, 99)).tolist()
    return Spread(
        count=len(values),
        percent_1=low,
        percent_5=five,
        median=median,
        percent_95=ninety_five,
        percent_99=high,
    )


def _quantity(own: Sample, other: Sample | None) -> Quantity:
    share = covered = None
    if other and len(other.values):
        share, covered = _coverage(own.values, other.values)
    return Quantity(
        name=own.name,
        unit=own.unit,
        data=spread(own.values),
        against=spread(other.values) if other else None,
        share_covered=share,
        covered=covered,
    )


def _coverage(own: FloatArray, other: FloatArray) -> tuple[float, bool]:
    """Returns the share of `other` [K] within the covering range of `own` [L], and whether its
    middle is within."""
    if not len(own):
        return 0.0, False
    low, high = np.percentile(own, _COVERING_PERCENT)
    begin, end = np.percentile(other, _COVERED_PERCENT)
    share = float(((other >= low) & (other <= high)).mean())
    return share, bool(low <= begin and end <= high)


def _known(shares: Shares | None, index: int) -> float | None:
    if shares is None or np.isnan(shares.share[index]):
        return None
    return float(shares.share[index])


def render_statistics(statistics: Statistics) -> Group:
    """Renders the statistics as tables for the terminal."""
    names = f"data: {statistics.data}"
    if statistics.against:
        names += f"\nagainst: {statistics.against}"
    return Group(names, _spread_table(statistics), _share_table(statistics))


def _spread_table(statistics: Statistics) -> Table:
    title = "Spread in the BEV range"
    table = Table("quantity", title=title, title_justify="left", box=SIMPLE_HEAD)
    table.add_column("data\n5 % median 95 %", justify="right")
    if statistics.against:
        table.add_column("against\n5 % median 95 %", justify="right")
        table.add_column("covered", justify="right")
    for quantity in statistics.quantities:
        if quantity.data is None and quantity.against is None:
            continue
        unit = f" ({quantity.unit})" if quantity.unit else ""
        cells = [f"{quantity.name}{unit}", _spread_text(quantity.data)]
        if statistics.against:
            cells += [_spread_text(quantity.against), _coverage_text(quantity)]
        table.add_row(*cells)
    return table


def _spread_text(spread: Spread | None) -> str:
    if spread is None:
        return "-"
    values = (spread.percent_5, spread.median, spread.percent_95)
    return " ".join(_number(value) for value in values)


def _number(value: float) -> str:
    """Formats a value with three digits at most, or three behind the point where it is small."""
    size = abs(value)
    decimals = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 0.1 or not size else 3
    return f"{round(value, decimals) + 0.0:.{decimals}f}"  # + 0.0: a zero without a sign


def _coverage_text(quantity: Quantity) -> str:
    if quantity.share_covered is None:
        return "-"
    return f"{'yes' if quantity.covered else 'NO'} {quantity.share_covered:4.0%}"


def _share_table(statistics: Statistics) -> Table:
    table = Table("", "share", title="Shares", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("data", justify="right")
    if statistics.against:
        table.add_column("against", justify="right")
    for row in statistics.shares:
        shares = (row.data, row.against) if statistics.against else (row.data,)
        table.add_row(row.name, row.kind, *("-" if s is None else f"{s:.1%}" for s in shares))
    return table
