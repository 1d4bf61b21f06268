"""Timelines of objects: which track was matched in each frame, and where it changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leapai.config.network_sections import BevConfig
from leapai.evaluation.detection.labelled_frames import LabelledFrame, in_order
from leapai.evaluation.tracking.association import associate
from leapai.evaluation.tracking.tracked_objects import follow
from leapai.evaluation.tracking.tracking_results import DISTANCE_M
from leapai.types import BoolArray, Detections, FloatArray, IntArray


@dataclass(frozen=True)
class ObjectTimeline:
    """One labelled object, or one track of the system, in its K frames by time."""

    sequence: str
    own_id: int
    """Track id of the label, or of the track."""
    class_id: int
    """Class in its first frame."""
    class_name: str
    time_us: IntArray
    """[K]"""
    occlusion_level: IntArray
    """[K]; -1: not labelled."""
    evaluated: BoolArray
    """[K] it counts: in range, and seen by a sensor."""
    track_id: IntArray
    """[K] id of the track that is matched with it; -1: none, or a detection without identity."""
    found: BoolArray
    """[K] a detection is matched with it."""
    switched: BoolArray
    """[K] it is another track than the last one."""

    @property
    def share_found(self) -> float:
        """Share of the frames in which it counts; NaN where it never does."""
        evaluated = int(self.evaluated.sum())
        return float(self.found.sum() / evaluated) if evaluated else float("nan")

    @property
    def losses(self) -> int:
        """Times that it is lost and found again."""
        found = self.found[self.evaluated]
        return int((np.diff(np.flatnonzero(found)) > 1).sum())


def object_timelines(
    frames: Sequence[LabelledFrame], bev: BevConfig, confidence: FloatArray
) -> list[ObjectTimeline]:
    """Returns the timeline of every object whose track is labelled and that counts in some frame.
    They are matched as for the tracking metrics, with the tracks of at least `confidence` [C], by
    class."""
    ordered = in_order(frames)
    tracked = follow(ordered, bev, DISTANCE_M)
    gt = tracked.gt
    alive = (tracked.track_score >= confidence[tracked.detections.class_id])[None]
    who = associate(tracked, alive)
    found, switched = who.found[0], who.switched[0]
    matched_id = np.append(tracked.detections.track_id, -1)[found]
    order = np.lexsort((gt.frame, tracked.object_id))
    bounds = np.flatnonzero(np.diff(tracked.object_id[order])) + 1
    timelines = []
    for rows in np.split(order, bounds):
        if not tracked.evaluated[rows].any():
            continue
        first = ordered[gt.frame[rows[0]]].detections
        timelines.append(
            ObjectTimeline(
                sequence=first.sequence,
                own_id=int(gt.track_id[rows[0]]),
                class_id=int(gt.class_id[rows[0]]),
                class_name=first.vocabulary.names[gt.class_id[rows[0]]],
                time_us=tracked.frames.time_us[gt.frame[rows]],
                occlusion_level=gt.occlusion_level[rows],
                evaluated=tracked.evaluated[rows],
                track_id=matched_id[rows],
                found=found[rows] >= 0,
                switched=switched[rows],
            )
        )
    return timelines


def track_timelines(frames: Sequence[Detections]) -> list[ObjectTimeline]:
    """Returns the timeline of every detected track, for data without labels."""
    ordered = sorted(frames, key=lambda frame: (frame.sequence, frame.timestamp_us))
    names = ordered[0].vocabulary.names if ordered else ()
    rows: dict[tuple[str, int], list[tuple[int, int, int]]] = {}
    for frame in ordered:
        for track_id, class_id, level in zip(
            frame.track_id.tolist(),
            frame.class_id.tolist(),
            frame.occlusion_level.tolist(),
            strict=True,
        ):
            if track_id >= 0:
                key = (frame.sequence, track_id)
                rows.setdefault(key, []).append((frame.timestamp_us, class_id, level))
    return [_timeline_of_track(*key, np.array(values), names) for key, values in rows.items()]


def _timeline_of_track(
    sequence: str, track_id: int, rows: IntArray, names: Sequence[str]
) -> ObjectTimeline:
    """Returns the timeline of `rows` [K, 3]: time, class and occlusion level."""
    everywhere = np.ones(len(rows), bool)
    return ObjectTimeline(
        sequence=sequence,
        own_id=track_id,
        class_id=int(rows[0, 1]),
        class_name=names[rows[0, 1]],
        time_us=rows[:, 0],
        occlusion_level=rows[:, 2],
        evaluated=everywhere,
        track_id=np.full(len(rows), track_id),
        found=everywhere,
        switched=~everywhere,
    )
