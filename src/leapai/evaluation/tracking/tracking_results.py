"""Result models of the tracking evaluation, and the constants that define its metrics. `None`
stands where there is nothing to measure."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

DISTANCE_M = 2.0
"""A detection nearer than this may match an object."""
NUM_RECALLS = 40
"""Recalls from 1 down to 0.1 that AMOTA and AMOTP average over."""
MOSTLY_TRACKED, MOSTLY_LOST = 0.8, 0.2
"""Shares of an object's frames from which, and below which, it counts as such."""


class TrackingMeasures(BaseModel):
    """Tracking metrics, named and defined as in the nuScenes tracking evaluation.

    AMOTA and AMOTP average over `NUM_RECALLS` recalls from 0.1 to 1. All else is taken at the
    confidence that gives the best MOTA.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    truths: int
    """Evaluated boxes of objects, over all frames."""
    objects: int
    """Labelled tracks that these boxes belong to."""
    amota: float | None
    """Mean MOTAR; 0 at recalls that are not reached."""
    amotp_m: float | None
    """Mean MOTP; 2 m at recalls that are not reached."""
    mota: float | None
    """1 - (FN + IDS + FP) / `truths`, 0 or more."""
    motp_m: float | None
    """Mean distance of matches, on the ground."""
    motar: float | None
    """1 - FP / TP, 0 or more: MOTA as what is found allows it."""
    recall: float | None
    """(TP + IDS) / `truths`."""
    tp: int | None
    """Matches that keep the object's identity."""
    fp: int | None
    fn: int | None
    ids: int | None
    """Matches that switch the object's identity."""
    frag: int | None
    """Times that an object is lost and found again."""
    mt: int | None
    """Mostly tracked objects: found in `MOSTLY_TRACKED` of their frames or more."""
    ml: int | None
    """Mostly lost objects: found in less than `MOSTLY_LOST` of their frames."""
    faf: float | None
    """False positives in 100 frames."""
    tid_frames: float | None
    """Track initialisation duration: frames until an object is first found, mean over those that
    are. nuScenes takes each frame for 0.5 s, whatever the rate: its TID is half of this."""
    tid_s: float | None
    """The same by the median interval of each sequence."""
    lgd_frames: float | None
    """Longest gap duration: frames of an object's longest gap, mean over those that are found."""
    lgd_s: float | None
    """The same by the median interval of each sequence."""

    @property
    def has_stand_ins(self) -> bool:
        """Whether no object is ever found, so that distances and durations are the worst that
        nuScenes assumes, and not measured."""
        return self.truths > 0 and self.ids is None


class ClassTrackingMetrics(TrackingMeasures):
    """Tracking metrics of one class."""

    confidence: float | None = None
    """Mean confidence of a track from which it counts, where MOTA is best."""


class TrackingMetrics(TrackingMeasures):
    """Tracking metrics of a run: counts are sums over the classes that have objects, all else
    means."""

    frames: int
    """Frames with labels."""
    sequences: int
    tracks: int
    """Detected tracks."""
    untracked_truths: int
    """Boxes that count, but whose track is not labelled: they are ignored."""
    unnamed_detections: int
    """Detections without identity: they are part of no track and left out."""
    classes: dict[str, ClassTrackingMetrics]

    def by_class(self) -> dict[str, TrackingMeasures]:
        """Returns the metrics of each class that has objects, and "all" as the last."""
        found = {name: part for name, part in self.classes.items() if part.truths}
        return {**found, "all": self}

    @property
    def has_stand_ins(self) -> bool:
        """Whether the mean contains a class of which no object is ever found."""
        return any(part.has_stand_ins for part in self.classes.values())


@dataclass(frozen=True)
class InstanceMetrics:
    """Metrics of one labelled object, in the frames in which it counts. It is found where a
    detection of `OPERATING_CONFIDENCE` or more is matched with it within `DISTANCE_M`. None: it is
    never found, or its velocity is not labelled."""

    sequence: str
    track_id: int
    class_name: str
    first_us: int
    """First frame in which it counts."""
    last_us: int
    life_s: float
    frames: int
    coverage: float
    """Share of the frames in which it is found."""
    id_switches: int
    position_error_m: float | None
    """Mean, on the ground."""
    velocity_error_mps: float | None
    first_found_distance_m: float | None
    """Distance from the ego's origin to the object when it is first found."""
    first_found_after_s: float | None
    """Time from its first frame until it is found."""
