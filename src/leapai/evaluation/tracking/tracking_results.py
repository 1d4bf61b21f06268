"""What tracking figures are. `None` stands where there is nothing to measure."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class TrackingMeasures(BaseModel):
    """As the nuScenes tracking evaluation names and defines them.

    AMOTA and AMOTP average over 40 recalls from 0.1 to 1. All else is taken at the confidence that
    gives the best MOTA.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    truths: int
    """Boxes of objects, over all frames, that are judged."""
    objects: int
    """Labelled tracks of which they are."""
    amota: float | None
    """Mean MOTAR; 0 at recalls that are not reached."""
    amotp_m: float | None
    """Mean MOTP; 2 m at recalls that are not reached."""
    mota: float | None
    """1 - (FN + IDS + FP) / truths, 0 or more."""
    motp_m: float | None
    """Mean distance of what is matched, on the ground."""
    motar: float | None
    """1 - FP / TP, 0 or more: MOTA as what is found allows it."""
    recall: float | None
    """(TP + IDS) / truths."""
    tp: int | None
    """Matches that keep the object's identity."""
    fp: int | None
    fn: int | None
    ids: int | None
    """Matches that switch it."""
    frag: int | None
    """Times that an object is lost and found again."""
    mt: int | None
    """Objects found in 80 % of their frames or more: mostly tracked."""
    ml: int | None
    """In less than 20 %: mostly lost."""
    faf: float | None
    """False positives in 100 frames."""
    tid_frames: float | None
    """Track initialisation duration: frames until an object is first found, mean over those that
    are. nuScenes takes each frame for 0.5 s, whatever the rate: its TID is half of this."""
    tid_s: float | None
    """The same by the median interval of each sequence."""
    lgd_frames: float | None
    """Longest gap duration: frames of an object's longest gap, likewise."""
    lgd_s: float | None


class ClassTrackingMetrics(TrackingMeasures):
    """Of one class."""

    confidence: float | None = None
    """Mean confidence of a track from which it counts, where MOTA is best."""


class TrackingMetrics(TrackingMeasures):
    """How well objects are followed: counts are sums over the classes that have objects, all else
    means."""

    frames: int
    """With labels."""
    sequences: int
    tracks: int
    """That the system says."""
    untracked_truths: int
    """Boxes that count, but whose track is not labelled: they are ignored."""
    unnamed_detections: int
    """Detections without identity: they are part of no track and left out."""
    classes: dict[str, ClassTrackingMetrics]
