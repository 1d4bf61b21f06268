"""The table of runs in a terminal: all lines, or two of them with what differs."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

from leapai.report.metric_cells import Better, Figure, Kind
from leapai.runs.history import RunLine

HASH_LENGTH = 8
_FIGURES = {
    "mean_ap": ("mAP\nNDS", Kind("mAP", Better.HIGHER)),
    "nds": ("mAP\nNDS", Kind("NDS", Better.HIGHER)),
    "velocity_error_mps": ("AVE", Kind("AVE", Better.LOWER, unit="m/s")),
    "amota": ("AMOTA", Kind("AMOTA", Better.HIGHER)),
    "id_switches": ("IDS", Kind("id switches", Better.LOWER, 0)),
    "consistency": ("cons.", Kind("consistency", Better.HIGHER)),
    "marking_iou": ("IoU", Kind("IoU of markings", Better.HIGHER)),
    "element_iou": ("IoU", Kind("IoU of elements", Better.HIGHER)),
    "seconds_per_frame": ("s", Kind("time a frame", Better.LOWER, unit="s")),
}
"""Short title, and kind; what shares a title stands in one column, one below the other."""
_FACTS = (
    "finished_utc", "job_name", "output", "data", "data_version", "weights", "checkpoint_sha256",
    "config_sha256", "seed", "version", "frames", "labelled_frames", "max_frames",
)  # fmt: skip
_VERDICTS = {"good": "green", "bad": "red", "": "dim"}


def runs_table(lines: Sequence[RunLine]) -> Table:
    """Every run, oldest first, with the number that names it; fits 80 columns. Figures that no run
    has are left out."""
    columns: dict[str, list[tuple[str, Kind]]] = {}
    for name, (title, kind) in _FIGURES.items():
        if any(getattr(line, name) is not None for line in lines):
            columns.setdefault(title, []).append((name, kind))
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
            "\n".join(Figure(kind, (getattr(line, name),)).texts[0] for name, kind in column)
            for column in columns.values()
        )
        table.add_row(str(number), _name(line), _frames(line), *cells)
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
