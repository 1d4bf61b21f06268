"""Rigid transforms `dst_from_src` [..., 4, 4]. Arrays and tensors alike unless a docstring states
otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from leapai.geometry import angles
from leapai.types.vocabulary import FloatArray

if TYPE_CHECKING:
    from torch import Tensor

ArrayOrTensor = TypeVar("ArrayOrTensor", FloatArray, "Tensor")


def apply(dst_from_src: ArrayOrTensor, points: ArrayOrTensor) -> ArrayOrTensor:
    """Moves points [..., P, 3] from frame src to frame dst."""
    rotation, translation = dst_from_src[..., :3, :3], dst_from_src[..., :3, 3]
    return points @ rotation.swapaxes(-1, -2) + translation[..., None, :]


def rotate(dst_from_src: ArrayOrTensor, vectors: ArrayOrTensor) -> ArrayOrTensor:
    """Rotates directions or velocities [..., P, 3] from the axes of frame src to those of frame
    dst."""
    return vectors @ dst_from_src[..., :3, :3].swapaxes(-1, -2)


def invert(dst_from_src: ArrayOrTensor) -> ArrayOrTensor:
    """Inverts rigid transforms to `src_from_dst`, by transposing the rotation (exact where a solver
    is not)."""
    src_from_dst = dst_from_src * 1
    rotation_t = dst_from_src[..., :3, :3].swapaxes(-1, -2)
    src_from_dst[..., :3, :3] = rotation_t
    src_from_dst[..., :3, 3] = -(rotation_t @ dst_from_src[..., :3, 3:])[..., 0]
    return src_from_dst


def from_quaternion(wxyz: FloatArray, translation_m: FloatArray) -> FloatArray:
    """Returns poses [..., 4, 4] float64 from quaternions [..., 4] (w x y z, any length but 0) and
    translations [..., 3]."""
    q = np.asarray(wxyz, np.float64)
    w, x, y, z = np.moveaxis(q / np.linalg.norm(q, axis=-1, keepdims=True), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    pose = np.zeros((*w.shape, 4, 4))
    pose[..., :3, :3] = np.stack([np.stack(row, -1) for row in rows], -2)
    pose[..., :3, 3] = translation_m
    pose[..., 3, 3] = 1.0
    return pose


def from_xyz_yaw(xyz_m: FloatArray, yaw_rad: FloatArray | float) -> FloatArray:
    """Returns poses [..., 4, 4] float64 of positions [..., 3] turned by yaw [...] about z."""
    position, yaw = np.asarray(xyz_m, np.float64), np.asarray(yaw_rad, np.float64)
    pose = np.zeros((*position.shape[:-1], 4, 4))
    pose[..., 0, 0] = pose[..., 1, 1] = np.cos(yaw)
    pose[..., 1, 0] = np.sin(yaw)
    pose[..., 0, 1] = -np.sin(yaw)
    pose[..., 2, 2] = pose[..., 3, 3] = 1.0
    pose[..., :3, 3] = position
    return pose


def yaw_of(dst_from_src: FloatArray) -> FloatArray:
    """Returns yaw [...] in (-pi, pi] of the x axis of src seen in dst."""
    return angles.wrap(np.arctan2(dst_from_src[..., 1, 0], dst_from_src[..., 0, 0]))


def between(first: FloatArray, last: FloatArray, share: FloatArray) -> FloatArray:
    """Returns the poses [N, 4, 4] at `share` [N] of the ways from `first` to `last`, both [N, 4,
    4]: positions move on a line, rotations on the sphere. Shares outside of [0, 1] go on."""
    from scipy.spatial.transform import Rotation  # late: it takes time to import

    exact = share == 0
    if exact.all():
        return first.copy()
    turn = Rotation.from_matrix(first[:, :3, :3].swapaxes(1, 2) @ last[:, :3, :3]).as_rotvec()
    moved = first.copy()
    moved[:, :3, :3] = first[:, :3, :3] @ Rotation.from_rotvec(share[:, None] * turn).as_matrix()
    moved[:, :3, 3] += share[:, None] * (last[:, :3, 3] - first[:, :3, 3])
    moved[exact] = first[exact]
    return moved
