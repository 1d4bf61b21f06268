"""The sequences of one run or of two: a table of all, and a drawing of those with most failures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from leapai.evaluation.metric_types import Better, Metric
from leapai.pictures.palette import CLASS_COLOUR_CODES, OCCLUSION_WORDS
from leapai.report.metric_cells import Table, table
from leapai.report.report_curves import RUN_COLOURS, RUN_STYLES
from leapai.report.run_view import RunView
from leapai.report.svg_charts import Key, path
from leapai.report.timeline_rows import BASE, OCCLUSION_GREYS
from leapai.report.timelines import (
    FALSE,
    MISSED,
    SequenceView,
    Timeline,
    timeline,
)

MOST_DRAWN = 8
LOWER = Better.LOWER


def _mean(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _switches(view: SequenceView) -> int | None:
    """Counts the id switches; None where there are no labels."""
    if not view.result.labelled():
        return None
    timelines = (each for each in view.run_view.timelines if each.sequence == view.sequence)
    return sum(int(timeline.switched.sum()) for timeline in timelines)


_COLUMNS = (
    Metric("frames", lambda view: len(view.time_us), digits=0),
    Metric("labelled", lambda view: len(view.result.labelled()), digits=0),
    Metric(
        "missed", lambda view: _mean(view.counts()[0]), LOWER, 2, unit="a frame",
        words="objects, at the operating point",
    ),
    Metric(
        "false", lambda view: _mean(view.counts()[1]), LOWER, 2, unit="a frame",
        words="false positives",
    ),
    Metric("switches", _switches, LOWER, 0, words="of ids"),
    Metric("consistency", "mean_consistency", Better.HIGHER, bar=True),
    Metric(
        "faults", lambda view: sum(len(faults) for faults in view.result.faults), LOWER, 0,
        words="of sensors",
    ),
)  # fmt: skip
"""Columns of a `SequenceView`."""


def sequence_table(views: Sequence[RunView]) -> Table:
    """Returns every sequence of any run; those with most failures first."""
    sequences = _by_name(views)
    runs = [{name: of_runs[i] for name, of_runs in sequences.items()} for i in range(len(views))]
    return table("drive", _COLUMNS, runs)


def timelines(views: Sequence[RunView]) -> tuple[list[Timeline], int]:
    """Returns the sequences with most failures, and how many more there are."""
    sequences = list(_by_name(views).values())
    drawn = [timeline([s for s in of_runs if s is not None]) for of_runs in sequences[:MOST_DRAWN]]
    return drawn, len(sequences) - len(drawn)


def legend(compared: bool) -> list[Key]:
    """Returns the marks and colours that the drawings of sequences use."""
    if compared:
        curves = [
            Key(path(f"line {style}", "M0 6H22", colour), letter)
            for colour, style, letter in zip(RUN_COLOURS, RUN_STYLES, "AB", strict=True)
        ]
    else:
        curves = [Key(_block(MISSED), "objects missed"), Key(_block(FALSE), "false detections")]
    levels = [
        Key(_block(grey, 5, 3), f"{word} occluded")
        for grey, word in zip(OCCLUSION_GREYS, OCCLUSION_WORDS, strict=True)
        if grey
    ]
    return [
        *curves,
        Key(_block(CLASS_COLOUR_CODES["car"]), "object found, in the colour of its class"),
        Key(_block(CLASS_COLOUR_CODES["car"], opacity=0.55), "by another track"),
        Key(path("switch", "M11 0V12"), "id switch"),
        Key(_block(BASE), "object missed"),
        Key(path("hidden", "M0 6H22"), "hidden or out of range"),
        *levels,
        Key(path("reset", "M11 0V12"), "memory dropped"),
        Key(path("fault", "M11 0V12"), "sensor failed"),
    ]


def _by_name(views: Sequence[RunView]) -> dict[str, list[SequenceView | None]]:
    """Returns each sequence as each run has it; those with most failures first."""
    of_runs = [
        {
            result.detections[0].sequence: SequenceView(run_view, result, colour, style)
            for result in run_view.run.sequences
        }
        for run_view, colour, style in zip(views, RUN_COLOURS, RUN_STYLES, strict=False)
    ]
    names = dict.fromkeys(name for of_run in of_runs for name in of_run)
    together = {name: [of_run.get(name) for of_run in of_runs] for name in names}

    def failures(name: str) -> float:
        return max(_mean(s.counts().sum(0)) or 0.0 for s in together[name] if s is not None)

    return {name: together[name] for name in sorted(names, key=failures, reverse=True)}


def _block(colour: str, top: int = 2, height: int = 8, opacity: float = 1.0) -> Markup:
    return Markup('<rect y="{}" width="22" height="{}" fill="{}" opacity="{}"/>').format(
        top, height, colour, opacity
    )
