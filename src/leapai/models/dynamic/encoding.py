"""Position encodings, and the motion-aware layer norm. All in float32.

Letters: B streams, S memory slots, C channels.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from leapai.models.precision import in_float32

MOTION_VALUES = 12 + 1 + 3
"""Relative pose (3x4), time since stored, velocity."""
MOTION_FREQUENCIES = 4


def sine_encoding(positions: Tensor, channels_per_axis: int) -> Tensor:
    """Encodes positions [..., D] in [0, 1] -> [..., D * channels_per_axis].

    sin and cos of 2 pi x / 10000^(2i/n) (Vaswani et al., NeurIPS 2017, section 3.5; scaled as in
    DETR).
    """
    half = channels_per_axis // 2
    exponent = torch.arange(half, device=positions.device, dtype=torch.float32) / half
    angle = positions.float()[..., None] * (2 * math.pi / 10000.0**exponent)
    return torch.cat([angle.sin(), angle.cos()], -1).flatten(-2)


class PointEncoding(nn.Module):
    """3D points [..., 3] in [0, 1] -> [..., C]."""

    def __init__(self, channels: int, channels_per_axis: int = 64) -> None:
        super().__init__()
        self.channels_per_axis = channels_per_axis
        self.mlp = nn.Sequential(
            nn.Linear(3 * channels_per_axis, channels), nn.ReLU(), nn.Linear(channels, channels)
        )

    @in_float32
    def forward(self, points: Tensor) -> Tensor:
        """Encodes points [..., 3] -> [..., C]."""
        encoded: Tensor = self.mlp(sine_encoding(points, self.channels_per_axis))
        return encoded


class CellEncoding(nn.Module):
    """Encoding of BEV cell centres [rows * columns, C].

    A sum of one network of y and one of x: 112 + 128 evaluations instead of 14 336.
    """

    def __init__(self, rows: int, columns: int, channels: int, channels_per_axis: int = 64) -> None:
        super().__init__()
        for name, count in (("y", rows), ("x", columns)):
            centres = (torch.arange(count) + 0.5) / count
            encoded = sine_encoding(centres[:, None], channels_per_axis)
            self.register_buffer(f"sine_{name}", encoded, persistent=False)
        self.mlp_y = nn.Linear(channels_per_axis, channels)
        self.mlp_x = nn.Linear(channels_per_axis, channels)

    @in_float32
    def forward(self) -> Tensor:
        """Returns the encodings [rows * columns, C], row by row."""
        along_y, along_x = self.mlp_y(self.sine_y), self.mlp_x(self.sine_x)
        cells: Tensor = (along_y[:, None] + along_x).flatten(0, 1)
        return cells


class MotionAwareLayerNorm(nn.Module):
    """Layer norm whose scale and shift come from how a slot moved since it was stored.

    Source: StreamPETR (Wang et al., ICCV 2023, section 3.3). It starts as a plain layer norm.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, elementwise_affine=False)
        self.reduce = nn.Linear(MOTION_VALUES * (2 * MOTION_FREQUENCIES + 1), channels)
        self.scale = nn.Linear(channels, channels)
        self.shift = nn.Linear(channels, channels)
        for layer in (self.scale, self.shift):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    @in_float32
    def forward(self, features: Tensor, motion: Tensor) -> Tensor:
        """Normalises features [B, S, C] by motion [B, S, 16] -> [B, S, C]."""
        condition = torch.relu(self.reduce(_fourier(motion)))
        normed: Tensor = self.norm(features) * (1 + self.scale(condition)) + self.shift(condition)
        return normed


def motion_values(current_from_stored: Tensor, age_s: Tensor, velocity_mps: Tensor) -> Tensor:
    """Combines poses [B, S, 4, 4], ages [B, S] and velocities [B, S, 3] to [B, S, 16], of the order
    of 1."""
    rotation = current_from_stored[..., :3, :3].flatten(-2)
    translation = current_from_stored[..., :3, 3] / 10.0
    return torch.cat([rotation, translation, age_s[..., None], velocity_mps / 10.0], -1)


def _fourier(values: Tensor) -> Tensor:
    """Returns values [..., D] with their sines and cosines at 1, 2, 4, 8 times (NeRF, section
    5.1)."""
    scaled = [values * 2.0**i for i in range(MOTION_FREQUENCIES)]
    waves = [wave for v in scaled for wave in (v.sin(), v.cos())]
    return torch.cat([values, *waves], -1)
