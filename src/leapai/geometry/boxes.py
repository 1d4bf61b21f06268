"""Boxes [N, 7]: centre x y z, length width height, yaw; metres, radians, centre of the box."""

from __future__ import annotations

import numpy as np

from leapai.geometry import angles, poses
from leapai.types.vocabulary import BoolArray, FloatArray

_UNIT_CORNERS = np.array(
    [
        [x, y, z]
        for z in (-0.5, 0.5)
        for x, y in ((0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5), (0.5, -0.5))
    ]
)

EDGES = (
    (0, 1),
    (1, 2),
    (2, 3),
    (3, 0),
    (4, 5),
    (5, 6),
    (6, 7),
    (7, 4),
    (0, 4),
    (1, 5),
    (2, 6),
    (3, 7),
)
"""The twelve edges of `corners`; corners 0, 3, 4, 7 are the front."""


def corners(boxes: FloatArray) -> FloatArray:
    """Returns corners [N, 8, 3]: four below (front left, rear left, rear right, front right), then
    the four above."""
    ego_from_box = poses.from_xyz_yaw(boxes[:, :3], boxes[:, 6])
    return poses.apply(ego_from_box, _UNIT_CORNERS * boxes[:, None, 3:6])


def corners_bev(boxes: FloatArray) -> FloatArray:
    """Returns footprints [N, 4, 2], counter-clockwise from the front left corner."""
    return corners(boxes)[:, :4, :2]


def transform(boxes: FloatArray, dst_from_src: FloatArray) -> FloatArray:
    """Moves boxes [N, 7] to frame dst; the heading keeps its horizontal direction (boxes stay
    upright)."""
    moved = boxes.copy()
    moved[:, :3] = poses.apply(dst_from_src, boxes[:, :3])
    heading = np.stack([np.cos(boxes[:, 6]), np.sin(boxes[:, 6]), np.zeros(len(boxes))], -1)
    heading = poses.rotate(dst_from_src, heading)
    moved[:, 6] = angles.wrap(np.arctan2(heading[:, 1], heading[:, 0]))
    return moved


def points_inside(points_m: FloatArray, boxes: FloatArray) -> BoolArray:
    """Returns whether points [P, 3] lie in boxes [N, 7], boundary included: [N, P].

    One box at a time: a sweep of 100 000 points against 80 boxes at once would need a gigabyte.
    """
    box_from_ego = poses.invert(poses.from_xyz_yaw(boxes[:, :3], boxes[:, 6]))
    points = np.asarray(points_m, np.float64)
    inside = np.empty((len(boxes), len(points)), bool)
    for row, pose, size in zip(inside, box_from_ego, boxes[:, 3:6], strict=True):
        x, y, z = (np.abs(poses.apply(pose, points)) <= size / 2).T
        np.logical_and(x & y, z, out=row)
    return inside
