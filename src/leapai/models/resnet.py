"""ResNet-18 and -34 with pre-activation as feature backbones.

Source: He et al., "Identity Mappings in Deep Residual Networks" (ECCV 2016), with basic blocks.
Parameters, their names and their first values are those of timm's `resnetv2_18` and `resnetv2_34`
with `features_only`; timm itself takes longer to import than PyTorch.
Letters: M images, C channels, H W image size.
"""

from __future__ import annotations

from torch import Tensor, nn

DEPTHS = {"resnetv2_18": (2, 2, 2, 2), "resnetv2_34": (3, 4, 6, 3)}
"""Name of a network -> blocks of each of its stages, which have strides 4, 8, 16 and 32."""
_STAGE_CHANNELS = (64, 128, 256, 512)
_DIVISOR = 8
"""Channels are multiples of this: convolutions are fastest so."""


def scaled_channels(channels: int, width_factor: float) -> int:
    """Returns the multiple of 8 nearest to the scaled channels, 8 at least, and never less than
    nine tenths of them."""
    scaled = channels * width_factor
    rounded = max(_DIVISOR, int(scaled + _DIVISOR / 2) // _DIVISOR * _DIVISOR)
    return rounded + _DIVISOR if rounded < 0.9 * scaled else rounded


class NormAct(nn.BatchNorm2d):
    """A batch norm and the ReLU after it, as one module."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Normalises and activates [M, C, H, W]."""
        activated: Tensor = self.act(super().forward(x))
        return activated


class Downsample(nn.Module):
    """The shortcut of a block that changes size or channels: a 1x1 convolution."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Returns [M, C_out, H / stride, W / stride]."""
        shortcut: Tensor = self.conv(x)
        return shortcut


class PreActBlock(nn.Module):
    """Two 3x3 convolutions, each after its norm, and a shortcut."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        same = stride == 1 and in_channels == channels
        self.downsample = None if same else Downsample(in_channels, channels, stride)
        self.norm1 = NormAct(in_channels)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.norm2 = NormAct(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Returns [M, C_out, H / stride, W / stride]."""
        activated = self.norm1(x)
        shortcut = x if self.downsample is None else self.downsample(activated)
        residual: Tensor = self.conv2(self.norm2(self.conv1(activated)))
        return residual + shortcut


class Stage(nn.Module):
    """Blocks one after another; the first changes size and channels."""

    def __init__(self, in_channels: int, channels: int, stride: int, depth: int) -> None:
        super().__init__()
        rest = (PreActBlock(channels, channels, 1) for _ in range(depth - 1))
        self.blocks = nn.Sequential(PreActBlock(in_channels, channels, stride), *rest)

    def forward(self, x: Tensor) -> Tensor:
        """Returns [M, C_out, H / stride, W / stride]."""
        out: Tensor = self.blocks(x)
        return out


class ResNetV2(nn.Module):
    """Images [M, 3, H, W], normalised -> maps at strides 8, 16 and 32.

    The maps are those of the residual path, before a norm, as timm gives them.
    """

    def __init__(self, name: str, width_factor: float = 1.0) -> None:
        super().__init__()
        stem, *_ = channels = [scaled_channels(c, width_factor) for c in _STAGE_CHANNELS]
        self.channels = tuple(channels[1:])
        """Channels of the three maps."""
        self.stem_conv = nn.Conv2d(3, stem, 7, stride=2, padding=3, bias=False)
        self.stem_pool = nn.MaxPool2d(3, stride=2, padding=1)
        for number, depth in enumerate(DEPTHS[name]):
            in_channels, stride = (channels[number - 1], 2) if number else (stem, 1)
            stage = Stage(in_channels, channels[number], stride, depth)
            self.add_module(f"stages_{number}", stage)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> list[Tensor]:
        """Returns maps [M, C_i, H / stride_i, W / stride_i]."""
        x = self.stem_pool(self.stem_conv(images))
        maps = []
        for number in range(len(_STAGE_CHANNELS)):
            x = self.get_submodule(f"stages_{number}")(x)
            maps.append(x)
        return maps[1:]
