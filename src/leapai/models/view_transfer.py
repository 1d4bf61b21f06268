"""Image features to BEV: inverse perspective mapping, then deformable attention around the
projections.

Letters: B streams, N cameras, Q BEV cells, Z heights, C channels, K heads, P points a head,
M pairs (stream, cell, camera) in which the camera sees at least one height of the cell.

Sources: IPM as averaging of bilinear samples at projected points; attention as BEVFormer's spatial
cross-attention (Li et al., ECCV 2022, section 3.3): softmax over the points in each camera that
sees the cell, then the mean over those cameras.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor, nn

from leapai.config.network_sections import BevConfig, CameraConfig
from leapai.geometry import cameras, poses
from leapai.models import sampling
from leapai.models.blocks import ConvResBlockNeck
from leapai.models.camera import STRIDES
from leapai.models.pixel_head import DepthBins, PixelHead
from leapai.models.precision import in_float32
from leapai.models.tensors import PixelPredictions
from leapai.types import BevGrid


@dataclass(frozen=True)
class Calibration:
    """Calibration of all cameras: everything that projections depend on."""

    intrinsics: Tensor
    """[B, N, 3, 3]"""
    distortion: Tensor
    """[B, N, 5]"""
    ego_from_camera: Tensor
    """[B, N, 4, 4]"""
    camera_valid: Tensor
    """[B, N] bool: a failed camera sees nothing."""

    def equals(self, other: Calibration | None) -> bool:
        """Returns whether all values are the same, on the same device."""
        if other is None:
            return False
        pairs = [(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)]
        return all(a.shape == b.shape and a.device == b.device for a, b in pairs) and all(
            torch.equal(a, b) for a, b in pairs
        )

    def clone(self) -> Calibration:
        """Returns a copy that later changes in place cannot reach."""
        return Calibration(**{f.name: getattr(self, f.name).detach().clone() for f in fields(self)})


@dataclass(frozen=True)
class Projection:
    """Projection of the cells of all streams into the feature maps. Pairs are sorted by stream,
    cell, camera."""

    pair_map: Tensor
    """[M] int32: stream * N + camera."""
    pair_cell: Tensor
    """[M] int64: stream * Q + cell."""
    cell_offsets: Tensor
    """[B * Q] int64: first pair of each cell."""
    cameras_of_cell: Tensor
    """[B * Q] float32: how many cameras see the cell, at least 1."""
    anchor: Tensor
    """[M, Z, 2] x y in cells of the feature map."""
    anchor_seen: Tensor
    """[M, Z] bool."""
    ipm_index: Tensor
    """[M, Z * 4] int32 rows of the padded maps."""
    ipm_weight: Tensor
    """[M, Z * 4] bilinear weight over the number of samples of the cell; 0 where not seen."""
    depth_m: Tensor
    """[M, Z] depth of each anchor along the camera's axis, metres."""


class ViewTransfer(nn.Module):
    """Camera features [B, N, C, H, W] -> BEV [B, C, rows, columns]."""

    def __init__(self, config: CameraConfig, bev: BevConfig) -> None:
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
        self.pixels = PixelHead(channels, config.depth_bins) if config.depth_bins else None
        self.blocks = (
            ConvResBlockNeck(channels, channels, config.bev_blocks) if config.bev_blocks else None
        )
        self._cached: tuple[Calibration, tuple[int, int], Projection] | None = None
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
        self, features: Tensor, calibration: Calibration
    ) -> tuple[Tensor, PixelPredictions | None]:
        """Transfers features [B, N, C, H, W] float32 -> [B, C, rows, columns]; and what their
        cells show, of B * N images, where the depth is predicted."""
        B, _, C, H, W = features.shape
        projection = self.projection(calibration, (H, W))
        rows = sampling.to_rows(features.flatten(0, 1))  # [B * N * (H+3) * (W+3), C]
        pixels = None if self.pixels is None else self.pixels(features.flatten(0, 1))
        ipm = self._ipm(rows, projection, pixels)  # [B * Q, C]
        cells = self.out_norm(ipm + self.out(self._attend(rows, ipm, projection, (H, W))))
        bev: Tensor = cells.view(B, self.grid.rows, self.grid.columns, C).permute(0, 3, 1, 2)
        return bev if self.blocks is None else self.blocks(bev), pixels

    def projection(self, calibration: Calibration, size: tuple[int, int]) -> Projection:
        """Returns the projection for a calibration, computed anew only when it differs from the
        last one."""
        # Read once: streams in other threads may share the network and replace it meanwhile.
        cached = self._cached
        if cached is None or cached[1] != size or not calibration.equals(cached[0]):
            made = project_cells(self.grid, self.heights_m, calibration, size, self.stride)
            cached = self._cached = (calibration.clone(), size, made)
        return cached[2]

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
        position = DepthBins(count).position(projection.depth_m)  # [M, Z]
        low = position.floor().clamp(max=count - 2)
        share = (position - low).repeat_interleave(4, -1)
        first = projection.ipm_index.long() * count + low.long().repeat_interleave(4, -1)
        return count * ((1 - share) * rows[first] + share * rows[first + 1])

    def _attend(
        self, rows: Tensor, ipm: Tensor, projection: Projection, size: tuple[int, int]
    ) -> Tensor:
        """Attends from cells [B * Q, C] to the maps around their projections, deformably [B * Q,
        C]."""
        streams = ipm.shape[0] // self.cell_embedding.shape[0]
        query = self.query_norm(ipm) + self.cell_embedding.repeat(streams, 1)
        location, attention = self._locations(query, projection)  # [M, K, P, 2], [M, K, P]
        head = torch.arange(self.heads, device=rows.device, dtype=torch.int32).view(1, -1, 1, 1)
        index, weight = sampling.bilinear_taps(location, projection.pair_map[:, None, None], size)
        index = index * self.heads + head
        weight = weight * attention[..., None]
        value = self.value(rows).view(-1, rows.shape[1] // self.heads)  # one row a head
        pairs = sampling.weighted_rows(
            value, index.view(-1, self.points * 4), weight.view(-1, self.points * 4)
        )  # [M * K, C / K]
        return sampling.segment_sum(pairs.view(-1, rows.shape[1]), projection.cell_offsets)

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


@in_float32
@torch.no_grad()
def project_cells(
    grid: BevGrid,
    heights_m: tuple[float, ...],
    calibration: Calibration,
    size: tuple[int, int],
    stride: int,
) -> Projection:
    """Projects every cell centre at every height into every camera of every stream.

    `size` (H, W) of the feature map, `stride` image pixels a feature cell.
    """
    device = calibration.intrinsics.device
    anchor, depth, seen = _anchors(grid, heights_m, calibration, size, stride)  # [B, N, Q, Z, ...]
    _, N, Q, Z = seen.shape
    pair = seen.any(-1).transpose(1, 2)  # [B, Q, N]: sorted by stream, cell, camera when listed
    stream, cell, camera = pair.nonzero(as_tuple=True)
    cameras_of_cell = pair.sum(-1).flatten()
    anchor, seen_pair = anchor[stream, camera, cell], seen[stream, camera, cell]
    pair_map = (stream * N + camera).int()
    index, weight = sampling.bilinear_taps(anchor, pair_map[:, None], size)
    samples = seen.sum((1, 3)).flatten().clamp(min=1)  # [B * Q]
    pair_cell = stream * Q + cell
    weight = weight * (seen_pair / samples[pair_cell][:, None])[..., None]
    return Projection(
        pair_map=pair_map,
        pair_cell=pair_cell,
        cell_offsets=torch.cat(
            [torch.zeros(1, dtype=torch.int64, device=device), cameras_of_cell.cumsum(0)[:-1]]
        ),
        cameras_of_cell=cameras_of_cell.clamp(min=1).float(),
        anchor=anchor,
        anchor_seen=seen_pair,
        ipm_index=index.reshape(-1, Z * 4),
        ipm_weight=weight.reshape(-1, Z * 4),
        depth_m=depth[stream, camera, cell],
    )


def _anchors(
    grid: BevGrid,
    heights_m: tuple[float, ...],
    calibration: Calibration,
    size: tuple[int, int],
    stride: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns feature-map positions [B, N, Q, Z, 2] of the cells, their depths [B, N, Q, Z], and
    whether they are in the picture [B, N, Q, Z]."""
    intrinsics = calibration.intrinsics
    xy = torch.from_numpy(grid.cell_centres_m()).to(intrinsics)
    z = intrinsics.new_tensor(heights_m)
    points = torch.cat(
        [xy[:, None].expand(-1, len(z), 2), z[None, :, None].expand(len(xy), -1, 1)], -1
    )  # [Q, Z, 3]
    camera_from_ego = poses.invert(calibration.ego_from_camera)
    in_camera = poses.apply(camera_from_ego, points.flatten(0, 1)[None, None])
    fold = cameras.fold_radius2(calibration.distortion.double().cpu().numpy())
    limit = torch.from_numpy(np.asarray(fold)).to(intrinsics)
    pixels, seen = cameras.project_tensor(in_camera, intrinsics, calibration.distortion, limit)
    map_xy = (pixels + 0.5) / stride - 0.5
    extent = map_xy.new_tensor([size[1], size[0]])
    seen = seen & ((map_xy >= -0.5) & (map_xy <= extent - 0.5)).all(-1)
    seen = seen & calibration.camera_valid[..., None]
    shape = (*intrinsics.shape[:2], len(xy), len(z))
    return map_xy.view(*shape, 2), in_camera[..., 2].reshape(shape), seen.view(shape)
