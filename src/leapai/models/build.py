"""Composition: a configuration becomes a network, by plain constructors."""

from __future__ import annotations

from leapai.config.schema import TaskConfig
from leapai.models.blocks import ConvResBlockNeck, FpnNeck, Fuser, PyramidNeck
from leapai.models.camera import backbones_of_groups
from leapai.models.compilation import compile_encoders
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


def build_model(config: TaskConfig) -> Perception:
    """Builds the network of `config`, with fresh weights from torch's global random state.

    With `compile` its image encoders are compiled at their first call. Raises ValueError for parts
    that do not fit.
    """
    lidar = _lidar(config) if config.enable_lidar else None
    model = Perception(
        config,
        camera=_camera(config),
        lidar=lidar,
        fuser=Fuser(
            config.bev.channels,
            modalities=2 if lidar else 1,
            dense_heads=config.loss.dense_weight > 0,
            classes=len(config.vocabulary),
        ),
        dynamic=_dynamic(config) if config.dynamic_task else None,
        static=_static(config) if config.static_task else None,
    )
    if config.compile:
        compile_encoders(model)
    return model


def _dynamic(config: TaskConfig) -> DynamicBranch:
    sizes = config.dynamic
    neck = ConvResBlockNeck(config.bev.channels, sizes.neck_channels, sizes.neck_blocks)
    return DynamicBranch(neck, DynamicHead(config))


def _static(config: TaskConfig) -> StaticBranch:
    fusion = StaticTemporalFusion(config) if config.enable_static_temporal else None
    return StaticBranch(StaticNeck(config), StaticHead(config), fusion)


def _camera(config: TaskConfig) -> CameraBranch:
    backbones = backbones_of_groups(config.camera)
    if config.training.recompute_backbones:
        for backbone in backbones:
            recompute_stages(backbone.net)
    necks = [FpnNeck(b.channels, config.bev.channels) for b in backbones]
    return CameraBranch(
        backbones, necks, ViewTransfer(config.camera, config.bev, len(config.vocabulary))
    )


def _lidar(config: TaskConfig) -> LidarBranch:
    lidar, bev = config.lidar, config.bev.grid()
    widths = lidar.middle_channels, config.bev.channels, lidar.bev_blocks
    return LidarBranch(
        PillarVfe(lidar, pillar_grid(lidar, bev)),
        LidarMiddleEncoder(lidar, bev),
        PyramidNeck(*widths, lidar.bev_coarser) if lidar.bev_coarser else ConvResBlockNeck(*widths),
    )
