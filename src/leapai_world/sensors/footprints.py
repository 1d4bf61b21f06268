"""Footprints of boxes: the rays of a sensor that can meet a box.

They are a rectangle of pixels, or a window of LiDAR azimuth and elevation. A footprint is never too
small: a ray outside of it cannot pass through the box.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from leapai.geometry import boxes as box_geometry
from leapai.geometry import cameras, poses
from leapai.types.vocabulary import FloatArray
from leapai_world.sensors.lidar_sensor import Lidar
from leapai_world.sensors.rig import Camera

_NEAR_M = 0.3
"""Distance of the near plane: nothing is ever nearer to a camera than this."""
Rays = npt.NDArray[np.intp]


def of_camera(camera: Camera, boxes_ego: FloatArray) -> list[Rays]:
    """Returns for each box [N, 7] of the ego frame the pixels (flat) that it may cover.

    A box is convex, so its view through a pinhole lies in the rectangle around its corners. That
    rectangle is then sent through the lens, whose mild bend moves its edges outward at their ends
    or middles.
    """
    height, width = camera.size_px
    index = np.arange(height * width).reshape(height, width)
    footprints = [index[:0].ravel()] * len(boxes_ego)
    near = _in_reach(camera, boxes_ego)
    low, high, ahead = _rectangles(camera, boxes_ego[near])
    steps = np.array([(x, y) for x in (0, 0.5, 1) for y in (0, 0.5, 1)])
    outline = low[:, None] + steps * (high - low)[:, None]
    pixel = cameras.distort(outline, camera.distortion) @ camera.intrinsics[:2, :2].T
    pixel += camera.intrinsics[:2, 2]
    first = np.clip(np.floor(pixel.min(1)) - 2, 0, (width, height)).astype(int)
    last = np.clip(np.ceil(pixel.max(1)) + 3, 0, (width, height)).astype(int)
    last[~ahead] = 0
    for i in np.flatnonzero((last > first).all(1)):
        (x0, y0), (x1, y1) = first[i], last[i]
        footprints[near[i]] = index[y0:y1, x0:x1].ravel()
    return footprints


def _in_reach(camera: Camera, boxes_ego: FloatArray) -> Rays:
    """Returns the boxes whose spheres reach before the near plane and into the view from left to
    right."""
    camera_from_ego = poses.invert(camera.ego_from_camera)
    x, _, z = poses.apply(camera_from_ego, boxes_ego[:, :3]).T
    radius = np.linalg.norm(boxes_ego[:, 3:6], axis=1) / 2
    limit = 1.1 * camera.view_limit[0]
    outside = (np.abs(x) - limit * z) / np.hypot(1.0, limit)  # From the planes of the view.
    return np.flatnonzero((z + radius > _NEAR_M) & (outside < radius))


def _rectangles(
    camera: Camera, boxes_ego: FloatArray
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.bool_]]:
    """Returns lowest and highest x / z, y / z [N, 2] of boxes, cut at the near plane and a little
    beyond the view; and which boxes [N] lie before the near plane at all."""
    camera_from_ego = poses.invert(camera.ego_from_camera)
    corners = poses.apply(camera_from_ego, box_geometry.corners(boxes_ego))
    ends = corners[:, np.array(box_geometry.EDGES)]
    a, b = ends, ends[:, :, ::-1]
    depth = a[..., 2]
    step = (_NEAR_M - depth) / np.where(b[..., 2] == depth, np.inf, b[..., 2] - depth)
    step = np.where(depth < _NEAR_M, np.clip(step, 0, 1), 0)[..., None]
    cut = (a + step * (b - a)).reshape(len(boxes_ego), 2 * len(box_geometry.EDGES), 3)
    before = cut[..., 2] > _NEAR_M - 1e-6
    xy = cut[..., :2] / np.where(before, cut[..., 2], 1.0)[..., None]
    limit = 1.1 * camera.view_limit  # Far beyond the view the lens model folds back.
    low = np.where(before[..., None], xy, np.inf).min(1)
    high = np.where(before[..., None], xy, -np.inf).max(1)
    return np.clip(low, -limit, limit), np.clip(high, -limit, limit), np.asarray(before.any(1))


def of_lidar(lidar: Lidar, boxes_ego: FloatArray) -> list[Rays]:
    """Returns for each box the LiDAR rays in the range of azimuth and elevation that it passes
    through during the sweep. Boxes [S, N, 7] are sampled along it, in the ego frame of each
    sample."""
    steps = lidar.azimuth_steps
    rays = np.arange(lidar.beams * steps).reshape(lidar.beams, steps)
    # The rays are level in the LiDAR's own axes, which a wrong calibration takes to those of the
    # ego.
    level_from_ego = lidar.calibrated_from_true[:3, :3]
    elevation = np.arcsin((lidar.rays_ego[::steps] @ level_from_ego.T)[:, 2])
    samples, count = boxes_ego.shape[:2]
    flat = boxes_ego.reshape(-1, 7)
    corners = (box_geometry.corners(flat) - lidar.position_ego_m) @ level_from_ego.T
    corners = corners.reshape(samples, count, 8, 3)
    offset = ((boxes_ego[..., :3] - lidar.position_ego_m) @ level_from_ego.T)[..., :2]
    middle = np.arctan2(offset[-1, :, 1], offset[-1, :, 0])
    azimuth = np.arctan2(corners[..., 1], corners[..., 0]) - middle[:, None]
    azimuth = (azimuth + np.pi) % (2 * np.pi) - np.pi
    per_step = steps / (2 * np.pi)
    first = np.floor((middle + azimuth.min((0, 2)) + np.pi) * per_step).astype(int) - 2
    last = np.ceil((middle + azimuth.max((0, 2)) + np.pi) * per_step).astype(int) + 2
    last = np.minimum(last, first + steps)
    # The nearest point of a box lies at most half its diagonal nearer than its centre, and a tilt
    # of a few degrees moves its top and bottom by less than a tenth of its height.
    half = np.linalg.norm(boxes_ego[..., 3:5], axis=-1) / 2 + 0.1 * boxes_ego[..., 5]
    distance = np.linalg.norm(offset, axis=-1)
    reach = np.stack([np.maximum(distance - half, 0.1), distance + half])
    lowest = np.arctan2(corners[..., 2].min(-1), reach).min((0, 1))
    highest = np.arctan2(corners[..., 2].max(-1), reach).max((0, 1))
    low_beam = np.maximum(np.searchsorted(elevation, lowest) - 1, 0)
    high_beam = np.searchsorted(elevation, highest) + 1
    return [
        rays[b0:b1, np.arange(a0, a1) % steps].ravel()
        for a0, a1, b0, b1 in zip(first, last, low_beam, high_beam, strict=True)
    ]
