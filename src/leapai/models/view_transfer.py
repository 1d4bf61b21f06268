"""Image features to BEV: inverse perspective mapping, then deformable attention around the
projections.

Letters: B streams, N cameras, Q BEV cells, Z heights, C channels, K heads, P points a head,
M pairs (stream, cell, camera) in which the camera sees at least one height of the cell.

Sources: IPM as averaging of bilinear samples at projected points; attention as BEVFormer's spatial
cross-attention (Li et al., ECCV 2022, section 3.3): softmax over the points in each camera that
sees the cell, then the mean over those cameras.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from leapai.config.network_sections import BevConfig, CameraConfig
from leapai.models import sampling
from leapai.models.blocks import ConvResBlockNeck
from leapai.models.camera import STRIDES
from leapai.models.pixel_head import DepthBins, PixelHead
from leapai.models.precision import in_float32
from leapai.models.projection import Projection, Projector
from leapai.models.ray_caster import RayCaster
from leapai.models.tensors import PixelPredictions
from leapai.types import DESIGN


class ViewTransfer(nn.Module):
    """Camera features [B, N, C, H, W] -> BEV [B, C, rows, columns]."""

    def __init__(self, config: CameraConfig, bev: BevConfig, classes: int = len(DESIGN)) -> None:
        super().__init__()
        channels, grid = bev.channels, bev.grid()
        self.grid, self.heights_m = grid, config.heights_m
        self.heads, self.points = config.heads, config.points
        self.stride = STRIDES[0]
        self.cell_embedding = nn.Parameter(torch.zeros(grid.rows * grid.columns, channels))
        self.query_norm = nn.LayerNorm(channels)
        self.offsets = nn.Linear(channels, config.heads * config.points * 2)
        self.logits = nn.Linear(channels, config.heads * config.points)
        # No bias: the zero border of the padded maps must stay zero.
        self.value = nn.Linear(channels, channels, bias=False)
        self.out = nn.Linear(channels, channels)
        self.out_norm = nn.LayerNorm(channels)
        self.pixels = (
            PixelHead(channels, config.depth_bins, classes, len(config.heights_m))
            if config.depth_bins
            else None
        )
        self.blocks = (
            ConvResBlockNeck(channels, channels, config.bev_blocks) if config.bev_blocks else None
        )
        self.project = Projector(grid, config.heights_m, self.stride)
        self.cast = RayCaster(config.heights_m, self.stride)
        self._initialise()

    def _initialise(self) -> None:
        """Offsets start as a ring around each projection (Deformable DETR, appendix), weights
        uniform."""
        nn.init.trunc_normal_(self.cell_embedding, std=0.02)
        angle = torch.arange(self.heads * self.points) * (2 * torch.pi / self.heads + 0.4)
        ring = torch.stack([angle.cos(), angle.sin()], -1)
        radius = 1 + torch.arange(self.points) % max(self.points // len(self.heights_m), 1)
        ring = ring.view(self.heads, self.points, 2) * radius[:, None]
        nn.init.zeros_(self.offsets.weight)
        nn.init.zeros_(self.logits.weight)
        nn.init.zeros_(self.logits.bias)
        with torch.no_grad():
            self.offsets.bias.copy_(ring.flatten())

    def forward(
        self, features: Tensor, projection: Projection, ray_depth_m: Tensor | None = None
    ) -> tuple[Tensor, PixelPredictions | None]:
        """Transfers features [B, N, C, H, W] float32 -> [B, C, rows, columns]; and what their
        cells show, of B * N images, where the depth is predicted, from `ray_depth_m`
        [B * N, Z, H, W] of `ray_depths`."""
        B, _, C, H, W = features.shape
        rows = sampling.to_rows(features.flatten(0, 1))  # [B * N * (H+3) * (W+3), C]
        pixels = None if ray_depth_m is None else self.of_pixels(features, ray_depth_m)
        ipm = self._ipm(rows, projection, pixels)  # [B * Q, C]
        cells = self.out_norm(ipm + self.out(self._attend(rows, ipm, projection, (H, W))))
        bev: Tensor = cells.view(B, self.grid.rows, self.grid.columns, C).permute(0, 3, 1, 2)
        return bev if self.blocks is None else self.blocks(bev), pixels

    def of_pixels(self, features: Tensor, ray_depth_m: Tensor) -> PixelPredictions:
        """Returns what the cells of features [B, N, C, H, W] show, of B * N images."""
        assert self.pixels is not None
        predictions: PixelPredictions = self.pixels(features.flatten(0, 1), ray_depth_m)
        return predictions

    def _ipm(self, rows: Tensor, projection: Projection, pixels: PixelPredictions | None) -> Tensor:
        """Averages the visible samples of each cell [B * Q, C]; zeros where no camera looks. With
        predicted depth, each counts by how probable its depth is."""
        weight = projection.ipm_weight
        if pixels is not None:
            weight = weight * self._depth_weight(pixels.depth, projection)
        sums = sampling.weighted_rows(rows, projection.ipm_index, weight)
        return sampling.segment_sum(sums, projection.cell_offsets)

    def _depth_weight(self, logits: Tensor, projection: Projection) -> Tensor:
        """Returns the weight [M, Z * 4] of each tap, from depth logits [B * N, D, H, W]: the
        probability of the depth of its anchor, between two bins, over that of a depth of which
        nothing is known."""
        count = logits.shape[1]
        rows = sampling.to_rows(logits.float().softmax(1)).flatten()
        low, share = DepthBins(count).between(projection.depth_m)  # [M, Z]
        share = share.repeat_interleave(4, -1)
        first = projection.ipm_index.long() * count + low.repeat_interleave(4, -1)
        return count * ((1 - share) * rows[first] + share * rows[first + 1])

    def _attend(
        self, rows: Tensor, ipm: Tensor, projection: Projection, size: tuple[int, int]
    ) -> Tensor:
        """Attends from cells [B * Q, C] to the maps around their projections, deformably [B * Q,
        C]."""
        streams = ipm.shape[0] // self.cell_embedding.shape[0]
        query = self.query_norm(ipm) + self.cell_embedding.repeat(streams, 1)
        location, attention = self._locations(query, projection)  # [M, K, P, 2], [M, K, P]
        maps = projection.pair_map[:, None, None]
        pairs = sampling.attended(self.value(rows), location, attention, maps, size)  # [M, C]
        return sampling.segment_sum(pairs, projection.cell_offsets)

    @in_float32
    def _locations(self, query: Tensor, projection: Projection) -> tuple[Tensor, Tensor]:
        """Returns sampling locations [M, K, P, 2] in cells of the map and attention [M, K, P]."""
        per_height = self.points // len(self.heights_m)
        shape = (-1, self.heads, self.points)
        offsets = self.offsets(query)[projection.pair_cell].view(*shape, 2)
        logits = self.logits(query)[projection.pair_cell].view(shape)
        anchor = projection.anchor.repeat_interleave(per_height, 1)[:, None]  # [M, 1, P, 2]
        seen = projection.anchor_seen.repeat_interleave(per_height, 1)[:, None]  # [M, 1, P]
        attention = logits.float().masked_fill(~seen, -torch.inf).softmax(-1)
        share = projection.cameras_of_cell[projection.pair_cell].view(-1, 1, 1)
        return anchor + offsets, attention / share
