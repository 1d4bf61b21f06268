"""Composition: a configuration becomes a network, by plain constructors."""

from __future__ import annotations

import torch

from leapai.config.network_sections import CameraConfig
from leapai.config.schema import TaskConfig
from leapai.models.blocks import ConvResBlockNeck, Fuser
from leapai.models.camera import FpnNeck, build_backbones, is_our_own
from leapai.models.dynamic.dynamic_head import DynamicHead
from leapai.models.lidar import LidarMiddleEncoder, PillarVfe, pillar_grid
from leapai.models.perception import (
    CameraBranch,
    DynamicBranch,
    LidarBranch,
    Perception,
    StaticBranch,
)
from leapai.models.recompute import recompute_stages
from leapai.models.static.bev_memory import StaticTemporalFusion
from leapai.models.static.static_head import StaticHead, StaticNeck
from leapai.models.view_transfer import ViewTransfer
from leapai.types import CAMERA_GROUPS

MOST_BACKBONE_WEIGHTS = 400_000_000
"""Twice those of the largest models with such maps, ConvNeXt-L and Swin-L. A checkpoint of others
may ask for any model."""


def build_model(config: TaskConfig) -> Perception:
    """Builds the network of `config`, with fresh weights from torch's global random state.

    Raises ValueError for parts that do not fit.
    """
    lidar = _lidar(config) if config.enable_lidar else None
    return Perception(
        config,
        camera=_camera(config),
        lidar=lidar,
        fuser=Fuser(
            config.bev.channels,
            modalities=2 if lidar else 1,
            dense_heads=config.loss.dense_weight > 0,
        ),
        dynamic=_dynamic(config) if config.dynamic_task else None,
        static=_static(config) if config.static_task else None,
    )


def _dynamic(config: TaskConfig) -> DynamicBranch:
    sizes = config.dynamic
    neck = ConvResBlockNeck(config.bev.channels, sizes.neck_channels, sizes.neck_blocks)
    return DynamicBranch(neck, DynamicHead(config))


def _static(config: TaskConfig) -> StaticBranch:
    fusion = StaticTemporalFusion(config) if config.enable_static_temporal else None
    return StaticBranch(StaticNeck(config), StaticHead(config), fusion)


def _camera(config: TaskConfig) -> CameraBranch:
    if not is_our_own(config.camera):  # which has 341 M weights at most, at the largest width
        _check_backbone_size(config.camera)
    backbones = build_backbones(config.camera, len(CAMERA_GROUPS))
    if config.training.recompute_backbones:
        for backbone in backbones:
            recompute_stages(backbone.net)
    necks = [FpnNeck(b.channels, config.bev.channels) for b in backbones]
    return CameraBranch(backbones, necks, ViewTransfer(config.camera, config.bev))


def _lidar(config: TaskConfig) -> LidarBranch:
    lidar, bev = config.lidar, config.bev.grid()
    return LidarBranch(
        PillarVfe(lidar, pillar_grid(lidar, bev)),
        LidarMiddleEncoder(lidar, bev),
        ConvResBlockNeck(lidar.middle_channels, config.bev.channels, lidar.bev_blocks),
    )


def _check_backbone_size(config: CameraConfig) -> None:
    """Raises ValueError where the backbone is too large; nothing of its size is allocated."""
    with torch.device("meta"):
        (backbone,) = build_backbones(config, 1)
    weights = sum(parameter.numel() for parameter in backbone.parameters())
    if weights > MOST_BACKBONE_WEIGHTS:
        raise ValueError(
            f"camera.backbone = '{config.backbone}', {dict(config.backbone_args)} has "
            f"{weights:,} weights for each of {len(CAMERA_GROUPS)} groups of cameras; at most "
            f"{MOST_BACKBONE_WEIGHTS:,} are allowed: choose a smaller one"
        )
