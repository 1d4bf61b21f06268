"""Memory of one stream of an exported step, as the host keeps it: slots as the graph gave them, a
ring of map features, and the last frame. Poses and times stay in float64 and int64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from leapai.config.schema import TaskConfig
from leapai.geometry import poses
from leapai.types import FloatArray, Frame

US_PER_S = 1_000_000
MEMORY_SLOTS = (
    *("query", "reference_m", "velocity_mps", "confidence", "class_id", "timestamp_us"),
    *("last_from_stored", "track_id", "query_index", "valid"),
)
"""Fields of `TemporalState` that are inputs; with `next_` before their names, outputs."""
MEMORY_READOUT = ("reference_m", "velocity_mps", "valid")
"""Fields of `MemoryReport` that are outputs, with `memory_` before their names."""


@dataclass(frozen=True)
class KeptFeatures:
    """Map features of one frame."""

    bev: FloatArray
    """[C, rows, columns] float16, in the ego frame of its own time."""
    ego2global: FloatArray
    """[4, 4] float64."""
    timestamp_us: int


@dataclass(frozen=True)
class HostMemory:
    """Everything that an exported step carries from frame to frame."""

    slots: Mapping[str, np.ndarray]
    """Fields of the memory of objects by the names of `TemporalState`, [1, S, ...] each."""
    ring: tuple[KeptFeatures, ...] = ()
    """Kept map features, oldest first."""
    last_ego2global: FloatArray | None = None
    """[4, 4] float64, of the last frame; None: there was none, or its pose is not finite."""
    last_timestamp_us: int = 0


@dataclass(frozen=True)
class HostMotion:
    """Motion of the ego since the last frame."""

    reset: bool
    """Memory is dropped: a sequence begins, time runs back, a gap, or a pose that is not finite."""
    has_pose: bool
    prev2curr: FloatArray
    """[4, 4] float64: this frame's ego frame from the last one's; identity on reset."""
    interval_s: float
    """Time since the last frame; 0 on reset."""

    def inputs(self) -> dict[str, np.ndarray]:
        """Returns the motion as a graph takes it."""
        return {
            "reset": np.array([self.reset]),
            "has_pose": np.array([self.has_pose]),
            "prev2curr": self.prev2curr[None].astype(np.float32),
            "interval_s": np.array([self.interval_s], np.float32),
        }


def motion_since(
    memory: HostMemory, frame: Frame, max_gap_s: float, *, is_first: bool
) -> HostMotion:
    """Returns the motion from the last frame of a memory to a frame."""
    last, interval_us = memory.last_ego2global, frame.timestamp_us - memory.last_timestamp_us
    has_pose = bool(np.isfinite(frame.ego2global).all())
    bad_time = not 0 <= interval_us <= round(max_gap_s * US_PER_S)
    if is_first or last is None or bad_time or not has_pose:
        return HostMotion(reset=True, has_pose=has_pose, prev2curr=np.eye(4), interval_s=0.0)
    prev2curr = poses.invert(np.asarray(frame.ego2global, np.float64)) @ last
    return HostMotion(
        reset=False, has_pose=True, prev2curr=prev2curr, interval_s=interval_us / US_PER_S
    )


class FeatureRing:
    """Selects map features of past frames, and those that are kept: the twin of
    `leapai.models.static.bev_memory` for one stream."""

    def __init__(self, config: TaskConfig) -> None:
        static, grid = config.static, config.bev.grid()
        rows, columns = grid.part(static.region())
        self.size = (static.channels, rows.stop - rows.start, columns.stop - columns.start)
        self.most = static.memory_frames
        self.ages_us = [round(age * US_PER_S) for age in static.past_s]
        self.tolerance_us = round(static.tolerance_s * US_PER_S)
        self.min_gap_us = (max(self.ages_us) + self.tolerance_us) // (self.most - 1)

    def inputs(self, ring: Sequence[KeptFeatures], frame: Frame) -> dict[str, np.ndarray]:
        """Returns the features of the required ages, as a graph takes them."""
        count = len(self.ages_us)
        bev = np.zeros((1, count, *self.size), np.float16)
        past_from_now = np.tile(np.eye(4, dtype=np.float32), (1, count, 1, 1))
        found = np.zeros((1, count), bool)
        for age, age_us in enumerate(self.ages_us):
            kept = self._nearest(ring, frame.timestamp_us - age_us)
            if kept is not None:
                relative = poses.invert(kept.ego2global) @ frame.ego2global
                bev[0, age], past_from_now[0, age], found[0, age] = kept.bev, relative, True
        return {"past_bev": bev, "past_from_now": past_from_now, "past_found": found}

    def _nearest(self, ring: Sequence[KeptFeatures], time_us: int) -> KeptFeatures | None:
        """Returns the features nearest to a time, the younger ones of two as near; None: none are
        within the tolerance."""
        if not ring:
            return None
        nearest = min(ring, key=lambda kept: (abs(kept.timestamp_us - time_us), -kept.timestamp_us))
        return nearest if abs(nearest.timestamp_us - time_us) <= self.tolerance_us else None

    def pushed(
        self, ring: tuple[KeptFeatures, ...], frame: Frame, bev: FloatArray
    ) -> tuple[KeptFeatures, ...]:
        """Returns the ring with the features [C, rows, columns] of a frame, unless it follows the
        one before too soon."""
        if ring and frame.timestamp_us - ring[-1].timestamp_us < self.min_gap_us:
            return ring
        pose = np.array(frame.ego2global, np.float64)
        return (*ring, KeptFeatures(bev, pose, frame.timestamp_us))[-self.most :]
