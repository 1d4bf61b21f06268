"""The range of the BEV grid as constants on the network's device: to build them anew from numbers
for each use, the host would wait for the device each time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from leapai.types import BevGrid


class GridRange(nn.Module):
    """Scales places between metres and [0, 1] of the BEV range, as `BevGrid` does on the host."""

    low_m: Tensor
    extent_m: Tensor

    def __init__(self, grid: BevGrid) -> None:
        super().__init__()
        self.register_buffer("low_m", torch.tensor(grid.low_m), persistent=False)
        self.register_buffer("extent_m", torch.tensor(grid.extent_m), persistent=False)

    def normalise(self, points_m: Tensor) -> Tensor:
        """Maps points [..., 3] in metres to [0, 1] inside the range (beyond it outside)."""
        return (points_m - self.low_m) / self.extent_m

    def denormalise(self, points: Tensor) -> Tensor:
        """Maps points [..., 3] in [0, 1] back to metres: the inverse of `normalise`."""
        return points * self.extent_m + self.low_m
