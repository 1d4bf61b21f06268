"""Images to feature maps: one backbone and one neck for each group of cameras.

Letters: B streams, N cameras, C channels, H W image size.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from leapai.config.network_sections import CameraConfig
from leapai.config.schema import TaskConfig
from leapai.models.cell_projection import STRIDE
from leapai.models.precision import autocasts_backbones, mixed_precision
from leapai.models.resnet import DEPTHS, ResNetV2
from leapai.types import CAMERA_GROUPS

STRIDES = (STRIDE, 16, 32)
MOST_BACKBONE_WEIGHTS = 400_000_000
"""Twice those of the largest models with such maps, ConvNeXt-L and Swin-L. A checkpoint of others
may ask for any model."""


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


def backbones_of_groups(config: CameraConfig) -> list[Backbone]:
    """Builds the backbones of all groups of cameras, or the one that they share.

    Raises ValueError as `build_backbones` does, and for a backbone that is too large.
    """
    if not is_our_own(config):  # which has 341 M weights at most, at the largest width
        _check_size(config)
    return build_backbones(config, backbones_built(config))


def backbones_built(config: CameraConfig) -> int:
    """Returns the number of backbones: one for each group of cameras, or one that all share."""
    return 1 if config.shared else len(CAMERA_GROUPS)


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


def _check_size(config: CameraConfig) -> None:
    """Raises ValueError where the backbone is too large; nothing of its size is allocated."""
    with torch.device("meta"):
        (backbone,) = build_backbones(config, 1)
    weights = sum(parameter.numel() for parameter in backbone.parameters())
    if weights > MOST_BACKBONE_WEIGHTS:
        raise ValueError(
            f"camera.backbone = '{config.backbone}', {dict(config.backbone_args)} has "
            f"{weights:,} weights for each of {backbones_built(config)} groups of cameras; at most "
            f"{MOST_BACKBONE_WEIGHTS:,} are allowed: choose a smaller one"
        )


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


def encoding_order(
    camera_valid: Tensor, camera_groups: tuple[int, ...], *, shared: bool
) -> tuple[Tensor, tuple[int, ...], Tensor]:
    """Returns which of the B * N images are encoded, in which order: the working cameras
    [B, N], one group after another, or all as the first group where they are `shared`.

    Gives their numbers [I] int64, how many each group has, and of each camera [B * N] the number of
    its map among them, I where it failed. For tensors on the CPU.
    """
    groups = torch.tensor(camera_groups, dtype=torch.int64).repeat(len(camera_valid))
    groups = torch.where(camera_valid.flatten(), groups * (not shared), len(CAMERA_GROUPS))
    order = groups.argsort(stable=True)
    counts = groups.bincount(minlength=len(CAMERA_GROUPS) + 1)[:-1].tolist()
    counts = counts[:1] if shared else counts
    encoded = order[: sum(counts)]
    place = torch.full_like(groups, len(encoded))
    place[encoded] = torch.arange(len(encoded))
    return encoded, tuple(counts), place
