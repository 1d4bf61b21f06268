"""Tables of what is followed over time, of all sequences: labelled objects, detected tracks, and
which of them may be the same.

An object is evaluated in the frames in which it counts (see `labelled_frames`) and has a track id.
In others it is ignored: a detection near it that finds nothing else is neither right nor wrong, and
the gap costs nothing. Holes of a track are not filled. A detection without identity, or with one
that a more confident detection of its class and frame has, is a track by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from leapai.config.network_sections import BevConfig
from leapai.evaluation.detection.detection_matching import Pairs, candidate_pairs
from leapai.evaluation.detection.labelled_frames import (
    DetectionTable,
    GtTable,
    LabelledFrame,
    frame_times_us,
    in_order,
    sequence_numbers,
    tabulate,
)
from leapai.types import BoolArray, FloatArray, IntArray


class FrameTable(NamedTuple):
    """F frames by sequence, then time."""

    sequence: IntArray
    """[F] number by name."""
    step: IntArray
    """[F] number in the sequence."""
    time_us: IntArray
    period_s: FloatArray
    """[F] median interval of the frame's sequence; 0 where it has one frame."""


class Tracked(NamedTuple):
    """T objects and N detections of F frames."""

    frames: FrameTable
    gt: GtTable
    detections: DetectionTable
    object_id: IntArray
    """[T] number of the labelled object, from 0, over all sequences; -1: its track is not
    labelled."""
    evaluated: BoolArray
    """[T]"""
    track_id: IntArray
    """[N] number of the track, from 0, over all sequences."""
    track_score: FloatArray
    """[N] mean confidence of the track, whatever its class."""
    pairs: Pairs
    """Detections and evaluated objects within reach."""
    near_ignored: BoolArray
    """[N] whether an object that is not evaluated is within reach."""


def follow(frames: Sequence[LabelledFrame], bev: BevConfig, reach_m: float) -> Tracked:
    """Tabulates labelled frames in any order; what is nearer than `reach_m` may match."""
    ordered = in_order(frames)
    gt, detections = tabulate(ordered, bev)
    table = _frame_table(ordered)
    object_id = _object_ids(gt, table.sequence[gt.frame])
    evaluated = gt.counted & (object_id >= 0)
    track_id, track_score = _tracks(detections, table.sequence[detections.frame])
    pairs = candidate_pairs(gt, detections, reach_m)
    to_evaluated = evaluated[pairs.gt]
    near_ignored = np.zeros(len(detections.score), bool)
    near_ignored[pairs.detection[~to_evaluated]] = True
    return Tracked(
        frames=table,
        gt=gt,
        detections=detections,
        object_id=object_id,
        evaluated=evaluated,
        track_id=track_id,
        track_score=track_score,
        pairs=pairs.select(to_evaluated),
        near_ignored=near_ignored,
    )


def _frame_table(frames: Sequence[LabelledFrame]) -> FrameTable:
    sequence = sequence_numbers(frames)
    step = np.arange(len(sequence)) - np.searchsorted(sequence, sequence)
    time_us = frame_times_us(frames)
    starts = np.flatnonzero(step == 0)
    periods = [_period_s(times_us) for times_us in np.split(time_us, starts[1:])]
    return FrameTable(sequence, step, time_us, np.array(periods)[sequence])


def _period_s(times_us: IntArray) -> float:
    return float(np.median(np.diff(times_us))) / 1e6 if len(times_us) > 1 else 0.0


def _object_ids(gt: GtTable, sequence: IntArray) -> IntArray:
    """Numbers the labelled tracks. A second object of the same class, frame and track id has
    none."""
    known = gt.track_id >= 0
    known &= _is_first(gt.frame, gt.class_id, gt.track_id)
    ids = np.full(len(known), -1, np.int64)
    ids[known] = _number(sequence[known], gt.class_id[known], gt.track_id[known])
    return ids


def _tracks(detections: DetectionTable, sequence: IntArray) -> tuple[IntArray, FloatArray]:
    rows = np.arange(len(detections.score))
    named = (detections.track_id >= 0) & _is_first(
        detections.frame, detections.class_id, detections.track_id
    )
    name = np.where(named, detections.track_id, -1 - rows)
    whole = _number(sequence, name)
    in_time = np.lexsort((detections.frame, whole))
    parts = np.split(detections.score[in_time], np.flatnonzero(np.diff(whole[in_time])) + 1)
    # np.mean of each as nuScenes has it: another rounding would separate tracks that are equally
    # confident.
    score = np.array([np.mean(part) for part in parts if len(part)])
    return _number(sequence, detections.class_id, name), score[whole]


def _number(*keys: IntArray) -> IntArray:
    """Numbers [N] each distinct row of `keys` [N], from 0."""
    order = np.lexsort(keys[::-1])
    ordered = np.stack(keys)[:, order]
    number = np.zeros(len(order), np.int64)
    number[order[1:]] = np.cumsum((ordered[:, 1:] != ordered[:, :-1]).any(0))
    return number


def _is_first(*keys: IntArray) -> BoolArray:
    """Returns whether no earlier row has the same `keys` [N]."""
    number = _number(*keys)
    first = np.zeros(len(number), bool)
    first[np.unique(number, return_index=True)[1]] = True
    return first
