"""What detection figures are. `None` stands where there is nothing to measure: no object of a
class, no labelled velocity."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class _Metrics(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TruePositiveErrors(_Metrics):
    """Errors of what was found within 2 m, averaged over recalls above 0.1. 1 where that recall is
    not reached."""

    translation_m: float | None
    """ATE, on the ground."""
    scale: float | None
    """ASE: 1 - IoU of the boxes laid upon each other."""
    orientation_rad: float | None
    """AOE; of barriers modulo pi."""
    velocity_mps: float | None
    """AVE, on the ground, where velocity is labelled."""


class ClassMetrics(_Metrics):
    """Of one class."""

    truths: int
    ap: dict[str, float] | None
    """By matching distance: "0.5", "1.0", "2.0", "4.0" m; None: no such object."""
    mean_ap: float | None
    errors: TruePositiveErrors


class OperatingPoint(_Metrics):
    """At one confidence and one matching distance."""

    true_positives: int
    false_positives: int
    truths: int
    precision: float | None
    recall: float | None
    f1: float | None


class SliceMetrics(_Metrics):
    """Of a part of the objects. A detection of an object outside the part is ignored; one of
    nothing belongs to the part that its own box, or its own occlusion level, says."""

    truths: int
    mean_ap: float | None
    """Over the classes that have objects in the part."""
    recall: float | None
    """Within 2 m at a confidence of `recall_confidence`."""
    position_error_m: float | None
    """Mean over what that recall counts."""
    velocity_error_mps: float | None
    """Likewise, of what can move and whose velocity is labelled."""


class ReliabilityBin(_Metrics):
    """Detections whose confidence lies in [low, high)."""

    low: float
    high: float
    detections: int
    confidence: float | None
    """Mean."""
    precision: float | None
    """Share that found an object within 2 m."""


class Calibration(_Metrics):
    """Whether confidence is what it says (Guo et al., "On Calibration of Modern Neural Networks",
    ICML 2017, section 2)."""

    ece: float | None
    """Expected calibration error: |confidence - precision| averaged over detections."""
    bins: tuple[ReliabilityBin, ...]


class DetectionMetrics(_Metrics):
    """How well objects are detected, one frame at a time."""

    frames: int
    """With labels."""
    truths: int
    detections: int
    mean_ap: float | None
    """Mean over classes with objects, and over matching distances of 0.5, 1, 2 and 4 m."""
    nds: float | None
    """nuScenes detection score without its attribute term: five parts mAP and one part
    1 - min(1, error) for each mean error, over the sum of parts."""
    errors: TruePositiveErrors
    """Means over classes with objects: orientation without pillars, which have none, and velocity
    of what can move."""
    classes: dict[str, ClassMetrics]
    groups: dict[str, SliceMetrics]
    distance_bands: dict[str, SliceMetrics]
    """Keys as "3-6 m"."""
    occlusion: dict[str, SliceMetrics]
    hidden: SliceMetrics
    """Objects that no sensor sees now, but did 2 s ago or later. They cost nothing elsewhere;
    here `mean_ap` is None."""
    operating_confidence: float
    operating_distance_m: float
    operating: dict[str, OperatingPoint]
    """By class, and "all"."""
    recall_confidence: float
    occlusion_confusion: tuple[tuple[int, ...], ...]
    """[4][4] labelled level, then detected level, of what the operating point finds."""
    calibration: Calibration


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
    """Of one frame."""

    sequence: str
    timestamp_us: int
    expected: int
    """Detections that the past of tracks makes one expect here."""
    consistency: float | None
    """None: nothing is expected, as in the first frame of a sequence."""


class TrackConsistency(_Metrics):
    """Of one track."""

    sequence: str
    track_id: int
    frames: int
    """In which it is seen."""
    missing: int
    """Frames between those, and between the track that it goes on and its first."""
    continues: int | None
    """Id of a track that ended where this one begins: the object changed its id."""
    consistency: float | None
    """None: seen once, so nothing can be compared."""


class ConsistencyMetrics(_Metrics):
    """Whether detections hold together over time (`leapai.evaluation.consistency`)."""

    consistency: float | None
    """In [0, 1]; None: no track has a past."""
    parts: ConsistencyParts
    expected: int
    missing: int
    id_changes: int
    class_flips: int
    occlusion_flips: int
    frames: tuple[FrameConsistency, ...]
    """By sequence and time."""
    tracks: tuple[TrackConsistency, ...]
    """By sequence and id."""
