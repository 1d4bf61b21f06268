"""Tables that the host makes of a batch before the network sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from leapai.models.camera import STRIDES, encoding_order
from leapai.models.projection import Calibration, Projection
from leapai.models.tensors import FrameBatch, Tensors, moved

if TYPE_CHECKING:
    from leapai.models.view_transfer import ViewTransfer


@dataclass(frozen=True)
class HostTables(Tensors):
    """Tables that the host makes of a batch before the network sees it, so that no shape in the
    network depends on values. I: images that are encoded, those of working cameras."""

    encoded: Tensor
    """[I] int64: their numbers among the B * N images, one group of cameras after another."""
    encoded_by_group: tuple[int, ...]
    """How many of them are of each group."""
    map_of_camera: Tensor
    """[B * N] int64: number of each camera's map among the I; I where the camera failed."""
    projection: Projection | None
    """None: the network has no task, and so no BEV."""
    ray_depth_m: Tensor | None
    """[B * N, Z, H, W] of `camera_rays.ray_depths`; None: no depth is predicted."""


def host_tables(
    batch: FrameBatch, view_transfer: ViewTransfer, *, shared: bool, to_bev: bool
) -> HostTables:
    """Makes the tables of a batch. `shared`: one backbone serves all groups of cameras; `to_bev`:
    features go to a BEV."""
    values, device = batch.on_host(), batch.images.device
    encoded, counts, maps = encoding_order(values.camera_valid, batch.camera_groups, shared=shared)
    size = batch.images.shape[-2] // STRIDES[0], batch.images.shape[-1] // STRIDES[0]
    calibration = Calibration.of(values)
    return HostTables(
        encoded=moved(encoded, device),
        encoded_by_group=counts,
        map_of_camera=moved(maps, device),
        projection=view_transfer.project(calibration, size, device) if to_bev else None,
        ray_depth_m=view_transfer.cast(calibration, size, device) if view_transfer.pixels else None,
    )
