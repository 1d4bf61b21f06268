"""Depths of every cell of a camera's feature map by the calibration alone: how far away the cell is
where it shows the ground, or a height above it. With NumPy, as the host makes them.

One network serves cameras of any lens, height and tilt, which it cannot see in an image.
Letters: B streams, N cameras, Z heights, H W size of a feature map.
"""

from __future__ import annotations

import numpy as np

from leapai.geometry import cameras
from leapai.models.cell_projection import FeatureMaps, Rigs
from leapai.types import FloatArray

FARTHEST_M = 1000.0
"""Depth of a cell that is never at a height: one that looks away from it."""
_WIDEST = 10.0
"""Largest tangent of an angle to the axis; a lens that cannot be inverted gives anything."""


def ray_depths(heights_m: tuple[float, ...], rigs: Rigs, maps: FeatureMaps) -> FloatArray:
    """Returns the depth [B * N, Z, H, W] float32 along the camera's axis at which the ray through
    the centre of each cell is at each height, metres; `FARTHEST_M` where it never is, and for
    cameras that failed.

    The ground is the plane z = 0 of the ego frame.
    """
    valid = rigs.camera_valid.ravel()
    whole = (rigs.intrinsics, rigs.distortion, rigs.ego_from_camera)
    intrinsics, lens, ego_from_camera = (
        values.reshape(-1, *values.shape[2:])[valid].astype(np.float64) for values in whole
    )
    xy = _tangents(intrinsics, lens, maps)  # [M, H, W, 2] of cameras that came
    axes = ego_from_camera[:, None, None, 2, :3]
    rise = (xy * axes[..., :2]).sum(-1) + axes[..., 2]  # [M, H, W] metres up a metre of depth
    above = np.subtract.outer(-ego_from_camera[:, 2, 3], np.negative(heights_m))  # [M, Z]
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = above[:, :, None, None] / rise[:, None]
    depth_m = np.full((len(valid), len(heights_m), *maps.size), FARTHEST_M, np.float32)
    depth_m[valid] = np.where((depth > 0) & (depth < FARTHEST_M), depth, FARTHEST_M)
    return depth_m


def _tangents(intrinsics: FloatArray, distortion: FloatArray, maps: FeatureMaps) -> FloatArray:
    """Returns tangents [M, H, W, 2] of the angles to the axis, right and down, of cell centres."""
    cells = np.stack(np.meshgrid(np.arange(maps.size[1]), np.arange(maps.size[0])), -1)  # [H, W, 2]
    pixels = (cells + 0.5) * maps.stride - 0.5
    centred = pixels - intrinsics[:, None, None, :2, 2]
    flat = centred @ np.linalg.inv(intrinsics[:, None, :2, :2]).swapaxes(-1, -2)
    with np.errstate(all="ignore"):
        xy = cameras.undistort(flat, distortion[:, None, None])
    tangents: FloatArray = np.nan_to_num(xy).clip(-_WIDEST, _WIDEST)
    return tangents
