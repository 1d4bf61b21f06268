"""Predictions for single cells of a feature map: how far away a cell is, and of which class.

Depth is a distribution over bins (Reading et al., CaDDN, CVPR 2021; Philion and Fidler, ECCV 2020),
evenly spaced in the logarithm of the distance along the camera's axis.

Letters: M images, C channels, D bins, H W size of the feature map.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from leapai.models.tensors import PixelPredictions

NEAR_M, FAR_M = 1.5, 80.0
"""Depths of the first and the last bin."""
_CLASS_PRIOR = 0.02
_CERTAINTY = 8.0
"""Rise of the logit of a height's depth in a cell that surely shows this height."""


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
    """Features [M, C, H, W] and rays -> depth [M, D, H, W] and class [M, classes, H, W] of every
    cell.

    Who sees images alone cannot know a lens: a car fills as many cells near a wide lens as far from
    a narrow one. But how far away a ray meets the ground, or a height above it, is known. So the
    head predicts which of these heights a cell shows, and their depths become more probable.
    """

    def __init__(self, channels: int, depth_bins: int, classes: int, heights: int) -> None:
        super().__init__()
        self.depth_bins = depth_bins
        self.hidden = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU())
        self.out = nn.Conv2d(channels, depth_bins + classes, 1)
        self.shown = nn.Conv2d(channels, heights, 3, padding=1)
        nn.init.zeros_(self.shown.weight)
        nn.init.zeros_(cast(Tensor, self.shown.bias))
        assert self.out.bias is not None
        with torch.no_grad():  # classes are rare, so focal loss starts calm
            self.out.bias[depth_bins:] = math.log(_CLASS_PRIOR / (1 - _CLASS_PRIOR))

    def forward(self, features: Tensor, ray_depth_m: Tensor) -> PixelPredictions:
        """Returns logits; of a rig without cameras [0, ..., 1, 1], because gradients and counts of
        all ranks meet here. `ray_depth_m` [M, Z, H, W]: `camera_rays.ray_depths`."""
        if not features.numel():
            features = features.new_zeros(0, features.shape[1], 1, 1)
            ray_depth_m = ray_depth_m.new_zeros(0, ray_depth_m.shape[1], 1, 1)
        hidden = self.hidden(features)
        out: Tensor = self.out(hidden)
        of_heights = self.shown(hidden)[:, :, None] * self._bins_of(ray_depth_m)
        depth = out[:, : self.depth_bins] + _CERTAINTY * of_heights.sum(1)
        return PixelPredictions(depth, out[:, self.depth_bins :])

    def _bins_of(self, depth_m: Tensor) -> Tensor:
        """Returns how depths [M, Z, H, W] are shared by bins [M, Z, D, H, W]: by the two between
        which each lies."""
        place = DepthBins(self.depth_bins).position(depth_m)[:, :, None]
        bins = torch.arange(self.depth_bins, device=place.device)[:, None, None]
        return (1 - (place - bins).abs()).clamp(min=0)
