"""Metrics of a run in compact tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

from leapai.evaluation.detection.detection_results import (
    ConsistencyMetrics,
    DetectionMetrics,
    SliceMetrics,
)
from leapai.evaluation.evaluate import RunMetrics
from leapai.report.terminal_map import map_tables
from leapai.report.terminal_tracking import tracking_tables


def run_tables(metrics: RunMetrics) -> list[Table]:
    """All figures of a run, in compact tables for a terminal."""
    tables = [] if metrics.detection is None else metrics_tables(metrics.detection)
    if metrics.tracking is not None:
        tables += tracking_tables(metrics.tracking)
    if metrics.consistency.consistency is not None:
        tables.append(_consistency(metrics.consistency))
    return tables if metrics.road is None else tables + map_tables(metrics.road)


def metrics_tables(metrics: DetectionMetrics) -> list[Table]:
    """Compact tables for a terminal: over all, by class, and by part."""
    return [_headline(metrics), _by_class(metrics), _by_part(metrics)]


def _headline(metrics: DetectionMetrics) -> Table:
    errors = metrics.errors
    table = Table(
        title=f"{metrics.truths} objects in {metrics.frames} labelled frames",
        caption="NDS without its attribute term",
    )
    values = {
        "mAP": metrics.mean_ap,
        "NDS": metrics.nds,
        "ATE m": errors.translation_m,
        "ASE": errors.scale,
        "AOE rad": errors.orientation_rad,
        "AVE m/s": errors.velocity_mps,
        "ECE": metrics.calibration.ece,
    }
    for name in values:
        table.add_column(name, justify="right")
    table.add_row(*(_text(value) for value in values.values()))
    return table


def _by_class(metrics: DetectionMetrics) -> Table:
    confidence, distance = metrics.operating_confidence, metrics.operating_distance_m
    table = Table(title=f"by class; P, R, F1 at confidence {confidence:g} within {distance:g} m")
    table.add_column("class")
    for title in ("objects", "AP", "AVE m/s", "P", "R", "F1"):
        table.add_column(title, justify="right")
    for name, part in metrics.classes.items():
        if part.ap is None:
            continue
        point = metrics.operating[name]
        values = (
            part.mean_ap,
            part.errors.velocity_mps,
            point.precision,
            point.recall,
            point.f1,
        )
        table.add_row(name, str(part.truths), *(_text(value) for value in values))
    return table


def _by_part(metrics: DetectionMetrics) -> Table:
    table = Table(
        title="by group, distance, occlusion; recall and errors within 2 m at confidence"
        f" {metrics.recall_confidence:g}",
        caption="hidden now: no sensor sees it, but one did 2 s ago or later",
    )
    table.add_column("part")
    for title in ("objects", "mAP", "recall", "position m", "velocity m/s"):
        table.add_column(title, justify="right")
    parts: tuple[Mapping[str, SliceMetrics], ...] = (
        metrics.groups,
        metrics.distance_bands,
        metrics.occlusion,
        {"hidden now": metrics.hidden},
    )
    for group in parts:
        for name, part in group.items():
            values = (part.mean_ap, part.recall, part.position_error_m, part.velocity_error_mps)
            table.add_row(name, str(part.truths), *(_text(value) for value in values))
        table.add_section()
    return table


def _consistency(metrics: ConsistencyMetrics) -> Table:
    table = Table(title="consistency of tracks with their own past", caption="at best 1")
    parts = metrics.parts.model_dump()
    for name in ("all", *parts):
        table.add_column(name, justify="right")
    table.add_row(_text(metrics.consistency), *(_text(value) for value in parts.values()))
    return table


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
