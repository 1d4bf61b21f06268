"""What the calibration says about every cell of a camera's feature map: how far away it is where it
shows the ground, or something at a height above it.

One network serves cameras of any lens, height and tilt, so it is told what it cannot see in an
image. Letters: B streams, N cameras, Z heights, H W size of a feature map.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from leapai.geometry import cameras
from leapai.models.projection import Calibration
from leapai.models.tensors import moved
from leapai.types import FloatArray

FARTHEST_M = 1000.0
"""Depth of a cell that is never at a height: one that looks away from it."""
_WIDEST = 10.0
"""Largest tangent of an angle to the axis; a lens that cannot be inverted gives anything."""


class RayCaster:
    """Casts the rays of cameras once for each calibration: those of the last call are kept."""

    def __init__(self, heights_m: tuple[float, ...], stride: int) -> None:
        """`stride`: image pixels of a cell of a feature map."""
        self.heights_m, self.stride = heights_m, stride
        self._kept: tuple[object, Tensor] | None = None

    @torch.inference_mode(False)  # what is kept may be trained with afterwards
    @torch.no_grad()
    def __call__(
        self, calibration: Calibration, size: tuple[int, int], device: torch.device
    ) -> Tensor:
        """Returns `cast_rays` of maps of `size` (H, W) on `device`. Does not wait where the
        calibration is on the CPU."""
        key = size, device, calibration.camera_valid.shape, calibration.fingerprint()
        kept = self._kept  # read once: streams in other threads may replace it meanwhile
        if kept is not None and kept[0] == key:
            return kept[1]
        rays = moved(cast_rays(self.heights_m, calibration, size, self.stride), device)
        self._kept = key, rays
        return rays


def cast_rays(
    heights_m: tuple[float, ...], calibration: Calibration, size: tuple[int, int], stride: int
) -> Tensor:
    """Returns the depth [B * N, Z, H, W] float32 along the camera's axis at which the ray through
    the centre of each cell is at each height, metres, on the CPU; `FARTHEST_M` where it never is,
    and for cameras that failed.

    `size` (H, W) of the feature map, `stride` image pixels a cell. The ground is the plane z = 0 of
    the ego frame.
    """
    valid = calibration.camera_valid.flatten().cpu().numpy()
    whole = (calibration.intrinsics, calibration.distortion, calibration.ego_from_camera)
    intrinsics, lens, ego_from_camera = (
        values.flatten(0, 1).double().cpu().numpy()[valid] for values in whole
    )
    xy = _tangents(intrinsics, lens, size, stride)  # [M, H, W, 2] of cameras that came
    axes = ego_from_camera[:, None, None, 2, :3]
    rise = (xy * axes[..., :2]).sum(-1) + axes[..., 2]  # [M, H, W] metres up a metre of depth
    above = np.subtract.outer(-ego_from_camera[:, 2, 3], np.negative(heights_m))  # [M, Z]
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = above[:, :, None, None] / rise[:, None]
    depth_m = np.full((len(valid), len(heights_m), *size), FARTHEST_M, np.float32)
    depth_m[valid] = np.where((depth > 0) & (depth < FARTHEST_M), depth, FARTHEST_M)
    return torch.from_numpy(depth_m)


def _tangents(
    intrinsics: FloatArray, distortion: FloatArray, size: tuple[int, int], stride: int
) -> FloatArray:
    """Returns tangents [M, H, W, 2] of the angles to the axis, right and down, of cell centres."""
    cells = np.stack(np.meshgrid(np.arange(size[1]), np.arange(size[0])), -1)  # [H, W, 2]
    pixels = (cells + 0.5) * stride - 0.5
    centred = pixels - intrinsics[:, None, None, :2, 2]
    flat = centred @ np.linalg.inv(intrinsics[:, None, :2, :2]).swapaxes(-1, -2)
    with np.errstate(all="ignore"):
        xy = cameras.undistort(flat, distortion[:, None, None])
    tangents: FloatArray = np.nan_to_num(xy).clip(-_WIDEST, _WIDEST)
    return tangents
