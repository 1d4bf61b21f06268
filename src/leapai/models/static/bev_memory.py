"""Memory of the static task as a value (docs/design.md, section 11): features of past frames, each
with the pose and time at which it was seen; the few of the required ages are warped to now and
fused with this frame's.

What is kept of a frame are its fused features. So a place stays in memory longer than the oldest
age: what a frame had of it from its own past comes along.

What is invalid is selected away with `torch.where`, never multiplied, so a NaN cannot live on.
Letters: B streams, K kept frames, P required ages, C channels, R x W the region's BEV cells.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from leapai.config.schema import TaskConfig
from leapai.geometry import poses
from leapai.geometry.grid import cells_in
from leapai.models.blocks import conv_norm_relu
from leapai.models.precision import in_float32
from leapai.models.reset import US_PER_S, has_pose, is_reset
from leapai.models.tensors import FrameBatch, StaticMemory, TemporalState
from leapai.types import BevGrid

START = 0.1
"""Initial scale of the last norm: fusion begins as a small change to what Step 1's head learnt."""
_FAR = 1 << 62
_TIE = 1e-3
"""Share of a cell by which a place before the border of two cells counts to the next one. An ego
that moves by round numbers puts whole rows of cells onto borders, and which cells these read must
not depend on how a runtime rounds."""
GEOMETRY = 5
"""Channels that describe how a past frame was warped."""


class Warped(NamedTuple):
    """Past frames as seen from now."""

    bev: Tensor
    """Features [B, P, C, R, W]."""
    geometry: Tensor
    """[B, P, 5, R, W]: 1 where the past frame covers the cell; how far the cell's centre, as it was
    then, lies off that of the nearest cell, in cells along x and y; cosine and sine of the turn
    from the axes of now to those of then. Zero where it does not cover the cell."""


class Past(NamedTuple):
    """Past frames of the required ages, as they were kept."""

    bev: Tensor
    """[B, P, C, R, W] float16, each in the ego frame of its own time."""
    past_from_now: Tensor
    """[B, P, 4, 4] float32: that ego frame from this frame's; identity where none was found."""
    found: Tensor
    """[B, P] bool: a frame of this age is kept."""


def empty_memory(
    streams: int, config: TaskConfig, device: torch.device | str = "cpu"
) -> StaticMemory:
    """Returns an empty memory of `streams` streams: K x C x R x W x 2 bytes a stream, 60 MB
    at
    full size."""
    kept, grid = config.static.memory_frames, region_grid(config)
    size = (streams, kept, config.static.channels, grid.rows, grid.columns)
    eye = torch.eye(4, dtype=torch.float64, device=device)
    return StaticMemory(
        bev=torch.zeros(size, dtype=torch.float16, device=device),
        ego2global=eye.expand(streams, kept, 4, 4).clone(),
        timestamp_us=torch.zeros(streams, kept, dtype=torch.int64, device=device),
        valid=torch.zeros(streams, kept, dtype=torch.bool, device=device),
    )


def region_grid(config: TaskConfig) -> BevGrid:
    """Returns the cells of the BEV grid that the region is made of."""
    static = config.static
    return BevGrid(static.x_range_m, static.y_range_m, cell_m=config.bev.cell_m)


class StaticTemporalFusion(nn.Module):
    """Fuses this frame's features with those of the past, and returns the next memory.

    A VGG block: two 3x3 convolutions with norm and ReLU (Simonyan & Zisserman, ICLR 2015), over
    this frame's features, the warped ones, and what the warp of each was (`Warped.geometry`): the
    nearest cell is up to half a cell off, more than a line is wide, and its features describe their
    surroundings along the axes of then. Its output is added to this frame's features.
    """

    def __init__(self, config: TaskConfig) -> None:
        super().__init__()
        static, self.grid = config.static, region_grid(config)
        channels, ages = static.channels, len(static.past_s)
        self.block = nn.Sequential(
            conv_norm_relu(channels * (1 + ages) + GEOMETRY * ages, channels),
            conv_norm_relu(channels, channels),
        )
        for norm in [m for m in self.block.modules() if isinstance(m, nn.BatchNorm2d)][-1:]:
            nn.init.constant_(norm.weight, START)
        self.max_gap_s = config.max_gap_s
        self.ages_us = [round(age * US_PER_S) for age in static.past_s]
        self.tolerance_us = round(static.tolerance_s * US_PER_S)
        # Frames that follow each other sooner do not enter, so that K of them reach back far enough
        # at any rate.
        reach_us = max(self.ages_us) + self.tolerance_us
        self.min_gap_us = reach_us // (static.memory_frames - 1)
        self.to(memory_format=torch.channels_last)

    def forward(
        self, bev: Tensor, batch: FrameBatch, state: TemporalState
    ) -> tuple[Tensor, StaticMemory]:
        """Returns fused features [B, C, R, W] from those of the neck [B, C, R, W], and the next
        memory."""
        assert state.static is not None, "the state was made without a memory of the static task"
        memory = forget(state.static, is_reset(state, batch, self.max_gap_s))
        fused = self.fuse(bev, self.read(memory, batch))
        return fused, push(memory, fused, batch, self.min_gap_us)

    def fuse(self, bev: Tensor, past: Warped) -> Tensor:
        """Fuses features [B, C, R, W] of this frame with those of the past, as seen from now."""
        geometry = past.geometry.flatten(1, 2).to(bev.dtype)
        seen = torch.cat([bev, past.bev.flatten(1, 2), geometry], 1)
        fused: Tensor = bev + self.block(seen.contiguous(memory_format=torch.channels_last))
        return fused

    def read(self, memory: StaticMemory, batch: FrameBatch) -> Warped:
        """Reads the features at the required ages, as seen from now; zero where nothing is
        stored."""
        return self.warped(self.find(memory, batch))

    def find(self, memory: StaticMemory, batch: FrameBatch) -> Past:
        """Finds the kept frames nearest to the required ages; relative poses are formed in
        float64."""
        slot, found = pick(memory, batch.timestamp_us, self.ages_us, self.tolerance_us)
        stream = torch.arange(batch.streams, device=slot.device)[:, None]
        past_from_now = poses.invert(memory.ego2global[stream, slot]) @ batch.ego2global[:, None]
        eye = torch.eye(4, dtype=torch.float64, device=slot.device)
        past_from_now = torch.where(found[:, :, None, None], past_from_now, eye)
        return Past(memory.bev[stream, slot], past_from_now.float(), found)

    @in_float32
    def warped(self, past: Past) -> Warped:
        """Returns the past as seen from now; zero where nothing was found."""
        warped = warp(past.bev, past.past_from_now, self.grid)
        found = past.found[:, :, None, None, None]
        bev = torch.where(found, warped.bev, 0.0).float()
        return Warped(bev, torch.where(found, warped.geometry, 0.0))


def forget(memory: StaticMemory, reset: Tensor) -> StaticMemory:
    """Returns the memory without the slots of streams [B] under reset."""
    valid = memory.valid & ~reset[:, None]
    return StaticMemory(memory.bev, memory.ego2global, memory.timestamp_us, valid)


def pick(
    memory: StaticMemory, now_us: Tensor, ages_us: list[int], tolerance_us: int
) -> tuple[Tensor, Tensor]:
    """Returns the kept frame nearest to each age, the younger of two as near: its slot [B, P], and
    whether it is at most the tolerance away [B, P]."""
    age_us = now_us[:, None] - memory.timestamp_us
    off_us = torch.stack([age_us - of_us for of_us in ages_us], 1)  # [B, P, K]
    rank = torch.where(memory.valid[:, None], 2 * off_us.abs() + (off_us > 0), _FAR)
    nearest, slot = rank.min(-1)
    return slot, nearest <= 2 * tolerance_us + 1


def warp(bev: Tensor, past_from_now: Tensor, grid: BevGrid) -> Warped:
    """Warps features [B, P, C, R, W] of past ego frames to the cells of now, by the nearest cell.

    `past_from_now` [B, P, 4, 4] moves the cells' centres on the ground; beyond the region: zero.
    """
    cell, inside = cells_in(grid, past_from_now)  # [B, P, R W]
    column, row = (cell + _TIE).floor().unbind(-1)
    nearest = torch.stack([column.clamp(max=grid.columns - 1), row.clamp(max=grid.rows - 1)], -1)
    column, row = nearest.long().unbind(-1)
    index = (row * grid.columns + column)[:, :, None].expand(-1, -1, bev.shape[2], -1)
    there = torch.where(inside[:, :, None], bev.flatten(3).gather(3, index), 0.0)
    axis = past_from_now[:, :, None, :2, 0].expand_as(cell)  # now's x axis in the past frame
    off = cell - nearest - 0.5
    geometry = torch.cat([torch.ones_like(off[..., :1]), off, axis], -1)  # [B, P, R W, GEOMETRY]
    geometry = torch.where(inside[..., None], geometry, 0.0).transpose(2, 3)
    return Warped(there.view_as(bev), geometry.reshape(*bev.shape[:2], GEOMETRY, *bev.shape[3:]))


def push(memory: StaticMemory, bev: Tensor, batch: FrameBatch, min_gap_us: int) -> StaticMemory:
    """Returns the memory with this frame's features [B, C, R, W], detached, in an empty slot or in
    that of the oldest frame. What is not finite, and what follows too soon, does not enter."""
    known_us = torch.where(memory.valid, memory.timestamp_us, -_FAR)
    waited = batch.timestamp_us - known_us.max(1).values >= min_gap_us
    enters = waited & has_pose(batch) & bev.isfinite().flatten(1).all(1)
    stream, slot = torch.arange(batch.streams, device=bev.device), known_us.argmin(1)

    def put(kept: Tensor, new: Tensor) -> Tensor:
        chosen = torch.where(enters.view(-1, *(1,) * (new.dim() - 1)), new, kept[stream, slot])
        return kept.index_put((stream, slot), chosen)

    limit = torch.finfo(memory.bev.dtype).max
    return StaticMemory(
        bev=put(memory.bev, bev.detach().clamp(-limit, limit).to(memory.bev.dtype)),
        ego2global=put(memory.ego2global, batch.ego2global),
        timestamp_us=put(memory.timestamp_us, batch.timestamp_us),
        valid=put(memory.valid, torch.ones_like(enters)),
    )
