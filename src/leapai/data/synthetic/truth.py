"""Labels of a frame: what is known because the world is made, and how visible each actor is, by rays.

The visible fraction of an actor is the number of rays, over all cameras and the LiDAR, that meet it first, divided by
the number that would meet it if it were alone. The second number needs no second scene: boxes of actors never overlap,
so whatever a ray meets inside an actor's box is that actor. A ray that was stopped before is continued inside the box.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from leapai.data.synthetic.casting import Hits, Stage
from leapai.data.synthetic.rig import AZIMUTH_STEPS, Camera, Lidar
from leapai.geometry import boxes as box_geometry
from leapai.geometry import cameras, poses
from leapai.types import FloatArray, IntArray

_NEAR_M = 0.3
_SKIN_M = 1e-3
Rays = npt.NDArray[np.intp]


def visible_of_alone(
    hits: Hits, candidates: list[Rays], boxes: FloatArray, stage: Stage
) -> tuple[IntArray, IntArray]:
    """Rays of one sensor that meet each actor first [N], and that would meet it were it alone [N].

    `candidates[i]` holds at least all rays that pass through box i; `boxes` [N, 7] are in the window frame.
    """
    count = len(boxes)
    visible = np.bincount(hits.actor[hits.actor >= 0], minlength=count)
    farthest = np.linalg.norm(box_geometry.corners(boxes) - hits.origin_m, axis=-1).max(1)
    stopped = [
        rays[(hits.actor[rays] != i) & (hits.distance_m[rays] < farthest[i])]
        for i, rays in enumerate(candidates)
    ]
    ray = np.concatenate(stopped) if stopped else np.zeros(0, np.intp)
    actor = np.repeat(np.arange(count), [len(rays) for rays in stopped])
    enter, leave = _through_box(hits.origin_m, hits.rays[ray], boxes[actor])
    crossing = (leave > np.maximum(enter, 0)) & (hits.distance_m[ray] < leave)
    ray, actor = ray[crossing], actor[crossing]
    enter, leave = np.maximum(enter[crossing] - _SKIN_M, 0), leave[crossing] + _SKIN_M
    starts = (hits.origin_m + hits.rays[ray] * enter[:, None]).astype(np.float32)
    _, triangle = stage.actors.first_hit(
        starts, np.ascontiguousarray(hits.rays[ray]), (leave - enter).astype(np.float32)
    )
    meant = (triangle >= 0) & (stage.owner[np.maximum(triangle, 0)] == actor)
    return visible, visible + np.bincount(actor[meant], minlength=count)


def _through_box(
    origin_m: FloatArray, rays: npt.NDArray[np.float32], boxes: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Distances [R] at which rays [R, 3] enter and leave boxes [R, 7] (slab method)."""
    c, s = np.cos(boxes[:, 6]), np.sin(boxes[:, 6])
    offset = origin_m - boxes[:, :3]

    def in_box_axes(v: FloatArray) -> FloatArray:
        return np.stack([c * v[:, 0] + s * v[:, 1], c * v[:, 1] - s * v[:, 0], v[:, 2]], -1)

    start, direction = in_box_axes(offset), in_box_axes(rays)
    direction = np.where(np.abs(direction) < 1e-12, 1e-12, direction)
    one = (-boxes[:, 3:6] / 2 - start) / direction
    two = (boxes[:, 3:6] / 2 - start) / direction
    return np.minimum(one, two).max(1), np.maximum(one, two).min(1)


def camera_candidates(camera: Camera, boxes_ego: FloatArray) -> list[Rays]:
    """For each box [N, 7] of the ego frame the pixels (flat) that it may cover.

    A box is convex, so its view through a pinhole lies in the rectangle about its corners; that rectangle is then
    sent through the lens, whose mild bend moves its edges outward at their ends or middles.
    """
    height, width = camera.size_px
    index = np.arange(height * width).reshape(height, width)
    camera_from_ego = poses.invert(camera.ego_from_camera)
    corners = poses.apply(camera_from_ego, box_geometry.corners(boxes_ego).reshape(-1, 3))
    corners = corners.reshape(-1, 8, 3)
    depth = corners[..., 2]
    ahead, behind = (depth > _NEAR_M).all(1), (depth <= 0).all(1)
    xy = corners[..., :2] / np.where(depth > _NEAR_M, depth, 1.0)[..., None]
    limit = 1.1 * camera.view_limit  # Far beyond the view the lens model folds back.
    low, high = (np.clip(edge, -limit, limit) for edge in (xy.min(1), xy.max(1)))
    steps = np.array([(x, y) for x in (0, 0.5, 1) for y in (0, 0.5, 1)])
    outline = low[:, None] + steps * (high - low)[:, None]
    pixel = cameras.distort(outline, camera.distortion) @ camera.intrinsics[:2, :2].T
    pixel += camera.intrinsics[:2, 2]
    first = np.clip(np.floor(pixel.min(1)) - 2, 0, (width, height)).astype(int)
    last = np.clip(np.ceil(pixel.max(1)) + 3, 0, (width, height)).astype(int)
    first[~ahead], last[~ahead] = 0, (width, height)
    last[behind] = 0
    return [
        index[y0:y1, x0:x1].ravel() for (x0, y0), (x1, y1) in zip(first, last, strict=True)
    ]


def lidar_candidates(lidar: Lidar, boxes_ego: FloatArray) -> list[Rays]:
    """For each box [N, 7] of the ego frame the LiDAR rays of all rings in its range of azimuth."""
    rays = np.arange(lidar.beams * AZIMUTH_STEPS).reshape(lidar.beams, AZIMUTH_STEPS)
    position_ego_m = lidar.position_ego_m
    offset = box_geometry.corners(boxes_ego)[..., :2] - position_ego_m[:2]
    middle = np.arctan2(*(boxes_ego[:, :2] - position_ego_m[:2]).T[::-1])
    azimuth = np.arctan2(offset[..., 1], offset[..., 0]) - middle[:, None]
    spread = np.abs((azimuth + np.pi) % (2 * np.pi) - np.pi).max(1)
    per_step = AZIMUTH_STEPS / (2 * np.pi)
    first = np.floor((middle - spread + np.pi) * per_step).astype(int) - 1
    last = np.ceil((middle + spread + np.pi) * per_step).astype(int) + 1
    return [
        rays[:, np.arange(start, stop) % AZIMUTH_STEPS].ravel()
        for start, stop in zip(first, last, strict=True)
    ]
