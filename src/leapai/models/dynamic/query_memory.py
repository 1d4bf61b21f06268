"""Temporal memory as a value: reset, align, condition, select, push (docs/design.md, section 5).

Nothing here keeps a state. `read` aligns a state to the time and pose of the present frame; `push`
makes the next state. What is invalid is selected away with `torch.where`, never multiplied, so a
NaN cannot live on. Letters: B streams, S history slots, K stored queries, Q queries, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from leapai.config.schema import TaskConfig
from leapai.geometry import poses
from leapai.models.dynamic.encoding import MotionAwareLayerNorm, motion_values
from leapai.models.grid_range import GridRange
from leapai.models.precision import in_float32
from leapai.models.reset import US_PER_S, has_pose, is_reset, with_pose
from leapai.models.tensors import FrameBatch, MemoryReport, Motion, TemporalState
from leapai.types import BevGrid

SURE_PICKS = 20
"""In training, the best 20 are always stored; the rest is drawn (docs/design.md, section 12)."""
RANDOM_SAMPLING_PROBABILITY = 0.5
_SLACK_S = 0.01
"""Seconds by which frames may come sooner than `memory_interval_s` asks: sensors jitter."""


@dataclass(frozen=True)
class NewSlots:
    """Slots that a frame adds to memory: K of them."""

    query: Tensor
    """[B, K, C]"""
    reference_m: Tensor
    """[B, K, 3] in this frame's ego frame."""
    velocity_mps: Tensor
    """[B, K, 3]"""
    confidence: Tensor
    """[B, K]"""
    class_id: Tensor
    """[B, K]"""
    query_index: Tensor
    """[B, K]"""


def empty_state(
    streams: int, slots: int, channels: int, device: torch.device | str = "cpu"
) -> TemporalState:
    """Returns a state of `streams` streams with empty memory."""
    eye = torch.eye(4, device=device)

    def filled(value: float, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.full((streams, *shape), value, dtype=dtype, device=device)

    return TemporalState(
        query=filled(0.0, slots, channels),
        reference_m=filled(0.0, slots, 3),
        velocity_mps=filled(0.0, slots, 3),
        confidence=filled(0.0, slots),
        class_id=filled(0, slots, dtype=torch.int64),
        timestamp_us=filled(0, slots, dtype=torch.int64),
        last_from_stored=eye.expand(streams, slots, 4, 4).clone(),
        track_id=filled(-1, slots, dtype=torch.int64),
        query_index=filled(-1, slots, dtype=torch.int64),
        valid=filled(0, slots, dtype=torch.bool),
        last_ego2global=eye.double().expand(streams, 4, 4).clone(),
        last_timestamp_us=filled(0, dtype=torch.int64),
        has_last=filled(0, dtype=torch.bool),
    )


def motion_of(state: TemporalState, batch: FrameBatch, max_gap_s: float) -> Motion:
    """Returns the motion since the last frame: that of the batch where it has one."""
    if batch.motion is not None:
        return batch.motion
    reset = is_reset(state, batch, max_gap_s)
    interval_us = batch.timestamp_us - state.last_timestamp_us
    return Motion(
        reset=reset,
        has_pose=has_pose(batch),
        prev2curr=prev2curr_of(state, batch, reset),
        interval_s=torch.where(reset, 0.0, interval_us / US_PER_S).float(),
    )


def prev2curr_of(state: TemporalState, batch: FrameBatch, reset: Tensor) -> Tensor:
    """Returns the pose of the last ego frame in this one [B, 4, 4] float32, formed in float64;
    identity on reset."""
    relative = poses.invert(batch.ego2global) @ state.last_ego2global
    eye = torch.eye(4, dtype=relative.dtype, device=relative.device)
    return torch.where(reset[:, None, None], eye, relative).float()


class Memory(nn.Module):
    """The memory's learnt part (the motion-aware layer norm) and its five steps."""

    is_static: Tensor

    def __init__(self, config: TaskConfig, grid: BevGrid) -> None:
        super().__init__()
        self.range = GridRange(grid)
        self.slots, self.topk = config.history_slots, config.topk_query
        self.max_gap_s = config.max_gap_s
        self.interval_s = config.memory_interval_s
        self.switches = config.temporal_optimization
        self.condition = MotionAwareLayerNorm(config.dynamic.embed)
        static = torch.zeros(len(config.vocabulary), dtype=torch.bool)
        static[list(config.vocabulary.still_ids)] = True
        self.register_buffer("is_static", static, persistent=False)

    @in_float32
    def read(self, state: TemporalState, batch: FrameBatch, current_query: Tensor) -> MemoryReport:
        """Performs steps 1 to 3: reset, align history to now, condition its features on the
        motion."""
        motion = motion_of(state, batch, self.max_gap_s)
        reset, prev2curr, interval_s = motion.reset, motion.prev2curr, motion.interval_s
        valid = state.valid & _is_finite(state) & ~reset[:, None]
        zero = state.query.new_zeros(())

        velocity = torch.where(valid[..., None], state.velocity_mps, zero)
        if self.switches.velocity_zeroing:
            velocity = torch.where(self.is_static[state.class_id][..., None], zero, velocity)
        displacement = velocity * interval_s[:, None, None]
        reference = torch.where(valid[..., None], state.reference_m, zero) + displacement
        reference = poses.apply(prev2curr, reference)
        velocity = poses.rotate(prev2curr, velocity)
        eye = torch.eye(4, device=valid.device)
        stored = torch.where(valid[..., None, None], state.last_from_stored, eye)
        current_from_stored = prev2curr[:, None] @ stored

        age_us = torch.where(valid, batch.timestamp_us[:, None] - state.timestamp_us, 0)
        age_s = age_us.float() / US_PER_S
        values = motion_values(current_from_stored, age_s, velocity)
        query = torch.where(valid[..., None], state.query, zero)
        query = torch.where(valid[..., None], self.condition(query, values), zero)
        return MemoryReport(
            current_query=current_query,
            history_query=query,
            reference_m=reference,
            reference_clipped=self.range.normalise(reference).clamp(0, 1),
            velocity_mps=velocity,
            timestamp_us=state.timestamp_us,
            age_s=age_s,
            current_from_stored=current_from_stored,
            track_id=torch.where(valid, state.track_id, -1),
            class_id=state.class_id,
            confidence=torch.where(valid, state.confidence, zero),
            valid=valid,
            prev2curr=prev2curr,
            interval_s=interval_s,
            displacement_m=displacement,
            reset=reset,
        )

    def select(self, confidence: Tensor) -> Tensor:
        """Performs step 4: returns indices [B, K] of the queries [B, Q] to store."""
        if self.switches.topk_selection:
            picked = self._pick(confidence)
        else:
            picked = torch.arange(self.topk, device=confidence.device).expand(len(confidence), -1)
        return picked.sort(-1).values if self.switches.query_rearrangement else picked

    def _pick(self, confidence: Tensor) -> Tensor:
        """Picks the most confident queries; in training, in half of the streams, the best 20 and a
        random draw for the rest."""
        best = confidence.topk(self.topk, -1).indices
        if not (self.training and self.switches.random_sampling):
            return best
        is_drawn = torch.rand_like(confidence[:, :1]) < RANDOM_SAMPLING_PROBABILITY
        sure = confidence.topk(min(SURE_PICKS, self.topk), -1).indices
        lottery = torch.rand_like(confidence).scatter(-1, sure, -1.0)
        drawn = lottery.topk(self.topk - sure.shape[-1], -1).indices
        return torch.where(is_drawn, torch.cat([sure, drawn], -1), best)

    def push(
        self, state: TemporalState, report: MemoryReport, new: NewSlots, batch: FrameBatch
    ) -> TemporalState:
        """Performs step 5: the oldest frame leaves, the new one enters, detached. Slots that are
        not finite stay empty.

        Frames in memory are `memory_interval_s` apart at least, all but the last: the new one takes
        the place of one that came sooner after the one before it.
        """
        if self.slots == 0:
            return with_pose(state, batch)
        B, K = new.confidence.shape
        finite = _is_finite(new) & has_pose(batch)[:, None]
        eye = torch.eye(4, device=finite.device).expand(B, K, 4, 4)
        too_soon = self._came_too_soon(report, K)

        def queue(history: Tensor, fresh: Tensor, fill: float = 0.0) -> Tensor:
            trailing = (1,) * (fresh.dim() - 2)
            fresh = torch.where(
                finite.view(B, K, *trailing), fresh.detach(), torch.full_like(fresh, fill)
            )
            history = history.detach()
            kept = torch.where(too_soon.view(B, 1, *trailing), history[:, :-K], history[:, K:])
            return torch.cat([kept, fresh], 1)

        stored_us = batch.timestamp_us[:, None].expand(B, K)
        moved = TemporalState(
            query=queue(state.query, new.query),
            reference_m=queue(report.reference_m, new.reference_m),
            velocity_mps=queue(report.velocity_mps, new.velocity_mps),
            confidence=queue(report.confidence, new.confidence),
            class_id=queue(state.class_id, new.class_id),
            timestamp_us=queue(state.timestamp_us, stored_us),
            last_from_stored=queue(report.current_from_stored, eye),
            track_id=queue(report.track_id, torch.full_like(new.query_index, -1), -1),
            query_index=queue(state.query_index, new.query_index, -1),
            valid=queue(report.valid, finite),
            last_ego2global=state.last_ego2global,
            last_timestamp_us=state.last_timestamp_us,
            has_last=state.has_last,
            static=state.static,
        )
        return with_pose(moved, batch)

    def _came_too_soon(self, report: MemoryReport, per_frame: int) -> Tensor:
        """Returns the streams [B] in which the last frame in memory came sooner than
        `memory_interval_s` after the one before it."""
        streams = len(report.valid)
        if self.slots < 2 * per_frame:
            return torch.zeros(streams, dtype=torch.bool, device=report.valid.device)
        stored_us = report.timestamp_us.view(streams, -1, per_frame)[:, -2:, 0]
        has_both = report.valid.view(streams, -1, per_frame)[:, -2:].any(-1).all(-1)
        soon_us = round((self.interval_s - _SLACK_S) * US_PER_S)
        return has_both & (stored_us[:, 1] - stored_us[:, 0] < soon_us)


def _is_finite(slots: TemporalState | NewSlots) -> Tensor:
    """Returns which slots [B, S] have finite values only."""
    return (
        slots.query.isfinite().all(-1)
        & slots.reference_m.isfinite().all(-1)
        & slots.velocity_mps.isfinite().all(-1)
        & slots.confidence.isfinite()
    )
