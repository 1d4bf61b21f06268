"""Points to BEV: pillars, attention-weighted pillar features, a dense canvas.

Pillars follow PointPillars (Lang et al., CVPR 2019, section 2.1). Points stay a flat list sorted by
pillar: no [pillars, 48, channels] tensor with mostly empty places is formed, and no compiled
operator is needed.
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
from leapai.models.precision import in_float32
from leapai.models.sampling import segment_sum
from leapai.types import BevGrid

POINT_FEATURES = 10
"""x y z intensity dt, offset to the pillar's mean (3), offset to the pillar's centre (2)."""
MAX_LOGIT = 10.0


@dataclass(frozen=True)
class Pillars:
    """The points of all streams, sorted by pillar."""

    points: Tensor
    """[P', 5] kept points x y z intensity dt, sorted by pillar."""
    pillar: Tensor
    """[P'] int64 index into the pillars."""
    offsets: Tensor
    """[V] int64 first point of each pillar."""
    cell: Tensor
    """[V] int64 stream * rows * columns + row * columns + column of the pillar grid."""


def group_pillars(
    points: Tensor, stream: Tensor, grid: BevGrid, max_pillars: int, max_points: int
) -> Pillars:
    """Groups points [P, 5] of streams [P] into pillars of `grid`.

    Points outside the range or not finite are dropped. Of more than `max_points` in a pillar the
    first in the order of the sweep stay; of more than `max_pillars` in a stream the nearest to the
    ego stay.
    """
    low, extent = points.new_tensor(grid.low_m), points.new_tensor(grid.extent_m)
    local = points[:, :3] - low
    inside = ((local >= 0) & (local < extent)).all(-1) & points.isfinite().all(-1)
    points, stream, local = points[inside], stream[inside], local[inside]
    column = (local[:, 0] / grid.cell_m).long().clamp(max=grid.columns - 1)
    row = (local[:, 1] / grid.cell_m).long().clamp(max=grid.rows - 1)
    cell, order = torch.sort((stream * grid.rows + row) * grid.columns + column, stable=True)
    cells, pillar, counts = torch.unique_consecutive(cell, return_inverse=True, return_counts=True)
    first = counts.cumsum(0) - counts
    rank = torch.arange(len(pillar), device=points.device) - first[pillar]
    kept_pillars = _nearest(cells, grid, max_pillars)
    keep = (rank < max_points) & kept_pillars[pillar]
    renumbered = kept_pillars.cumsum(0) - 1
    counts = counts.clamp(max=max_points)[kept_pillars]
    return Pillars(
        points=points[order[keep]],
        pillar=renumbered[pillar[keep]],
        offsets=counts.cumsum(0) - counts,
        cell=cells[kept_pillars],
    )


def _nearest(cells: Tensor, grid: BevGrid, limit: int) -> Tensor:
    """Returns a mask [V] of the at most `limit` pillars a stream that are nearest to the ego."""
    per_stream = grid.rows * grid.columns
    stream = cells // per_stream
    if len(cells) <= limit or int(stream.bincount().max()) <= limit:
        return torch.ones_like(cells, dtype=torch.bool)
    x = (cells % grid.columns + 0.5) * grid.cell_m + grid.x_range_m[0]
    y = (cells % per_stream // grid.columns + 0.5) * grid.cell_m + grid.y_range_m[0]
    by_distance = torch.argsort(x.square() + y.square(), stable=True)
    order = by_distance[
        torch.argsort(stream[by_distance], stable=True)
    ]  # stream by stream, near to far
    counts = stream.bincount()
    rank = (
        torch.arange(len(cells), device=cells.device) - (counts.cumsum(0) - counts)[stream[order]]
    )
    mask = torch.zeros_like(cells, dtype=torch.bool)
    mask[order[rank < limit]] = True
    return mask


class PillarVfe(nn.Module):
    """Voxel feature encoder: pillars -> features [V, C], a sum of point features weighted by
    attention."""

    def __init__(self, config: LidarConfig, grid: BevGrid) -> None:
        super().__init__()
        channels = config.pillar_channels
        self.grid = grid
        self.point_mlp = nn.Linear(POINT_FEATURES, channels)
        self.point_norm = nn.LayerNorm(channels)
        self.attention = nn.Linear(channels, 1)
        self.pillar_mlp = nn.Linear(channels, channels)

    @in_float32
    def forward(self, pillars: Pillars) -> Tensor:
        """Returns features [V, C]; [0, C] for an empty cloud."""
        points = torch.relu(self.point_norm(self.point_mlp(self._features(pillars))))  # [P', C]
        # Bounded by tanh: exp cannot overflow, so the softmax needs no maximum of each pillar.
        logits = MAX_LOGIT * torch.tanh(self.attention(points).float()[:, 0] / MAX_LOGIT)
        weight = logits.exp()
        total = segment_sum(weight[:, None], pillars.offsets)  # [V, 1]
        features = segment_sum(points, pillars.offsets, weight) / total
        return torch.relu(self.pillar_mlp(features))

    def _features(self, pillars: Pillars) -> Tensor:
        """Returns inputs [P', 10] of the point network, scaled to about [-1, 1]."""
        grid, points = self.grid, pillars.points
        xyz = points[:, :3]
        counts = torch.diff(pillars.offsets, append=pillars.offsets.new_tensor([len(points)]))
        mean = segment_sum(xyz, pillars.offsets) / counts[:, None]
        column = pillars.cell % grid.columns
        row = pillars.cell // grid.columns % grid.rows
        centre = torch.stack([column, row], -1) + 0.5
        centre = centre * grid.cell_m + xyz.new_tensor(grid.low_m[:2])
        position = 2 * grid.normalise(xyz) - 1
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
        """Scatters pillars [V, C] at cells [V] onto zeros: [B, C, pillar rows, pillar columns]."""
        rows, columns = self.grid.rows, self.grid.columns
        flat = features.new_zeros(streams * rows * columns, self.channels)
        flat = flat.index_copy_(0, cell, features)
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
