"""Types of the registry of metrics: how a number is read from results, and how it is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, Flag, auto
from typing import Any


class Better(Enum):
    """The direction in which a metric improves."""

    HIGHER = 1
    LOWER = -1
    NEITHER = 0


class Shown(Flag):
    """The outputs that show a metric of a run; `metrics.json` holds every one."""

    TERMINAL = auto()
    """The table of its task in the terminal."""
    TILE = auto()
    """A tile at the top of the report."""
    DETAIL = auto()
    """A small tile in the section of its task in the report."""
    HISTORY = auto()
    """A column of `runs.parquet` and of `leapai runs`."""
    SCALAR = auto()
    """A scalar of TensorBoard, under `val/`."""
    LINE = auto()
    """The line that a validation during training prints."""
    EVERYWHERE = TERMINAL | TILE | HISTORY | SCALAR | LINE


@dataclass(frozen=True)
class Metric:
    """A number, how it is read from results, and how it is written."""

    name: str
    source: str | Callable[[Any], float | None]
    """Path of a field of the results ("detection.mean_ap"), or a function of them."""
    better: Better = Better.NEITHER
    digits: int = 3
    """Digits after the point; 0: a whole number."""
    unit: str = ""
    bar: bool = False
    """Whether it lies in [0, 1] and is drawn as a bar, too."""
    words: str = ""
    """Definition, shown where one points at the name."""
    in_terminal: bool = True
    """Whether the tables of the terminal have this column; the report's tables have more room."""
    in_report: bool = True
    is_stand_in: Callable[[Any], bool] | None = None
    """Whether the value of results stands for something that was not measured."""
    scalar: str = ""
    """Name in TensorBoard; of a column with {} for the name of the row."""

    @property
    def title(self) -> str:
        """Name and unit of the metric."""
        return f"{self.name} {self.unit}".rstrip()

    def value(self, results: Any) -> float | None:
        """Returns the metric of results; None where they, or a part on the path, are None."""
        if results is None:
            return None
        if not isinstance(self.source, str):
            return self.source(results)
        for name in self.source.split("."):
            if results is None:
                return None
            results = results[name] if isinstance(results, Mapping) else getattr(results, name)
        number: float | None = results
        return number

    def text(self, value: float | None) -> str:
        """Returns a value as it is written; a dash where there is none."""
        return "-" if value is None else f"{value:.{self.digits}f}"


@dataclass(frozen=True, kw_only=True)
class RunMetric(Metric):
    """A metric of a whole run; `source` reads it from `RunMetrics`."""

    key: str
    """Column of `runs.parquet`; name in TensorBoard and in `extra` of `metrics.json`, too."""
    task: str
    """`detection`, `tracking`, `consistency` or `map`: the table and the section it stands in."""
    heading: str = ""
    """Heading of its tile, instead of `name`."""
    short: str = ""
    """Title in `leapai runs`, instead of `name`; metrics of one title share a column."""
    shown: Shown = Shown.EVERYWHERE

    @property
    def tile(self) -> RunMetric:
        """The metric under the heading of its tile."""
        return replace(self, name=self.heading or self.name)

    @property
    def event(self) -> str:
        """Name of the scalar in TensorBoard."""
        return self.scalar or self.key
