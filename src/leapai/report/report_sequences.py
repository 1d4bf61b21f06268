"""The sequences of one run or of two: a table of all, and a drawing of those with most failures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from leapai.evaluation.detection.detection_results import FrameConsistency
from leapai.evaluation.metric_types import Better, Metric
from leapai.evaluation.sequence_result import SequenceResult
from leapai.pictures.palette import OCCLUSION_WORDS
from leapai.report.metric_cells import Table, table
from leapai.report.report_curves import RUN_STYLES
from leapai.report.run_view import RunView
from leapai.report.svg_charts import (
    Axis,
    Bars,
    Frame,
    Key,
    Line,
    Mark,
    draw,
    path,
    svg,
    text,
    ticks,
    y_axis,
)
from leapai.report.theme import FALSE, MEMORY, MISSED, OCCLUSION_GREYS, ROW, RUN_COLOURS
from leapai.report.timeline_rows import ROW_PX, chosen_rows, draw_row
from leapai.types import FloatArray, IntArray

WIDTH_PX = 1120
LEFT_PX, RIGHT_PX = 150, 120
PANEL_PX = 78
_GAP_PX, _AXIS_PX, _SECOND_TICKS = 12, 26, 12


@dataclass(frozen=True)
class Timeline:
    """The drawing of one sequence."""

    sequence: str
    drawing: Markup
    rows: int
    """Objects that have a row."""
    objects: int


@dataclass(frozen=True)
class SequenceView:
    """One sequence of one run, with its curves."""

    run_view: RunView
    result: SequenceResult
    colour: str
    style: str

    @property
    def time_us(self) -> IntArray:
        """Timestamps of the frames [F]."""
        return np.array([frame.timestamp_us for frame in self.result.detections], np.int64)

    @property
    def sequence(self) -> str:
        """Name of the sequence of this view."""
        return self.result.detections[0].sequence

    def counts(self) -> FloatArray:
        """Returns objects missed and false positives [2, F]; NaN in frames without labels."""
        by_frame = [
            self.run_view.failures.get((frame.sequence, frame.timestamp_us))
            for frame in self.result.detections
        ]
        return np.array(
            [
                [np.nan, np.nan] if f is None else [f.missed.sum(), (~f.missed).sum()]
                for f in by_frame
            ]
        ).T

    def consistency(self) -> FloatArray:
        """Returns the consistency of each frame [F]; NaN where nothing is expected."""
        value = {frame.timestamp_us: frame.consistency for frame in self._frames()}
        at_times = (value.get(int(time)) for time in self.time_us)
        return np.array([np.nan if each is None else each for each in at_times], np.float64)

    @property
    def mean_consistency(self) -> float | None:
        """Mean over all that is expected in the sequence."""
        frames = [frame for frame in self._frames() if frame.consistency is not None]
        expected = sum(frame.expected for frame in frames)
        total = sum(frame.expected * (frame.consistency or 0.0) for frame in frames)
        return total / expected if expected else None

    def _frames(self) -> list[FrameConsistency]:
        every = self.run_view.run.metrics.consistency.frames
        return [frame for frame in every if frame.sequence == self.sequence]


def timeline(views: Sequence[SequenceView]) -> Timeline:
    """Draws one sequence, of one run or of two."""
    time_us = np.unique(np.concatenate([view.time_us for view in views]))
    edges_s = _edges((time_us - time_us[0]) / 1e6)
    parts, top = [], 0
    for panel in (_failures, _consistency, _memory):
        parts.append(_moved(panel(views, int(time_us[0]), edges_s), top))
        top += PANEL_PX
    rows, objects = chosen_rows([view.run_view.timelines for view in views], views[0].sequence)
    frame = _panel(edges_s, Axis("", 0, 1))
    top += _GAP_PX
    for row in rows:
        parts.append(_moved(draw_row(row, time_us, frame.xs(edges_s)), top))
        top += ROW_PX * len(row.timelines)
    parts.append(_moved(_time_axis(frame), top - PANEL_PX + _GAP_PX))
    parts.insert(0, _grid(frame, top))
    drawing = svg(
        f"drive {views[0].sequence} over time",
        (WIDTH_PX, top + _AXIS_PX),
        Markup("").join(parts),
        "timeline",
    )
    return Timeline(views[0].sequence, drawing, len(rows), objects)


def _failures(views: Sequence[SequenceView], start_us: int, edges_s: FloatArray) -> Markup:
    counts = [view.counts() for view in views]
    highest = max(float(np.nanmax(count.sum(0), initial=1.0)) for count in counts)
    frame = _panel(edges_s, Axis("failures", 0, highest))
    if len(views) == 1:
        missed, false = counts[0]
        marks: list[Mark] = [Bars(edges_s, missed + false, FALSE), Bars(edges_s, missed, MISSED)]
    else:
        marks = [
            _line(view, start_us, count.sum(0)) for view, count in zip(views, counts, strict=True)
        ]
    return _drawn(frame, marks, "missed and false")


def _consistency(views: Sequence[SequenceView], start_us: int, edges_s: FloatArray) -> Markup:
    frame = _panel(edges_s, Axis("consistency", 0, 1))
    marks = [_line(view, start_us, view.consistency()) for view in views]
    return _drawn(frame, marks, "consistency")


def _memory(views: Sequence[SequenceView], start_us: int, edges_s: FloatArray) -> Markup:
    """Draws the slots in use; a mark where memory was dropped, another where a sensor failed."""
    slots = [np.array([m.slots for m in v.result.memory], np.float64) for v in views]
    frame = _panel(edges_s, Axis("slots", 0, max(1.0, *(float(each.max()) for each in slots))))
    if len(views) == 1:
        marks: list[Mark] = [Bars(edges_s, slots[0], MEMORY)]
    else:
        marks = [_line(v, start_us, each) for v, each in zip(views, slots, strict=True)]
    events = Markup("").join(_events(view, frame, start_us) for view in views)
    return _drawn(frame, marks, "memory slots") + events


def _events(view: SequenceView, frame: Frame, start_us: int) -> Markup:
    parts = []
    at_px = frame.xs((view.time_us - start_us) / 1e6)
    for x, memory, faults in zip(at_px, view.result.memory, view.result.faults, strict=True):
        what = [*(["memory dropped"] if memory.reset else []), *faults]
        if what:
            kind = "fault" if faults else "reset"
            mark = path(kind, f"M{x:.1f} {frame.top}V{frame.bottom}")
            parts.append(Markup("<g>{}<title>{}</title></g>").format(mark, "; ".join(what)))
    return Markup("").join(parts)


def _line(view: SequenceView, start_us: int, values: FloatArray) -> Line:
    at_s = (view.time_us - start_us) / 1e6
    return Line(at_s, values, view.colour, view.run_view.folder.name, view.style)


def _drawn(frame: Frame, marks: Sequence[Mark], name: str) -> Markup:
    label = text(frame.left - 40, (frame.top + frame.bottom) / 2 + 4, name, "row end")
    drawn = Markup("").join(draw(mark, frame) for mark in marks)
    foot = path("axis", f"M{frame.left} {frame.bottom}H{frame.right}")
    return y_axis(frame, 2) + drawn + foot + label


def _panel(edges_s: FloatArray, y: Axis) -> Frame:
    x = Axis("s", float(edges_s[0]), float(edges_s[-1]))
    return Frame(x, y, (WIDTH_PX, PANEL_PX), (LEFT_PX, RIGHT_PX, _GAP_PX, 2))


def _edges(time_s: FloatArray) -> FloatArray:
    """Returns edges [F + 1] around times [F], half way to the neighbours."""
    step = float(np.median(np.diff(time_s))) if len(time_s) > 1 else 1.0
    padded = np.concatenate([[time_s[0] - step], time_s, [time_s[-1] + step]])
    return np.asarray((padded[1:] + padded[:-1]) / 2)


def _grid(frame: Frame, height_px: int) -> Markup:
    """Draws faint lines down at every round second."""
    at = (frame.x(value) for value in ticks(*_span(frame), _SECOND_TICKS))
    return Markup("").join(path("grid", f"M{x:.1f} {_GAP_PX}V{height_px}") for x in at)


def _time_axis(frame: Frame) -> Markup:
    parts = []
    for value in ticks(*_span(frame), _SECOND_TICKS):
        at = frame.x(value)
        parts.append(text(at, frame.bottom + 6, f"{value:g} s", "tick middle"))
    return Markup("").join(parts)


def _span(frame: Frame) -> tuple[float, float]:
    return frame.x_axis.low, frame.x_axis.high


def _moved(content: Markup, down_px: float) -> Markup:
    return Markup('<g transform="translate(0 {})">{}</g>').format(down_px, content)


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
    Metric("switches", _switches, LOWER, 0, words="of ids, at the operating point"),
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


def legend(compared: bool, class_colour: str) -> list[Key]:
    """Returns the marks and colours that the drawings of sequences use; `class_colour` is that of
    some class."""
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
        Key(_block(class_colour), "object found, in the colour of its class"),
        Key(_block(class_colour, opacity=0.55), "by another track"),
        Key(path("switch", "M11 0V12"), "id switch"),
        Key(_block(ROW), "object missed"),
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
