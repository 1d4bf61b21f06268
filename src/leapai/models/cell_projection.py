"""Projection of BEV cells into cameras, with NumPy. It depends on the calibration alone, so the
host makes it, whatever runs the network.

Letters: B streams, N cameras, Q BEV cells, Z heights, M pairs (stream, cell, camera) in which the
camera sees at least one height of the cell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leapai.geometry import cameras, poses
from leapai.types import BevGrid, BoolArray, FloatArray, IntArray

STRIDE = 8
"""Image pixels of a cell of the feature maps that cells are projected into."""


@dataclass(frozen=True)
class Rigs:
    """Calibration of all cameras as arrays of float32."""

    intrinsics: FloatArray
    """[B, N, 3, 3]"""
    distortion: FloatArray
    """[B, N, 5]"""
    ego_from_camera: FloatArray
    """[B, N, 4, 4]"""
    camera_valid: BoolArray
    """[B, N]: a failed camera sees nothing."""


@dataclass(frozen=True)
class CellProjection:
    """Cells and the cameras that see them. Pairs are sorted by stream, cell, camera."""

    pair_map: IntArray
    """[M] int32: stream * N + camera."""
    pair_cell: IntArray
    """[M] int64: stream * Q + cell."""
    cell_offsets: IntArray
    """[B * Q] int64: first pair of each cell."""
    cameras_of_cell: FloatArray
    """[B * Q] float32: how many cameras see the cell, at least 1."""
    samples_of_cell: FloatArray
    """[B * Q] float32: how many of its heights all cameras see together, at least 1."""
    anchor: FloatArray
    """[M, Z, 2] float32 x y in cells of the feature map."""
    anchor_seen: BoolArray
    """[M, Z]"""
    depth_m: FloatArray
    """[M, Z] float32: depth of each anchor along the camera's axis, metres."""


@dataclass(frozen=True)
class FeatureMaps:
    """Feature maps that cells are projected into."""

    size: tuple[int, int]
    """H, W."""
    stride: int
    """Image pixels of a cell of a map."""


def projected_cells(
    grid: BevGrid, heights_m: tuple[float, ...], rigs: Rigs, maps: FeatureMaps
) -> CellProjection:
    """Projects every cell centre at every height into every camera of every stream."""
    anchor, depth, seen = _anchors(grid, heights_m, rigs, maps)
    _, N, Q, _ = seen.shape
    pair = np.asarray(seen.any(-1)).swapaxes(1, 2)  # [B, Q, N]: in the order of the pairs
    stream, cell, camera = pair.nonzero()
    cameras_of_cell = pair.sum(-1).ravel()
    return CellProjection(
        pair_map=(stream * N + camera).astype(np.int32),
        pair_cell=stream * Q + cell,
        cell_offsets=cameras_of_cell.cumsum() - cameras_of_cell,
        cameras_of_cell=np.maximum(cameras_of_cell, 1).astype(np.float32),
        samples_of_cell=np.maximum(seen.sum((1, 3)).ravel(), 1).astype(np.float32),
        anchor=anchor[stream, camera, cell],
        anchor_seen=seen[stream, camera, cell],
        depth_m=depth[stream, camera, cell],
    )


def _anchors(
    grid: BevGrid, heights_m: tuple[float, ...], rigs: Rigs, maps: FeatureMaps
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Returns feature-map positions [B, N, Q, Z, 2] of the cells, their depths [B, N, Q, Z], and
    whether they are in the picture [B, N, Q, Z]."""
    xy, z = grid.cell_centres_m(), np.array(heights_m, np.float32)
    shape = (len(xy), len(z))
    points = np.empty((*shape, 3), np.float32)
    points[..., :2], points[..., 2] = xy[:, None], z
    camera_from_ego = poses.invert(rigs.ego_from_camera)
    in_camera = poses.apply(camera_from_ego, points.reshape(-1, 3)[None, None])
    fold = cameras.fold_radius2(rigs.distortion).astype(np.float32)
    pixels, seen = cameras.project_all(in_camera, rigs.intrinsics, rigs.distortion, fold)
    anchor = (pixels + np.float32(0.5)) / np.float32(maps.stride) - np.float32(0.5)
    extent = np.array(maps.size[::-1], np.float32)
    seen &= ((anchor >= -0.5) & (anchor <= extent - np.float32(0.5))).all(-1)
    seen &= rigs.camera_valid[..., None]
    shape = (*rigs.camera_valid.shape, *shape)
    return anchor.reshape(*shape, 2), in_camera[..., 2].reshape(shape), seen.reshape(shape)
