"""The table of runs in a terminal: all lines, or two of them with what differs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from rich import box
from rich.markup import escape
from rich.table import Table

from leapai.evaluation.metrics import RELATIVE_SCORE, TIME
from leapai.report.metric_cells import MetricValue
from leapai.runs.history import FACTS, RunLine, metric_columns

HASH_LENGTH = 8
WIDE = 140
"""Characters of a line from which facts and metrics share one table."""
_VERDICTS = {"good": "green", "bad": "red", "": "dim"}


def runs_tables(lines: Sequence[RunLine], width: int) -> list[Table]:
    """Returns every run, oldest first, with the number that names it, in aligned columns.

    A terminal of `width` characters from `WIDE` on gets one table, a narrower one two: what was
    run, and the metrics. Metrics that no run has are left out.
    """
    metrics = [
        metric
        for metric in metric_columns()
        if any(line.metrics[metric.key] is not None for line in lines)
    ]
    described = [[fact(line) for fact in _FACTS.values()] for line in lines]
    measured = [
        [_frames(line), *(MetricValue(m, (line.metrics[m.key],)).texts[0] for m in metrics)]
        for line in lines
    ]
    titles = ["frames", *(metric.short or metric.name for metric in metrics)]
    if width < WIDE:
        return [_numbered(_FACTS, described), _numbered((), measured, titles)]
    rows = [[*facts, *numbers] for facts, numbers in zip(described, measured, strict=True)]
    return [_numbered(_FACTS, rows, titles)]


def _numbered(
    words: Iterable[str], rows: Sequence[Sequence[str]], numbers: Sequence[str] = ()
) -> Table:
    """Returns a table with the number of each row, columns of words, and columns of numbers."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("#", justify="right")
    for title in words:
        table.add_column(title, overflow="fold")
    for title in numbers:
        table.add_column(title, justify="right", no_wrap=True)
    if numbers:
        table.caption = (
            "frames with +: only the first of each drive; IoU: of lane markings and of road "
            "elements; s: of the network, a frame"
        )
    for number, row in enumerate(rows, 1):
        table.add_row(str(number), *row)
    return table


_FACTS: Mapping[str, Callable[[RunLine], str]] = {
    "run": lambda line: escape(Path(line.output).name),
    "data": lambda line: escape(line.data),
    "finished (UTC)": lambda line: escape(line.finished_utc[:16].replace("T", " ")),
    "weights": lambda line: escape(_weights(line)),
    "config": lambda line: escape(line.config_sha256[:HASH_LENGTH]),
}
"""Columns of a wide terminal, with their texts; hashes are the first digits of SHA-256."""


def comparison_table(lines: Sequence[RunLine], first: int, second: int) -> Table:
    """Returns two runs by their numbers: metrics with differences, and the facts that differ.

    Raises ValueError for a number that no run has.
    """
    for number in (first, second):
        if not 1 <= number <= len(lines):
            raise ValueError(f"there is no run {number}; the table has runs 1 to {len(lines)}")
    one, other = lines[first - 1], lines[second - 1]
    table = Table(
        caption="differences: green is better, red is worse; times of two machines are not "
        "compared; facts that are equal are left out"
    )
    table.add_column("")
    for title in (f"run {first}", f"run {second}", "difference"):
        table.add_column(title, justify="right", overflow="fold")
    one_machine = one.machine is not None and one.machine == other.machine
    for metric in metric_columns():
        cell = MetricValue(
            metric,
            (one.metrics[metric.key], other.metrics[metric.key]),
            comparable=one_machine or metric is not TIME,
        )
        if metric is RELATIVE_SCORE and cell.values == (None, None):
            continue  # no stress run is compared
        colour = _VERDICTS[cell.verdict]
        table.add_row(metric.title, *cell.texts, f"[{colour}]{cell.difference_text}[/]")
    table.add_section()
    for name in FACTS:
        values = [getattr(line, name) for line in (one, other)]
        if values[0] != values[1]:
            table.add_row(name, *(escape(_text(value)) for value in values), "")
    return table


def _weights(line: RunLine) -> str:
    """Returns the digest of the weights, and the type in which they were exported."""
    digest = (line.checkpoint_sha256 or "random")[:HASH_LENGTH]
    return f"{digest} {line.exported_weights}" if line.exported_weights else digest


def _frames(line: RunLine) -> str:
    return f"{line.frames}{'' if line.max_frames is None else '+'}"


def _text(value: object) -> str:
    return "-" if value is None else str(value)
