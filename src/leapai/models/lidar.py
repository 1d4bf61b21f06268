"""Points to BEV: pillars, attention-weighted pillar features, a dense canvas.

Pillars follow PointPillars (Lang et al., CVPR 2019, section 2.1). Points stay a flat list sorted by
pillar: no [pillars, 48, channels] tensor with mostly empty places is formed, and no compiled
operator is needed. No shape depends on values: points that do not count stay in the list, behind
the others, and there are always as many pillars as a stream may have.
Letters: B streams, P points of all streams, V pillars of all streams, C channels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from leapai.config.network_sections import LidarConfig
from leapai.models.blocks import conv_norm_relu
from leapai.models.grid_range import GridRange
from leapai.models.intensity import relative_to_ground
from leapai.models.precision import in_float32
from leapai.models.sampling import segment_sum
from leapai.types import BevGrid

POINT_FEATURES = 10
"""x y z intensity dt, offset to the pillar's mean (3), offset to the pillar's centre (2)."""
MAX_LOGIT = 10.0


@dataclass(frozen=True)
class Pillars:
    """The points of all streams, sorted by pillar. A stream's pillars follow each other, the
    nearest to the ego first; those that it has too few points for are empty."""

    points: Tensor
    """[P, 5] x y z intensity dt, sorted by pillar; zeros where a point has none."""
    counts: Tensor
    """[P] bool: the point has a pillar, and is among the first `max_points` of it."""
    pillar: Tensor
    """[P] int64 index into the pillars; V: none."""
    offsets: Tensor
    """[V + 1] int64 first point of each pillar; last the first one that has none."""
    cell: Tensor
    """[V] int64 stream * rows * columns + row * columns + column of the pillar grid; that of an
    empty pillar lies behind the last cell."""


class PillarGrouping(nn.Module):
    """Groups points into the pillars of a grid, at most `max_pillars` a stream and `max_points` a
    pillar. Of more pillars the nearest to the ego stay, of more points the first of the sweep."""

    near_first: Tensor

    def __init__(self, grid: BevGrid, max_pillars: int, max_points: int) -> None:
        super().__init__()
        self.grid, self.max_points = grid, max_points
        self.max_pillars = min(max_pillars, grid.rows * grid.columns)
        self.range = GridRange(grid)
        self.register_buffer("near_first", _near_first(grid), persistent=False)

    def forward(self, points: Tensor, stream: Tensor, streams: int) -> Pillars:
        """Groups points [P, 5] of streams [P] out of `streams`. Points outside the range or not
        finite have no pillar."""
        cell = self._cells(points, stream, streams)
        pillar_of_cell = self._pillars(cell, streams)
        none = streams * self.max_pillars
        pillar, order = torch.sort(pillar_of_cell[cell], stable=True)
        points, cell = points[order], cell[order]
        sizes = torch.zeros(none + 1, dtype=torch.int64, device=points.device)
        sizes = sizes.index_add(0, pillar, torch.ones_like(pillar))
        offsets = sizes.cumsum(0) - sizes
        rank = torch.arange(pillar.shape[0], device=points.device) - offsets[pillar]
        has_one = pillar < none
        empty = streams * self.grid.rows * self.grid.columns
        cells = torch.full_like(sizes, empty).index_copy(0, pillar, cell)
        return Pillars(
            points=torch.where(has_one[:, None], points, 0.0),
            counts=has_one & (rank < self.max_points),
            pillar=pillar,
            offsets=offsets,
            cell=cells[:-1],
        )

    def _cells(self, points: Tensor, stream: Tensor, streams: int) -> Tensor:
        """Returns the cell [P] of each point, counted over all streams; behind the last cell for
        a point outside."""
        grid = self.grid
        local = points[:, :3] - self.range.low_m
        inside = ((local >= 0) & (local < self.range.extent_m)).all(-1) & points.isfinite().all(-1)
        place = torch.where(inside[:, None], local[:, :2] / grid.cell_m, 0.0).long()
        column = place[:, 0].clamp(max=grid.columns - 1)
        row = place[:, 1].clamp(max=grid.rows - 1)
        cell = (stream * grid.rows + row) * grid.columns + column
        return torch.where(inside, cell, streams * grid.rows * grid.columns)

    def _pillars(self, cell: Tensor, streams: int) -> Tensor:
        """Numbers the pillars that stay: returns the pillar of each cell [B * rows * columns + 1],
        given those of points [P]."""
        cells, none = len(self.near_first), streams * self.max_pillars
        hit = torch.zeros(streams * cells + 1, dtype=torch.bool, device=cell.device)
        hit = hit.index_fill(0, cell, True)[:-1].view(streams, cells)[:, self.near_first]
        rank = hit.cumsum(1) - 1
        first = torch.arange(streams, device=cell.device)[:, None] * self.max_pillars
        pillar = torch.where(hit & (rank < self.max_pillars), rank + first, none)
        of_cell = torch.empty_like(pillar).index_copy(1, self.near_first, pillar)
        return torch.cat([of_cell.flatten(), first.new_full((1,), none)])


def _near_first(grid: BevGrid) -> Tensor:
    """Returns the cells [rows * columns] in the order of their distance to the ego."""
    cells = torch.arange(grid.rows * grid.columns)
    x = (cells % grid.columns + 0.5) * grid.cell_m + grid.x_range_m[0]
    y = (cells // grid.columns + 0.5) * grid.cell_m + grid.y_range_m[0]
    return torch.argsort(x.square() + y.square(), stable=True)


class PillarVfe(nn.Module):
    """Voxel feature encoder: pillars -> features [V, C], a sum of point features weighted by
    attention."""

    def __init__(self, config: LidarConfig, grid: BevGrid) -> None:
        super().__init__()
        channels = config.pillar_channels
        self.grid, self.range = grid, GridRange(grid)
        self.grouping = PillarGrouping(grid, config.max_pillars, config.max_points_per_pillar)
        self.by_ground = config.intensity == "ground"
        self.point_mlp = nn.Linear(POINT_FEATURES, channels)
        self.point_norm = nn.LayerNorm(channels)
        self.attention = nn.Linear(channels, 1)
        self.pillar_mlp = nn.Linear(channels, channels)

    def group(self, points: Tensor, stream: Tensor, streams: int) -> Pillars:
        """Groups points [P, 5] of streams [P] out of `streams` into pillars, with intensities as
        the configuration has them."""
        if self.by_ground:
            points = relative_to_ground(points, stream, streams)
        pillars: Pillars = self.grouping(points, stream, streams)
        return pillars

    @in_float32
    def forward(self, pillars: Pillars) -> Tensor:
        """Returns features [V, C]; those of an empty pillar mean nothing."""
        points = torch.relu(self.point_norm(self.point_mlp(self._features(pillars))))  # [P, C]
        # Bounded by tanh: exp cannot overflow, so the softmax needs no maximum of each pillar.
        logits = MAX_LOGIT * torch.tanh(self.attention(points).float()[:, 0] / MAX_LOGIT)
        weight = logits.exp() * pillars.counts
        total = segment_sum(weight[:, None], pillars.offsets)[:-1]  # [V, 1]
        features = segment_sum(points, pillars.offsets, weight)[:-1]
        return torch.relu(self.pillar_mlp(features / total.clamp(min=math.exp(-2 * MAX_LOGIT))))

    def _features(self, pillars: Pillars) -> Tensor:
        """Returns inputs [P, 10] of the point network, scaled to about [-1, 1]."""
        grid, points = self.grid, pillars.points
        xyz, counts = points[:, :3], pillars.counts.float()
        size = segment_sum(counts[:, None], pillars.offsets)  # [V + 1, 1]
        mean = segment_sum(xyz, pillars.offsets, counts) / size.clamp(min=1)
        column = pillars.cell % grid.columns
        row = pillars.cell // grid.columns % grid.rows
        centre = (torch.stack([column, row], -1) + 0.5) * grid.cell_m + self.range.low_m[:2]
        centre = torch.cat([centre, centre.new_zeros(1, 2)])  # of points that have no pillar
        position = 2 * self.range.normalise(xyz) - 1
        to_mean = (xyz - mean[pillars.pillar]) / grid.cell_m
        to_centre = (xyz[:, :2] - centre[pillars.pillar]) / grid.cell_m
        return torch.cat([position, points[:, 3:5], to_mean, to_centre], -1)


class LidarMiddleEncoder(nn.Module):
    """Pillar features [V, C] -> dense BEV [B, C', rows, columns] of the BEV grid."""

    def __init__(self, config: LidarConfig, bev: BevGrid) -> None:
        super().__init__()
        self.channels = config.pillar_channels
        self.grid = pillar_grid(config, bev)
        halvings = round(math.log2(bev.cell_m / config.pillar_m))
        widths = [self.channels] * halvings + [config.middle_channels]
        self.down = nn.Sequential(*(conv_norm_relu(a, b, stride=2) for a, b in pairwise(widths)))
        self.to(memory_format=torch.channels_last)

    def canvas(self, features: Tensor, cell: Tensor, streams: int) -> Tensor:
        """Scatters pillars [V, C] at cells [V] onto zeros: [B, C, pillar rows, pillar columns].
        What lies behind the last cell is dropped."""
        rows, columns = self.grid.rows, self.grid.columns
        flat = features.new_zeros(streams * rows * columns + 1, self.channels)
        flat = flat.index_copy_(0, cell, features)[:-1]
        return flat.view(streams, rows, columns, self.channels).permute(0, 3, 1, 2)

    def forward(self, features: Tensor, cell: Tensor, streams: int) -> Tensor:
        """Returns the dense BEV [B, C', rows, columns]."""
        bev: Tensor = self.down(self.canvas(features, cell, streams))
        return bev


def pillar_grid(config: LidarConfig, bev: BevGrid) -> BevGrid:
    """Returns the pillars' grid over the BEV range. Raises ValueError unless a BEV cell is 2^n
    pillars wide."""
    halvings = math.log2(bev.cell_m / config.pillar_m)
    if halvings < 1 or abs(halvings - round(halvings)) > 1e-6:
        raise ValueError(
            f"lidar.pillar_m = {config.pillar_m}: bev.cell_m = {bev.cell_m} must be 2, 4, 8, ... "
            "times it"
        )
    return BevGrid(bev.x_range_m, bev.y_range_m, bev.z_range_m, config.pillar_m)
