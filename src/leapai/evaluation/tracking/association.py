"""Association over time: detections and objects matched frame by frame, as in CLEAR MOT
(Bernardin and Stiefelhagen, "Evaluating Multiple Object Tracking Performance", 2008, section 2.1).

In each frame an object first keeps the track that it had last, where that is near enough. What is
left is matched so that as many pairs as possible form, and of those matchings the one whose
distances sum to the least. A match with another track than the last one is a switch of identity.

Many thresholds of confidence and all sequences go through at once: the loop
runs over frame numbers, not over thresholds, sequences or objects.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from leapai.evaluation.tracking.tracked_objects import Tracked
from leapai.types import BoolArray, FloatArray, IntArray


class Association(NamedTuple):
    """Matches of objects and detections, at each of L thresholds."""

    found: IntArray
    """[L, T] row of the detection that an object is matched with; -1: none."""
    switched: BoolArray
    """[L, T] whether that is another track than the object's last one."""


def associate(tracked: Tracked, alive: BoolArray) -> Association:
    """Matches evaluated objects and the detections that pass each threshold: `alive` [L, N].

    Of objects that had the same track last, the one of the first row keeps it.
    """
    object_id, track_id = tracked.object_id, tracked.track_id
    thresholds = len(alive)
    found = np.full((thresholds, len(object_id)), -1, np.int32)
    switched = np.zeros(found.shape, bool)
    busy = np.zeros(alive.shape, bool)
    last_track = np.full((thresholds, int(object_id.max(initial=-1)) + 1), -1, np.int32)
    for now in _steps(tracked):
        owner, track = object_id[now.gt], track_id[now.detection]
        live, before = alive[:, now.detection], last_track[:, owner]
        kept = _first_of_each(live & (before == track), now.detection_start)
        _mark(found, busy, now, *np.nonzero(kept))
        free = live & (found[:, now.gt] < 0) & ~busy[:, now.detection]
        threshold, pair = _assign(free, now)
        _mark(found, busy, now, threshold, pair)
        previous = before[threshold, pair]
        switched[threshold, now.gt[pair]] = (previous >= 0) & (previous != track[pair])
        last_track[threshold, owner[pair]] = track[pair]
    return Association(found, switched)


class _Step(NamedTuple):
    """P pairs of one frame number, by cluster, then detection, then object."""

    detection: IntArray
    gt: IntArray
    distance_m: FloatArray
    detection_start: IntArray
    """[P] first pair of the same detection."""
    cluster_start: IntArray
    """[C + 1]: pairs of two clusters share neither detection nor object, so that each cluster is
    matched by itself."""


def _steps(tracked: Tracked) -> Iterator[_Step]:
    pairs, cluster = tracked.pairs, _clusters(tracked)
    step = tracked.frames.step[tracked.gt.frame[pairs.gt]]
    order = np.lexsort((pairs.gt, pairs.detection, cluster, step))
    pairs, cluster = pairs.select(order), cluster[order]
    bounds = np.searchsorted(step[order], np.arange(step.max(initial=-1) + 2))
    for low, high in pairwise(bounds):
        if low == high:
            continue
        part = slice(low, high)
        starts = run_starts(pairs.detection[part])
        yield _Step(
            pairs.detection[part],
            pairs.gt[part],
            pairs.distance_m[part],
            np.maximum.accumulate(np.where(starts, np.arange(high - low), 0)),
            np.append(np.flatnonzero(run_starts(cluster[part])), high - low),
        )


def _clusters(tracked: Tracked) -> IntArray:
    """Returns the number of the connected part of the graph of all pairs [P]."""
    pairs, objects = tracked.pairs, len(tracked.object_id)
    nodes = objects + len(tracked.track_id)
    edges = np.ones(len(pairs.gt)), (pairs.gt, objects + pairs.detection)
    _, part = connected_components(coo_array(edges, shape=(nodes, nodes)), directed=False)
    return np.asarray(part[pairs.gt], np.int64)


def run_starts(values: IntArray) -> BoolArray:
    """Returns whether a value differs from the one before [N]."""
    return np.append(True, values[1:] != values[:-1])


def _first_of_each(mask: BoolArray, start: IntArray) -> BoolArray:
    """Returns `mask` [L, P] without what follows another of the same run, which begins at `start`
    [P]."""
    count = np.cumsum(mask, axis=1)
    return mask & (count - (count - mask)[:, start] == 1)


def _mark(
    found: IntArray, busy: BoolArray, now: _Step, threshold: IntArray, pair: IntArray
) -> None:
    found[threshold, now.gt[pair]] = now.detection[pair]
    busy[threshold, now.detection[pair]] = True


def _assign(free: BoolArray, now: _Step) -> tuple[IntArray, IntArray]:
    """Returns thresholds and pairs [M] of the best matching among the free pairs [L, P]."""
    count = np.add.reduceat(free, now.cluster_start[:-1], axis=1, dtype=np.int64)
    alone = free & np.repeat(count == 1, np.diff(now.cluster_start), axis=1)
    thresholds, picked = (list(index) for index in np.nonzero(alone))
    solved: dict[tuple[int, bytes], IntArray] = {}
    for threshold, cluster in zip(*np.nonzero(count > 1), strict=True):
        low, high = now.cluster_start[cluster : cluster + 2]
        key = int(cluster), free[threshold, low:high].tobytes()
        if key not in solved:
            solved[key] = _best(low + np.flatnonzero(free[threshold, low:high]), now)
        thresholds.extend([threshold] * len(solved[key]))
        picked.extend(solved[key])
    return np.array(thresholds, np.int64), np.array(picked, np.int64)


def _best(pair: IntArray, now: _Step) -> IntArray:
    """Returns the pairs, of `pair` [K], of the matching with most pairs and, of these, the least
    distance."""
    _, row = np.unique(now.detection[pair], return_inverse=True)
    _, column = np.unique(now.gt[pair], return_inverse=True)
    number = np.full((row.max() + 1, column.max() + 1), -1)
    number[row, column] = pair
    # What may not match costs more than any sum of distances that may.
    too_far = 2 * min(number.shape) * (now.distance_m[pair].max() + 1)
    cost = np.where(number >= 0, now.distance_m[number], too_far)
    chosen = number[linear_sum_assignment(cost)]
    return chosen[chosen >= 0]
