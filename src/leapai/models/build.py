"""Composition: a configuration becomes a network, by plain constructors."""

from __future__ import annotations

from leapai.config import TaskConfig
from leapai.models.blocks import ConvResBlockNeck
from leapai.models.camera import Backbone, FpnNeck, indices_of_strides
from leapai.models.dynamic.head import DynamicHead
from leapai.models.fuser import Fuser
from leapai.models.lidar import LidarMiddleEncoder, PillarVfe, pillar_grid
from leapai.models.perception import CameraBranch, DynamicBranch, LidarBranch, Perception
from leapai.models.view_transfer import ViewTransfer
from leapai.types import CAMERA_GROUPS

STATIC_TASK_LATER = (
    "static_task = True: the static task is not part of this version yet; "
    "use a configuration with dynamic_task = True and static_task = False"
)


def build_model(config: TaskConfig) -> Perception:
    """The network of `config`, with fresh weights from torch's global random state.

    Raises ValueError for what this version cannot build (the static task) and for parts that do not
    fit.
    """
    if config.static_task:
        raise ValueError(STATIC_TASK_LATER)
    lidar = _lidar(config) if config.enable_lidar else None
    return Perception(
        config,
        camera=_camera(config),
        lidar=lidar,
        fuser=Fuser(config.bev.channels, modalities=2 if lidar else 1),
        dynamic=DynamicBranch(
            ConvResBlockNeck(
                config.bev.channels, config.dynamic.neck_channels, config.dynamic.neck_blocks
            ),
            DynamicHead(config),
        ),
    )


def _camera(config: TaskConfig) -> CameraBranch:
    out_indices = indices_of_strides(config.camera)  # asked once: it builds the model to look at it
    backbones = [Backbone(config.camera, out_indices) for _ in CAMERA_GROUPS]
    necks = [FpnNeck(b.channels, config.bev.channels) for b in backbones]
    return CameraBranch(backbones, necks, ViewTransfer(config.camera, config.bev))


def _lidar(config: TaskConfig) -> LidarBranch:
    lidar, bev = config.lidar, config.bev.grid()
    return LidarBranch(
        PillarVfe(lidar, pillar_grid(lidar, bev)),
        LidarMiddleEncoder(lidar, bev),
        ConvResBlockNeck(lidar.middle_channels, config.bev.channels, lidar.bev_blocks),
    )
