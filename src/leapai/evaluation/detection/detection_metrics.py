"""Detection metrics of labelled frames: `detection_metrics(frames, ...)`.

AP by centre distance and true-positive errors are those of the nuScenes detection evaluation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import numpy as np

from leapai.config.network_sections import BevConfig
from leapai.config.validation_sections import EvaluationConfig
from leapai.evaluation.detection.angle_bins import angle_bin_metrics
from leapai.evaluation.detection.calibration import calibration
from leapai.evaluation.detection.detection_matching import candidate_pairs, match
from leapai.evaluation.detection.detection_results import (
    AP_DISTANCES_M,
    ERROR_DISTANCE_M,
    OPERATING_CONFIDENCE,
    OPERATING_DISTANCE_M,
    RECALL_CONFIDENCE,
    AngleBinMetrics,
    Calibration,
    ClassMetrics,
    DetectionMetrics,
    FoundObjects,
    LeftOut,
    OperatingPoint,
    PointMetrics,
    SliceMetrics,
    TruePositiveErrors,
)
from leapai.evaluation.detection.labelled_frames import LabelledFrame, tabulate, vocabulary_of
from leapai.evaluation.detection.occlusion_levels import Confusion, level_confusion, macro_f1
from leapai.evaluation.detection.precision_recall import (
    average_precision,
    curve,
    mean_error,
    operating_point,
)
from leapai.geometry import angles
from leapai.types import ALL, OCCLUSION_NAMES, BoolArray, FloatArray, IntArray, Vocabulary


def detection_metrics(
    frames: Sequence[LabelledFrame],
    bev: BevConfig,
    evaluation: EvaluationConfig,
    vocabulary: Vocabulary | None = None,
) -> DetectionMetrics:
    """Evaluates labelled frames of any number of sequences, in any order.

    `vocabulary`: the classes of the network; None: those of the frames. Raises ValueError where
    detections and labels are of different classes.
    """
    evaluator = Evaluator(frames, bev, vocabulary)
    gt, vocabulary = evaluator.gt, evaluator.vocabulary
    classes = {name: evaluator.class_metrics(i) for i, name in enumerate(vocabulary.names)}
    mean_ap = _mean(c.mean_ap for c in classes.values())
    errors = _mean_errors(classes, vocabulary)
    confusion = evaluator.occlusion_confusion()
    return DetectionMetrics(
        frames=len(frames),
        truths=int(gt.counted.sum()),
        detections=len(evaluator.detections.score),
        mean_ap=mean_ap,
        nds=_nds(mean_ap, errors),
        errors=errors,
        classes=classes,
        groups={name: evaluator.group(name) for name in sorted(set(vocabulary.groups))},
        distance_bands={
            f"{low:g}-{high:g} m": evaluator.slice(
                (gt.distance_m >= low) & (gt.distance_m < high),
                (evaluator.detections.distance_m >= low) & (evaluator.detections.distance_m < high),
            )
            for low, high in zip(
                evaluation.distance_bands_m, evaluation.distance_bands_m[1:], strict=False
            )
        },
        occlusion={
            name: evaluator.slice(
                gt.occlusion_level == i, evaluator.detections.occlusion_level == i
            )
            for i, name in enumerate(OCCLUSION_NAMES)
        },
        hidden=evaluator.hidden(),
        operating_confidence=OPERATING_CONFIDENCE,
        operating_distance_m=OPERATING_DISTANCE_M,
        operating=evaluator.operating(),
        recall_confidence=RECALL_CONFIDENCE,
        occlusion_confusion=confusion,
        occlusion_macro_f1=macro_f1(confusion),
        angle_bins=evaluator.angle_bins(),
        left_out={name: evaluator.left_out(i) for i, name in enumerate(vocabulary.names)},
        calibration=evaluator.calibration(),
        vocabulary=vocabulary,
    )


class Evaluator:
    """Matches objects and detections at every matching distance, and counts what was found."""

    def __init__(
        self,
        frames: Sequence[LabelledFrame],
        bev: BevConfig,
        vocabulary: Vocabulary | None = None,
    ) -> None:
        of_frames = vocabulary_of(frames)
        self.vocabulary = of_frames if vocabulary is None or frames else vocabulary
        self.gt, self.detections = tabulate(frames, bev)
        pairs = candidate_pairs(self.gt, self.detections, max(AP_DISTANCES_M))
        self.found = {
            distance: match(pairs, distance, self.gt.counted, len(self.detections.score))
            for distance in (*AP_DISTANCES_M, OPERATING_DISTANCE_M)
        }
        """[N] row of the object, -1 for none, by matching distance."""

    def class_metrics(self, class_id: int) -> ClassMetrics:
        """Returns the metrics of one class."""
        objects = self.gt.class_id == class_id
        ap = self._ap(class_id, objects, self.detections.class_id == class_id)
        return ClassMetrics(
            truths=int((objects & self.gt.counted).sum()),
            ap={f"{distance:.1f}": value for distance, value in ap.items()} or None,
            mean_ap=_mean(ap.values()),
            errors=self._errors(class_id),
        )

    def slice(self, objects: BoolArray, detections: BoolArray) -> SliceMetrics:
        """Returns the metrics of objects where `objects` [T]; false positives count where
        `detections` [N]."""
        ap = (
            _mean(self._ap(class_id, objects, detections).values())
            for class_id in range(len(self.vocabulary))
        )
        return self._part(objects & self.gt.counted, detections, _mean(ap))

    def group(self, name: str) -> SliceMetrics:
        """Returns the metrics of the classes of one group."""
        ids = [i for i, group in enumerate(self.vocabulary.groups) if group == name]
        return self.slice(np.isin(self.gt.class_id, ids), np.isin(self.detections.class_id, ids))

    def hidden(self) -> SliceMetrics:
        """Returns the metrics of objects that no sensor sees now, but one did at most
        `HIDDEN_OBJECT_S` ago. No false positive is one of a hidden object, so there is no
        precision."""
        return self._part(self.gt.hidden, None, None)

    def left_out(self, class_id: int) -> LeftOut:
        """Counts the labelled objects of a class that do not count."""
        of_class, in_range = self.gt.class_id == class_id, self.gt.in_range
        return LeftOut(
            out_of_range=int((of_class & ~in_range).sum()),
            unseen=int((of_class & in_range & ~self.gt.counted).sum()),
        )

    def angle_bins(self) -> dict[str, AngleBinMetrics]:
        """Returns the headings of objects that have one, by angle bin, at the operating point."""
        no_front = (*self.vocabulary.round_ids, *self.vocabulary.half_turn_ids)
        has_heading = ~np.isin(self.gt.class_id, no_front)
        objects = np.flatnonzero(self.gt.counted & has_heading)
        rows = self._rows(self.gt.counted & has_heading, OPERATING_DISTANCE_M, OPERATING_CONFIDENCE)
        found = self.found[OPERATING_DISTANCE_M][rows]
        return angle_bin_metrics(
            self.gt.boxes[objects, 6],
            np.searchsorted(objects, found),
            self.detections.boxes[rows, 6],
            self.yaw_error(rows, found),
        )

    def operating(self) -> dict[str, OperatingPoint]:
        """Returns the metrics at the operating point, by class and over all."""
        names = self.vocabulary.names
        ids_of = {ALL: [*range(len(names))], **{n: [i] for i, n in enumerate(names)}}
        points = {}
        for name, ids in ids_of.items():
            sure = (self.detections.score >= OPERATING_CONFIDENCE) & np.isin(
                self.detections.class_id, ids
            )
            found = self.found[OPERATING_DISTANCE_M][sure]
            objects = int((self.gt.counted & np.isin(self.gt.class_id, ids)).sum())
            points[name] = operating_point(
                int(self.right(found).sum()), int((found < 0).sum()), objects
            )
        return points

    def occlusion_confusion(self) -> Confusion:
        """Counts the levels of objects found at the operating point."""
        found = self.found[OPERATING_DISTANCE_M]
        used = self.right(found) & (self.detections.score >= OPERATING_CONFIDENCE)
        labelled = self.gt.occlusion_level[found[used]]
        return level_confusion(labelled, self.detections.occlusion_level[used])

    def calibration(self) -> Calibration:
        """Compares confidence with how often it is right."""
        return calibration(*self.hits())

    def hits(self) -> tuple[FloatArray, BoolArray]:
        """Returns the confidence of the detections [K] that are right or wrong, and whether each is
        right: within `ERROR_DISTANCE_M` of an object that counts."""
        found = self.found[ERROR_DISTANCE_M]
        right = self.right(found)
        used = right | (found < 0)
        return self.detections.score[used], right[used]

    def right(self, found: IntArray) -> BoolArray:
        """Returns which rows of objects [K], -1 for none, are objects that count [K]."""
        return _at(self.gt.counted, found)

    def evaluated(self, class_id: int, found: IntArray) -> BoolArray:
        """Returns which detections [N] of a class are right or wrong: not those of an ignored
        object."""
        return np.asarray(
            (self.detections.class_id == class_id) & (self.right(found) | (found < 0))
        )

    def _ap(self, class_id: int, objects: BoolArray, detections: BoolArray) -> dict[float, float]:
        """Returns AP by matching distance of a class in a slice; empty where it has no object
        there."""
        objects = objects & self.gt.counted & (self.gt.class_id == class_id)
        if not objects.any():
            return {}
        of_class = self.detections.class_id == class_id
        result = {}
        for distance in AP_DISTANCES_M:
            found = self.found[distance]
            hit = _at(objects, found)
            used = of_class & (hit | (detections & (found < 0)))
            precision = curve(hit[used], self.detections.score[used], int(objects.sum())).precision
            result[distance] = average_precision(precision)
        return result

    def _errors(self, class_id: int) -> TruePositiveErrors:
        objects = self.gt.counted & (self.gt.class_id == class_id)
        if not objects.any():
            return _NO_ERRORS
        found = self.found[ERROR_DISTANCE_M]
        used = self.evaluated(class_id, found)
        hit, score = found[used] >= 0, self.detections.score[used]
        confidence = curve(hit, score, int(objects.sum())).confidence
        rows = np.flatnonzero(used)[hit]
        mean = partial(mean_error, score=score[hit], confidence=confidence)
        has_velocity = not np.isnan(self.gt.velocity_mps[objects]).any(1).all()
        return TruePositiveErrors(
            translation_m=mean(self.position_error(rows, found[rows])),
            scale=mean(self._scale_error(rows, found[rows])),
            orientation_rad=mean(self.yaw_error(rows, found[rows])),
            velocity_mps=mean(self.velocity_error(rows, found[rows])) if has_velocity else None,
        )

    def _part(
        self, objects: BoolArray, detections: BoolArray | None, mean_ap: float | None
    ) -> SliceMetrics:
        """Returns the metrics of objects where `objects` [T]; without `detections` [N] there is no
        precision."""
        wide = self._found(objects, ERROR_DISTANCE_M, RECALL_CONFIDENCE)
        point = self._found(objects, OPERATING_DISTANCE_M, OPERATING_CONFIDENCE)
        precision = None
        if detections is not None:
            sure = self.detections.score >= OPERATING_CONFIDENCE
            false = detections & sure & (self.found[OPERATING_DISTANCE_M] < 0)
            hits = len(self._rows(objects, OPERATING_DISTANCE_M, OPERATING_CONFIDENCE))
            detected = hits + int(false.sum())
            precision = hits / detected if detected else None
        return SliceMetrics(
            **dict(wide),
            truths=int(objects.sum()),
            mean_ap=mean_ap,
            point=PointMetrics(**dict(point), precision=precision),
        )

    def _rows(self, objects: BoolArray, distance_m: float, confidence: float) -> IntArray:
        """Returns the rows of the detections [K] that found one of the objects where `objects`
        [T]."""
        sure = self.detections.score >= confidence
        return np.flatnonzero(_at(objects, self.found[distance_m]) & sure)

    def _found(self, objects: BoolArray, distance_m: float, confidence: float) -> FoundObjects:
        found, rows = self.found[distance_m], self._rows(objects, distance_m, confidence)
        moving = rows[~np.isin(self.detections.class_id[rows], self.vocabulary.still_ids)]
        velocity_error = self.velocity_error(moving, found[moving])
        count = int(objects.sum())
        return FoundObjects(
            recall=len(rows) / count if count else None,
            position_error_m=_mean(self.position_error(rows, found[rows])),
            velocity_error_mps=_mean(velocity_error[~np.isnan(velocity_error)]),
        )

    def position_error(self, rows: IntArray, objects: IntArray) -> FloatArray:
        """Returns metres [K] on the ground, between rows of both tables [K]."""
        offset = self.detections.boxes[rows, :2] - self.gt.boxes[objects, :2]
        return np.hypot(offset[:, 0], offset[:, 1])

    def velocity_error(self, rows: IntArray, objects: IntArray) -> FloatArray:
        """Returns m/s [K] on the ground; NaN where velocity is not labelled."""
        difference = self.detections.velocity_mps[rows] - self.gt.velocity_mps[objects]
        return np.hypot(difference[:, 0], difference[:, 1])

    def _scale_error(self, rows: IntArray, objects: IntArray) -> FloatArray:
        detected, gt = self.detections.boxes[rows, 3:6], self.gt.boxes[objects, 3:6]
        shared = np.minimum(detected, gt).prod(1)
        return np.asarray(1 - shared / (detected.prod(1) + gt.prod(1) - shared))

    def yaw_error(self, rows: IntArray, objects: IntArray) -> FloatArray:
        """Returns radians [K]; of what has no front, such as barriers, modulo pi."""
        error = np.abs(angles.wrap(self.detections.boxes[rows, 6] - self.gt.boxes[objects, 6]))
        half_turn = np.isin(self.detections.class_id[rows], self.vocabulary.half_turn_ids)
        return np.where(half_turn, np.minimum(error, np.pi - error), error)


def _mean_errors(classes: Mapping[str, ClassMetrics], vocabulary: Vocabulary) -> TruePositiveErrors:
    with_heading = [c for name, c in classes.items() if name not in vocabulary.round]
    moving = [c for name, c in classes.items() if name not in vocabulary.still]
    return TruePositiveErrors(
        translation_m=_mean(c.errors.translation_m for c in classes.values()),
        scale=_mean(c.errors.scale for c in classes.values()),
        orientation_rad=_mean(c.errors.orientation_rad for c in with_heading),
        velocity_mps=_mean(c.errors.velocity_mps for c in moving),
    )


def _nds(mean_ap: float | None, errors: TruePositiveErrors) -> float | None:
    if mean_ap is None:
        return None
    terms = [1 - min(1.0, e) for e in errors.model_dump().values() if e is not None]
    return float((5 * mean_ap + sum(terms)) / (5 + len(terms)))


def _mean(values: Iterable[float | None]) -> float | None:
    """Returns the mean of the values that are there."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _at(mask: BoolArray, found: IntArray) -> BoolArray:
    """Returns `mask` [T] at rows [K]; False where the row is -1."""
    return np.append(mask, False)[found]


_NO_ERRORS = TruePositiveErrors(
    translation_m=None, scale=None, orientation_rad=None, velocity_mps=None
)
