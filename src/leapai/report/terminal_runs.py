"""The table of runs in a terminal: all lines, or two of them with what differs."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

from leapai.evaluation.metric_types import RunMetric
from leapai.report.metric_cells import MetricValue
from leapai.runs.history import FACTS, RunLine, metric_columns

HASH_LENGTH = 8
_VERDICTS = {"good": "green", "bad": "red", "": "dim"}


def runs_table(lines: Sequence[RunLine]) -> Table:
    """Returns every run, oldest first, with the number that names it; fits 80 columns. Metrics
    that no run has are left out; those of one short title stand below each other."""
    columns: dict[str, list[RunMetric]] = {}
    for metric in metric_columns():
        if any(line.metrics[metric.key] is not None for line in lines):
            columns.setdefault(metric.short or metric.name, []).append(metric)
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 1, 0),
        caption="+: only the first frames of each drive; s: of the network, a frame; "
        "two hashes: checkpoint, configuration; IoU: of lane markings, of road elements",
    )
    table.add_column("")
    table.add_column("run", overflow="fold", min_width=18)
    for title in ("frames", *columns):
        table.add_column(title, justify="right", no_wrap=True)
    for number, line in enumerate(lines, 1):
        cells = (
            "\n".join(MetricValue(m, (line.metrics[m.key],)).texts[0] for m in column)
            for column in columns.values()
        )
        table.add_row(str(number), _name(line), _frames(line), *cells)
    return table


def _name(line: RunLine) -> str:
    return (
        f"[bold]{escape(line.job_name)}[/]\n{escape(line.data)}\n"
        f"[dim]{escape(line.finished_utc[:16].replace('T', ' '))}\n"
        f"{escape(_short(line.checkpoint_sha256))} {escape(_short(line.config_sha256))}[/]"
    )


def comparison_table(lines: Sequence[RunLine], first: int, second: int) -> Table:
    """Returns two runs by their numbers: metrics with differences, and the facts that differ.

    Raises ValueError for a number that no run has.
    """
    for number in (first, second):
        if not 1 <= number <= len(lines):
            raise ValueError(f"there is no run {number}; the table has runs 1 to {len(lines)}")
    one, other = lines[first - 1], lines[second - 1]
    table = Table(
        caption="differences: green is better, red is worse; facts that are equal are left out"
    )
    table.add_column("")
    for title in (f"run {first}", f"run {second}", "difference"):
        table.add_column(title, justify="right", overflow="fold")
    for metric in metric_columns():
        cell = MetricValue(metric, (one.metrics[metric.key], other.metrics[metric.key]))
        colour = _VERDICTS[cell.verdict]
        table.add_row(metric.title, *cell.texts, f"[{colour}]{cell.difference_text}[/]")
    table.add_section()
    for name in FACTS:
        values = [getattr(line, name) for line in (one, other)]
        if values[0] != values[1]:
            table.add_row(name, *(escape(_text(value)) for value in values), "")
    return table


def _frames(line: RunLine) -> str:
    return f"{line.frames}{'' if line.max_frames is None else '+'}"


def _short(sha256: str | None) -> str:
    return (sha256 or "random")[:HASH_LENGTH]


def _text(value: object) -> str:
    return "-" if value is None else str(value)
