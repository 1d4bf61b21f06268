"""The charts of the report that show curves of the whole run, or of two over each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from leapai.evaluation.detection.detection_results import (
    AP_DISTANCES_M,
    ERROR_DISTANCE_M,
    MIN_RECALL,
    Calibration,
)
from leapai.evaluation.detection.distance_profiles import Hits, Profiles
from leapai.evaluation.detection.precision_recall import RECALLS
from leapai.evaluation.metric_columns import AP_WORDS
from leapai.report.svg_charts import LARGE_PX, Axis, Band, Bars, Key, Line, Mark, chart, line_key
from leapai.report.theme import COUNTS, IDEAL, RUN_COLOURS, class_colour, joined_names
from leapai.types import FloatArray

RUN_STYLES = ("", "dashed")
DISTANCE_EDGES_M = np.array([0.0, 3, 6, 9, 12, 16, 20, 24, 30, 36, 42, 50, 60])
_FEWEST = 5
"""Objects in an interval: fewer give no point."""
_SHADES = ("faint3", "faint2", "faint1", "")
"""Style of the curve of each matching distance."""


@dataclass(frozen=True)
class Chart:
    """A drawing with its heading."""

    title: str
    drawing: Markup
    note: str = ""
    colour: str = ""
    keys: tuple[Key, ...] = ()


def precision_recall(runs: Sequence[Profiles]) -> list[Chart]:
    """Draws a chart a class: of one run the curves of every matching distance, of two their
    means."""
    all_names = joined_names(run.vocabulary for run in runs)
    names = [name for name in all_names if any(name in run.precision for run in runs)]
    return [Chart(name, _precision(name, runs), colour=class_colour(name)) for name in names]


def precision_note(runs: int) -> str:
    """Returns what the curves of one run, or of two, show."""
    if runs > 1:
        return f"Mean over matching distances of {AP_WORDS}; A solid, B dashed."
    nearest = AP_DISTANCES_M[0]
    others = AP_WORDS.removeprefix(f"{nearest:g}, ")
    return (
        f"Within {nearest:g} m (palest), {others} (strongest). The area under a curve is its AP, "
        f"which leaves out the parts below a recall or a precision of {MIN_RECALL:g}."
    )


def _precision(name: str, runs: Sequence[Profiles]) -> Markup:
    of_runs = [run.precision.get(name, {}) for run in runs]
    if len(runs) == 1:
        lines = [
            Line(RECALLS, _cut(curve), class_colour(name), f"within {distance:g} m", style)
            for (distance, curve), style in zip(of_runs[0].items(), _SHADES, strict=True)
        ]
    else:
        lines = [
            Line(RECALLS, _cut(np.mean(list(curves.values()), axis=0)), colour, run, style)
            for curves, colour, style, run in zip(
                of_runs, RUN_COLOURS, RUN_STYLES, "AB", strict=True
            )
            if curves
        ]
    return chart(
        f"precision over recall, {name}", Axis("recall", 0, 1), Axis("precision", 0, 1), lines
    )


def _cut(precision: FloatArray) -> FloatArray:
    """Returns precision with NaN beyond the recall that is reached."""
    reached = np.flatnonzero(precision)
    end = reached[-1] + 1 if len(reached) else 0
    return np.where(np.arange(len(precision)) < end, precision, np.nan)


def against_distance(runs: Sequence[Profiles]) -> list[Chart]:
    """Draws recall and errors of what was found, over distance."""
    note = "Median of what was found"
    note += "; half of the errors lie in the band." if len(runs) == 1 else "."
    errors: list[tuple[str, str, Callable[[Hits], FloatArray]]] = [
        ("Position error", "m", lambda hits: hits.position_m),
        ("Velocity error", "m/s", lambda hits: hits.velocity_mps),
        ("Heading error", "rad", lambda hits: hits.yaw_rad),
    ]
    recall = Chart("Recall", _recall(runs), "Share of objects found at the operating point.")
    return [
        recall,
        *(Chart(name, _spread(name, unit, read, runs), note) for name, unit, read in errors),
    ]


def _recall(runs: Sequence[Profiles]) -> Markup:
    marks = []
    for run, colour, style, name in zip(runs, RUN_COLOURS, RUN_STYLES, "AB", strict=False):
        there, found = (
            np.histogram(values, DISTANCE_EDGES_M)[0]
            for values in (run.gt_distance_m, run.hits.distance_m)
        )
        share = np.where(there >= _FEWEST, found / np.maximum(there, 1), np.nan)
        marks.append(Line(_centres(), share, colour, name, style))
    return chart("recall over distance", _metres(), Axis("recall", 0, 1), marks)


def _spread(
    name: str, unit: str, read: Callable[[Hits], FloatArray], runs: Sequence[Profiles]
) -> Markup:
    marks: list[Mark] = []
    highest = 0.0
    for run, colour, style, letter in zip(runs, RUN_COLOURS, RUN_STYLES, "AB", strict=False):
        low, middle, high = _quartiles(run.hits.distance_m, read(run.hits))
        if len(runs) == 1:
            marks.append(Band(_centres(), low, high, colour))
        marks.append(Line(_centres(), middle, colour, letter, style))
        top = high if len(runs) == 1 else middle
        highest = max(highest, float(np.nanmax(top, initial=0)))
    y = Axis(unit, 0, highest * 1.15 or 1.0)
    return chart(f"{name} over distance", _metres(), y, marks)


def _quartiles(distance_m: FloatArray, error: FloatArray) -> FloatArray:
    """Returns quartiles [3, intervals] of the errors [K] that are known; NaN where they are few."""
    interval = np.digitize(distance_m, DISTANCE_EDGES_M) - 1
    result = np.full((3, len(DISTANCE_EDGES_M) - 1), np.nan)
    for i in range(result.shape[1]):
        values = error[(interval == i) & ~np.isnan(error)]
        if len(values) >= _FEWEST:
            result[:, i] = np.percentile(values, (25, 50, 75))
    return result


def _centres() -> FloatArray:
    return np.asarray((DISTANCE_EDGES_M[1:] + DISTANCE_EDGES_M[:-1]) / 2)


def _metres() -> Axis:
    return Axis("distance m", 0, float(DISTANCE_EDGES_M[-1]))


def velocity(runs: Sequence[Profiles]) -> Chart:
    """Draws the share of movers whose velocity error stays below a value; by class, or of two
    runs."""
    lines = []
    if len(runs) == 1:
        hits, vocabulary = runs[0].hits, runs[0].vocabulary
        for class_id, name in enumerate(vocabulary.names):
            if class_id not in vocabulary.still_ids:
                values = hits.velocity_mps[hits.class_id == class_id]
                if len(values):
                    lines.append(_distribution(values, class_colour(name), name, ""))
    else:
        for run, colour, style, name in zip(runs, RUN_COLOURS, RUN_STYLES, "AB", strict=True):
            lines.append(_distribution(run.hits.velocity_mps, colour, name, style))
    x = Axis("error below, m/s", 0, _VELOCITY_M)
    return Chart(
        "Velocity error, cumulative",
        chart("cumulative velocity error", x, Axis("share", 0, 1), lines, LARGE_PX),
        "Over objects that can move, have a labelled velocity and were found at the operating "
        "point.",
        keys=tuple(line_key(line) for line in lines),
    )


_VELOCITY_M = 4.0


def _distribution(values: FloatArray, colour: str, name: str, style: str) -> Line:
    at = np.linspace(0, _VELOCITY_M, 81)
    known = np.sort(values[~np.isnan(values)])
    share = np.searchsorted(known, at, "right") / max(len(known), 1)
    return Line(at, share if len(known) >= _FEWEST else at * np.nan, colour, name, style)


def reliability(runs: Sequence[Calibration]) -> Chart:
    """Draws precision over confidence: the share of detections that are right."""
    marks: list[Mark] = [Line(np.array([0.0, 1]), np.array([0.0, 1]), IDEAL, "ideal", "thin")]
    if len(runs) == 1:
        counts = np.array([b.detections for b in runs[0].bins], np.float64)
        edges = np.array([runs[0].bins[0].low, *(b.high for b in runs[0].bins)])
        marks.insert(0, Bars(edges, counts / max(counts.max(), 1), COUNTS))
    names = "AB" if len(runs) > 1 else ["detections"]
    for run, colour, style, name in zip(runs, RUN_COLOURS, RUN_STYLES, names, strict=False):
        known = [b for b in run.bins if b.confidence is not None and b.precision is not None]
        x, y = (
            np.array([getattr(b, f) for b in known], np.float64)
            for f in ("confidence", "precision")
        )
        marks.append(Line(x, y, colour, name, style))
    return Chart(
        "Reliability",
        chart(
            "precision over confidence",
            Axis("confidence", 0, 1),
            Axis("right", 0, 1),
            marks,
            LARGE_PX,
        ),
        f"Right: it found an object within {ERROR_DISTANCE_M:g} m."
        + (" Grey: how frequent each confidence is." if len(runs) == 1 else ""),
        keys=tuple(line_key(mark) for mark in marks if isinstance(mark, Line)),
    )
