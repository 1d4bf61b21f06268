"""The charts of a stress run: scores over severity, and over the level of other conditions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from leapai.evaluation.robustness import ratio
from leapai.report.report_curves import Chart
from leapai.report.svg_charts import Axis, Key, Line, chart, line_key
from leapai.report.theme import RUN_COLOURS
from leapai.runs.stress_results import ConditionResult, StressRun

_LEVELS = {
    "rate": ("Frame rate", "frames a second"),
    "dropped": ("Dropped frames", "share dropped"),
    "calibration": ("Calibration off", "degrees"),
}
"""Title and name of the axis of each kind that has a curve."""
_MOST_SEVERE = 3.0


LINES = {"mAP": (RUN_COLOURS[0], ""), "precision": (RUN_COLOURS[1], "dashed")}
"""Colour and style of the lines of each chart."""


def chart_keys() -> list[Key]:
    """Returns the legend of all charts."""
    nothing = np.zeros(0)
    return [
        line_key(Line(nothing, nothing, colour, name, style))
        for name, (colour, style) in LINES.items()
    ]


def corruption_charts(run: StressRun) -> list[Chart]:
    """Draws a chart for each corruption: the shares of clean mAP, and of clean precision, that are
    left at each severity. Severity 0 is the clean run."""
    names = list(dict.fromkeys(r.corruption for r in run.results if r.corruption is not None))
    clean = run.results[0]
    return [
        _chart(
            name,
            "severity",
            [(0.0, clean)]
            + [(float(r.severity or 0), r) for r in run.results if r.corruption == name],
            clean,
        )
        for name in names
    ]


def level_charts(run: StressRun) -> list[Chart]:
    """Draws the same over frame rate, dropped frames and degrees of calibration."""
    clean, charts = run.results[0], []
    for kind, (title, axis) in _LEVELS.items():
        points = [(r.level, r) for r in run.results if r.kind == kind and r.level is not None]
        at_start = [] if kind == "rate" else [(0.0, clean)]
        if len(points) > 1:
            charts.append(_chart(title, axis, [*at_start, *points], clean))
    return charts


def _chart(
    title: str,
    axis: str,
    points: Sequence[tuple[float, ConditionResult]],
    clean: ConditionResult,
) -> Chart:
    x = np.array([level for level, _ in points])
    precise = clean.scores.precision
    kept = np.array([r.scores.relative for _, r in points], float)  # NaN where there is none
    precision = np.array([ratio(r.scores.precision, precise) for _, r in points], float)
    lines = [
        Line(x, y, colour, name, style)
        for y, (name, (colour, style)) in zip((kept, precision), LINES.items(), strict=True)
    ]
    top = max(1.1, 1.05 * float(np.nanmax([*kept, *precision, 0.0])))
    x_axis = Axis(axis, 0.0, _MOST_SEVERE if axis == "severity" else float(x.max()))
    return Chart(title, chart(f"{title}: share left", x_axis, Axis("of clean", 0, top), lines))
