"""The tables of the report, from the metrics of one or two runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from leapai.evaluation.detection.detection_results import (
    ERROR_DISTANCE_M,
    MIN_RECALL,
    OPERATING_CONFIDENCE,
    OPERATING_DISTANCE_M,
    STAND_IN_ERROR,
    DetectionMetrics,
    SliceMetrics,
)
from leapai.evaluation.metric_columns import (
    ACCURACY_COLUMNS,
    ANGLE_COLUMNS,
    CLASS_COLUMNS,
    CONTINUITY_COLUMNS,
    HIDDEN_OBJECT,
    LEFT_OUT_COLUMNS,
    PART_COLUMNS,
)
from leapai.evaluation.metric_types import Better, Metric, Shown
from leapai.evaluation.metrics import TIME, run_metrics
from leapai.evaluation.tracking.tracking_results import DISTANCE_M
from leapai.pictures.palette import OCCLUSION_WORDS
from leapai.report.metric_cells import MetricValue, Table, details, metric_value, table
from leapai.report.theme import class_colours, joined_names
from leapai.runs.profiler import StageCost
from leapai.runs.run_folder import Run
from leapai.runs.run_summary import same_machine
from leapai.types import ALL, OCCLUSION_NAMES

LOWER = Better.LOWER
_GROUP_WORDS = {
    "MOD": "MOD, motor vehicles",
    "VRU": "VRU, vulnerable road users",
    "SOD": "SOD, static objects",
}
_OCCLUSION = {
    **dict(zip(OCCLUSION_NAMES, (f"{word} occluded" for word in OCCLUSION_WORDS), strict=True)),
    OCCLUSION_NAMES[0]: "not occluded",
    "hidden": "hidden, seen before",
}


def tiles(runs: Sequence[Run]) -> list[MetricValue]:
    """Returns the metrics at the top of the report, of the tasks that any run has."""
    tasks = {"time"}
    if any(run.config.dynamic_task for run in runs):
        tasks |= {"detection", "tracking", "consistency"}
    if any(run.config.static_task for run in runs):
        tasks |= {"map"}
    values = [
        metric_value(metric.tile, [run.metrics for run in runs])
        for metric in run_metrics(Shown.TILE)
        if metric.task in tasks
    ]
    time = metric_value(TIME.tile, [run.summary for run in runs])
    return [*values, replace(time, comparable=same_machine([run.summary for run in runs]))]


def operating_point(runs: Sequence[Run]) -> str:
    """Returns the operating point of the page in words, and what it does not hold for; empty where
    no run has metrics of detection."""
    if all(run.metrics.detection is None for run in runs):
        return ""
    drawn = sorted({run.config.draw_dynamic_cfg.dynamic_conf for run in runs})
    pictures = ""
    if drawn != [OPERATING_CONFIDENCE]:
        limits = " and ".join(f"{limit:g}" for limit in drawn)
        pictures = f" Pictures show detections of confidence {limits} or more."
    return (
        f"Operating point: confidence {OPERATING_CONFIDENCE:g} or more, within "
        f"{OPERATING_DISTANCE_M:g} m. Precision, recall, counts of missed and false and errors by "
        "part are at this point everywhere on the page. mAP, NDS and errors by class are over all "
        f"confidences.{pictures}"
    )


def consistency_cells(runs: Sequence[Run]) -> list[MetricValue]:
    """Returns the consistency of each run; nothing of a run without the dynamic task, whose tracks
    would all count as steady."""
    return details(
        [run.metrics if run.config.dynamic_task else None for run in runs], "consistency"
    )


def classes(runs: Sequence[DetectionMetrics]) -> Table:
    """Returns detection by class and over all; classes without objects are left out."""
    names = joined_names(run.vocabulary for run in runs)
    return table(
        "class",
        CLASS_COLUMNS,
        [run.class_results_and_all() for run in runs],
        (*names, ALL),
        labels={ALL: "mean or all"},
        colours=class_colours(names),
        note="The last row: AP and errors are means over classes; P, R and F1 count all objects "
        f"together. Errors are those of what was found within {ERROR_DISTANCE_M:g} m, averaged "
        f"over recalls. Where a class does not reach a recall of {MIN_RECALL:g}, an error of "
        f"{STAND_IN_ERROR:g} stands in for one that was not measured (in grey italics, and where "
        "a mean contains one); such errors are not compared.",
    )


def left_out(runs: Sequence[DetectionMetrics]) -> Table:
    """Returns the labelled objects by class that no metric of detection counts."""
    names = joined_names(run.vocabulary for run in runs)
    return table(
        "class",
        LEFT_OUT_COLUMNS,
        [run.left_out_and_all() for run in runs],
        [name for name in (*names, ALL) if any(_any_left_out(r, name) for r in runs)],
        colours=class_colours(names),
        note="Objects out of range lie outside the BEV range of the network, which cannot detect "
        "them. An evaluation with a larger range, such as the official one of a benchmark, counts "
        "them as misses.",
    )


def _any_left_out(run: DetectionMetrics, name: str) -> bool:
    part = run.left_out_and_all().get(name)
    return part is not None and bool(part.out_of_range or part.unseen)


def angle_bins(runs: Sequence[DetectionMetrics]) -> Table:
    """Returns headings by angle bin, for objects that have a front."""
    return table(
        "heading",
        ANGLE_COLUMNS,
        [run.angle_bins for run in runs],
        note="By the angle bin of the labelled heading: 0 deg is straight ahead, 90 deg is left. "
        "Without barriers and pillars, which have no front.",
    )


def distances(runs: Sequence[DetectionMetrics]) -> Table:
    """Returns detection by distance band."""
    return _parts("distance", [run.distance_bands for run in runs], runs)


def groups(runs: Sequence[DetectionMetrics]) -> Table:
    """Returns detection by group of classes."""
    return _parts("group", [run.groups for run in runs], runs, _GROUP_WORDS)


def occlusion(runs: Sequence[DetectionMetrics]) -> Table:
    """Returns detection by occlusion level, and of what is hidden."""
    parts = [{**run.occlusion, "hidden": run.hidden} for run in runs]
    note = f"Hidden, seen before: {HIDDEN_OBJECT}. The rows above do not count them."
    return _parts("occlusion", parts, runs, _OCCLUSION, note)


def confusion(run: DetectionMetrics) -> dict[str, Any]:
    """Returns counts of detected by labelled occlusion level, with their shares of each row."""
    rows = []
    for word, row in zip(OCCLUSION_WORDS, run.occlusion_confusion, strict=True):
        rows.append((word, [(count, count / max(sum(row), 1)) for count in row]))
    return {"words": OCCLUSION_WORDS, "rows": rows}


def _parts(
    head: str,
    parts: Sequence[Mapping[str, SliceMetrics]],
    runs: Sequence[DetectionMetrics],
    words: Mapping[str, str] | None = None,
    note: str = "",
) -> Table:
    """Returns the parts that the first run has and the others have, too."""
    return table(
        head,
        PART_COLUMNS,
        parts,
        [name for name in parts[0] if all(name in of_run for of_run in parts)],
        labels=words,
        note=note,
    )


def tracking(runs: Sequence[Run]) -> Table | None:
    """Returns tracking by class and over all; None where a run has no labels."""
    metrics = [run.metrics.tracking for run in runs if run.metrics.tracking is not None]
    if len(metrics) < len(runs):
        return None
    names = joined_names(run.config.vocabulary for run in runs)
    return table(
        "class",
        (*ACCURACY_COLUMNS, *CONTINUITY_COLUMNS),
        [each.by_class() for each in metrics],
        (*names, ALL),
        colours=class_colours(names),
        labels={ALL: "mean or sum"},
        note="The last row: counts add up, all else is a mean. Defined as in the nuScenes tracking "
        f"evaluation, within {DISTANCE_M:g} m. It has no "
        "operating point of the page: AMOTA and AMOTP are over all recalls, all else is at the "
        "confidence that gives a class its best MOTA. Where no object of a class is found, "
        "nuScenes assumes 2 m and 20 s (in grey italics, and where a mean contains them); these "
        "are not compared.",
    )


class _Stage(NamedTuple):
    cost: StageCost
    frames: int


_STAGE_COLUMNS = (
    Metric(
        "time a frame", lambda stage: stage.cost.seconds / max(stage.frames, 1), LOWER, 4, unit="s"
    ),
    Metric(
        "peak", lambda stage: stage.cost.peak_bytes / 1e6, LOWER, 0, unit="MB",
        words="highest memory of the process while the stage ran",
    ),
    Metric(
        "added", lambda stage: stage.cost.added_bytes / 1e6, LOWER, 0, unit="MB",
        words="rise of that over the memory in use before",
    ),
)  # fmt: skip


def stages(runs: Sequence[Run]) -> Table:
    """Returns the time and memory of each stage."""
    costs = [
        {name: _Stage(cost, run.summary.frames) for name, cost in run.summary.stages.items()}
        for run in runs
    ]
    all_stages = table("stage", _STAGE_COLUMNS, costs)
    return all_stages if same_machine([run.summary for run in runs]) else all_stages.not_compared()
