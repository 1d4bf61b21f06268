"""Track ids that live on memory slots: birth, association, death.

A slot of memory carries the id of the object it saw. Before each frame the memory itself moves its
slots to now (velocity, ego motion): a detection takes the id of the slot that expects it. A track
that no slot carries any more is dead, so an object may vanish for as many frames as memory reaches
back. Ids never come from another lane, because a lane's slots are its own, and never from another
sequence, because a reset drops them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from leapai.config import TrackingConfig
from leapai.types import Detections, FloatArray, IntArray, MemoryReport, TemporalState

IDS_PER_SEQUENCE = 1_000_000
"""Ids of the n-th sequence of a session start at n times this: no id is shared between
sequences."""


@dataclass(frozen=True)
class Expected:
    """Living tracks of one lane, where memory expects them now."""

    track_id: IntArray
    """[T]"""
    position_m: FloatArray
    """[T, 3] ego frame."""
    speed_mps: FloatArray
    """[T]"""
    class_id: IntArray
    """[T]"""


def expected_tracks(report: MemoryReport, lane: int) -> Expected:
    """Each id once, from its newest slot."""
    alive = (report.valid[lane] & (report.object_id[lane] >= 0)).cpu().numpy()
    ids = report.object_id[lane].cpu().numpy()[alive]
    # Slots are ordered from the oldest frame to the newest: the last of an id is its newest.
    unique, from_end = np.unique(ids[::-1], return_index=True)
    newest = np.flatnonzero(alive)[len(ids) - 1 - from_end] if len(ids) else np.zeros(0, int)
    velocity = report.velocity_mps[lane].cpu().numpy()[newest]
    return Expected(
        track_id=unique,
        position_m=report.reference_m[lane].cpu().numpy()[newest].astype(np.float64),
        speed_mps=np.linalg.norm(velocity, axis=-1).astype(np.float64),
        class_id=report.class_id[lane].cpu().numpy()[newest],
    )


def associate(detections: Detections, tracks: Expected, config: TrackingConfig) -> IntArray:
    """Track index [N] of each detection, -1 for none: least total ground distance, same class,
    within the gate."""
    matched = np.full(len(detections), -1, np.int64)
    if not len(detections) or not len(tracks.track_id):
        return matched
    offset = detections.boxes[:, None, :2] - tracks.position_m[None, :, :2]
    distance = np.linalg.norm(offset, axis=-1)
    gate = config.gate_m + config.gate_s * tracks.speed_mps
    allowed = (distance <= gate) & (detections.class_id[:, None] == tracks.class_id)
    forbidden = 1e6
    rows, columns = linear_sum_assignment(np.where(allowed, distance, forbidden))
    good = allowed[rows, columns]
    matched[rows[good]] = columns[good]
    return matched


class TrackIds:
    """Gives ids to the detections of one lane and writes them onto its slots."""

    def __init__(self, config: TrackingConfig, sequence_number: int) -> None:
        self.config = config
        self.next_id = sequence_number * IDS_PER_SEQUENCE

    def update(
        self, detections: Detections, report: MemoryReport, state: TemporalState, lane: int
    ) -> tuple[Detections, TemporalState]:
        """Detections with ids, and the state whose newest slots carry them."""
        if state.valid.shape[1] == 0:  # without memory there is no identity
            return detections, state
        tracks = expected_tracks(report, lane)
        matched = associate(detections, tracks, self.config)
        ids = np.full(len(detections), -1, np.int64)
        ids[matched >= 0] = tracks.track_id[matched[matched >= 0]]
        born = (matched < 0) & (detections.score >= self.config.birth_score)
        ids[born] = self.next_id + np.arange(born.sum())
        self.next_id += int(born.sum())
        return replace(detections, track_id=ids), _write_ids(state, report, detections, ids, lane)


def _write_ids(
    state: TemporalState,
    report: MemoryReport,
    detections: Detections,
    ids: IntArray,
    lane: int,
) -> TemporalState:
    """The state whose slots of this frame carry the ids [N] of the detections their queries
    made."""
    queries = report.current_query.shape[1]
    id_of_query = torch.full((queries,), -1, dtype=torch.int64)
    id_of_query[torch.from_numpy(detections.query_index)] = torch.from_numpy(ids)
    newest = (state.timestamp_us[lane] == state.last_timestamp_us[lane]) & state.valid[lane]
    newest &= state.query_index[lane] >= 0
    looked_up = id_of_query.to(newest.device)[state.query_index[lane].clamp(min=0)]
    object_id = state.object_id.clone()
    object_id[lane] = torch.where(newest, looked_up, object_id[lane])
    return replace(state, object_id=object_id)
