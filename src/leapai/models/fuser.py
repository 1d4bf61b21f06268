"""Camera BEV and LiDAR BEV to one BEV."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from leapai.models.blocks import conv_norm_relu


class Fuser(nn.Module):
    """Concatenate, 3x3 convolution, norm, ReLU: n x [B, C, H, W] -> [B, C, H, W].

    A modality that is missing in a stream is replaced by a learnt vector, not by zeros: the network
    can distinguish "nothing there" from "not observed".
    """

    def __init__(self, channels: int, modalities: int) -> None:
        super().__init__()
        self.missing = nn.Parameter(torch.zeros(modalities, channels))
        self.fuse = conv_norm_relu(channels * modalities, channels)
        self.to(memory_format=torch.channels_last)

    def forward(self, bevs: list[Tensor], present: list[Tensor]) -> Tensor:
        """Fuses BEV maps [B, C, H, W] of each modality, given whether each stream has it [B]
        bool."""
        filled = [
            torch.where(here[:, None, None, None], bev, fill[:, None, None])
            for bev, here, fill in zip(bevs, present, self.missing, strict=True)
        ]
        fused: Tensor = self.fuse(torch.cat(filled, 1))
        return fused
