"""Labels of the cells of the cameras' feature maps, from LiDAR points and the boxes in which they
lie, so that any labelled data with points serves: how far away a cell is, and of which class."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from leapai.geometry import boxes as box_geometry
from leapai.geometry import cameras, poses
from leapai.types import CameraFrame, FloatArray, Frame, IntArray, PixelLabels

STRIDE_PX = 8
"""Pixels of an image a cell of its feature map."""
BACKGROUND = -1
"""Class of a cell whose nearest point lies in no box."""


def with_pixel_labels(frame: Frame) -> Frame:
    """Returns the frame with labels of the cells of every working camera, or the frame as it is
    where it has no points or no labels."""
    if frame.points is None or frame.labels is None:
        return frame
    points = frame.points[:, :3].astype(np.float64)
    class_id = _class_of(points, frame.labels.boxes, frame.labels.class_id)
    labelled = (
        replace(camera, pixel_labels=_labels_of(camera, points, class_id))
        for camera in frame.cameras
    )
    return replace(frame, cameras=tuple(labelled))


def _labels_of(camera: CameraFrame, points_m: FloatArray, class_id: IntArray) -> PixelLabels | None:
    if camera.image is None:
        return None
    height, width = (side // STRIDE_PX for side in camera.size_px)
    in_camera = poses.apply(poses.invert(camera.ego_from_camera), points_m)
    pixels, _ = cameras.project(in_camera, camera.intrinsics, camera.distortion)
    place = np.floor(np.nan_to_num(pixels, nan=-1.0).clip(-1, 1e6) / STRIDE_PX)
    column, row = place.astype(np.int64).T
    seen = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    # From far to near, so that the nearest point is the last to be written.
    order = np.flatnonzero(seen)[np.argsort(-in_camera[seen, 2], kind="stable")]
    depth = np.full((height, width), np.nan, np.float32)
    classes = np.full((height, width), BACKGROUND, np.int64)
    depth[row[order], column[order]] = in_camera[order, 2]
    classes[row[order], column[order]] = class_id[order]
    return PixelLabels(depth, classes)


def _class_of(points_m: FloatArray, boxes: FloatArray, class_id: IntArray) -> IntArray:
    """Returns the class [P] of the box in which each point [P, 3] lies.

    Points are sorted along x, so that a box looks at those near it only.
    """
    of_point = np.full(len(points_m), BACKGROUND, np.int64)
    order = np.argsort(points_m[:, 0], kind="stable")
    x = points_m[order, 0]
    for box, number in zip(boxes, class_id.tolist(), strict=True):
        reach = np.linalg.norm(box[3:6]) / 2
        first, last = np.searchsorted(x, [box[0] - reach, box[0] + reach])
        near = order[first:last]
        near = near[np.abs(points_m[near, 1] - box[1]) <= reach]
        of_point[near[box_geometry.points_inside(points_m[near], box[None])[0]]] = number
    return of_point
