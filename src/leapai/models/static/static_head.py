"""Neck and head of the static task (docs/design.md, section 11): the region's part of the BEV
becomes logits on cells a few times finer.

Letters: B streams, C channels. Shapes are those of the full size.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from leapai.config.schema import TaskConfig
from leapai.models.blocks import ConvResBlockNeck
from leapai.models.tensors import StaticPredictions
from leapai.types import STATIC_CLASSES

NOWHERE = -20.0
"""Logit of a class that the vocabulary does not have: a probability of 2e-9."""
CLASS_PRIOR = 0.01
"""Initial probability of a class in a cell (RetinaNet, section 4.1): about the share of cells that
have it."""


class StaticNeck(nn.Module):
    """Cuts the region out of the BEV; residual 3x3 blocks."""

    def __init__(self, config: TaskConfig) -> None:
        super().__init__()
        static = config.static
        self.rows, self.columns = config.bev.grid().part(static.region())
        self.body = ConvResBlockNeck(config.bev.channels, static.channels, static.neck_blocks)

    def forward(self, bev: Tensor) -> Tensor:
        """Maps [B, 256, 112, 128] -> [B, 128, 56, 104]."""
        cut = bev[:, :, self.rows, self.columns]
        features: Tensor = self.body(cut.contiguous(memory_format=torch.channels_last))
        return features


class StaticHead(nn.Module):
    """Features of BEV cells -> logits of cells a fourth as wide, each side halved by a learnt step.

    A step is a 3x3 convolution to four channels for each of the finer map, and their rearrangement
    into 2 x 2 cells (Shi et al., CVPR 2016): a line thinner than a BEV cell is predicted from the
    cell's features, where interpolation would have to invent it.
    """

    planes: Tensor
    """[K] number of each class of the vocabulary among all."""

    def __init__(self, config: TaskConfig) -> None:
        super().__init__()
        halvings = round(math.log2(config.bev.cell_m / config.static.cell_m))
        widths = [max(config.static.channels >> i, 1) for i in range(halvings)]
        self.finer = nn.Sequential(*(_finer(a, b) for a, b in pairwise(widths)))
        classes = config.vocabulary.map_classes
        planes = torch.tensor([STATIC_CLASSES.index(name) for name in classes])
        self.register_buffer("planes", planes, persistent=False)
        self.logits = nn.Conv2d(widths[-1], 4 * len(classes), 3, padding=1)
        nn.init.constant_(_bias(self.logits), math.log(CLASS_PRIOR / (1 - CLASS_PRIOR)))
        self.to(memory_format=torch.channels_last)

    def forward(self, features: Tensor) -> StaticPredictions:
        """Maps [B, 128, 56, 104] -> logits [B, 14, 224, 416]."""
        coarse: Tensor = self.logits(self.finer(features))  # [B, 56, 112, 208]
        return StaticPredictions(self._all_planes(nn.functional.pixel_shuffle(coarse, 2)))

    def _all_planes(self, logits: Tensor) -> Tensor:
        """Returns the logits of the vocabulary's classes among those of all [B, 14, ...]: what it
        does not have is nowhere."""
        if len(self.planes) == len(STATIC_CLASSES):
            return logits.contiguous()
        B, _, rows, columns = logits.shape
        nowhere = logits.new_full((B, len(STATIC_CLASSES), rows, columns), NOWHERE)
        return nowhere.index_copy(1, self.planes, logits)


def _finer(in_channels: int, out_channels: int) -> nn.Sequential:
    """Returns layers that map [B, in, H, W] -> [B, out, 2 H, 2 W]."""
    return nn.Sequential(
        nn.Conv2d(in_channels, 4 * out_channels, 3, padding=1, bias=False),
        nn.PixelShuffle(2),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def _bias(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias
