"""Predictions for single cells of a feature map: how far away a cell is, and of which class.

Depth is a distribution over bins (Reading et al., CaDDN, CVPR 2021; Philion and Fidler, ECCV 2020),
evenly spaced in the logarithm of the distance along the camera's axis.

Letters: M images, C channels, D bins, H W size of the feature map.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from leapai.models import sampling
from leapai.models.camera_rays import CameraRays
from leapai.models.tensors import PixelPredictions

NEAR_M, FAR_M = 1.5, 80.0
"""Depths of the first and the last bin."""
_CLASS_PRIOR = 0.02
_FOCAL = math.log(32)
"""About the middle of focal lengths, in cells."""


@dataclass(frozen=True)
class DepthBins:
    """Bins of depth, given by their number."""

    count: int

    def position(self, depth_m: Tensor) -> Tensor:
        """Returns the place [...] of depths [...] among the bins, 0 to count - 1, as a fraction."""
        span = math.log(FAR_M / NEAR_M) / (self.count - 1)
        place: Tensor = (depth_m.clamp(min=NEAR_M) / NEAR_M).log() / span
        return place.clamp(max=self.count - 1)

    def between(self, depth_m: Tensor) -> tuple[Tensor, Tensor]:
        """Returns between which bins depths [...] lie: the number [...] int64 of the nearer one,
        and the share [...] of the one behind it."""
        position = self.position(depth_m)
        low = position.floor().clamp(max=self.count - 2)
        return low.long(), position - low


class PixelHead(nn.Module):
    """Features [M, C, H, W] and rays of M cameras -> depth [M, D, H, W] and class
    [M, classes, H, W] of every cell.

    A network that sees images alone cannot know a lens: the same car fills as many cells near a wide
    lens as far from a narrow one. So each cell is told the depths at which it shows the ground, and
    the other heights: bins of these have embeddings, between which it is interpolated.
    """

    def __init__(self, channels: int, depth_bins: int, classes: int, heights: int) -> None:
        super().__init__()
        self.depth_bins = depth_bins
        self.hidden = nn.Conv2d(channels, channels, 3, padding=1)
        self.rays = nn.Parameter(torch.zeros(heights * depth_bins, channels))
        self.focal = nn.Parameter(torch.zeros(channels))
        self.out = nn.Conv2d(channels, depth_bins + classes, 1)
        nn.init.trunc_normal_(self.rays, std=0.1)
        assert self.out.bias is not None
        with torch.no_grad():  # classes are rare, so focal loss starts calm
            self.out.bias[depth_bins:] = math.log(_CLASS_PRIOR / (1 - _CLASS_PRIOR))

    def forward(self, features: Tensor, rays: CameraRays) -> PixelPredictions:
        """Returns logits; of a rig without cameras [0, ..., 1, 1], because gradients and counts of
        all ranks meet here."""
        depth_m = rays.depth_m
        if not features.numel():
            features = features.new_zeros(0, features.shape[1], 1, 1)
            depth_m = depth_m.new_zeros(0, depth_m.shape[1], 1, 1)
        told = (
            self._ray_embedding(depth_m) + self.focal * (rays.focal - _FOCAL)[:, None, None, None]
        )
        hidden = (self.hidden(features) + told.permute(0, 3, 1, 2)).relu()
        out: Tensor = self.out(hidden)
        return PixelPredictions(out[:, : self.depth_bins], out[:, self.depth_bins :])

    def _ray_embedding(self, depth_m: Tensor) -> Tensor:
        """Returns what cells [M, Z, H, W] are told by their depths [M, H, W, C]."""
        M, Z, H, W = depth_m.shape
        low, share = DepthBins(self.depth_bins).between(depth_m.permute(0, 2, 3, 1))
        first = low + torch.arange(Z, device=low.device) * self.depth_bins  # [M, H, W, Z]
        index = torch.stack([first, first + 1], -1).view(-1, Z * 2).int()
        weight = torch.stack([1 - share, share], -1).view(-1, Z * 2)
        return sampling.weighted_rows(self.rays, index, weight).view(M, H, W, -1)
