"""How much of a network's score stays when something is wrong: scores of one condition, and the
relative scores RA and mRA of MultiCorrupt (Beemelmanns et al., IV 2024).

The score S is mAP as `detection_metrics` has it: nuScenes' definition, over this package's classes.
The benchmark itself takes NDS.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from leapai.config.schema import TaskConfig
from leapai.evaluation.detection.detection_metrics import detection_metrics
from leapai.evaluation.detection.detection_results import (
    OPERATING_CONFIDENCE,
    DetectionMetrics,
    SliceMetrics,
)
from leapai.evaluation.detection.distance_profiles import profiles
from leapai.evaluation.detection.labelled_frames import LabelledFrame


@dataclass(frozen=True)
class Scores:
    """Scores of one condition; None: there is nothing to measure."""

    frames: int
    """Labelled frames, which alone are evaluated."""
    objects: int
    """Ground-truth objects."""
    mean_ap: float | None
    """S: mean over classes with objects, and over matching distances."""
    clean_mean_ap: float | None
    """S of the clean run over the same frames."""
    relative: float | None
    """S over S of the clean run."""
    ap_2m: float | None
    """Mean over classes of AP at a matching distance of 2 m."""
    ap_4m: float | None
    """Mean over classes of AP at 4 m."""
    recall_2m: float | None
    """Share of the objects that are found within 2 m at a confidence of 0.1 or more."""
    precision: float | None
    """Share of detections of confidence 0.3 or more that found an object within 1.5 m."""
    recall: float | None
    """Share of the objects that these detections found."""
    boxes: int
    """Detections of confidence 0.3 or more."""
    ece: float | None
    """Expected calibration error of confidence: |confidence - precision| in 10 bins of confidence,
    averaged over detections; one is right that found an object within 2 m (Guo et al., "On
    Calibration of Modern Neural Networks", ICML 2017, section 2)."""
    velocity_error_mps: float | None
    """Mean over the objects that were found at the operating point, can move and have a labelled
    velocity."""
    ap_by_class: dict[str, float | None]
    """AP of each class, mean over matching distances; None: no such object."""


def scores_of(
    frames: Sequence[LabelledFrame], clean: Sequence[LabelledFrame], config: TaskConfig
) -> Scores:
    """Returns the scores of labelled frames under a condition, against the same ones of the `clean`
    run, which may have more."""
    metrics = detection_metrics(frames, config.bev, config.evaluation)
    reference = mean_ap_of(clean, config, {key_of(frame) for frame in frames})
    velocity_error = profiles(frames, config.bev).hits.velocity_mps
    measured = velocity_error[~np.isnan(velocity_error)]
    point = metrics.operating["all"]
    return Scores(
        frames=metrics.frames,
        objects=metrics.truths,
        mean_ap=metrics.mean_ap,
        clean_mean_ap=reference,
        relative=ratio(metrics.mean_ap, reference),
        ap_2m=_mean_ap_at(metrics, "2.0"),
        ap_4m=_mean_ap_at(metrics, "4.0"),
        recall_2m=_recall_of_all(metrics.groups),
        precision=point.precision,
        recall=point.recall,
        boxes=sum(int((f.detections.score >= OPERATING_CONFIDENCE).sum()) for f in frames),
        ece=metrics.calibration.ece,
        velocity_error_mps=float(measured.mean()) if len(measured) else None,
        ap_by_class={name: each.mean_ap for name, each in metrics.classes.items()},
    )


def key_of(frame: LabelledFrame) -> tuple[str, int]:
    """Returns sequence and timestamp in microseconds: what names a frame."""
    return frame.detections.sequence, frame.detections.timestamp_us


def mean_ap_of(
    frames: Sequence[LabelledFrame], config: TaskConfig, keys: Collection[tuple[str, int]]
) -> float | None:
    """Returns mAP over those of the frames whose `key_of` is among `keys`."""
    chosen = [frame for frame in frames if key_of(frame) in keys]
    return detection_metrics(chosen, config.bev, config.evaluation).mean_ap


def ratio(score: float | None, clean: float | None) -> float | None:
    """Returns a score over that of the clean run; None where either is missing or nothing was
    found in the clean run."""
    return score / clean if score is not None and clean else None


@dataclass(frozen=True)
class CorruptionScore:
    """The relative score of one corruption."""

    relative: dict[int, float | None]
    """S / S of the clean run, by severity."""
    resilience: float | None
    """RA: mean over the severities; None where one of them is missing."""


def relative_scores(
    rows: Sequence[tuple[str, int, float | None]],
) -> dict[str, CorruptionScore]:
    """Returns the scores by corruption, from rows of a corruption, a severity and its relative
    score: RA_c = mean over severities s of S_c,s / S_clean."""
    by_corruption: dict[str, dict[int, float | None]] = defaultdict(dict)
    for corruption, severity, relative in rows:
        by_corruption[corruption][severity] = relative
    return {
        name: CorruptionScore(dict(sorted(relative.items())), _mean_of_all(relative.values()))
        for name, relative in by_corruption.items()
    }


def mean_relative_score(
    scores: Mapping[str, CorruptionScore], corruptions: Sequence[str]
) -> float | None:
    """Returns mRA: the mean of RA over all `corruptions`; None where one of them is missing."""
    found = [scores[name].resilience if name in scores else None for name in corruptions]
    return _mean_of_all(found)


def _mean_of_all(values: Collection[float | None]) -> float | None:
    """Returns the mean of some values; None where there is none, or one is missing."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known and len(known) == len(values) else None


def _mean_ap_at(metrics: DetectionMetrics, distance: str) -> float | None:
    of_classes = [part.ap[distance] for part in metrics.classes.values() if part.ap]
    return float(np.mean(of_classes)) if of_classes else None


def _recall_of_all(parts: Mapping[str, SliceMetrics]) -> float | None:
    """Returns the recall of all objects from that of their parts."""
    found = sum((part.recall or 0.0) * part.truths for part in parts.values())
    objects = sum(part.truths for part in parts.values())
    return found / objects if objects else None
