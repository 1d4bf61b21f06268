"""The drives of one run or of two: a table of all, and a drawing of those with most failures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from leapai.pictures.palette import OCCLUSION_WORDS
from leapai.report.metric_cells import (
    Better,
    Kind,
    Table,
    row,
)
from leapai.report.report_curves import RUN_COLOURS, RUN_STYLES
from leapai.report.report_tables import CLASS_COLOUR
from leapai.report.run_view import RunView
from leapai.report.svg_charts import Key, path
from leapai.report.timeline_rows import BASE, OCCLUSION_GREYS
from leapai.report.timelines import (
    FALSE,
    MISSED,
    DriveView,
    Timeline,
    timeline,
)

MOST_DRAWN = 8
_KINDS = (
    Kind("frames", digits=0),
    Kind("labelled", digits=0),
    Kind("missed", Better.LOWER, 2, "a frame", words="objects, at the operating point"),
    Kind("false", Better.LOWER, 2, "a frame", words="detections of nothing"),
    Kind("switches", Better.LOWER, 0, words="of ids"),
    Kind("consistency", Better.HIGHER, bar=True),
    Kind("faults", Better.LOWER, 0, words="of sensors"),
)
Value = float | None


def drive_table(views: Sequence[RunView]) -> Table:
    """Every drive of any run; those with most failures first."""
    drives = _by_name(views)
    rows = []
    for name, of_runs in drives.items():
        values = [[None] * len(_KINDS) if drive is None else _metrics(drive) for drive in of_runs]
        rows.append(row(name, _KINDS, values))
    return Table("drive", _KINDS, tuple(rows))


def timelines(views: Sequence[RunView]) -> tuple[list[Timeline], int]:
    """The drives with most failures, and how many more there are."""
    drives = list(_by_name(views).values())
    drawn = [timeline([d for d in of_runs if d is not None]) for of_runs in drives[:MOST_DRAWN]]
    return drawn, len(drives) - len(drawn)


def legend(compared: bool) -> list[Key]:
    """What the drawings of drives use."""
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
        Key(_block(CLASS_COLOUR["car"]), "object found, in the colour of its class"),
        Key(_block(CLASS_COLOUR["car"], opacity=0.55), "by another track"),
        Key(path("switch", "M11 0V12"), "id switch"),
        Key(_block(BASE), "object missed"),
        Key(path("hidden", "M0 6H22"), "hidden or out of range"),
        *levels,
        Key(path("reset", "M11 0V12"), "memory dropped"),
        Key(path("fault", "M11 0V12"), "sensor failed"),
    ]


def _by_name(views: Sequence[RunView]) -> dict[str, list[DriveView | None]]:
    """Of each drive what each run has; those with most failures first."""
    of_runs = [
        {
            drive.detections[0].sequence: DriveView(view, drive, colour, style)
            for drive in view.run.drives
        }
        for view, colour, style in zip(views, RUN_COLOURS, RUN_STYLES, strict=False)
    ]
    names = dict.fromkeys(name for of_run in of_runs for name in of_run)
    together = {name: [of_run.get(name) for of_run in of_runs] for name in names}

    def failures(name: str) -> float:
        return max(_mean(d.counts().sum(0)) or 0.0 for d in together[name] if d is not None)

    return {name: together[name] for name in sorted(names, key=failures, reverse=True)}


def _metrics(drive: DriveView) -> list[Value]:
    missed, false = drive.counts()
    timelines = [
        timeline for timeline in drive.view.timelines if timeline.sequence == drive.sequence
    ]
    return [
        len(drive.time_us),
        len(drive.sequence_result.labelled()),
        _mean(missed),
        _mean(false),
        sum(int(timeline.switched.sum()) for timeline in timelines)
        if drive.sequence_result.labelled()
        else None,
        drive.mean_consistency,
        sum(len(faults) for faults in drive.sequence_result.faults),
    ]


def _mean(values: np.ndarray) -> Value:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _block(colour: str, top: int = 2, height: int = 8, opacity: float = 1.0) -> Markup:
    return Markup('<rect y="{}" width="22" height="{}" fill="{}" opacity="{}"/>').format(
        top, height, colour, opacity
    )
