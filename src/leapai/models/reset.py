"""Reset of memory: when it is dropped, and from which frame the next one counts. All tasks share
it."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from leapai.models.tensors import FrameBatch, TemporalState

US_PER_S = 1_000_000


def is_reset(state: TemporalState, batch: FrameBatch, max_gap_s: float) -> Tensor:
    """Returns which streams [B] drop their memory: a sequence starts, time runs back, the gap or a
    pose is bad."""
    if batch.motion is not None:
        return batch.motion.reset
    interval_us = batch.timestamp_us - state.last_timestamp_us
    bad_time = (interval_us < 0) | (interval_us > round(max_gap_s * US_PER_S))
    return batch.is_first | ~state.has_last | bad_time | ~has_pose(batch)


def has_pose(batch: FrameBatch) -> Tensor:
    """Returns which streams [B] have a finite ego pose."""
    if batch.motion is not None:
        return batch.motion.has_pose
    return batch.ego2global.isfinite().flatten(1).all(1)


def with_pose(state: TemporalState, batch: FrameBatch) -> TemporalState:
    """Returns the state whose last frame is this one."""
    finite = has_pose(batch)
    eye = torch.eye(4, dtype=torch.float64, device=finite.device)
    return replace(
        state,
        last_ego2global=torch.where(finite[:, None, None], batch.ego2global, eye),
        last_timestamp_us=batch.timestamp_us,
        has_last=finite,
    )
