"""Camera images with boxes and points projected through the lens."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from leapai.geometry import boxes as box_geometry
from leapai.geometry import cameras as camera_geometry
from leapai.geometry import poses
from leapai.types import (
    BoolArray,
    CameraFrame,
    Detections,
    FloatArray,
    ImageArray,
    IntArray,
    Labels,
)
from leapai.visualisation import palette, strokes
from leapai.visualisation.palette import CLASS_COLOURS, THIN, Colour
from leapai.visualisation.text import Label, Rectangle, chip_at, draw_chip, place_labels

SAMPLES_PER_EDGE = 13
"""Points along the visible part of an edge: straight in space, curved in a picture with distortion."""
_MARGIN = 1.05
"""Edges are cut at a cone this much wider than the picture."""
_FRONT = (0, 3, 7, 4)
"""The front corners of `boxes.corners`, around the face."""
_MAX_DEPTH_M = 60.0
_NAME_PX = 15
_LABEL_PX = 13


@dataclass(frozen=True)
class CameraView:
    """A camera as seen in a picture of `size_px`, which may be smaller than the camera's own image."""

    camera: CameraFrame
    size_px: tuple[int, int]
    """(height, width) of the picture."""

    @cached_property
    def intrinsics(self) -> FloatArray:
        """[3, 3] of the picture."""
        (height, width), (camera_height, camera_width) = self.size_px, self.camera.size_px
        scale = (width / camera_width, height / camera_height)
        return camera_geometry.resize_and_crop(self.camera.intrinsics, scale, (0.0, 0.0))

    @cached_property
    def camera_from_ego(self) -> FloatArray:
        """[4, 4]"""
        return poses.invert(self.camera.ego_from_camera)

    @cached_property
    def reach(self) -> FloatArray:
        """[2] largest |x| / z and |y| / z, without distortion, that the picture can show; with a small margin."""
        height, width = self.size_px
        u, v = np.meshgrid(np.linspace(0, width - 1, 9), np.linspace(0, height - 1, 9))
        border = np.stack([u, v, np.ones_like(u)], -1).reshape(-1, 3)
        seen = (border @ np.linalg.inv(self.intrinsics).T)[:, :2]
        rays = camera_geometry.undistort(seen, self.camera.distortion)
        fold = np.sqrt(camera_geometry.fold_radius2(self.camera.distortion))
        return np.minimum(np.abs(rays).max(0) * _MARGIN, fold)

    def project(self, points_ego_m: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Pixels [P, 2] of the picture (NaN: not visible) and depths [P] of ego points [P, 3]."""
        points_camera = poses.apply(self.camera_from_ego, np.asarray(points_ego_m, np.float64))
        return camera_geometry.project(points_camera, self.intrinsics, self.camera.distortion)

    def contains(self, pixels: FloatArray) -> BoolArray:
        """Mask [...] of pixels [..., 2] inside the picture; False for NaN."""
        height, width = self.size_px
        inside: BoolArray = ((pixels > -0.5) & (pixels < (width - 0.5, height - 0.5))).all(-1)
        return inside


def project_edges(view: CameraView, boxes: FloatArray) -> FloatArray:
    """The twelve edges of boxes [N, 7] as polylines [N, 12, SAMPLES_PER_EDGE, 2] in the picture.

    Each edge is cut in space at the near plane and at the sides of the view, so an edge that passes the
    camera ends where it leaves the picture. An edge of which nothing is visible is NaN.
    """
    corners = poses.apply(view.camera_from_ego, box_geometry.corners(boxes).reshape(-1, 3))
    edges = corners.reshape(-1, 8, 3)[:, np.asarray(box_geometry.EDGES)]
    start, end = clip_to_view(edges[:, :, 0], edges[:, :, 1], view.reach)
    along = np.linspace(0, 1, SAMPLES_PER_EDGE)[:, None]
    samples = start[:, :, None] * (1 - along) + end[:, :, None] * along
    pixels, _ = camera_geometry.project(
        samples.reshape(-1, 3), view.intrinsics, view.camera.distortion
    )
    return pixels.reshape(samples.shape[:-1] + (2,))


def clip_to_view(
    start_m: FloatArray, end_m: FloatArray, reach: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The parts of segments [..., 3] (camera frame) in front of the near plane and within |x|, |y| <= reach z.

    Both ends of a segment outside are NaN. After Liang and Barsky, "A New Concept and Method for Line
    Clipping" (1984): every plane raises the first or lowers the last position along the segment.
    """
    first, last = np.zeros(start_m.shape[:-1]), np.ones(start_m.shape[:-1])
    x, y = reach
    normals = np.array([[0, 0, 1.0], [1, 0, x], [-1, 0, x], [0, 1, y], [0, -1, y]])
    offsets = np.array([2 * camera_geometry.MIN_DEPTH_M, 0, 0, 0, 0])
    for normal, offset in zip(normals, offsets, strict=True):
        at_start, at_end = start_m @ normal - offset, end_m @ normal - offset
        crossing = np.clip(at_start / np.where(at_start == at_end, 1.0, at_start - at_end), 0, 1)
        first = np.where(at_start < 0, np.maximum(first, crossing), first)
        last = np.where(at_end < 0, np.minimum(last, crossing), last)
        last = np.where((at_start < 0) & (at_end < 0), -1.0, last)
    visible = (first <= last)[..., None]
    cut_start = start_m + first[..., None] * (end_m - start_m)
    cut_end = start_m + last[..., None] * (end_m - start_m)
    return np.where(visible, cut_start, np.nan), np.where(visible, cut_end, np.nan)


def draw_camera(
    camera: CameraFrame,
    size_px: tuple[int, int],
    detections: Detections | None = None,
    truth: Labels | None = None,
    *,
    points: FloatArray | None = None,
    draw_occlusion: bool = True,
) -> ImageArray:
    """One camera's picture [height, width, 3] with its name, as large as `size_px` (height, width) says.

    From the bottom: image, `points` [P, 3 or more] (ego frame) coloured by depth, truth (thin, grey),
    detections in the colour of their class with the front face shaded, outline by occlusion level where
    `draw_occlusion`, then ids and confidences. All `detections` that are visible are drawn: select first.
    A camera without image says so and shows nothing projected.
    """
    if camera.image is None:
        return _no_image(camera.name, size_px)
    height, width = size_px
    image = cv2.resize(camera.image, (width, height), interpolation=cv2.INTER_AREA)
    view = CameraView(camera, size_px)
    if points is not None:
        _draw_points(image, view, points[:, :3])
    if truth is not None:
        for paths in _visible_boxes(view, truth.boxes)[1]:
            strokes.draw_paths(image, paths, palette.TRUTH, THIN)
    name_place = chip_at(camera.name, (0, 0), _NAME_PX)
    if detections is not None:
        labels = _draw_detections(image, view, detections, draw_occlusion)
        for label, place in place_labels(labels, size_px, [name_place]):
            draw_chip(image, label.text, place, label.size_px, label.colour)
    _draw_name(image, camera.name)
    return image


def _no_image(name: str, size_px: tuple[int, int]) -> ImageArray:
    height, width = size_px
    image = np.full((height, width, 3), palette.CANVAS, np.uint8)
    for start in range(-height, width, 24):
        line = np.array([[start, height], [start + height, 0]], float)
        strokes.draw_paths(image, [line], palette.GRID, THIN)
    chip = chip_at("no image", (0, 0), 20)
    place = chip_at("no image", ((width - chip.right) // 2, (height - chip.bottom) // 2), 20)
    if min(place[:2]) >= 0:
        draw_chip(image, "no image", place, 20, palette.FAULT)
    _draw_name(image, name)
    return image


def _draw_name(image: ImageArray, name: str) -> None:
    place = chip_at(name, (0, 0), _NAME_PX)
    height, width = image.shape[:2]
    if place.right <= width and place.bottom <= height:
        draw_chip(image, name, place, _NAME_PX)


def _draw_points(image: ImageArray, view: CameraView, points_m: FloatArray) -> None:
    """Squares of two pixels, far ones first."""
    pixels, depth = view.project(points_m)
    visible = np.flatnonzero(view.contains(pixels))
    visible = visible[np.argsort(-depth[visible], kind="stable")]
    level = np.clip(depth[visible] / _MAX_DEPTH_M, 0, 1) * 255
    ramp = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_TURBO)[:, 0]
    colours = ramp[255 - level.astype(np.uint8), ::-1]
    column, row = np.rint(pixels[visible]).astype(np.int64).T
    height, width = view.size_px
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        at = np.minimum(row + down, height - 1), np.minimum(column + right, width - 1)
        image[at] = colours


def _visible_boxes(view: CameraView, boxes: FloatArray) -> tuple[IntArray, list[list[FloatArray]]]:
    """Indices of the boxes [N, 7] that show in the picture, and the paths [K, 2] of their visible edges."""
    edges = project_edges(view, boxes)
    shows = view.contains(edges).any((1, 2))
    paths = [
        [edge[finite] for edge in box if (finite := np.isfinite(edge).all(-1)).sum() > 1]
        for box in edges[shows]
    ]
    return np.flatnonzero(shows), paths


def _draw_detections(
    image: ImageArray, view: CameraView, detections: Detections, draw_occlusion: bool
) -> list[Label]:
    """Draws far boxes first and returns the labels of all, nearest first."""
    index, all_paths = _visible_boxes(view, detections.boxes)
    centres = poses.apply(view.camera_from_ego, detections.boxes[index, :3])
    far_first = np.argsort(-centres[:, 2], kind="stable")
    seen = detections.select(index)
    colours = [CLASS_COLOURS[c] for c in seen.class_id]
    strokes.fill_areas(image, _front_faces(view, seen.boxes, colours), 0.3)
    labels = []
    for i in far_first:
        style = palette.occlusion_style(int(seen.occlusion_level[i]), draw_occlusion)
        strokes.draw_paths(image, all_paths[i], colours[i], style)
        text = f"{seen.score[i]:.2f}"
        text = f"{seen.track_id[i]}  {text}" if seen.track_id[i] >= 0 else text
        labels.append(Label(text, _around(all_paths[i], view), colours[i], _LABEL_PX))
    return labels[::-1]


def _around(paths: list[FloatArray], view: CameraView) -> Rectangle:
    """What a box covers of the picture."""
    height, width = view.size_px
    points = np.clip(np.concatenate(paths), 0, (width - 1, height - 1))
    return Rectangle(*np.rint(np.concatenate([points.min(0), points.max(0)])).astype(int))


def _front_faces(
    view: CameraView, boxes: FloatArray, colours: list[Colour]
) -> list[tuple[FloatArray, Colour]]:
    """The front faces that lie wholly before the camera, as curved outlines."""
    faces = box_geometry.corners(boxes)[:, _FRONT]
    along = np.linspace(0, 1, SAMPLES_PER_EDGE)[:, None]
    outline = faces[:, :, None] * (1 - along) + np.roll(faces, -1, axis=1)[:, :, None] * along
    pixels, _ = view.project(outline.reshape(-1, 3))
    pixels = pixels.reshape(len(boxes), -1, 2)
    whole = np.isfinite(pixels).all((1, 2))
    return [(face, colour) for face, colour, w in zip(pixels, colours, whole, strict=True) if w]
