"""Values of metrics of one or two runs, and tables of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from leapai.evaluation.metric_types import Metric, Shown
from leapai.evaluation.metrics import run_metrics
from leapai.evaluation.run_metrics import RunMetrics

MINUS, NOTHING = "\N{MINUS SIGN}", "\N{EN DASH}"


@dataclass(frozen=True)
class MetricValue:
    """One metric of each run; None: there is nothing to measure."""

    metric: Metric
    values: tuple[float | None, ...]
    stand_ins: tuple[bool, ...] = ()
    """Whether the value of each run stands for something that was not measured; () is none."""
    comparable: bool = True
    """Whether a difference would be that of the runs, and not of their machines."""

    @property
    def texts(self) -> list[str]:
        """The value of each run in words."""
        return [self._text(value) for value in self.values]

    @property
    def shown(self) -> list[tuple[str, bool]]:
        """The same, each with whether it is a stand-in; but one where both runs read alike."""
        stand_ins = self.stand_ins or (False,) * len(self.values)
        cells = list(zip(self.texts, stand_ins, strict=True))
        return cells[:1] if len(set(cells)) == 1 else cells

    @property
    def difference(self) -> float | None:
        """The second run minus the first; None where one has no value, or there is one run, or
        they cannot be compared."""
        if len(self.values) < 2 or self.values[0] is None or self.values[1] is None:
            return None
        if any(self.stand_ins) or not self.comparable:
            return None
        return self.values[1] - self.values[0]

    @property
    def difference_text(self) -> str:
        """The signed difference; empty where there is none, or none that shows."""
        if self.difference is None:
            return ""
        text = f"{self.difference:+.{self.metric.digits}f}"
        return "" if float(text) == 0 else text.replace("-", MINUS)

    @property
    def verdict(self) -> str:
        """`good` or `bad` where the second run differs in what is shown, else empty."""
        if self.difference is None or not self.difference_text:
            return ""
        sign = self.difference * self.metric.better.value
        return "good" if sign > 0 else "bad" if sign < 0 else ""

    @property
    def verdict_word(self) -> str:
        """The verdict for those who cannot distinguish the colours."""
        return {"good": "better", "bad": "worse", "": ""}[self.verdict]

    def _text(self, value: float | None) -> str:
        if value is None:
            return NOTHING
        return f"{value:,.{self.metric.digits}f}".replace("-", MINUS)


def metric_value(metric: Metric, results: Sequence[object]) -> MetricValue:
    """Returns a metric of the results of each run."""
    is_stand_in = metric.is_stand_in or (lambda _: False)
    values = tuple(metric.value(of_run) for of_run in results)
    return MetricValue(
        metric,
        values,
        tuple(
            value is not None and is_stand_in(of_run)
            for value, of_run in zip(values, results, strict=True)
        ),
    )


@dataclass(frozen=True)
class Row:
    """One line of a table, with a value for each column."""

    label: str
    metrics: tuple[MetricValue, ...]
    colour: str = ""
    """Colour of a mark before the label."""
    starts_part: bool = False
    """Whether a line is drawn above it."""


@dataclass(frozen=True)
class Table:
    """Metrics of parts of the data."""

    head: str
    """Heading of the first column."""
    columns: tuple[Metric, ...]
    rows: tuple[Row, ...]
    note: str = ""

    def not_compared(self) -> Table:
        """Returns the table without differences between its runs."""
        rows = [
            replace(row, metrics=tuple(replace(each, comparable=False) for each in row.metrics))
            for row in self.rows
        ]
        return replace(self, rows=tuple(rows))


def table(
    head: str,
    columns: Iterable[Metric],
    runs: Sequence[Mapping[str, object]],
    names: Iterable[str] | None = None,
    *,
    labels: Mapping[str, str] | None = None,
    colours: Mapping[str, str] | None = None,
    note: str = "",
) -> Table:
    """Returns a row for each part of the runs, in the order of `names` or as the runs have them. A
    line is drawn above the row "all", where it comes after others."""
    shown = tuple(column for column in columns if column.in_report)
    present = list(dict.fromkeys(name for run in runs for name in run))
    rows = tuple(
        Row(
            label=(labels or {}).get(name, name),
            metrics=tuple(
                metric_value(column, [run.get(name) for run in runs]) for column in shown
            ),
            colour=(colours or {}).get(name, ""),
            starts_part=name == "all" and name != present[0],
        )
        for name in names or present
        if name in present
    )
    return Table(head, shown, rows, note)


def details(results: Sequence[RunMetrics | None], task: str) -> list[MetricValue]:
    """Returns the metrics in the section of a task, each with its value of each run."""
    return [metric_value(metric, results) for metric in run_metrics(Shown.DETAIL, task)]
