"""Result models of the detection evaluation, and the constants that define its metrics. `None`
stands where there is nothing to measure: no object of a class, no labelled velocity."""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from leapai.config.vocabulary_variable import VocabularyVariable
from leapai.types import ALL, DESIGN, OCCLUSION_NAMES, Vocabulary

AP_DISTANCES_M = (0.5, 1.0, 2.0, 4.0)
"""Matching distances that AP is averaged over."""
ERROR_DISTANCE_M = 2.0
"""Matching distance of true-positive errors, of recall by part, and of calibration."""
STAND_IN_ERROR = 1.0
"""Error of a class that does not reach a recall of `MIN_RECALL`, whatever the unit: so nuScenes."""
MIN_RECALL, MIN_PRECISION = 0.1, 0.1
"""The part of the curve that AP leaves out: up to this recall, or below this precision."""
OPERATING_DISTANCE_M = 1.5
OPERATING_CONFIDENCE = 0.3
RECALL_CONFIDENCE = 0.1
"""Confidence from which on recall by distance and occlusion counts detections. It is low, so that
recall shows whether an object is detected at all, not how confident the network is of it."""
HIDDEN_OBJECT_S = 2.0
"""An object that is hidden now must be kept by memory for this long after it was last seen."""


class _Metrics(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TruePositiveErrors(_Metrics):
    """Errors of the objects found within `ERROR_DISTANCE_M`, averaged over recalls above
    `MIN_RECALL`. `STAND_IN_ERROR` where that recall is not reached."""

    translation_m: float | None
    """ATE, on the ground."""
    scale: float | None
    """ASE: 1 - IoU of the boxes, aligned in place and heading."""
    orientation_rad: float | None
    """AOE; of barriers modulo pi."""
    velocity_mps: float | None
    """AVE, on the ground, where velocity is labelled."""

    @property
    def stand_ins(self) -> frozenset[str]:
        """Fields that were not measured and hold `STAND_IN_ERROR`."""
        return frozenset(name for name, value in self if value == STAND_IN_ERROR)


class ClassMetrics(_Metrics):
    """Detection metrics of one class."""

    truths: int
    """Ground-truth objects."""
    ap: dict[str, float] | None
    """AP by matching distance: "0.5", "1.0", "2.0", "4.0" m; None: no such object."""
    mean_ap: float | None
    errors: TruePositiveErrors


class OperatingPoint(_Metrics):
    """Counts and rates at one confidence and one matching distance."""

    true_positives: int
    false_positives: int
    truths: int
    """Ground-truth objects."""
    precision: float | None
    recall: float | None
    f1: float | None


class FoundObjects(_Metrics):
    """Objects of a part that were found from a confidence on, and their mean errors."""

    recall: float | None
    """Share of the objects of the part."""
    position_error_m: float | None
    """Mean over what was found."""
    velocity_error_mps: float | None
    """Mean over what was found, can move and has a labelled velocity."""


class PointMetrics(FoundObjects):
    """Metrics of a part at the operating point."""

    precision: float | None


class SliceMetrics(FoundObjects):
    """Detection metrics of a part of the objects. A detection of an object outside the part is
    ignored. A false positive belongs to the part that its own box or occlusion level gives.

    Recall and errors of this level count what was found within `ERROR_DISTANCE_M` at a confidence
    of `RECALL_CONFIDENCE`; those of `point` are at the operating point.
    """

    truths: int
    """Ground-truth objects."""
    mean_ap: float | None
    """Over the classes that have objects in the part."""
    point: PointMetrics


class AngleBinMetrics(_Metrics):
    """Headings of objects in one angle bin that were found at the operating point, by the bin of
    the detection. Barriers and pillars are left out: they have no front."""

    truths: int
    """Ground-truth objects in the bin."""
    found: int
    same: int
    """Found with a heading in the same bin."""
    neighbour: int
    """Found with a heading in one of the two bins next to it."""
    opposite: int
    """Found with a heading in the bin that looks the other way: front and back were confused."""
    orientation_error_rad: float | None
    """Mean over what was found."""


class LeftOut(_Metrics):
    """Labelled objects of a class that no metric of detection counts."""

    out_of_range: int
    """Their centre lies outside the BEV range of the network. An evaluation with a larger range
    counts them as misses."""
    unseen: int
    """In range, and no sensor sees them now."""


class ReliabilityBin(_Metrics):
    """Detections whose confidence lies in [low, high)."""

    low: float
    high: float
    detections: int
    confidence: float | None
    """Mean confidence."""
    precision: float | None
    """Share that found an object within `ERROR_DISTANCE_M`."""


class Calibration(_Metrics):
    """Agreement of confidence with precision (Guo et al., "On Calibration of Modern Neural
    Networks", ICML 2017, section 2)."""

    ece: float | None
    """Expected calibration error: |confidence - precision| averaged over detections."""
    bins: tuple[ReliabilityBin, ...]


class ClassResult(NamedTuple):
    """All detection metrics of one class, or of all."""

    name: str
    truths: int
    mean_ap: float | None
    errors: TruePositiveErrors
    point: OperatingPoint
    stand_ins: frozenset[str]
    """Errors that were not measured, or whose mean contains one that was not."""
    without: frozenset[str] = frozenset()
    """Errors that the class cannot have, which no mean contains."""


class DetectionMetrics(_Metrics):
    """Detection metrics of a run, one frame at a time."""

    frames: int
    """Frames with labels."""
    truths: int
    """Ground-truth objects."""
    detections: int
    mean_ap: float | None
    """Mean over classes with objects, and over the matching distances `AP_DISTANCES_M`."""
    nds: float | None
    """nuScenes detection score without its attribute term: five parts mAP and one part
    1 - min(1, error) for each mean error, over the sum of parts."""
    errors: TruePositiveErrors
    """Means over classes with objects: orientation without pillars, which have none, and velocity
    of what can move."""
    classes: dict[str, ClassMetrics]
    groups: dict[str, SliceMetrics]
    distance_bands: dict[str, SliceMetrics]
    """Metrics by distance from the ego; keys as "3-6 m"."""
    occlusion: dict[str, SliceMetrics]
    hidden: SliceMetrics
    """Objects that no sensor sees now, but one did at most `HIDDEN_OBJECT_S` ago. They are not
    counted elsewhere; here `mean_ap` is None."""
    operating_confidence: float
    operating_distance_m: float
    operating: dict[str, OperatingPoint]
    """Counts by class, and of all classes together as "all"."""
    recall_confidence: float
    occlusion_confusion: tuple[tuple[int, ...], ...]
    """[4][4] labelled level, then detected level, of objects found at the operating point."""
    occlusion_macro_f1: float | None = None
    """F1 of the detected level of these objects, as the mean over the levels that are labelled;
    None: no level is, or the file is older than this metric."""
    angle_bins: dict[str, AngleBinMetrics]
    """Detected headings by angle bin of the label; keys are centres of bins, as "45 deg"."""
    left_out: dict[str, LeftOut]
    """Objects that count nowhere, by class."""
    calibration: Calibration
    vocabulary: VocabularyVariable = DESIGN
    """The classes; left out of the file where they are the default ones."""

    @model_serializer(mode="wrap")
    def _without_default_classes(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = write(self)
        if self.vocabulary == DESIGN:
            fields.pop("vocabulary", None)
        return fields

    @model_validator(mode="after")
    def _is_whole(self) -> DetectionMetrics:
        """Refuses metrics of a file that name other classes than ours, or lack counts of one."""
        named = {*self.classes, *self.left_out, *self.operating} - {*self.vocabulary.names, ALL}
        lacking = {*self.classes, "all"} - set(self.operating)
        if named or lacking:
            wrong = min(named | lacking)
            raise ValueError(
                f"operating must have the classes of vocabulary and all; {wrong!r:.80} is wrong"
            )
        if [len(row) for row in self.occlusion_confusion] != [len(OCCLUSION_NAMES)] * 4:
            raise ValueError("occlusion_confusion must have 4 rows of 4 numbers")
        return self

    def class_results(self) -> dict[str, ClassResult]:
        """Returns the metrics of each class that has objects."""
        return {
            name: ClassResult(
                name,
                part.truths,
                part.mean_ap,
                part.errors,
                self.operating[name],
                part.errors.stand_ins,
                errors_without(name, self.vocabulary),
            )
            for name, part in self.classes.items()
            if part.truths
        }

    def class_results_and_all(self) -> dict[str, ClassResult]:
        """Returns `class_results` and, as "all", the means over classes, and counts over all."""
        classes = self.class_results()
        stand_ins = frozenset(
            field for part in classes.values() for field in part.stand_ins - part.without
        )
        point = self.operating["all"]
        mean = ClassResult("all", self.truths, self.mean_ap, self.errors, point, stand_ins)
        return {**classes, "all": mean}

    def left_out_and_all(self) -> dict[str, LeftOut]:
        """Returns `left_out` and, as "all", its sums."""
        parts = self.left_out.values()
        total = LeftOut(
            out_of_range=sum(part.out_of_range for part in parts),
            unseen=sum(part.unseen for part in parts),
        )
        return {**self.left_out, "all": total}


def errors_without(name: str, vocabulary: Vocabulary) -> frozenset[str]:
    """Returns the errors that a class cannot have: no heading of what is round, and no velocity of
    what never moves."""
    lacking = {"orientation_rad": vocabulary.round, "velocity_mps": vocabulary.still}
    return frozenset(field for field, names in lacking.items() if name in names)


class ConsistencyParts(_Metrics):
    """Means over all steps of tracks, in [0, 1]; `survival` over what is expected."""

    position: float | None
    heading: float | None
    size: float | None
    classes: float | None
    occlusion: float | None
    survival: float | None
    """Share of expected detections that are there under the id that they had."""


class FrameConsistency(_Metrics):
    """Temporal consistency of one frame."""

    sequence: str
    timestamp_us: int
    expected: int
    """Detections that the past of tracks makes one expect here."""
    consistency: float | None
    """None: nothing is expected, as in the first frame of a sequence."""
    missing: int
    """Expected detections that are not there."""
    id_changes: int
    """Tracks that begin here and continue one that has ended."""
    class_flips: int
    """Detections of another class than before."""
    occlusion_flips: int
    """Detections whose occlusion level comes right back to what it was."""


class TrackConsistency(_Metrics):
    """Temporal consistency of one track."""

    sequence: str
    track_id: int
    frames: int
    """Frames in which it is seen."""
    missing: int
    """Frames between those, and between the track that it continues and its first frame."""
    continues: int | None
    """Id of a track that ended where this one begins: the object changed its id."""
    consistency: float | None
    """None: seen once, so nothing can be compared."""


class ConsistencyMetrics(_Metrics):
    """Temporal consistency of detections (`leapai.evaluation.consistency`)."""

    consistency: float | None
    """In [0, 1]; None: no track has a past."""
    parts: ConsistencyParts
    expected: int
    missing: int
    id_changes: int
    class_flips: int
    occlusion_flips: int
    frames: tuple[FrameConsistency, ...]
    """Frames in the order of sequence and time."""
    tracks: tuple[TrackConsistency, ...]
    """Tracks in the order of sequence and id."""
