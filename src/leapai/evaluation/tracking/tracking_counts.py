"""Counts of what happened to the objects of a class, at many thresholds of confidence.

Frames are counted as nuScenes counts them: those in which the class has an object or a detection
that is sure enough. A frame in which an object is ignored does not lengthen a gap of it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from leapai.evaluation.tracking.association import Association, run_starts
from leapai.evaluation.tracking.tracked_objects import Tracked
from leapai.evaluation.tracking.tracking_results import MOSTLY_LOST, MOSTLY_TRACKED
from leapai.types import BoolArray, FloatArray, IntArray

_CELLS = 2_000_000
"""Cells of arrays of thresholds and rows that are processed at once: bounds memory."""


class Counts(NamedTuple):
    """Counts at L thresholds, [L] each."""

    tp: IntArray
    fp: IntArray
    fn: IntArray
    ids: IntArray
    distance_m: FloatArray
    """Sum over matches."""
    frames: IntArray
    frag: IntArray
    mt: IntArray
    ml: IntArray
    found_objects: IntArray
    tid_frames: IntArray
    """Sum over the objects that are found, as are the next three."""
    tid_s: FloatArray
    lgd_frames: IntArray
    lgd_s: FloatArray


def count(
    tracked: Tracked, who: Association, alive: BoolArray, class_id: int, thresholds: IntArray
) -> Counts:
    """Counts a class that has objects, at the thresholds [L]; `alive` [all thresholds, N] are the
    detections that pass each."""
    timelines = _timelines(tracked, class_id)
    detections = np.flatnonzero(tracked.detections.class_id == class_id)
    cells = max(len(timelines.rows), len(tracked.detections.score), len(tracked.frames.step))
    parts = []
    for some in np.array_split(thresholds, -(-len(thresholds) * cells // _CELLS)):
        found = who.found[np.ix_(some, timelines.rows)]
        switched = who.switched[np.ix_(some, timelines.rows)]
        shown = alive[np.ix_(some, detections)]
        wrong, clock, frames = _frames(tracked, timelines, detections, shown, found)
        parts.append(
            Counts(
                **_matches(tracked, timelines, found, switched),
                **_over_time(timelines, found >= 0, clock),
                fp=wrong,
                frames=frames,
            )
        )
    return Counts(*(np.concatenate(column) for column in zip(*parts, strict=True)))


class _Timelines(NamedTuple):
    """The R evaluated rows of a class, object by object, in time; of O objects."""

    rows: IntArray
    first: IntArray
    """[O] position of each object's first row."""
    start: IntArray
    """[R] position of the first row of the row's object."""
    skipped: IntArray
    """[R] grows by 1 with each frame in which the object is ignored."""
    period_s: FloatArray
    """[O] period of a frame."""
    frames: IntArray
    """Frames in which the class has an object, evaluated or ignored."""


def _timelines(tracked: Tracked, class_id: int) -> _Timelines:
    gt, ids = tracked.gt, tracked.object_id
    followed = np.flatnonzero((gt.class_id == class_id) & (ids >= 0))
    followed = followed[np.lexsort((gt.frame[followed], ids[followed]))]
    evaluated = tracked.evaluated[followed]
    rows = followed[evaluated]
    starts = run_starts(ids[rows])
    first = np.flatnonzero(starts)
    return _Timelines(
        rows=rows,
        first=first,
        start=first[np.cumsum(starts) - 1],
        skipped=np.cumsum(~evaluated, dtype=np.int64)[evaluated],
        period_s=tracked.frames.period_s[gt.frame[rows[first]]],
        frames=gt.frame[followed],
    )


def _matches(
    tracked: Tracked, timelines: _Timelines, found: IntArray, switched: BoolArray
) -> dict[str, np.ndarray]:
    """Counts matches of the rows [L, R]."""
    hit = found >= 0
    threshold, row = np.nonzero(hit)
    detected, gt = tracked.detections.boxes[found[hit]], tracked.gt.boxes[timelines.rows[row]]
    distance_m = np.hypot(*(detected - gt)[:, :2].T)
    return {
        "tp": (hit & ~switched).sum(1),
        "fn": (~hit).sum(1),
        "ids": switched.sum(1),
        "distance_m": np.bincount(threshold, distance_m, len(found)),
    }


def _frames(
    tracked: Tracked, timelines: _Timelines, detections: IntArray, alive: BoolArray, found: IntArray
) -> tuple[IntArray, IntArray, IntArray]:
    """Returns false positives [L]; at each row [L, R] the number of frames that count till then,
    less those in which the object is ignored; frames that count [L]."""
    busy = np.zeros((len(found), len(tracked.detections.score)), bool)
    threshold, row = np.nonzero(found >= 0)
    busy[threshold, found[threshold, row]] = True
    wrong = alive & ~busy[:, detections] & ~tracked.near_ignored[detections]
    counts = np.zeros((len(found), len(tracked.frames.step)), bool)
    threshold, column = np.nonzero(alive)
    counts[threshold, tracked.detections.frame[detections[column]]] = True
    counts[:, timelines.frames] = True
    number = np.cumsum(counts, axis=1)
    clock = number[:, tracked.gt.frame[timelines.rows]] - timelines.skipped
    return wrong.sum(1), clock, number[:, -1]


def _over_time(timelines: _Timelines, hit: BoolArray, clock: IntArray) -> dict[str, np.ndarray]:
    """Counts gaps and delays, from whether each row is found and from its frame's number [L, R]."""
    position = np.arange(hit.shape[1])
    latest = np.maximum.accumulate(np.where(hit, position, -1), axis=1)
    before = np.pad(latest[:, :-1], ((0, 0), (1, 0)), constant_values=-1)
    found_before = before >= timelines.start
    since = np.where(found_before, before, timelines.start)
    # From the last hit, that one excluded; from the first row, that one included.
    gap = np.where(hit, clock - np.take_along_axis(clock, since, 1) - found_before, 0)
    last = np.append(timelines.first[1:], hit.shape[1]) - 1
    newest = np.maximum(latest[:, last], timelines.first)
    gap_at_end = clock[:, last] - np.take_along_axis(clock, newest, 1)
    share = np.add.reduceat(hit, timelines.first, 1, np.int64) / (last + 1 - timelines.first)
    longest = np.maximum(np.maximum.reduceat(gap, timelines.first, 1), gap_at_end) * (share > 0)
    wait = np.add.reduceat(np.where(found_before, 0, gap), timelines.first, 1)
    return {
        "frag": (hit & found_before & (before < position - 1)).sum(1),
        "mt": (share >= MOSTLY_TRACKED).sum(1),
        "ml": (share < MOSTLY_LOST).sum(1),
        "found_objects": (share > 0).sum(1),
        "tid_frames": wait.sum(1),
        "tid_s": wait @ timelines.period_s,
        "lgd_frames": longest.sum(1),
        "lgd_s": longest @ timelines.period_s,
    }
