"""The section of the report that shows the map metrics of one run or of two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leapai.evaluation.map.map_results import LINE_KINDS
from leapai.evaluation.metric_columns import (
    FLICKER,
    HIDDEN_GROUND,
    LINE_COLUMNS,
    MAP_CLASS_COLUMNS,
    raster_columns,
)
from leapai.evaluation.metric_types import Better
from leapai.report.metric_cells import MetricValue, Table, details, table
from leapai.runs.run_folder import Run
from leapai.types import STATIC_CLASSES


@dataclass(frozen=True)
class MapSection:
    """Tables and values of the section. Tables that need a ground-truth map are None where no run
    has one."""

    flicker: list[MetricValue]
    flicker_by_distance: Table
    places: Table | None
    classes: Table | None
    lines: Table | None


def map_section(runs: Sequence[Run]) -> MapSection | None:
    """Returns the section; None where no run has the static task."""
    metrics = [run.metrics.road for run in runs]
    there = [each for each in metrics if each is not None]
    if not there:
        return None
    mapped = any(each.labelled_frames for each in there)
    by_place = [
        {name: means for part in each.iou_by_place() for name, means in part.items()}
        if each
        else {}
        for each in metrics
    ]
    threshold = there[0].threshold
    places = table(
        "IoU",
        raster_columns(Better.HIGHER, "mean IoU over their classes"),
        by_place,
        labels={"hidden": "hidden, seen before"},
        note=f"Cells are marked from a probability of {threshold:g} on, here and in all tables of "
        f"the map. Hidden, seen before: {HIDDEN_GROUND}.",
    )
    flicker_by_distance = table(
        "flip rate",
        raster_columns(Better.LOWER, FLICKER),
        [each.flip_rate_bands if each else {} for each in metrics],
        note="Few pixels see what is far away.",
    )
    classes = table(
        "class",
        MAP_CLASS_COLUMNS,
        [each.classes_and_mean() if each else {} for each in metrics],
        (*STATIC_CLASSES, "all"),
        labels={"all": "mean or all"},
        note="Classes without a ground-truth cell are left out, also of the mean.",
    )
    lines = table(
        "kind",
        LINE_COLUMNS,
        [each.lines_by_kind() if each else {} for each in metrics],
        (*LINE_KINDS, "all"),
        note="By length, within each distance of a line of the same kind.",
    )
    return MapSection(
        flicker=details([run.metrics for run in runs], "map"),
        flicker_by_distance=flicker_by_distance,
        places=places if mapped else None,
        classes=classes if mapped else None,
        lines=lines if mapped else None,
    )
