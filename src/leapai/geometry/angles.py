"""Angles and overlapping angle bins (MultiBin; Mousavian et al., "3D Bounding Box Estimation Using
Deep Learning and Geometry", CVPR 2017, section 4). docs/design.md, section 6: 8 bins of 45 degrees,
neighbours share pi/36.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from leapai.types.vocabulary import FloatArray

if TYPE_CHECKING:
    import torch
    from torch import Tensor

NUM_BINS = 8
DEFAULT_OVERLAP = 1.0 / 36.0
"""Share of pi: neighbouring bins overlap by 5 degrees (docs/design.md, section 12)."""


def wrap(angle_rad: FloatArray) -> FloatArray:
    """Wraps angles to (-pi, pi]."""
    return -((-np.asarray(angle_rad) + np.pi) % (2 * np.pi) - np.pi)


def wrap_tensor(angle_rad: Tensor) -> Tensor:
    """Wraps angles to (-pi, pi], differentiably."""
    return -((-angle_rad + math.pi).remainder(2 * math.pi) - math.pi)


def bin_centres(num_bins: int = NUM_BINS, device: torch.device | str = "cpu") -> Tensor:
    """Returns bin centres [num_bins] in (-pi, pi]: bin 0 looks along +x, bins go
    counter-clockwise."""
    import torch  # late: arrays need no PyTorch

    number = torch.arange(num_bins, dtype=torch.float32, device=device)
    return wrap_tensor(number * (2 * math.pi / num_bins))


def encode(
    yaw_rad: Tensor, num_bins: int = NUM_BINS, overlap: float = DEFAULT_OVERLAP
) -> tuple[Tensor, Tensor, Tensor]:
    """Encodes yaw [...]: nearest bin [...] int64, residual to every bin [..., num_bins], whether a
    bin covers it [..., num_bins].

    A bin covers a yaw whose residual is at most half a bin plus half of the overlap
    of neighbours (`overlap` pi).
    """
    residual = wrap_tensor(yaw_rad[..., None] - bin_centres(num_bins, yaw_rad.device))
    covers = residual.abs() <= math.pi / num_bins + overlap * math.pi / 2
    return residual.abs().argmin(-1), residual, covers


def decode(bin_logits: Tensor, residual_rad: Tensor) -> Tensor:
    """Decodes yaw [...] in (-pi, pi]: the likeliest bin's centre plus its residual. Both inputs are
    [..., num_bins]."""
    best = bin_logits.argmax(-1, keepdim=True)
    centre = bin_centres(bin_logits.shape[-1], bin_logits.device)[best[..., 0]]
    return wrap_tensor(centre + residual_rad.gather(-1, best)[..., 0])
