"""The tracker: identity over time, as a step from one value to the next.

`detections, tracks = track(detections, tracks, config, readout)`

1. *Move*: tracks go on by their velocity. They are kept in the global frame in float64, so the
   ego's own motion costs nothing. Where memory holds a slot with the track's id, the track is
   expected where memory expects its slot: in memory's own compensated frame (`memory_readout`).
2. *Associate*: a track takes a detection of its class within the gate, by least total distance on
   the ground (Hungarian method). Sure detections choose first, among tracks that have an id, then
   among those that wait for one; the others only keep alive what has an id (ByteTrack; Zhang et
   al., ECCV 2022, section 3). The gate depends on the class' group and grows with speed.
3. *Correct*: a Kalman filter of constant velocity takes in the detected position and velocity.
4. *Birth and death*: a sure detection that no track takes starts to wait; it gets an id when the
   confidences of its detections add up, and is forgotten if it is missed before. A track that has
   an id is coasted until it has not been seen for `max_age_s`. What is coasted is not detected, so
   `Detections` do not show it, but its id survives.
5. The id goes onto the slot of memory that the object's query has left (`ids_of_slots`).

A new sequence, time that runs backwards, a pose that is not known and a reset of memory end all
tracks. Ids never come from another stream, since each stream has a value of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from leapai.config.validation_sections import TrackingConfig
from leapai.geometry import poses
from leapai.types import BoolArray, Detections, FloatArray, IntArray, SlotsRead, Vocabulary

IDS_PER_SEQUENCE = 1_000_000
"""Ids of the n-th sequence of a session start at n times this: no id is shared between
sequences."""
SEEN_SIGMA = (0.3, 3.0)
"""Standard deviation along an axis of a detection: position in m, velocity in m/s."""
ACCELERATION_SIGMA_MPS2 = 3.0
"""Standard deviation along an axis of the acceleration of objects."""
GATE_SHARE = {"MOD": 1.0, "VRU": 0.75, "SOD": 1.0}
"""Share of `gate_m` by group: people are small, and stand close together."""
_NONE = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Tracks:
    """State of the tracker of a stream after a frame: T tracks, in the global frame."""

    sequence: str | None
    """Name of the sequence; None: before the first frame."""
    timestamp_us: int
    next_sequence: int
    next_id: int
    track_id: IntArray
    """[T] int64; -1: it waits for one."""
    class_id: IntArray
    """[T]"""
    motion: FloatArray
    """[T, 2, 3] float64: position in m at `timestamp_us`; velocity in m/s, none of what never
    moves."""
    covariance: FloatArray
    """[T, 2, 2] of position and velocity, along any axis."""
    evidence: FloatArray
    """[T] sum of confidences."""
    seen_us: IntArray
    """[T] when it was last detected."""

    def __len__(self) -> int:
        return len(self.track_id)

    def select(self, index: IntArray | BoolArray) -> Tracks:
        """Returns the tracks at `index` (integers [M] or mask [T])."""
        return replace(self, **{name: values[index] for name, values in self._columns().items()})

    def joined(self, other: Tracks) -> Tracks:
        """Returns these tracks, then the other ones."""
        more = other._columns()
        columns: dict[str, Any] = {
            name: np.concatenate([values, more[name]]) for name, values in self._columns().items()
        }
        return replace(self, **columns)

    def _columns(self) -> dict[str, Any]:
        shared = ("sequence", "timestamp_us", "next_sequence", "next_id")
        return {name: values for name, values in vars(self).items() if name not in shared}


def no_tracks(first_sequence: int = 0) -> Tracks:
    """Returns the state before the first frame; sequences are numbered from `first_sequence` on."""
    return Tracks(
        sequence=None,
        timestamp_us=0,
        next_sequence=first_sequence,
        next_id=0,
        track_id=_NONE,
        class_id=_NONE,
        motion=np.zeros((0, 2, 3)),
        covariance=np.zeros((0, 2, 2)),
        evidence=np.zeros(0),
        seen_us=_NONE,
    )


@dataclass(frozen=True)
class MemoryReadout:
    """Positions at which memory expects tracks in this frame, each id once."""

    track_id: IntArray
    """[M]"""
    position_m: FloatArray
    """[M, 3] ego frame."""
    reset: bool
    """Memory was dropped in this frame."""


NO_MEMORY = MemoryReadout(_NONE, np.zeros((0, 3)), reset=False)


def memory_readout(slots: SlotsRead) -> MemoryReadout:
    """Returns, of the slots that carry an id, the newest of each, as memory moved it to now."""
    alive = slots.valid & (slots.track_id >= 0)
    # Slots are ordered from the oldest frame to the newest: reversed, the first is the newest.
    rows = np.flatnonzero(alive)[::-1]
    ids, newest = np.unique(slots.track_id[rows], return_index=True)
    return MemoryReadout(ids, slots.reference_m[rows[newest]].astype(np.float64), slots.reset)


def track(
    detections: Detections,
    tracks: Tracks,
    config: TrackingConfig,
    readout: MemoryReadout = NO_MEMORY,
) -> tuple[Detections, Tracks]:
    """Returns the detections [N] of the stream's next frame with their ids, -1 for none yet, and
    its tracks."""
    tracks = _moved(_begun(tracks, detections, readout.reset), detections.timestamp_us, config)
    if not np.isfinite(detections.ego2global).all():
        return replace(detections, track_id=np.full(len(detections), -1)), tracks.select(_NONE)
    found = _waiting(detections, tracks)
    matched = _associate(detections, tracks, config, _expected(detections, tracks, readout))
    tracks = _corrected(tracks, found, matched, detections.vocabulary)
    new = np.flatnonzero((matched < 0) & _is_sure(detections, config))
    matched[new] = len(tracks) + np.arange(len(new))
    tracks = _born(tracks.joined(found.select(new)), config)
    track_id = np.where(matched >= 0, np.append(tracks.track_id, -1)[matched], -1)
    return replace(detections, track_id=track_id), tracks


def _begun(tracks: Tracks, detections: Detections, reset: bool) -> Tracks:
    """Returns the tracks that go on in this frame: none where a sequence begins, time runs back, or
    memory was dropped."""
    if detections.sequence != tracks.sequence:
        return replace(
            tracks.select(_NONE),
            sequence=detections.sequence,
            timestamp_us=detections.timestamp_us,
            next_sequence=tracks.next_sequence + 1,
            next_id=tracks.next_sequence * IDS_PER_SEQUENCE,
        )
    ends = reset or detections.timestamp_us < tracks.timestamp_us
    return tracks.select(_NONE) if ends else tracks


def _moved(tracks: Tracks, timestamp_us: int, config: TrackingConfig) -> Tracks:
    """Returns the tracks that are still alive, where they should be now (prediction of the Kalman
    filter)."""
    waits = tracks.track_id < 0
    oldest_us = np.where(waits, tracks.timestamp_us, timestamp_us - config.max_age_s * 1e6)
    alive = tracks.select(tracks.seen_us >= oldest_us)
    interval_s = (timestamp_us - tracks.timestamp_us) / 1e6
    step = np.array([[1.0, interval_s], [0.0, 1.0]])
    noise = ACCELERATION_SIGMA_MPS2 * np.array([interval_s**2 / 2, interval_s])
    return replace(
        alive,
        timestamp_us=timestamp_us,
        motion=step @ alive.motion,
        covariance=step @ alive.covariance @ step.T + np.outer(noise, noise),
    )


def _waiting(detections: Detections, tracks: Tracks) -> Tracks:
    """Returns each detection as a track [N] that waits for its id."""
    count, pose = len(detections), detections.ego2global
    moves = ~np.isin(detections.class_id, detections.vocabulary.still_ids)
    position_m = poses.apply(pose, detections.boxes[:, :3])
    velocity_mps = poses.rotate(pose, detections.velocity_mps * moves[:, None])
    return replace(
        tracks,
        track_id=np.full(count, -1),
        class_id=detections.class_id,
        motion=np.stack([position_m, velocity_mps], 1),
        covariance=np.tile(np.diag(np.square(SEEN_SIGMA)), (count, 1, 1)),
        evidence=detections.score,
        seen_us=np.full(count, detections.timestamp_us),
    )


def _expected(detections: Detections, tracks: Tracks, readout: MemoryReadout) -> FloatArray:
    """Returns where tracks should be [T, 3] in the ego frame: by memory where it holds them."""
    position_m = poses.apply(poses.invert(detections.ego2global), tracks.motion[:, 0])
    _, held, by = np.intersect1d(tracks.track_id, readout.track_id, return_indices=True)
    position_m[held] = readout.position_m[by]
    return position_m


def _is_sure(detections: Detections, config: TrackingConfig) -> BoolArray:
    """Returns which detections [N] are sure; what alone is enough for a birth always is."""
    return np.asarray(detections.score >= min(config.sure_score, config.birth_score))


def _associate(
    detections: Detections, tracks: Tracks, config: TrackingConfig, expected_m: FloatArray
) -> IntArray:
    """Returns the track [N] of each detection, -1 for none."""
    share = np.array([GATE_SHARE[group] for group in detections.vocabulary.groups])[tracks.class_id]
    gate_m = config.gate_m * share + config.gate_s * np.linalg.norm(tracks.motion[:, 1], axis=1)
    offset = detections.boxes[:, None, :2] - expected_m[None, :, :2]
    distance = np.linalg.norm(offset, axis=-1)
    allowed = (distance <= gate_m) & (detections.class_id[:, None] == tracks.class_id)
    sure, named = _is_sure(detections, config), tracks.track_id >= 0
    matched = np.full(len(detections), -1, np.int64)
    for rows, columns in ((sure, named), (sure, ~named), (~sure, named)):
        free = np.ones(len(tracks), bool)
        free[matched[matched >= 0]] = False
        may = allowed & (rows & (matched < 0))[:, None] & (columns & free)
        row, column = _assigned(distance, may)
        matched[row] = column
    return matched


def _assigned(distance: FloatArray, allowed: BoolArray) -> tuple[IntArray, IntArray]:
    """Returns rows and columns that belong together: as many as possible, by least total
    distance."""
    rows, columns = np.flatnonzero(allowed.any(1)), np.flatnonzero(allowed.any(0))
    may = allowed[np.ix_(rows, columns)]
    forbidden = 1e6
    row, column = linear_sum_assignment(np.where(may, distance[np.ix_(rows, columns)], forbidden))
    good = may[row, column]
    return rows[row[good]], columns[column[good]]


def _corrected(tracks: Tracks, found: Tracks, matched: IntArray, vocabulary: Vocabulary) -> Tracks:
    """Corrects the tracks by the detections [N] that match them (correction of the Kalman
    filter)."""
    row = np.flatnonzero(matched >= 0)
    index = matched[row]
    motion, covariance = tracks.motion[index], tracks.covariance[index]
    gain = covariance @ np.linalg.inv(covariance + np.diag(np.square(SEEN_SIGMA)))
    motion = motion + gain @ (found.motion[row] - motion)
    motion[np.isin(tracks.class_id[index], vocabulary.still_ids), 1] = 0
    return replace(
        tracks,
        motion=_put(tracks.motion, index, motion),
        covariance=_put(tracks.covariance, index, covariance - gain @ covariance),
        evidence=_put(tracks.evidence, index, tracks.evidence[index] + found.evidence[row]),
        seen_us=_put(tracks.seen_us, index, found.seen_us[row]),
    )


def _put(values: np.ndarray, index: IntArray, new: np.ndarray) -> np.ndarray:
    changed = values.copy()
    changed[index] = new
    return changed


def _born(tracks: Tracks, config: TrackingConfig) -> Tracks:
    """Gives an id to each track that waits and has enough evidence."""
    born = np.flatnonzero((tracks.track_id < 0) & (tracks.evidence >= config.birth_score))
    return replace(
        tracks,
        track_id=_put(tracks.track_id, born, tracks.next_id + np.arange(len(born))),
        next_id=tracks.next_id + len(born),
    )
