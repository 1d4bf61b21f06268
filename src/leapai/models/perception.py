"""The system in one method: `predictions, state = model(batch, state)`.

Training, validation, streaming and export all take this step. Shapes are those of the full-size
system.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.distributed as dist
from torch import Tensor, nn

from leapai.config.schema import TaskConfig
from leapai.models.blocks import ConvResBlockNeck, FpnNeck, Fuser
from leapai.models.camera import STRIDES, Backbone, encode
from leapai.models.dynamic.dynamic_head import DynamicHead
from leapai.models.dynamic.query_memory import empty_state
from leapai.models.host_tables import HostTables, host_tables
from leapai.models.lidar import LidarMiddleEncoder, Pillars, PillarVfe
from leapai.models.reset import with_pose
from leapai.models.static.bev_memory import StaticTemporalFusion, empty_memory
from leapai.models.static.static_head import StaticHead, StaticNeck
from leapai.models.tensors import (
    AuxiliaryPredictions,
    DynamicPredictions,
    FrameBatch,
    Predictions,
    StaticMemory,
    StaticPredictions,
    TemporalState,
)
from leapai.models.view_transfer import ViewTransfer


@dataclass(frozen=True)
class CameraBranch:
    """Built camera modules; backbones and necks by group."""

    backbones: list[Backbone]
    necks: list[FpnNeck]
    view_transfer: ViewTransfer


@dataclass(frozen=True)
class LidarBranch:
    """Built modules of the LiDAR branch."""

    vfe: PillarVfe
    middle_encoder: LidarMiddleEncoder
    bev_backbone: ConvResBlockNeck


@dataclass(frozen=True)
class DynamicBranch:
    """Built modules of the dynamic task."""

    neck: ConvResBlockNeck
    head: DynamicHead


@dataclass(frozen=True)
class StaticBranch:
    """Built modules of the static task; `fusion` where it has a memory."""

    neck: StaticNeck
    head: StaticHead
    fusion: StaticTemporalFusion | None


class Perception(nn.Module):
    """The perception network: seven cameras and a LiDAR in; objects, the map, and the next memory
    out. `build.build_model` assembles it."""

    lidar_vfe: PillarVfe | None
    bev_dynamic_head: DynamicHead | None
    bev_static_head: StaticHead | None
    bev_static_temporal_fusion: StaticTemporalFusion | None

    def __init__(
        self,
        config: TaskConfig,
        camera: CameraBranch,
        lidar: LidarBranch | None,
        fuser: Fuser,
        dynamic: DynamicBranch | None,
        static: StaticBranch | None,
    ) -> None:
        super().__init__()
        self.config = config
        for group, (backbone, neck) in enumerate(zip(camera.backbones, camera.necks, strict=True)):
            self.add_module(f"stage1_backbone{group}", backbone)
            self.add_module(f"stage1_neck{group}", neck)
        self.view_transfer = camera.view_transfer
        self.lidar_vfe = lidar.vfe if lidar else None
        if lidar:
            self.lidar_middle_encoder = lidar.middle_encoder
            self.lidar_bev_backbone = lidar.bev_backbone
        self.fuser = fuser
        if dynamic:
            self.bev_dynamic_neck = dynamic.neck
        self.bev_dynamic_head = dynamic.head if dynamic else None
        if static:
            self.bev_static_neck = static.neck
        self.bev_static_temporal_fusion = static.fusion if static else None
        self.bev_static_head = static.head if static else None

    def forward(self, batch: FrameBatch, state: TemporalState) -> tuple[Predictions, TemporalState]:
        """Runs one frame of every stream: predictions of each task and the next memory.

        Nothing here waits for values of a batch that is `prepared`; any other is prepared first.
        """
        batch = self.prepared(batch)
        bev, auxiliary = batch.fused_bev, None
        if self.bev_dynamic_head is None and self.bev_static_head is None:
            return Predictions(auxiliary=self.pixels_alone(batch)), with_pose(state, batch)
        if bev is None:
            bev, auxiliary = self.perceive(batch)
        static, static_memory = self.static_task(bev, batch, state)
        dynamic, state = self.dynamic_task(bev, batch, state)
        return Predictions(dynamic, static, auxiliary), replace(state, static=static_memory)

    def prepared(self, batch: FrameBatch) -> FrameBatch:
        """Returns the batch with the tables of its calibration and of the cameras that came, which
        the host makes: the one part of a step whose shapes depend on values."""
        if batch.tables is not None or batch.fused_bev is not None:
            return batch
        tables = host_tables(
            batch,
            self.view_transfer,
            shared=self.config.camera.shared,
            to_bev=self.bev_dynamic_head is not None or self.bev_static_head is not None,
        )
        return replace(batch, tables=tables)

    def dynamic_task(
        self, bev: Tensor, batch: FrameBatch, state: TemporalState
    ) -> tuple[DynamicPredictions | None, TemporalState]:
        """Returns raw predictions of objects, and the next memory; None where the task is off."""
        if self.bev_dynamic_head is None:
            return None, with_pose(state, batch)
        rows = self.bev_dynamic_neck(bev).flatten(2).transpose(1, 2)  # [B, 14336, 512]
        result: tuple[DynamicPredictions, TemporalState] = self.bev_dynamic_head(rows, batch, state)
        return result

    def static_task(
        self, bev: Tensor, batch: FrameBatch, state: TemporalState
    ) -> tuple[StaticPredictions | None, StaticMemory | None]:
        """Returns the logits of the map, and its next memory; None where the task, or its memory,
        is off."""
        if self.bev_static_head is None:
            return None, None
        features, memory = self.bev_static_neck(bev), None  # [B, 128, 56, 104]
        if self.bev_static_temporal_fusion is not None:
            features, memory = self.bev_static_temporal_fusion(features, batch, state)
        return self.bev_static_head(features), memory

    def trunk(self, batch: FrameBatch) -> Tensor:
        """Perceives one frame: sensors to one BEV [B, 256, 112, 128], independent of other
        frames."""
        return self.perceive(batch)[0]

    def perceive(self, batch: FrameBatch) -> tuple[Tensor, AuxiliaryPredictions | None]:
        """Perceives one frame as `trunk` does; returns what its losses read, too, of modules that
        train."""
        tables = self.prepared(batch).tables
        assert tables is not None
        assert tables.projection is not None
        features = self.camera_features(batch.images, tables)  # [B, 7, 256, 64, 120]
        camera_bev, pixels = self.view_transfer(features, tables.projection, tables.ray_depth_m)
        bevs, present = [camera_bev], [batch.camera_valid.any(1)]  # [B, 256, 112, 128]
        if self.lidar_vfe is not None:
            bevs.append(self.lidar_bev(batch))  # [B, 256, 112, 128]
            present.append(batch.lidar_valid)
        bev: Tensor = self.fuser(bevs, present)
        heat_maps = self.fuser.heat_maps(bevs) if self.fuser.training else None
        pixels = pixels if self.view_transfer.training else None
        if pixels is None and heat_maps is None:
            return bev, None
        return bev, AuxiliaryPredictions(pixels, heat_maps)

    def pixels_alone(self, batch: FrameBatch) -> AuxiliaryPredictions:
        """Returns what single pixels show, where no task is on."""
        assert batch.tables is not None
        assert batch.tables.ray_depth_m is not None
        features = self.camera_features(batch.images, batch.tables)
        return AuxiliaryPredictions(
            self.view_transfer.of_pixels(features, batch.tables.ray_depth_m), None
        )

    def camera_features(self, images: Tensor, tables: HostTables) -> Tensor:
        """Returns features [B, N, C, H/8, W/8] float32 of images [B, N, 3, H, W]; zeros for a
        failed camera, which costs no time."""
        (B, N), (height, width) = (
            images.shape[:2],
            (side // STRIDES[0] for side in images.shape[3:]),
        )
        zeros = torch.zeros(1, height, width, self.config.bev.channels, device=images.device)
        encoded = images.flatten(0, 1)[tables.encoded]
        maps = [
            self._encode(group, of_group)
            for group, of_group in enumerate(torch.split(encoded, list(tables.encoded_by_group)))
            if len(of_group) or self._ranks_wait()
        ]
        features = torch.cat([*maps, zeros.permute(0, 3, 1, 2)])[tables.map_of_camera]
        return features.view(B, N, *features.shape[1:])

    def _ranks_wait(self) -> bool:
        """Returns whether other ranks may wait for a group of cameras that this rank lacks: then
        this one calls the group, too, with no image, because batch norm and gradients meet over
        ranks."""
        waits = self.training and self.config.training.synced_batch_norm
        return waits and dist.is_available() and dist.is_initialized()

    def _encode(self, group: int, images: Tensor) -> Tensor:
        """Encodes images [M, 3, H, W] of one group -> features [M, C, H/8, W/8] float32."""
        backbone = getattr(self, f"stage1_backbone{group}")
        neck = getattr(self, f"stage1_neck{group}")
        return encode(backbone, neck, images, self.config)

    def pillars(self, batch: FrameBatch) -> Pillars:
        """Groups the points of all streams into pillars, unless the host has done so."""
        assert self.lidar_vfe is not None
        if batch.pillars is not None:
            return batch.pillars
        return self.lidar_vfe.group(batch.points, batch.point_stream, batch.streams)

    def lidar_bev(self, batch: FrameBatch) -> Tensor:
        """Returns the BEV [B, C, rows, columns] of the points."""
        assert self.lidar_vfe is not None
        pillars = self.pillars(batch)
        dense = self.lidar_middle_encoder(self.lidar_vfe(pillars), pillars.cell, batch.streams)
        bev: Tensor = self.lidar_bev_backbone(dense)
        return bev

    def initial_state(self, streams: int, device: torch.device | str = "cpu") -> TemporalState:
        """Returns an empty memory."""
        config = self.config
        state = empty_state(streams, config.history_slots, config.dynamic.embed, device)
        if not config.enable_static_temporal:
            return state
        return replace(state, static=empty_memory(streams, config, device))
