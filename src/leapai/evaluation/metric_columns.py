"""Columns of the tables by class, by part of the objects and by place: each is declared here once.

The tables of the terminal and of the HTML report, and the scalars by class, render from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from leapai.evaluation.detection.detection_results import (
    AP_DISTANCES_M,
    ERROR_DISTANCE_M,
    HIDDEN_OBJECT_S,
    RECALL_CONFIDENCE,
    ClassResult,
)
from leapai.evaluation.map.map_results import HIDDEN_GROUND_S, MATCH_M, LineMetrics
from leapai.evaluation.metric_types import Better, Metric
from leapai.evaluation.tracking.tracking_results import MOSTLY_LOST, MOSTLY_TRACKED, NUM_RECALLS

HIGHER, LOWER = Better.HIGHER, Better.LOWER
HIDDEN_OBJECT = (
    "objects that were seen and are hidden now: no sensor sees them in this frame, but a sensor "
    f"saw them at most {HIDDEN_OBJECT_S:g} s earlier, so only memory can keep them"
)
HIDDEN_GROUND = (
    "ground that was seen and is hidden now: no sensor sees it in this frame, but a sensor saw it "
    f"at most {HIDDEN_GROUND_S:g} s earlier, so only memory can keep it"
)
AP_WORDS = ", ".join(f"{m:g}" for m in AP_DISTANCES_M[:-1]) + f" and {AP_DISTANCES_M[-1]:g} m"
"""Matching distances of AP in words."""
FLICKER = "flicker: share of marks that the frame before or after does not have at that place"
CHANGE = "mean difference of a cell's probability from frame to frame"

_OBJECTS = Metric("objects", "truths", digits=0)


def _error(name: str, field: str, **declared: Any) -> Metric:
    """Declares an error of a class; None for classes without such a value, as in the means."""

    def read(result: ClassResult) -> float | None:
        error: float | None = getattr(result.errors, field)
        return None if field in result.without else error

    def is_stand_in(result: ClassResult) -> bool:
        return field in result.stand_ins

    return Metric(name, read, LOWER, is_stand_in=is_stand_in, **declared)


CLASS_COLUMNS = (
    _OBJECTS,
    Metric("AP", "mean_ap", HIGHER, bar=True, words=f"mean over {AP_WORDS}", scalar="AP_{}"),
    _error(
        "ATE", "translation_m", unit="m", in_terminal=False, words="position error on the ground"
    ),
    _error(
        "ASE", "scale", in_terminal=False,
        words="size error: 1 - IoU of the boxes, aligned in place and heading",
    ),
    _error(
        "AOE", "orientation_rad", unit="rad", in_terminal=False,
        words="heading error; of barriers modulo pi",
    ),
    _error("AVE", "velocity_mps", unit="m/s", words="velocity error"),
    Metric("P", "point.precision", HIGHER, words="precision at the operating point"),
    Metric("R", "point.recall", HIGHER, words="recall at the operating point"),
    Metric("F1", "point.f1", HIGHER, words="at the operating point"),
)  # fmt: skip
"""Columns of a `ClassResult`."""

PART_COLUMNS = (
    _OBJECTS,
    Metric("mAP", "mean_ap", HIGHER, bar=True),
    Metric("P", "point.precision", HIGHER, words="precision at the operating point"),
    Metric("R", "point.recall", HIGHER, bar=True, words="recall at the operating point"),
    Metric(
        "position", "point.position_error_m", LOWER, unit="m", words="mean error of what was found"
    ),
    Metric(
        "velocity", "point.velocity_error_mps", LOWER, unit="m/s",
        words="mean error of what was found and can move",
    ),
    Metric(
        "found", "recall", HIGHER, in_terminal=False, in_report=False, scalar="recall_{}",
        words=f"recall within {ERROR_DISTANCE_M:g} m at confidence {RECALL_CONFIDENCE:g}",
    ),
)  # fmt: skip
"""Columns of `SliceMetrics`."""

ANGLE_COLUMNS = (
    _OBJECTS,
    Metric("found", "found", HIGHER, 0, words="at the operating point"),
    Metric("same", "same", HIGHER, 0, words="found with a heading in the same bin"),
    Metric("next", "neighbour", LOWER, 0, words="in one of the two bins next to it"),
    Metric("opposite", "opposite", LOWER, 0, words="front and back were confused"),
    Metric("error", "orientation_error_rad", LOWER, unit="rad", words="mean heading error"),
)
"""Columns of `AngleBinMetrics`."""

LEFT_OUT_COLUMNS = (
    Metric("out of range", "out_of_range", digits=0, words="outside the network's BEV range"),
    Metric("unseen", "unseen", digits=0, words="in range, and no sensor sees them now"),
)
"""Columns of `LeftOut`."""


def _assumed(name: str, source: str, unit: str, words: str) -> Metric:
    """Declares a measure of tracks that has an assumed value where no object is found."""
    return Metric(
        name, source, LOWER, unit=unit, words=words,
        is_stand_in=lambda measures: measures.has_stand_ins,
    )  # fmt: skip


ACCURACY_COLUMNS = (
    replace(_OBJECTS, source="objects"),
    Metric("AMOTA", "amota", HIGHER, bar=True, words=f"MOTAR over {NUM_RECALLS} recalls"),
    _assumed("AMOTP", "amotp_m", "m", f"distance of matches over {NUM_RECALLS} recalls"),
    Metric("MOTA", "mota", HIGHER, words="1 - (misses + false + switches) / objects"),
    _assumed("MOTP", "motp_m", "m", "distance of matches"),
    Metric("recall", "recall", HIGHER),
)
"""Columns of `TrackingMeasures`: how well objects are found over time."""

CONTINUITY_COLUMNS = (
    Metric("IDS", "ids", LOWER, 0, words="id switches"),
    Metric("FRAG", "frag", LOWER, 0, words="times an object is lost and found again"),
    Metric(
        "MT", "mt", HIGHER, 0,
        words=f"objects found in {100 * MOSTLY_TRACKED:g} % of their frames or more",
    ),
    Metric(
        "ML", "ml", LOWER, 0, words=f"objects found in less than {100 * MOSTLY_LOST:g} % of them"
    ),
    Metric("FP", "fp", LOWER, 0, words="false positives", in_report=False),
    Metric("FN", "fn", LOWER, 0, words="misses", in_report=False),
    _assumed("TID", "tid_s", "s", "time until an object is first found"),
    _assumed("LGD", "lgd_s", "s", "longest gap of an object"),
)  # fmt: skip
"""Columns of `TrackingMeasures`: how long objects keep their identity."""

MAP_CLASS_COLUMNS = (
    Metric("cells", "cells", digits=0, words="ground-truth cells, over all frames"),
    Metric("IoU", "iou", HIGHER, bar=True),
    Metric("best", "best_iou", HIGHER, words="IoU at the threshold that suits the class best"),
    Metric("at", "best_threshold", digits=2, words="that threshold", in_terminal=False),
    Metric("hidden", "hidden_iou", HIGHER, words=f"IoU over {HIDDEN_GROUND}"),
    Metric("flip rate", "flip_rate", LOWER, words=FLICKER),
    Metric("change", "change", LOWER, 4, words=CHANGE, in_terminal=False),
)
"""Columns of `MapClassMetrics`."""


def _of_lines(within: str, field: str) -> Callable[[Mapping[str, LineMetrics]], float | None]:
    """Reads a metric of lines at one matching distance."""

    def read(lines: Mapping[str, LineMetrics]) -> float | None:
        value: float | None = getattr(lines[within], field)
        return value

    return read


def _line_columns(within: str) -> Iterator[Metric]:
    """Yields precision, recall and F1 at one matching distance."""
    for name, field, bar, words in (
        ("P", "precision", False, f"share of predicted lines within {within} of ground truth"),
        ("R", "recall", False, f"share of ground truth within {within} of a predicted line"),
        ("F1", "f1", True, ""),
    ):
        yield Metric(name, _of_lines(within, field), HIGHER, unit=within, bar=bar, words=words)


_LENGTH = "length, over all frames"
_NEAREST = f"{MATCH_M[0]:g} m"
LINE_COLUMNS = (
    Metric("ground truth", _of_lines(_NEAREST, "true_m"), digits=0, unit="m", words=_LENGTH,
           in_terminal=False),
    Metric("predicted", _of_lines(_NEAREST, "said_m"), digits=0, unit="m", words=_LENGTH,
           in_terminal=False),
    *(column for within in MATCH_M for column in _line_columns(f"{within:g} m")),
)  # fmt: skip
"""Columns of the `LineMetrics` of a kind, by matching distance."""


def raster_columns(better: Better, words: str) -> tuple[Metric, ...]:
    """Returns the columns of `MapMeans`."""
    return tuple(
        Metric(raster.replace("_", " "), raster, better, bar=True, words=words)
        for raster in ("lane_markings", "road_elements")
    )
