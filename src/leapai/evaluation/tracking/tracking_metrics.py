"""Tracking metrics of labelled frames: `tracking_metrics(frames, ...)`.

AMOTA, AMOTP and what is taken at the best MOTA are those of the nuScenes tracking evaluation
(Caesar et al., "nuScenes", CVPR 2020, section 3.1; AMOTA after Weng et al., "3D Multi-Object
Tracking: A Baseline and New Evaluation Metrics", IROS 2020, section III), with its clipping and its
worst values where nothing is reached. Before it nuScenes' loader fills holes of tracks with
interpolated boxes; that is not done: what is hidden is ignored, and what is not detected is missed.

HOTA is not here: TrackEval, its authors' library, brings `opencv-python`, which overwrites the
headless build that this package needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from leapai.config.network_sections import BevConfig
from leapai.evaluation.detection.labelled_frames import LabelledFrame, vocabulary_of
from leapai.evaluation.tracking.association import Association, associate
from leapai.evaluation.tracking.tracked_objects import Tracked, follow
from leapai.evaluation.tracking.tracking_counts import Counts, count
from leapai.evaluation.tracking.tracking_results import (
    DISTANCE_M,
    NUM_RECALLS,
    ClassTrackingMetrics,
    TrackingMetrics,
)
from leapai.types import BoolArray, FloatArray, IntArray

RECALLS = np.linspace(1.0, 0.1, NUM_RECALLS).round(12)
WORST_MOTAR, WORST_MOTP_M, WORST_FAF = 0.0, 2.0, 500.0
WORST_S, FRAME_S = 20.0, 0.5
"""TID and LGD where nothing is found, and what nuScenes takes a frame for."""
SUMS = ("truths", "objects", "tp", "fp", "fn", "ids", "frag", "mt", "ml")
MEANS = (
    "amota", "amotp_m", "mota", "motp_m", "motar", "recall", "faf",
    "tid_frames", "tid_s", "lgd_frames", "lgd_s",
)  # fmt: skip


def tracking_metrics(frames: Sequence[LabelledFrame], bev: BevConfig) -> TrackingMetrics:
    """Evaluates labelled frames of any number of sequences, in any order."""
    tracked = follow(frames, bev, DISTANCE_M)
    names = vocabulary_of(frames).names
    thresholds = _thresholds(tracked, len(names))
    alive = _named(tracked) & (tracked.track_score >= thresholds[:, tracked.detections.class_id])
    who = associate(tracked, alive)
    classes = {
        name: _of_class(tracked, who, alive, thresholds[:, i], i) for i, name in enumerate(names)
    }
    return TrackingMetrics(
        **_over_classes(classes.values()),
        frames=len(frames),
        sequences=len(np.unique(tracked.frames.sequence)),
        tracks=_num_tracks(tracked),
        untracked_truths=int((tracked.gt.counted & ~tracked.evaluated).sum()),
        unnamed_detections=int((~_named(tracked)).sum()),
        classes=classes,
    )


def _named(tracked: Tracked) -> BoolArray:
    """Returns which detections [N] are part of a track; those without identity are left out."""
    return tracked.detections.track_id >= 0


def _num_tracks(tracked: Tracked) -> int:
    sequence = tracked.frames.sequence[tracked.detections.frame]
    names = np.stack([sequence, tracked.detections.track_id])[:, _named(tracked)]
    return int(np.unique(names, axis=1).shape[1])


def _thresholds(tracked: Tracked, classes: int) -> FloatArray:
    """Returns the confidence of a track [40, C] that gives each recall of `RECALLS` of each class,
    NaN where none does. Recall is that of matches which keep an identity, with all detections."""
    found, switched = (each[0] for each in associate(tracked, _named(tracked)[None]))
    kept = found[(found >= 0) & ~switched]
    thresholds = np.full((len(RECALLS), classes), np.nan)
    for class_id in range(classes):
        boxes = (tracked.evaluated & (tracked.gt.class_id == class_id)).sum()
        score = np.sort(tracked.track_score[kept[tracked.detections.class_id[kept] == class_id]])[
            ::-1
        ]
        if len(score):
            recall = np.arange(1, len(score) + 1) / boxes
            at_recall = np.interp(RECALLS, recall, score)
            thresholds[:, class_id] = np.where(recall[-1] < RECALLS, np.nan, at_recall)
    return thresholds


def _of_class(
    tracked: Tracked, who: Association, alive: BoolArray, thresholds: FloatArray, class_id: int
) -> ClassTrackingMetrics:
    """Returns the metrics of a class from its `thresholds` [40]."""
    rows = tracked.evaluated & (tracked.gt.class_id == class_id)
    boxes, objects = int(rows.sum()), len(np.unique(tracked.object_id[rows]))
    reached = np.flatnonzero(~np.isnan(thresholds))
    if not boxes:
        return ClassTrackingMetrics(**_NOTHING)
    if not len(reached):
        there = {"truths": boxes, "objects": objects, "fn": boxes, "ml": objects}
        return ClassTrackingMetrics(**_NOTHING | _WORST | there)
    counts = count(tracked, who, alive, class_id, reached)
    return _of_counts(counts, thresholds[reached], boxes, objects)


def _of_counts(
    counts: Counts, thresholds: FloatArray, boxes: int, objects: int
) -> ClassTrackingMetrics:
    """Returns the metrics of counts at L thresholds, the highest recall first: among equals it is
    best."""
    mota = np.maximum(0, 1 - (counts.fn + counts.ids + counts.fp) / boxes)
    motar = np.maximum(0, 1 - _ratio(counts.fp, counts.tp))
    motp_m = _ratio(counts.distance_m, counts.tp + counts.ids)
    best = int(np.argmax(mota))
    return ClassTrackingMetrics(
        **_at(counts, best),
        truths=boxes,
        objects=objects,
        amota=_mean_over_recalls(motar, WORST_MOTAR),
        amotp_m=_mean_over_recalls(motp_m, WORST_MOTP_M),
        mota=float(mota[best]),
        motp_m=_known(motp_m[best]),
        motar=_known(motar[best]),
        recall=float(1 - counts.fn[best] / boxes),
        confidence=float(thresholds[best]),
    )


def _at(counts: Counts, threshold: int) -> dict[str, float | None]:
    """Returns what is counted at a threshold: whole numbers, and means over frames and objects."""
    counted = {name: column[threshold] for name, column in counts._asdict().items()}
    whole = ("tp", "fp", "fn", "ids", "frag", "mt", "ml")
    over_objects = ("tid_frames", "tid_s", "lgd_frames", "lgd_s")
    return {
        **{name: int(counted[name]) for name in whole},
        **{name: _known(_ratio(counted[name], counted["found_objects"])) for name in over_objects},
        "faf": float(100 * counted["fp"] / counted["frames"]),
    }


def _over_classes(classes: Iterable[ClassTrackingMetrics]) -> dict[str, float | None]:
    """Returns sums and means over the classes that have objects."""
    there = [each for each in classes if each.truths]
    whole = {name: _sum([getattr(each, name) for each in there]) for name in SUMS}
    mean = {name: _mean([getattr(each, name) for each in there]) for name in MEANS}
    return _NOTHING | whole | mean if there else _NOTHING


def _mean_over_recalls(values: FloatArray, worst: float) -> float:
    """Returns the mean over all recalls, of `values` [L] at the recalls that are reached."""
    total = np.where(np.isnan(values), worst, values).sum() + worst * (len(RECALLS) - len(values))
    return float(total / len(RECALLS))


def _ratio(part: FloatArray | IntArray, whole: IntArray) -> FloatArray:
    """Returns the ratio; NaN where `whole` is 0."""
    return np.asarray(np.where(whole > 0, part / np.maximum(whole, 1), np.nan))


def _known(value: FloatArray) -> float | None:
    return None if np.isnan(value) else float(value)


def _sum(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


_NOTHING: dict[str, float | None] = dict.fromkeys((*SUMS, *MEANS)) | {"truths": 0, "objects": 0}
_WORST: dict[str, float | None] = {
    "amota": WORST_MOTAR,
    "amotp_m": WORST_MOTP_M,
    "mota": 0.0,
    "motp_m": WORST_MOTP_M,
    "motar": WORST_MOTAR,
    "recall": 0.0,
    "tp": 0,
    "mt": 0,
    "faf": WORST_FAF,
    "tid_frames": WORST_S / FRAME_S,
    "tid_s": WORST_S,
    "lgd_frames": WORST_S / FRAME_S,
    "lgd_s": WORST_S,
}
"""Values where no recall is reached, as in nuScenes; FP, IDS and FRAG are unknown there."""
