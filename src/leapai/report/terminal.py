"""Metrics of a run in compact tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.table import Table

from leapai.evaluation.detection.detection_results import DetectionMetrics
from leapai.evaluation.map.map_results import MapMetrics
from leapai.evaluation.metric_columns import (
    ACCURACY_COLUMNS,
    CLASS_COLUMNS,
    CONTINUITY_COLUMNS,
    FLICKER,
    HIDDEN_GROUND,
    HIDDEN_OBJECT,
    LINE_COLUMNS,
    MAP_CLASS_COLUMNS,
    PART_COLUMNS,
    raster_columns,
)
from leapai.evaluation.metric_types import Better, Metric, Shown
from leapai.evaluation.metrics import run_metrics
from leapai.evaluation.run_metrics import RunMetrics
from leapai.evaluation.tracking.tracking_results import TrackingMetrics


def run_tables(metrics: RunMetrics) -> list[Table]:
    """Returns the tables of all that was evaluated; each fits 80 columns."""
    tables: list[Table] = []
    if metrics.detection is not None:
        tables += [*_of_run(metrics, "detection"), *_detection_tables(metrics.detection)]
    if metrics.tracking is not None:
        tables += [*_of_run(metrics, "tracking"), *tracking_tables(metrics.tracking)]
    if metrics.consistency.consistency is not None:
        tables += _of_run(metrics, "consistency")
    if metrics.road is not None:
        tables += [*_of_run(metrics, "map"), *map_tables(metrics.road)]
    return tables


def tracking_tables(metrics: TrackingMetrics) -> list[Table]:
    """Returns tracking by class and over all: accuracy, and continuity."""
    counts = ((metrics.objects, "object"), (metrics.tracks, "track"))
    found = " and ".join(counted(count, name) for count, name in counts)
    *classes, _ = rows = metrics.by_class()
    sections = [{name: rows[name] for name in classes}, {"all": rows["all"]}]
    return [
        _table(
            f"{found} in {counted(metrics.sequences, 'sequence')}",
            "class",
            ACCURACY_COLUMNS,
            sections,
            "MOTA, MOTP and recall at the confidence of the best MOTA",
        ),
        _table(
            "identity over time, at the best MOTA",
            "class",
            CONTINUITY_COLUMNS,
            sections,
            _left_out(metrics),
        ),
    ]


def map_tables(metrics: MapMetrics) -> list[Table]:
    """Returns means of both rasters, classes and lines. Without a ground-truth map the means alone,
    which show flicker."""
    title = (
        f"map in {counted(metrics.frames, 'frame')}, {metrics.labelled_frames} with ground truth"
    )
    at = f"IoU at {metrics.threshold:g}"
    sections = [
        {f"IoU {name}": means for name, means in part.items()} for part in metrics.iou_by_place()
    ]
    flicker = {f"flip rate {name}": means for name, means in metrics.flip_rate_bands.items()}
    sections.append({"flip rate": metrics.flip_rate, **flicker, "change": metrics.change})
    columns = raster_columns(Better.NEITHER, FLICKER)
    caption = f"hidden: {HIDDEN_GROUND}"
    if not metrics.labelled_frames:
        return [_table(title, "mean", columns, sections, caption)]
    *names, _ = by_class = metrics.classes_and_mean()
    classes = [{name: by_class[name] for name in names}, {"all": by_class["all"]}]
    return [
        _table(f"{title}; {at}", "mean", columns, sections, caption),
        _table(f"map by class; {at}", "class", MAP_CLASS_COLUMNS, classes),
        _line_table(metrics),
    ]


def _of_run(metrics: RunMetrics, task: str) -> Iterator[Table]:
    """Yields the metrics of the run that belong to a task, as one row."""
    shown = run_metrics(Shown.TERMINAL, task)
    if not shown:
        return
    title, caption = task, None
    if task == "detection" and metrics.detection is not None:
        objects = counted(metrics.detection.truths, "object")
        title = f"{objects} in {counted(metrics.detection.frames, 'labelled frame')}"
        caption = "NDS without its attribute term"
    elif task == "consistency":
        title, caption = "consistency of tracks with their own past", "at best 1"
    table = Table(title=title, caption=caption)
    for metric in shown:
        table.add_column(metric.title, justify="right")
    table.add_row(*(metric.text(metric.value(metrics)) for metric in shown))
    yield table


def _detection_tables(metrics: DetectionMetrics) -> list[Table]:
    point = (
        f"at confidence {metrics.operating_confidence:g} within {metrics.operating_distance_m:g} m"
    )
    parts = [
        metrics.groups,
        metrics.distance_bands,
        metrics.occlusion,
        {"hidden": metrics.hidden},
    ]
    return [
        _table(
            f"by class; P, R, F1 {point}",
            "class",
            CLASS_COLUMNS,
            [metrics.class_results(), {"all": metrics.class_results_and_all()["all"]}],
            "all: AP and AVE are means over classes; P, R and F1 count all objects together",
        ),
        _table(
            f"by part; P, R and errors {point}",
            "part",
            PART_COLUMNS,
            parts,
            f"errors in m and m/s; hidden: {HIDDEN_OBJECT}",
            units=False,
        ),
    ]


def _line_table(metrics: MapMetrics) -> Table:
    *kinds, _ = lines = metrics.lines_by_kind()
    distances = ", then ".join(f"within {within}" for within in metrics.lines)
    sections = [{kind: lines[kind] for kind in kinds}, {"all": lines["all"]}]
    return _table(f"map lines: {distances}", "class", LINE_COLUMNS, sections, units=False)


def _table(
    title: str,
    head: str,
    columns: Sequence[Metric],
    sections: Sequence[Mapping[str, object]],
    caption: str | None = None,
    units: bool = True,
) -> Table:
    """Returns a table with a row for each part, in sections."""
    shown = [column for column in columns if column.in_terminal]
    table = Table(title=title, caption=caption)
    table.add_column(head)
    for column in shown:
        table.add_column(column.title if units else column.name, justify="right")
    for section in sections:
        for name, part in section.items():
            table.add_row(name, *(column.text(column.value(part)) for column in shown))
        table.add_section()
    return table


def _left_out(metrics: TrackingMetrics) -> str | None:
    """Returns what the tracking metrics do not cover, in words."""
    notes = []
    if metrics.untracked_truths:
        notes.append(f"{counted(metrics.untracked_truths, 'box')} of objects without track id")
    if metrics.unnamed_detections:
        notes.append(f"{counted(metrics.unnamed_detections, 'detection')} without identity")
    return f"left out: {', '.join(notes)}" if notes else None


def counted(count: int, name: str) -> str:
    """Returns a number with its noun: "1 box", "2 boxes"."""
    plural = "boxes" if name == "box" else f"{name}s"
    return f"{count} {name if count == 1 else plural}"
