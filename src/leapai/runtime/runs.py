"""The table of runs in a terminal: all lines, or two of them with what differs."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

from leapai.runtime.history import RunLine
from leapai.runtime.report.figures import Better, Figure, Kind

HASH_LENGTH = 8
_FIGURES = {
    "mean_ap": ("mAP", Kind("mAP", Better.HIGHER)),
    "nds": ("NDS", Kind("NDS", Better.HIGHER)),
    "velocity_error_mps": ("AVE", Kind("AVE", Better.LOWER, unit="m/s")),
    "amota": ("AMOTA", Kind("AMOTA", Better.HIGHER)),
    "id_switches": ("IDS", Kind("id switches", Better.LOWER, 0)),
    "consistency": ("cons.", Kind("consistency", Better.HIGHER)),
    "seconds_per_frame": ("s", Kind("time a frame", Better.LOWER, unit="s")),
}
"""Short title, and kind."""
_FACTS = (
    "finished_utc", "job_name", "output", "data", "data_version", "weights", "checkpoint_sha256",
    "config_sha256", "seed", "version", "frames", "labelled_frames", "max_frames",
)  # fmt: skip
_VERDICTS = {"good": "green", "bad": "red", "": "dim"}


def runs_table(lines: Sequence[RunLine]) -> Table:
    """Every run, oldest first, with the number that names it; fits 80 columns."""
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 1, 0),
        caption="+: only the first frames of each drive; s: of the network, a frame; "
        "two hashes: checkpoint, configuration",
    )
    table.add_column("")
    table.add_column("run", overflow="fold", min_width=18)
    for title in ("frames", *(title for title, _ in _FIGURES.values())):
        table.add_column(title, justify="right", no_wrap=True)
    for number, line in enumerate(lines, 1):
        figures = [
            Figure(kind, (getattr(line, name),)).texts[0] for name, (_, kind) in _FIGURES.items()
        ]
        table.add_row(str(number), _name(line), _frames(line), *figures)
    return table


def _name(line: RunLine) -> str:
    return (
        f"[bold]{escape(line.job_name)}[/]\n{escape(line.data)}\n"
        f"[dim]{line.finished_utc[:16].replace('T', ' ')}\n"
        f"{_short(line.checkpoint_sha256)} {_short(line.config_sha256)}[/]"
    )


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
    for name, (_, kind) in _FIGURES.items():
        figure = Figure(kind, (getattr(one, name), getattr(other, name)))
        colour = _VERDICTS[figure.verdict]
        table.add_row(kind.title, *figure.texts, f"[{colour}]{figure.difference_text}[/]")
    table.add_section()
    for name in _FACTS:
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
