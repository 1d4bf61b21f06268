"""Images to feature maps: one backbone and one neck for each group of cameras.

Letters: B streams, N cameras, C channels, H W image size.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leapai.config.network_sections import CameraConfig
from leapai.config.schema import TaskConfig
from leapai.models.precision import autocasts_backbones, mixed_precision
from leapai.models.resnet import DEPTHS, ResNetV2

STRIDES = (8, 16, 32)


class Backbone(nn.Module):
    """A feature backbone: images [M, 3, H, W] uint8 -> maps at strides 8, 16, 32.

    `net` takes images normalised by the mean and deviation of `config`; `channels` are those of its
    maps.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, net: nn.Module, channels: Sequence[int], config: CameraConfig) -> None:
        super().__init__()
        self.net, self.channels = net, tuple(channels)
        mean = torch.tensor(config.mean).view(3, 1, 1) * 255
        std = torch.tensor(config.std).view(3, 1, 1) * 255
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Returns maps [M, C_i, H / stride_i, W / stride_i]."""
        pixels = (images - self.mean) / self.std
        maps: list[Tensor] = self.net(pixels.contiguous(memory_format=torch.channels_last))
        return maps


def build_backbones(config: CameraConfig, count: int) -> list[Backbone]:
    """Builds `count` backbones of the configuration with fresh weights.

    `ResNetV2` has its own code; every other network is timm's, which is imported only then. Raises
    ValueError where timm has no such model or it has no maps at strides 8, 16, 32.
    """
    width_factor = config.backbone_args.get("width_factor", 1.0)
    if is_our_own(config) and isinstance(width_factor, int | float):
        nets = [ResNetV2(config.backbone, width_factor) for _ in range(count)]
        return [Backbone(net, net.channels, config) for net in nets]
    return _timm_backbones(config, count)


def is_our_own(config: CameraConfig) -> bool:
    """Returns whether the backbone of a configuration has its own code here."""
    return config.backbone in DEPTHS and set(config.backbone_args) <= {"width_factor"}


def _timm_backbones(config: CameraConfig, count: int) -> list[Backbone]:
    import timm

    create = partial(timm.create_model, config.backbone, features_only=True, **config.backbone_args)
    try:
        probe = create()
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"camera.backbone = '{config.backbone}', {dict(config.backbone_args)}: {error}; "
            "name a timm model that gives feature maps (timm.list_models())"
        ) from error
    layout = str(getattr(probe, "output_fmt", "NCHW")).removeprefix("Format.")
    info = probe.feature_info
    index_of = dict(zip(info.reduction(), info.out_indices, strict=True))
    if not set(STRIDES) <= set(index_of) or layout != "NCHW":
        raise ValueError(
            f"camera.backbone = '{config.backbone}' gives {layout} maps at strides "
            f"{info.reduction()}; NCHW maps at {list(STRIDES)} are needed: choose another model"
        )
    out_indices = tuple(index_of[stride] for stride in STRIDES)
    nets = [create(out_indices=out_indices) for _ in range(count)]
    return [Backbone(net, net.feature_info.channels(), config) for net in nets]


def encode(backbone: nn.Module, neck: nn.Module, images: Tensor, config: TaskConfig) -> Tensor:
    """Encodes images [M, 3, H, W] of one group -> features [M, C, H/8, W/8] float32; in 16 bits on
    a GPU, where `use_backbone_amp` is set."""
    with mixed_precision(images.device, autocasts_backbones(config, images.device)):
        features: Tensor = neck(backbone(images))
    return features.float()


class FpnNeck(nn.Module):
    """Feature pyramid (Lin et al., CVPR 2017) that returns its finest level only."""

    def __init__(self, in_channels: Sequence[int], channels: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, channels, 1) for c in in_channels)
        self.smooth = nn.Conv2d(channels, channels, 3, padding=1)
        self.to(memory_format=torch.channels_last)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Merges maps from fine to coarse -> [M, C, H/8, W/8]."""
        top: Tensor = self.lateral[-1](maps[-1])
        for lateral, finer in zip(reversed(self.lateral[:-1]), reversed(maps[:-1]), strict=True):
            top = lateral(finer) + F.interpolate(top, size=finer.shape[-2:], mode="nearest")
        smooth: Tensor = self.smooth(top)
        return smooth
