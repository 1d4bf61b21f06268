"""A row of metrics for every labelled object: `instance_rows(frames, ...)`, for `eval_instance`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from leapai.config.network_sections import BevConfig
from leapai.evaluation.detection.detection_results import OPERATING_CONFIDENCE
from leapai.evaluation.detection.labelled_frames import LabelledFrame, vocabulary_of
from leapai.evaluation.tracking.association import associate, run_starts
from leapai.evaluation.tracking.tracked_objects import Tracked, follow
from leapai.evaluation.tracking.tracking_results import DISTANCE_M, InstanceMetrics
from leapai.types import FloatArray, IntArray


def instance_rows(frames: Sequence[LabelledFrame], bev: BevConfig) -> list[InstanceMetrics]:
    """Returns rows by sequence, class and track id. Objects without track id, or that never count,
    have none."""
    tracked = follow(frames, bev, DISTANCE_M)
    timelines = _timelines(tracked)
    if not len(timelines.rows):
        return []
    names = sorted({f.detections.sequence for f in frames})
    columns = {
        "sequence": [names[i] for i in tracked.frames.sequence[timelines.frame[timelines.first]]],
        "track_id": tracked.gt.track_id[timelines.rows[timelines.first]].tolist(),
        "class_name": vocabulary_of(frames).named(
            tracked.gt.class_id[timelines.rows[timelines.first]]
        ),
        **_timeline(tracked, timelines),
        **_errors(tracked, timelines),
        **_first_found(tracked, timelines),
    }
    return [
        InstanceMetrics(**dict(zip(columns, row, strict=True)))
        for row in zip(*columns.values(), strict=True)
    ]


class _Timelines(NamedTuple):
    """R rows of O objects, object by object, in time."""

    rows: IntArray
    frame: IntArray
    """[R]"""
    first: IntArray
    """[O] position of each object's first row."""
    owner: IntArray
    """[R] number of the object."""
    found: IntArray
    """[R] row of the detection that found it; -1: none."""


def _timelines(tracked: Tracked) -> _Timelines:
    sure = tracked.detections.score[None] >= OPERATING_CONFIDENCE
    found = associate(tracked, sure).found[0]
    rows = np.flatnonzero(tracked.evaluated)
    rows = rows[np.lexsort((tracked.gt.frame[rows], tracked.object_id[rows]))]
    starts = run_starts(tracked.object_id[rows])
    return _Timelines(
        rows, tracked.gt.frame[rows], np.flatnonzero(starts), np.cumsum(starts) - 1, found[rows]
    )


def _timeline(tracked: Tracked, timelines: _Timelines) -> dict[str, Sequence[object]]:
    time_us = tracked.frames.time_us[timelines.frame]
    frames = np.bincount(timelines.owner)
    first_us, last_us = time_us[timelines.first], time_us[timelines.first + frames - 1]
    return {
        "first_us": first_us.tolist(),
        "last_us": last_us.tolist(),
        "life_s": ((last_us - first_us) / 1e6).tolist(),
        "frames": frames.tolist(),
        "coverage": (np.bincount(timelines.owner, timelines.found >= 0) / frames).tolist(),
        "id_switches": _switches(tracked, timelines).tolist(),
    }


def _switches(tracked: Tracked, timelines: _Timelines) -> IntArray:
    """Counts how often an object has another identity than the last one that it had [O]."""
    hit = timelines.found >= 0
    hit[hit] = tracked.detections.track_id[timelines.found[hit]] >= 0
    owner, track = timelines.owner[hit], tracked.track_id[timelines.found[hit]]
    switch = (track[1:] != track[:-1]) & (owner[1:] == owner[:-1])
    return np.bincount(owner[1:][switch], minlength=len(timelines.first))


def _errors(tracked: Tracked, timelines: _Timelines) -> dict[str, Sequence[object]]:
    hit = timelines.found >= 0
    detection, gt = timelines.found[hit], timelines.rows[hit]
    position = tracked.detections.boxes[detection, :2] - tracked.gt.boxes[gt, :2]
    velocity = tracked.detections.velocity_mps[detection] - tracked.gt.velocity_mps[gt]
    count = len(timelines.first)
    return {
        "position_error_m": _mean(timelines.owner[hit], np.hypot(*position.T), count),
        "velocity_error_mps": _mean(timelines.owner[hit], np.hypot(*velocity.T), count),
    }


def _mean(owner: IntArray, value: FloatArray, count: int) -> list[float | None]:
    """Returns the mean of the known values of each object [O]; None: it has none."""
    known = ~np.isnan(value)
    owner, value = owner[known], value[known]
    number, total = (np.bincount(owner, weights, count) for weights in (None, value))
    return [t / n if n else None for t, n in zip(total.tolist(), number.tolist(), strict=True)]


def _first_found(tracked: Tracked, timelines: _Timelines) -> dict[str, Sequence[object]]:
    hit = np.flatnonzero(timelines.found >= 0)
    owner, index = np.unique(timelines.owner[hit], return_index=True)
    first, count = hit[index], len(timelines.first)
    time_us = tracked.frames.time_us[timelines.frame]
    after_s = (time_us[first] - time_us[timelines.first[owner]]) / 1e6
    return {
        "first_found_distance_m": _mean(owner, tracked.gt.distance_m[timelines.rows[first]], count),
        "first_found_after_s": _mean(owner, after_s, count),
    }
