"""Intensity of LiDAR points, independent of the convention of the sensor that reports it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

GROUND = 0.04
"""Intensity of the ground that is assumed where it cannot be measured: that of most sensors."""
_NEAR_M, _FAR_M, _HEIGHT_M = 3.0, 30.0, 0.4
_FEWEST = 50
"""Ground points from which the scale is taken; with fewer, the ground is taken as `GROUND`."""
_FULL = 25.0
"""Times the ground at which the result is 1: retroreflectors."""


def relative_to_ground(points: Tensor, stream: Tensor, streams: int) -> Tensor:
    """Returns points [P, 5] of streams [P] out of `streams` with their intensity scaled by the
    median of the ground of their stream, then compressed: log(1 + i / ground) / log(1 + 25), at
    most 1.

    The ground is what lies within 0.4 m of z = 0, 3 to 30 m from the ego. Linear conventions whose
    gains differ, such as 0 to 1 and 0 to 255, give equal results; a sensor that reports none gives
    zeros.
    """
    distance2 = points[:, :2].square().sum(-1)
    level = (distance2 > _NEAR_M**2) & (distance2 < _FAR_M**2) & (points[:, 2].abs() < _HEIGHT_M)
    level &= points[:, 3].isfinite()
    intensity = points[:, 3].clamp(min=0)
    group = torch.where(level, stream, streams)
    median, count = _medians(intensity, group, streams)
    ground = torch.where(count >= _FEWEST, median.clamp(min=1e-4), GROUND)
    compressed = (torch.log1p(intensity / ground[stream]) / math.log1p(_FULL)).clamp(max=1.0)
    return torch.cat([points[:, :3], compressed[:, None], points[:, 4:]], -1)


def _medians(values: Tensor, group: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """Returns the median [G] of the values [P] >= 0 of each group [P], the lower of two in the
    middle, and their number [G]; what is in no group has the number G.

    One sort of both as one number: floats that are not negative rise with their bits.
    """
    bits = values.float().view(torch.int32).long()
    ordered = ((group << 32) + bits).sort().values
    ordered = torch.cat([ordered, ordered.new_zeros(1)])  # where there is no point at all
    count = torch.zeros(groups + 1, dtype=torch.int64, device=values.device)
    count = count.index_add(0, group, torch.ones_like(group))
    middle = count.cumsum(0) - count + (count - 1).clamp(min=0) // 2
    median = (ordered[middle] & 0xFFFFFFFF).int().view(torch.float32)
    return median[:-1].to(values), count[:-1]
