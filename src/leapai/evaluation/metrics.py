"""The registry of metrics: each number of a run is declared here once, and shown from here.

`metrics.json`, the tables of the terminal, the HTML report, the table of runs, TensorBoard and the
line of a validation during training render from `RUN_METRICS`, so adding a metric is one entry
(`docs/report.md`). `metric_columns.py` has the columns of tables by class, by part and by place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from leapai.evaluation.detection.detection_results import OPERATING_CONFIDENCE, OPERATING_DISTANCE_M
from leapai.evaluation.metric_columns import (
    AP_WORDS,
    CHANGE,
    CLASS_COLUMNS,
    FLICKER,
    HIDDEN_GROUND,
    PART_COLUMNS,
)
from leapai.evaluation.metric_types import Better, RunMetric, Shown
from leapai.evaluation.run_metrics import RunMetrics

HIGHER, LOWER = Better.HIGHER, Better.LOWER
TERMINAL, TILE, DETAIL = Shown.TERMINAL, Shown.TILE, Shown.DETAIL
HISTORY, SCALAR, LINE = Shown.HISTORY, Shown.SCALAR, Shown.LINE


def _of_rasters(name: str, field: str, key: str, **declared: Any) -> Iterator[RunMetric]:
    """Yields the mean over lane markings, and over road elements."""
    event = declared.pop("scalar", field)
    for short, raster in (("marking", "lane_markings"), ("element", "road_elements")):
        yield RunMetric(
            f"{name} of {short}s",
            f"road.{field}.{raster}",
            key=key.format(short),
            task="map",
            scalar=f"{event}_{raster}",
            short=f"{name}\n{short[:4]}.",
            **declared,
        )


def _of_parts(**words: str) -> Iterator[RunMetric]:
    """Yields the factors of consistency; each is a mean over steps of tracks."""
    for name, meaning in words.items():
        yield RunMetric(
            name, f"consistency.parts.{name}", HIGHER, bar=True, words=meaning,
            key=f"{name}_consistency", task="consistency", shown=TERMINAL | DETAIL,
        )  # fmt: skip


def _of_counts(**words: str) -> Iterator[RunMetric]:
    """Yields the counts of what breaks consistency."""
    for name, meaning in words.items():
        better = Better.NEITHER if name == "expected" else LOWER
        yield RunMetric(
            name.replace("_", " "), f"consistency.{name}", better, 0, words=meaning,
            key=name, task="consistency", shown=DETAIL,
        )  # fmt: skip


def _at_operating_point(**fields: str) -> Iterator[RunMetric]:
    """Yields precision and recall of all objects together at the operating point."""
    for short, name in fields.items():
        yield RunMetric(
            short, f"detection.operating.all.{name}", HIGHER, heading=name,
            words=f"{name} of all classes together: confidence {OPERATING_CONFIDENCE:g} or more, "
            f"within {OPERATING_DISTANCE_M:g} m",
            key=name, task="detection", shown=TERMINAL | TILE,
        )  # fmt: skip


def _mean_velocity_error_is_stand_in(results: RunMetrics) -> bool:
    detection = results.detection
    if detection is None:
        return False
    return "velocity_mps" in detection.class_results_and_all()["all"].stand_ins


RUN_METRICS: tuple[RunMetric, ...] = (
    RunMetric(
        "mAP", "detection.mean_ap", HIGHER,
        words=f"mean over classes and over {AP_WORDS}; at best 1",
        key="mean_ap", task="detection", scalar="mAP", short="mAP",
    ),
    RunMetric(
        "NDS", "detection.nds", HIGHER, words="nuScenes detection score without its attribute term",
        key="nds", task="detection", scalar="NDS", short="NDS",
    ),
    *_at_operating_point(P="precision", R="recall"),
    RunMetric(
        "ATE", "detection.errors.translation_m", LOWER, unit="m", words="position error",
        key="position_error_m", task="detection", shown=TERMINAL | SCALAR,
    ),
    RunMetric(
        "ASE", "detection.errors.scale", LOWER, words="size error",
        key="scale_error", task="detection", shown=TERMINAL,
    ),
    RunMetric(
        "AOE", "detection.errors.orientation_rad", LOWER, unit="rad", words="heading error",
        key="orientation_error_rad", task="detection", shown=TERMINAL | SCALAR,
    ),
    RunMetric(
        "AVE", "detection.errors.velocity_mps", LOWER, unit="m/s",
        words="AVE: velocity error of objects that can move and were found",
        key="velocity_error_mps", task="detection", heading="velocity error",
        is_stand_in=_mean_velocity_error_is_stand_in,
    ),
    RunMetric(
        "ECE", "detection.calibration.ece", LOWER, words="expected calibration error of confidence",
        key="ece", task="detection", shown=TERMINAL,
    ),
    RunMetric(
        "level F1", "detection.occlusion_macro_f1", HIGHER,
        words="F1 of the occlusion level of what was found; mean over the labelled levels",
        key="occlusion_macro_f1", task="detection",
        shown=TERMINAL | TILE,
    ),
    RunMetric(
        "AMOTA", "tracking.amota", HIGHER, words="tracking accuracy over all recalls; at best 1",
        key="amota", task="tracking", shown=TILE | HISTORY,
    ),
    RunMetric(
        "id switches", "tracking.ids", LOWER, 0, words="at the confidence of the best MOTA",
        key="id_switches", task="tracking", short="IDS", shown=TILE | HISTORY,
    ),
    RunMetric(
        "consistency", "consistency.consistency", HIGHER,
        words="agreement of tracks with their own past; at best 1",
        key="consistency", task="consistency", short="cons.", shown=TERMINAL | TILE | HISTORY,
    ),
    *_of_parts(
        position="agreement with the place that the track's own velocity predicts",
        heading="agreement with the frame before, up to the turn that its speed allows",
        size="IoU with the box of the frame before, aligned in place and heading",
        classes="share of steps that keep the class",
        occlusion="no occlusion level changes and comes right back",
        survival="share of expected detections that are there under their id",
    ),
    *_of_counts(
        expected="detections that are expected from the past of the tracks",
        missing="expected detections that are not there",
        id_changes="tracks that continue under another id",
        class_flips="steps to another class",
        occlusion_flips="occlusion levels that change and come right back",
    ),
    *_of_rasters(
        "IoU", "iou", "{}_iou", better=HIGHER, words="mean over the classes of the raster",
        scalar="IoU", shown=TILE | HISTORY | SCALAR | LINE,
    ),
    *_of_rasters(
        "hidden IoU", "hidden_iou", "hidden_{}_iou", better=HIGHER, words=HIDDEN_GROUND,
        scalar="hidden_IoU", shown=SCALAR,
    ),
    *_of_rasters(
        "flip rate", "flip_rate", "{}_flip_rate", better=LOWER, words=FLICKER,
        shown=SCALAR | DETAIL,
    ),
    *_of_rasters(
        "change", "change", "{}_change", better=LOWER, digits=4, words=CHANGE, shown=DETAIL,
    ),
)  # fmt: skip
TIME = RunMetric(
    "time a frame", "seconds_per_frame", LOWER, unit="s", words="network, decoding and tracking",
    key="seconds_per_frame", task="time", short="s", shown=TILE | HISTORY,
)  # fmt: skip
"""Read from the summary of a run: it depends on the machine, and is no part of `metrics.json`."""
RELATIVE_SCORE = RunMetric(
    "mRA", "mean_relative_score", HIGHER,
    words="mean over ten corruptions at three severities of mAP over that of the clean run",
    key="mra", task="robustness", short="mRA", shown=TILE | HISTORY,
)  # fmt: skip
"""Read from the summary of a stress run: other runs have none."""


def run_metrics(shown: Shown, *tasks: str) -> list[RunMetric]:
    """Returns the metrics that an output shows, of some tasks or of all, in order."""
    return [m for m in RUN_METRICS if shown in m.shown and (not tasks or m.task in tasks)]


def extra_values(results: RunMetrics) -> dict[str, float]:
    """Returns the values that `metrics.json` would not hold otherwise, by key."""
    values = {m.key: m.value(results) for m in RUN_METRICS if not isinstance(m.source, str)}
    return {key: value for key, value in values.items() if value is not None}


def scalars(results: RunMetrics) -> dict[str, float]:
    """Returns the scalars of TensorBoard by name, without `val/`: of the run, by class, and by
    occlusion. What cannot be measured is left out."""
    values = {m.event: m.value(results) for m in run_metrics(SCALAR)}
    detection = results.detection
    if detection is not None:
        for parts, columns in (
            (detection.class_results(), CLASS_COLUMNS),
            (detection.occlusion, PART_COLUMNS),
        ):
            for column in columns:
                if column.scalar:
                    for name, part in parts.items():
                        values[column.scalar.format(name)] = column.value(part)
    return {name: value for name, value in values.items() if value is not None}


def headline(results: RunMetrics | Mapping[str, float]) -> str:
    """Returns the line of a validation during training, from results or from their scalars."""
    values = scalars(results) if isinstance(results, RunMetrics) else results
    shown = (m for m in run_metrics(LINE) if m.event in values)
    return ", ".join(f"{m.event} {m.text(values[m.event])}" for m in shown) or "no labels"
