"""The tables of the report, from the metrics of one or two runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from leapai.evaluation.detection.detection_results import (
    ERROR_DISTANCE_M,
    MIN_RECALL,
    DetectionMetrics,
    SliceMetrics,
)
from leapai.evaluation.metric_columns import (
    ACCURACY_COLUMNS,
    CLASS_COLUMNS,
    CONTINUITY_COLUMNS,
    HIDDEN_OBJECT,
    PART_COLUMNS,
)
from leapai.evaluation.metric_types import Better, Metric, Shown
from leapai.evaluation.tracking.tracking_results import DISTANCE_M
from leapai.pictures.palette import CLASS_COLOUR_CODES, OCCLUSION_WORDS
from leapai.report.metric_cells import MetricValue, Table, details, table
from leapai.runs.profiler import StageCost
from leapai.runs.run_folder import Run, run_values
from leapai.types import CLASS_NAMES, OCCLUSION_NAMES

LOWER = Better.LOWER
_GROUP_WORDS = {
    "MOD": "MOD, motor vehicles",
    "VRU": "VRU, vulnerable road users",
    "SOD": "SOD, static objects",
}
_OCCLUSION = {
    **dict(zip(OCCLUSION_NAMES, (f"{word} occluded" for word in OCCLUSION_WORDS), strict=True)),
    OCCLUSION_NAMES[0]: "not occluded",
}


def tiles(runs: Sequence[Run]) -> list[MetricValue]:
    """Returns the metrics at the top of the report, of the tasks that any run has."""
    tasks = {"time"}
    if any(run.config.dynamic_task for run in runs):
        tasks |= {"detection", "tracking", "consistency"}
    if any(run.config.static_task for run in runs):
        tasks |= {"map"}
    by_run = zip(*(run_values(run, Shown.TILE) for run in runs), strict=True)
    return [
        MetricValue(of_runs[0][0].tile, tuple(value for _, value in of_runs))
        for of_runs in by_run
        if of_runs[0][0].task in tasks
    ]


def consistency_cells(runs: Sequence[Run]) -> list[MetricValue]:
    """Returns the consistency of each run; nothing of a run without the dynamic task, whose tracks
    would all count as steady."""
    return details(
        [run.metrics if run.config.dynamic_task else None for run in runs], "consistency"
    )


def classes(runs: Sequence[DetectionMetrics]) -> Table:
    """Returns detection by class; classes without objects are left out."""
    point = f"confidence {runs[0].operating_confidence:g}, {runs[0].operating_distance_m:g} m"
    return table(
        "class",
        CLASS_COLUMNS,
        [run.class_results() for run in runs],
        CLASS_NAMES,
        colours=CLASS_COLOUR_CODES,
        note=f"P, R and F1 at the operating point: {point}. Errors are those of what was found "
        f"within {ERROR_DISTANCE_M:g} m, averaged over recalls; 1 where a recall of {MIN_RECALL:g} "
        "is not reached.",
    )


def distances(runs: Sequence[DetectionMetrics]) -> Table:
    """Returns detection by distance band."""
    return _parts("distance", [run.distance_bands for run in runs], runs)


def groups(runs: Sequence[DetectionMetrics]) -> Table:
    """Returns detection by group of classes."""
    return _parts("group", [run.groups for run in runs], runs, _GROUP_WORDS)


def occlusion(runs: Sequence[DetectionMetrics]) -> Table:
    """Returns detection by occlusion level, and of what is hidden now."""
    parts = [{**run.occlusion, "hidden now": run.hidden} for run in runs]
    note = f" Hidden now: {HIDDEN_OBJECT}; only memory can keep it."
    return _parts("occlusion", parts, runs, _OCCLUSION, note)


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
        note=f"Recall and errors within {ERROR_DISTANCE_M:g} m at confidence "
        f"{runs[0].recall_confidence:g}.{note}",
    )


def tracking(runs: Sequence[Run]) -> Table | None:
    """Returns tracking by class and over all; None where a run has no labels."""
    metrics = [run.metrics.tracking for run in runs if run.metrics.tracking is not None]
    if len(metrics) < len(runs):
        return None
    return table(
        "class",
        (*ACCURACY_COLUMNS, *CONTINUITY_COLUMNS),
        [each.by_class() for each in metrics],
        (*CLASS_NAMES, "all"),
        colours=CLASS_COLOUR_CODES,
        note=f"Defined as in the nuScenes tracking evaluation, within {DISTANCE_M:g} m; all but "
        "AMOTA and AMOTP at the confidence of the best MOTA. Counts of all classes add up, all "
        "else is their mean.",
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
    return table("stage", _STAGE_COLUMNS, costs)
