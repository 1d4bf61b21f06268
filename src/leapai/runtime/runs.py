"""The table of runs in a terminal: all lines, or two of them with what differs."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from leapai.runtime.history import RunLine
from leapai.runtime.report.figures import Better, Figure, Kind

HASH_LENGTH = 8
_FIGURES = {
    "mean_ap": Kind("mAP", Better.HIGHER),
    "nds": Kind("NDS", Better.HIGHER),
    "velocity_error_mps": Kind("AVE", Better.LOWER, unit="m/s"),
    "amota": Kind("AMOTA", Better.HIGHER),
    "id_switches": Kind("IDS", Better.LOWER, 0),
    "consistency": Kind("consistency", Better.HIGHER),
    "seconds_per_frame": Kind("time a frame", Better.LOWER, unit="s"),
}
_FACTS = (
    "finished_utc", "job_name", "output", "data", "data_version", "weights", "checkpoint_sha256",
    "config_sha256", "seed", "version", "frames", "labelled_frames", "max_frames",
)  # fmt: skip
_VERDICTS = {"good": "green", "bad": "red", "": "dim"}


def runs_table(lines: Sequence[RunLine]) -> Table:
    """Every run, oldest first, with the number that names it."""
    table = Table(
        caption="frames +: only the first of each drive; hashes: checkpoint, configuration"
    )
    table.add_column("run", justify="right")
    for name in ("finished", "job", "data", "hashes"):
        table.add_column(name)
    table.add_column("frames", justify="right")
    for kind in _FIGURES.values():
        table.add_column(kind.title, justify="right")
    for number, line in enumerate(lines, 1):
        figures = [Figure(kind, (getattr(line, name),)).texts[0] for name, kind in _FIGURES.items()]
        table.add_row(
            str(number),
            line.finished_utc[:16].replace("T", " "),
            line.job_name,
            line.data,
            f"{_short(line.checkpoint_sha256)} {_short(line.config_sha256)}",
            _frames(line),
            *figures,
        )
    return table


def comparison_table(lines: Sequence[RunLine], first: int, second: int) -> Table:
    """Two runs by their numbers: figures with differences, and the facts that differ.

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
    for name, kind in _FIGURES.items():
        figure = Figure(kind, (getattr(one, name), getattr(other, name)))
        colour = _VERDICTS[figure.verdict]
        table.add_row(kind.title, *figure.texts, f"[{colour}]{figure.difference_text}[/]")
    table.add_section()
    for name in _FACTS:
        values = [getattr(line, name) for line in (one, other)]
        if values[0] != values[1]:
            table.add_row(name, *(_text(value) for value in values), "")
    return table


def _frames(line: RunLine) -> str:
    return f"{line.frames}{'' if line.max_frames is None else '+'}"


def _short(sha256: str | None) -> str:
    return (sha256 or "random")[:HASH_LENGTH]


def _text(value: object) -> str:
    return "-" if value is None else str(value)
