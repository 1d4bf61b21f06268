"""Temporal consistency: agreement of tracks with their own past. It needs no ground truth.

A *step* leads from one appearance of a track to its next, `dt` seconds later. The past box is moved
by its own velocity (classes that never move: by none) and into the ego frame of now; what is
there now should agree:

    step = position * heading * size * class * occlusion, each in [0, 1]
    position  = exp(-max(0, |p - p_predicted| - a dt^2 / 2) / 1 m)
    heading   = exp(-max(0, |yaw - yaw_predicted| - turn dt) / 1 rad)
    size      = IoU of the two boxes, aligned in place and heading
    class     = 1 if it is the same, else 0
    occlusion = 1, but where the level goes back to what it was: 1 - (|change| / 3)^2

What objects can do between two frames costs nothing: a = 4 m/s^2, and turn = min(a / v, c v) with
a curvature c of 0.35 per m, of persons 1.5; what never moves has neither. Barriers have no front,
so their heading counts modulo pi; pillars have none. An occlusion level that rises or falls is
what the world does; one that comes right back, one step later, flickers.
*Survival*: between two appearances of a track, at most 2 s apart, a detection of it is *expected*
in every frame, and one that is missing counts 0; what comes back later has been away. 0 is also
the value of the first frame of a track that begins where another has ended (at most 2 s ago, same
group of classes, within 2 m of where that one would be now beyond what it can do): the object goes
on under another id. The frames between those two are missing, too. Consistency is the mean over all
that is expected: of a frame, of a track, of everything. What has no id is left out, and so are
frames whose ego pose is not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from leapai.evaluation.detection.detection_results import (
    ConsistencyMetrics,
    ConsistencyParts,
    FrameConsistency,
    TrackConsistency,
)
from leapai.geometry import angles, poses
from leapai.types import DESIGN, OCCLUSION_NAMES, BoolArray, Detections, FloatArray, IntArray
from leapai.types.vocabulary import Vocabulary

POSITION_SCALE_M = 1.0
HEADING_SCALE_RAD = 1.0
MAX_ACCELERATION_MPS2 = 4.0
MAX_CURVATURE_PER_M = 0.35
PERSON_CURVATURE_PER_M = 1.5
SUCCESSION_GATE_M = 2.0
MAX_STEP_US = 2_000_000


def consistency(frames: Sequence[Detections]) -> ConsistencyMetrics:
    """Evaluates frames of any number of sequences, in any order.

    Raises ValueError where a frame is given twice, or two detections of a frame share an id.
    """
    ordered = _in_order(frames)
    rows = _tabulate(ordered)
    own, succession = _own_steps(rows), _successions(rows)
    parts = _agreement(rows, own)
    expected = _expected(rows, own, succession, np.prod(list(parts.values()), axis=0))
    return ConsistencyMetrics(
        consistency=_mean(expected.value),
        parts=ConsistencyParts(
            **{name: _mean(values) for name, values in parts.items()},
            survival=len(own.now) / len(expected.value) if len(expected.value) else None,
        ),
        expected=len(expected.value),
        missing=int(expected.missing.sum()),
        id_changes=len(succession.now),
        class_flips=int((parts["classes"] < 1).sum()),
        occlusion_flips=int((parts["occlusion"] < 1).sum()),
        frames=_of_frames(
            ordered,
            expected,
            missing=expected.frame[expected.missing],
            id_changes=rows.frame[succession.now],
            class_flips=rows.frame[own.now[parts["classes"] < 1]],
            occlusion_flips=rows.frame[own.now[parts["occlusion"] < 1]],
        ),
        tracks=_of_tracks(ordered, rows, expected, succession),
    )


@dataclass(frozen=True)
class _Rows:
    """N detections that have an id, by sequence, id and time."""

    frame: IntArray
    """[N] number of the frame; those of a sequence follow one another."""
    sequence: IntArray
    time_us: IntArray
    global_from_ego: FloatArray
    """[N, 4, 4]"""
    track_id: IntArray
    first: BoolArray
    """[N] whether a track begins."""
    boxes: FloatArray
    velocity_mps: FloatArray
    """[N, 3]; zero of what never moves."""
    class_id: IntArray
    level: IntArray
    vocabulary: Vocabulary

    @property
    def track(self) -> IntArray:
        """Number of the track [N], from 0 on."""
        return np.cumsum(self.first) - 1


class _Steps(NamedTuple):
    """Steps from rows to later rows [S]."""

    past: IntArray
    now: IntArray


class _Expected(NamedTuple):
    """E detections that are expected from the past of tracks, each with its value."""

    frame: IntArray
    track: IntArray
    value: FloatArray
    missing: BoolArray


def _in_order(frames: Sequence[Detections]) -> list[Detections]:
    known = [frame for frame in frames if np.isfinite(frame.ego2global).all()]
    ordered = sorted(known, key=lambda frame: (frame.sequence, frame.timestamp_us))
    for one, other in pairwise(ordered):
        if (one.sequence, one.timestamp_us) == (other.sequence, other.timestamp_us):
            raise ValueError(
                f"sequence '{one.sequence}' has two frames of timestamp_us = {one.timestamp_us}; "
                "give each frame once"
            )
    return ordered


def _tabulate(frames: Sequence[Detections]) -> _Rows:
    tracked = [frame.select(frame.track_id >= 0) for frame in frames]
    names = sorted({frame.sequence for frame in tracked})
    frame = np.repeat(np.arange(len(tracked)), [len(each) for each in tracked])
    sequence = np.array([names.index(each.sequence) for each in tracked], np.int64)[frame]
    time_us = np.array([each.timestamp_us for each in tracked], np.int64)[frame]
    pose = np.array([each.ego2global for each in tracked], np.float64).reshape(-1, 4, 4)
    track_id = _joined(tracked, "track_id")
    class_id = _joined(tracked, "class_id")
    vocabulary = tracked[0].vocabulary if tracked else DESIGN
    moves = ~np.isin(class_id, vocabulary.still_ids)
    order = np.lexsort((frame, track_id, sequence))
    first = np.ones(len(order), bool)
    first[1:] = (np.diff(sequence[order]) != 0) | (np.diff(track_id[order]) != 0)
    _check_ids(tracked, frame[order], track_id[order], first)
    return _Rows(
        frame=frame[order],
        sequence=sequence[order],
        time_us=time_us[order],
        global_from_ego=pose[frame[order]],
        track_id=track_id[order],
        first=first,
        boxes=_joined(tracked, "boxes", 7)[order],
        velocity_mps=(_joined(tracked, "velocity_mps", 3) * moves[:, None])[order],
        class_id=class_id[order],
        level=_joined(tracked, "occlusion_level")[order],
        vocabulary=vocabulary,
    )


def _joined(frames: Sequence[Detections], name: str, *width: int) -> np.ndarray:
    empty = np.zeros((0, *width), np.float64 if width else np.int64)
    return np.concatenate([empty, *(getattr(frame, name) for frame in frames)])


def _check_ids(
    frames: Sequence[Detections], frame: IntArray, track_id: IntArray, first: BoolArray
) -> None:
    twice = np.flatnonzero((np.diff(frame) == 0) & ~first[1:])
    if len(twice):
        at = frames[frame[twice[0]]]
        raise ValueError(
            f"sequence '{at.sequence}', timestamp_us = {at.timestamp_us}: two detections have "
            f"track_id = {track_id[twice[0]]}; an id stands for one object of a frame"
        )


def _own_steps(rows: _Rows) -> _Steps:
    now = np.flatnonzero(~rows.first)
    now = now[rows.time_us[now] - rows.time_us[now - 1] <= MAX_STEP_US]
    return _Steps(now - 1, now)


def _successions(rows: _Rows) -> _Steps:
    """Pairs last rows of tracks with first rows of tracks that continue the same objects: as many
    as can be paired."""
    last = np.flatnonzero(np.append(rows.first[1:], True)[: len(rows.first)])
    first = np.flatnonzero(rows.first)
    first = first[np.lexsort((rows.time_us[first], rows.sequence[first]))]
    key = _time_key(rows)
    begin = np.searchsorted(key[first], key[last], "right")
    count = np.searchsorted(key[first], key[last] + MAX_STEP_US, "right") - begin
    past = np.repeat(np.arange(len(last)), count)
    now = np.repeat(begin - np.cumsum(count) + count, count) + np.arange(len(past))
    steps = _Steps(last[past], first[now])
    box, slack_m, _ = _predicted(rows, steps)
    distance = np.linalg.norm(rows.boxes[steps.now, :3] - box[:, :3], axis=1) - slack_m
    group = np.array(rows.vocabulary.groups)[rows.class_id]
    may = (distance <= SUCCESSION_GATE_M) & (group[steps.past] == group[steps.now])
    graph = csr_array((may[may], (past[may], now[may])), (len(last), len(first)))
    successor = maximum_bipartite_matching(graph, "column")
    paired = successor >= 0
    return _Steps(last[paired], first[successor[paired]])


def _time_key(rows: _Rows) -> IntArray:
    """Returns microseconds [N] of all sequences in a row, further apart than a succession may
    be."""
    start_us = np.full(rows.sequence.max(initial=0) + 1, np.iinfo(np.int64).max)
    np.minimum.at(start_us, rows.sequence, rows.time_us)
    since_us = rows.time_us - start_us[rows.sequence]
    stride_us = since_us.max(initial=0) + MAX_STEP_US + 1
    return np.asarray(rows.sequence * stride_us + since_us)


def _predicted(rows: _Rows, steps: _Steps) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Returns past boxes [S, 7] where their velocity takes them, in the ego frame of now; and what
    an object can do in addition: metres [S], radians [S]."""
    past, now = steps
    interval_s = (rows.time_us[now] - rows.time_us[past]) / 1e6
    now_from_past = poses.invert(rows.global_from_ego[now]) @ rows.global_from_ego[past]
    box, velocity = rows.boxes[past].copy(), rows.velocity_mps[past]
    box[:, :3] += velocity * interval_s[:, None]
    box[:, :3] = poses.apply(now_from_past, box[:, None, :3])[:, 0]
    heading = np.stack([np.cos(box[:, 6]), np.sin(box[:, 6]), np.zeros(len(box))], -1)
    heading = poses.rotate(now_from_past, heading[:, None])[:, 0]
    box[:, 6] = np.arctan2(heading[:, 1], heading[:, 0])

    class_id = rows.class_id[past]
    moves = ~np.isin(class_id, rows.vocabulary.still_ids)
    on_foot = np.isin(class_id, rows.vocabulary.ids(rows.vocabulary.on_foot))
    speed = np.linalg.norm(velocity, axis=1)
    curvature = np.where(on_foot, PERSON_CURVATURE_PER_M, MAX_CURVATURE_PER_M)
    fastest = np.sqrt(MAX_ACCELERATION_MPS2 / curvature)  # at which both bounds of a turn meet
    turn = curvature * np.where(speed < fastest, speed, fastest**2 / np.maximum(speed, fastest))
    reach_m = moves * MAX_ACCELERATION_MPS2 * interval_s**2 / 2
    return box, reach_m, moves * turn * interval_s


def _agreement(rows: _Rows, steps: _Steps) -> dict[str, FloatArray]:
    """Returns each factor [S] of the steps."""
    past, now = steps
    predicted, reach_m, turn_rad = _predicted(rows, steps)
    box = rows.boxes[now]
    offset_m = np.linalg.norm(box[:, :3] - predicted[:, :3], axis=1)
    yaw = np.abs(angles.wrap(box[:, 6] - predicted[:, 6]))
    class_id, vocabulary = rows.class_id[now], rows.vocabulary
    half_turn = np.isin(class_id, vocabulary.half_turn_ids)
    yaw = np.where(half_turn, np.minimum(yaw, np.pi - yaw), yaw)
    yaw = np.where(np.isin(class_id, vocabulary.round_ids), 0.0, yaw)
    shared = np.minimum(box[:, 3:6], predicted[:, 3:6]).prod(1)
    union = box[:, 3:6].prod(1) + predicted[:, 3:6].prod(1) - shared
    return {
        "position": np.exp(-np.maximum(offset_m - reach_m, 0) / POSITION_SCALE_M),
        "heading": np.exp(-np.maximum(yaw - turn_rad, 0) / HEADING_SCALE_RAD),
        "size": np.divide(shared, union, out=np.ones_like(union), where=union > 0),
        "classes": (class_id == rows.class_id[past]).astype(np.float64),
        "occlusion": 1 - (_level_flicker(rows, steps) / (len(OCCLUSION_NAMES) - 1)) ** 2,
    }


def _level_flicker(rows: _Rows, steps: _Steps) -> IntArray:
    """Returns by how many levels [S] occlusion changes back to what it was before the past."""
    past, now = steps
    before = np.where(rows.first[past], past, past - 1)  # a track's first row has none before it
    change = np.abs(rows.level[now] - rows.level[past])
    return np.where(rows.level[before] == rows.level[now], change, 0)


def _expected(rows: _Rows, own: _Steps, succession: _Steps, agreement: FloatArray) -> _Expected:
    """Lists what is there, with its agreement [S], what has another id, and what is missing
    between."""
    past, now = (np.concatenate(each) for each in zip(own, succession, strict=True))
    missing = rows.frame[now] - rows.frame[past] - 1
    within = np.arange(missing.sum()) - np.repeat(np.cumsum(missing) - missing, missing)
    track = rows.track[now]
    return _Expected(
        frame=np.concatenate([rows.frame[now], np.repeat(rows.frame[past] + 1, missing) + within]),
        track=np.concatenate([track, np.repeat(track, missing)]),
        value=np.concatenate([agreement, np.zeros(len(succession.now) + len(within))]),
        missing=np.repeat([False, True], [len(now), len(within)]),
    )


def _of_frames(
    frames: Sequence[Detections], expected: _Expected, **events: IntArray
) -> tuple[FrameConsistency, ...]:
    """Returns the consistency of each frame; `events` are frames in which something broke it."""
    counts, means = _means_by(expected.frame, expected.value, len(frames))
    of_events = {name: np.bincount(at, minlength=len(frames)) for name, at in events.items()}
    return tuple(
        FrameConsistency(
            sequence=frame.sequence,
            timestamp_us=frame.timestamp_us,
            expected=count,
            consistency=mean,
            **{name: int(of_frames[i]) for name, of_frames in of_events.items()},
        )
        for i, (frame, count, mean) in enumerate(zip(frames, counts, means, strict=True))
    )


def _of_tracks(
    frames: Sequence[Detections], rows: _Rows, expected: _Expected, succession: _Steps
) -> tuple[TrackConsistency, ...]:
    first, seen = np.flatnonzero(rows.first), np.bincount(rows.track)
    missing = np.bincount(expected.track[expected.missing], minlength=len(first))
    _, means = _means_by(expected.track, expected.value, len(first))
    continues = dict(zip(rows.track[succession.now], succession.past, strict=True))
    return tuple(
        TrackConsistency(
            sequence=frames[rows.frame[row]].sequence,
            track_id=int(rows.track_id[row]),
            frames=int(seen[i]),
            missing=int(missing[i]),
            continues=int(rows.track_id[continues[i]]) if i in continues else None,
            consistency=means[i],
        )
        for i, row in enumerate(first)
    )


def _means_by(
    number: IntArray, value: FloatArray, length: int
) -> tuple[list[int], list[float | None]]:
    """Returns how many values [E] have each number from 0 to `length`, and their mean."""
    count, total = np.bincount(number, minlength=length), np.bincount(number, value, length)
    return count.tolist(), [float(t / n) if n else None for t, n in zip(total, count, strict=True)]


def _mean(values: FloatArray) -> float | None:
    return float(values.mean()) if len(values) else None
