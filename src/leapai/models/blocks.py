"""Convolutional blocks of backbones and necks, and the fuser of camera and LiDAR BEV."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leapai.types import DESIGN

_CENTRE_PRIOR = 0.01


def conv_norm_relu(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """Returns 3x3 convolution, batch norm and ReLU: [B, in, H, W] -> [B, out, H / stride, W /
    stride]."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


class ConvResBlock(nn.Module):
    """Residual block of two 3x3 convolutions (He et al., CVPR 2016): [B, in, H, W] -> [B, out, H,
    W]."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv_norm_relu(in_channels, out_channels),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.skip = (
            nn.Identity()
            if in_channels == out_channels
            else nn.Conv2d(in_channels, out_channels, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps [B, in, H, W] -> [B, out, H, W]."""
        return torch.relu(self.body(x) + self.skip(x))


class ConvResBlockNeck(nn.Module):
    """Residual 3x3 blocks on a BEV map: a task's neck, and the LiDAR's BEV backbone."""

    def __init__(self, in_channels: int, out_channels: int, blocks: int) -> None:
        super().__init__()
        widths = [in_channels] + [out_channels] * blocks
        self.blocks = nn.Sequential(*(ConvResBlock(a, b) for a, b in pairwise(widths)))
        self.to(memory_format=torch.channels_last)

    def forward(self, bev: Tensor) -> Tensor:
        """Maps [B, in, H, W] -> [B, out, H, W]."""
        out: Tensor = self.blocks(bev)
        return out


class FpnNeck(nn.Module):
    """Feature pyramid (Lin et al., CVPR 2017) that returns its finest level only: maps
    [B, in, H, W], [B, in, H / 2, W / 2], ... -> [B, out, H, W]."""

    def __init__(self, in_channels: Sequence[int], channels: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, channels, 1) for c in in_channels)
        self.smooth = nn.Conv2d(channels, channels, 3, padding=1)
        self.to(memory_format=torch.channels_last)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Merges maps, given from fine to coarse, into the size of the first."""
        top: Tensor = self.lateral[-1](maps[-1])
        for lateral, finer in zip(reversed(self.lateral[:-1]), reversed(maps[:-1]), strict=True):
            top = lateral(finer) + F.interpolate(top, size=finer.shape[-2:], mode="nearest")
        smooth: Tensor = self.smooth(top)
        return smooth


class PyramidNeck(ConvResBlockNeck):
    """Residual 3x3 blocks at several scales, merged into the finest: a BEV backbone that sees far
    (as that of PointPillars does; Lang et al., CVPR 2019, section 2.2). It begins as
    `ConvResBlockNeck` does; every coarser stage halves the resolution."""

    def __init__(
        self, in_channels: int, out_channels: int, blocks: int, coarser: Sequence[int]
    ) -> None:
        """`coarser`: channels of each stage after the first."""
        super().__init__(in_channels, out_channels, blocks)
        widths = (out_channels, *coarser)
        self.coarser = nn.ModuleList(
            nn.Sequential(conv_norm_relu(a, b, stride=2), ConvResBlockNeck(b, b, blocks))
            for a, b in pairwise(widths)
        )
        self.merge = FpnNeck(widths, out_channels)
        self.to(memory_format=torch.channels_last)

    def forward(self, bev: Tensor) -> Tensor:
        """Maps [B, in, H, W] -> [B, out, H, W]."""
        maps = [super().forward(bev)]
        for stage in self.coarser:
            maps.append(stage(maps[-1]))
        merged: Tensor = self.merge(maps)
        return merged


class Fuser(nn.Module):
    """Fuses modalities, n x [B, C, H, W] -> [B, C, H, W]: concatenate, 3x3 convolve, norm, ReLU.

    A modality that is missing in a stream is replaced by a learnt vector, not by zeros: the network
    can distinguish "nothing there" from "not observed".
    """

    def __init__(
        self,
        channels: int,
        modalities: int,
        dense_heads: bool = False,
        classes: int = len(DESIGN),
    ) -> None:
        super().__init__()
        self.missing = nn.Parameter(torch.zeros(modalities, channels))
        self.fuse = conv_norm_relu(channels * modalities, channels)
        heads = modalities * dense_heads
        self.dense = nn.ModuleList(_dense_head(channels, classes) for _ in range(heads))
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

    def heat_maps(self, bevs: list[Tensor]) -> Tensor | None:
        """Predicts from the BEV [B, C, H, W] of each modality by itself logits of object centres
        [modalities, B, classes, H, W], for losses only; None where it has no dense heads."""
        if not self.dense:
            return None
        return torch.stack([head(bev) for head, bev in zip(self.dense, bevs, strict=True)])


def _dense_head(channels: int, classes: int) -> nn.Sequential:
    """Returns layers from a BEV [B, C, H, W] to logits of object centres [B, classes, H, W];
    centres are rare, so focal loss starts calm."""
    last = nn.Conv2d(channels, classes, 1)
    assert last.bias is not None
    nn.init.constant_(last.bias, math.log(_CENTRE_PRIOR / (1 - _CENTRE_PRIOR)))
    return nn.Sequential(conv_norm_relu(channels, channels), last)
