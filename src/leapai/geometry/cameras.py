"""Pinhole cameras with OpenCV's lens model (k1, k2, p1, p2, k3).

Source of the model: OpenCV documentation, "Camera Calibration and 3D Reconstruction" (Brown 1966).
The radial polynomial is a fit that holds inside the image. Beyond the first radius at which it
stops growing it folds back, and a point far outside the view would land inside the picture: such
points are reported as not visible.
"""

from __future__ import annotations

import numpy as np

from leapai.types.vocabulary import BoolArray, FloatArray

MIN_DEPTH_M = 0.1
_NO_FOLD_RADIUS2 = 1e6


def distort(xy: FloatArray, distortion: FloatArray) -> FloatArray:
    """Distorts normalised image points [..., 2] by lenses [..., 5] (leading axes broadcast)."""
    k1, k2, p1, p2, k3 = (distortion[..., i] for i in range(5))
    x, y = xy[..., 0], xy[..., 1]
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    distorted = xy * 1
    distorted[..., 0] = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    distorted[..., 1] = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    return distorted


def undistort(xy_distorted: FloatArray, distortion: FloatArray, iterations: int = 20) -> FloatArray:
    """Inverts `distort` for arrays [..., 2] by fixed-point iteration (as
    `cv2.undistortPoints`)."""
    k1, k2, p1, p2, k3 = np.moveaxis(np.asarray(distortion, np.float64), -1, 0)
    xy = np.array(xy_distorted, np.float64)
    for _ in range(iterations):
        x, y = xy[..., 0], xy[..., 1]
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        tangential = np.stack(
            [2 * p1 * x * y + p2 * (r2 + 2 * x * x), p1 * (r2 + 2 * y * y) + 2 * p2 * x * y], -1
        )
        xy = (xy_distorted - tangential) / radial[..., None]
    return xy


def fold_radius2(distortion: FloatArray) -> FloatArray:
    """Returns the squared normalised radius [...] at which lenses [..., 5] stop growing outward
    (1e6: never).

    It is the first positive root of d/dr [r (1 + k1 r^2 + k2 r^4 + k3 r^6)] = 1 + 3 k1 s + 5 k2 s^2
    + 7 k3 s^3, s = r^2: the inverse of the largest positive root of t^3 + 3 k1 t^2 + 5 k2 t + 7 k3,
    an eigenvalue of the polynomial's companion matrix.
    """
    lenses = np.asarray(distortion, np.float64)
    companion = np.zeros((*lenses.shape[:-1], 3, 3))
    companion[..., 0, :] = -lenses[..., [0, 1, 4]] * (3, 5, 7)
    companion[..., [1, 2], [0, 1]] = 1
    t = np.linalg.eigvals(companion)
    growing = np.where(np.abs(t.imag) <= 1e-9 * np.abs(t), t.real, 0.0)
    limit: FloatArray = 1 / growing.max(-1, initial=1 / _NO_FOLD_RADIUS2)
    return limit


def project(
    points_camera_m: FloatArray, intrinsics: FloatArray, distortion: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Projects points [P, 3] of one camera to pixels [P, 2] and depth [P] in metres.

    Pixels are NaN where a point lies behind the camera or beyond the lens model's fold. The centre
    of the top left pixel is (0, 0), as in OpenCV.
    """
    depth = points_camera_m[:, 2]
    seen = depth > MIN_DEPTH_M
    xy = points_camera_m[:, :2] / np.where(seen, depth, 1.0)[:, None]
    seen &= xy[:, 0] ** 2 + xy[:, 1] ** 2 < fold_radius2(distortion)
    pixels = distort(xy, distortion) @ intrinsics[:2, :2].T + intrinsics[:2, 2]
    pixels[~seen] = np.nan
    return pixels, depth


def project_all(
    points_camera_m: FloatArray,
    intrinsics: FloatArray,
    distortion: FloatArray,
    max_radius2: FloatArray,
) -> tuple[FloatArray, BoolArray]:
    """Projects points [..., P, 3] of many cameras as `project` does: intrinsics [..., 3, 3],
    distortion [..., 5], fold [...].

    Returns pixels [..., P, 2] (finite everywhere, in the type of the points) and seen [..., P].
    """
    depth = points_camera_m[..., 2]
    xy = points_camera_m[..., :2] / np.maximum(depth, MIN_DEPTH_M)[..., None]
    seen = (depth > MIN_DEPTH_M) & (np.square(xy).sum(-1) < max_radius2[..., None])
    xy[~seen] = 0.0
    pixels = distort(xy, distortion[..., None, :]) @ intrinsics[..., :2, :2].swapaxes(-1, -2)
    return pixels + intrinsics[..., None, :2, 2], seen


def pixel_rays(
    intrinsics: FloatArray, distortion: FloatArray, size_px: tuple[int, int]
) -> FloatArray:
    """Returns unit directions [H, W, 3] float64 in the camera frame through every pixel centre."""
    height, width = size_px
    u, v = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    homogeneous = np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(intrinsics).T
    xy = undistort(homogeneous[..., :2], distortion)
    rays = np.concatenate([xy, np.ones_like(u)[..., None]], -1)
    unit: FloatArray = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    return unit


def resize_and_crop(
    intrinsics: FloatArray, scale: tuple[float, float], crop_xy_px: tuple[float, float]
) -> FloatArray:
    """Returns intrinsics after resizing by `scale` (x, y) and cutting `crop_xy_px` from the left
    and the top.

    Pixel centres are whole numbers, so resizing by s takes u to s (u + 0.5) - 0.5.
    """
    sx, sy = scale
    image_from_image = np.array(
        [
            [sx, 0.0, 0.5 * (sx - 1) - crop_xy_px[0]],
            [0.0, sy, 0.5 * (sy - 1) - crop_xy_px[1]],
            [0.0, 0.0, 1.0],
        ]
    )
    return image_from_image @ intrinsics
