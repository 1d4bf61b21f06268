"""Figures of one or two runs, and tables of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

MINUS, NOTHING = "\N{MINUS SIGN}", "\N{EN DASH}"


class Better(Enum):
    """Which way a figure improves."""

    HIGHER = 1
    LOWER = -1
    NEITHER = 0


@dataclass(frozen=True)
class Kind:
    """What a figure is."""

    name: str
    better: Better = Better.NEITHER
    digits: int = 3
    """After the point."""
    unit: str = ""
    bar: bool = False
    """It lies in [0, 1] and is drawn as a bar, too."""
    words: str = ""
    """What it means, for who points at it."""

    @property
    def title(self) -> str:
        """Name and unit."""
        return f"{self.name} {self.unit}".rstrip()


@dataclass(frozen=True)
class Figure:
    """One figure of each run; None: there is nothing to measure."""

    kind: Kind
    values: tuple[float | None, ...]

    @property
    def texts(self) -> list[str]:
        """Of each run."""
        return [self._text(value) for value in self.values]

    @property
    def shown(self) -> list[str]:
        """The same, but one text where both runs read alike."""
        return self.texts[:1] if len(set(self.texts)) == 1 else self.texts

    @property
    def difference(self) -> float | None:
        """Of the second run from the first; None where one has no value, or there is one run."""
        if len(self.values) < 2 or self.values[0] is None or self.values[1] is None:
            return None
        return self.values[1] - self.values[0]

    @property
    def difference_text(self) -> str:
        """Signed; empty where there is none, or none that shows."""
        if self.difference is None:
            return ""
        text = f"{self.difference:+.{self.kind.digits}f}"
        return "" if float(text) == 0 else text.replace("-", MINUS)

    @property
    def verdict(self) -> str:
        """`good` or `bad` where the second run differs in what is shown, else empty."""
        if self.difference is None or not self.difference_text:
            return ""
        sign = self.difference * self.kind.better.value
        return "good" if sign > 0 else "bad" if sign < 0 else ""

    @property
    def verdict_word(self) -> str:
        """For those who do not tell the colours apart."""
        return {"good": "better", "bad": "worse", "": ""}[self.verdict]

    def _text(self, value: float | None) -> str:
        return NOTHING if value is None else f"{value:,.{self.kind.digits}f}".replace("-", MINUS)


@dataclass(frozen=True)
class Row:
    """One line of a table."""

    label: str
    metrics: tuple[Figure, ...]
    colour: str = ""
    """Of a mark before the label."""
    starts_part: bool = False
    """A line is drawn above it."""


@dataclass(frozen=True)
class Table:
    """Figures of parts of the data."""

    head: str
    """Of the first column."""
    kinds: tuple[Kind, ...]
    rows: tuple[Row, ...]
    note: str = ""


def row(
    label: str,
    kinds: Sequence[Kind],
    values: Sequence[Sequence[float | None]],
    colour: str = "",
    starts_part: bool = False,
) -> Row:
    """A line of a table; `values` [run][kind]."""
    metrics = tuple(
        Figure(kind, of_runs)
        for kind, of_runs in zip(kinds, zip(*values, strict=True), strict=True)
    )
    return Row(label, metrics, colour, starts_part)
