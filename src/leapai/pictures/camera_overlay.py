"""Camera images with boxes and points projected through the lens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np

from leapai.geometry import boxes as box_geometry
from leapai.geometry import cameras as camera_geometry
from leapai.geometry import poses
from leapai.geometry.polylines import in_space
from leapai.pictures import drawing, palette
from leapai.pictures.bev_scene import gt_by_colour
from leapai.pictures.drawing import Label, Rectangle, chip_at, draw_chip, draw_labels
from leapai.pictures.palette import CLASS_COLOURS, OCCLUSION_STYLES, SOLID, THIN, Colour
from leapai.types import (
    BoolArray,
    CameraFrame,
    Detections,
    FloatArray,
    ImageArray,
    IntArray,
    Labels,
    MapPolyline,
)

SAMPLES_PER_EDGE = 13
"""Points along the visible part of an edge: straight in space, curved by the lens in a picture."""
_MARGIN = 1.05
"""Edges are cut at a pyramid this much wider than the picture."""
_FRONT_CORNERS = (0, 3, 7, 4)
"""Indices of `boxes.corners`, around the front face."""
_MAX_DEPTH_M = 60.0
"""The far end of the depth colours."""
_NAME_PX = 15
_LABEL_PX = 13
_MIN_LABELLED_PX = 22
"""Boxes lower than this have no label: it would hide more than it explains."""


@dataclass(frozen=True)
class CameraView:
    """A camera as seen in a picture that may be smaller than the camera's own image."""

    camera: CameraFrame
    size_px: tuple[int, int]
    """(height, width) of the picture."""

    @cached_property
    def intrinsics(self) -> FloatArray:
        """Intrinsics [3, 3] of the picture."""
        (height, width), (camera_height, camera_width) = self.size_px, self.camera.size_px
        scale = (width / camera_width, height / camera_height)
        return camera_geometry.resize_and_crop(self.camera.intrinsics, scale, (0.0, 0.0))

    @cached_property
    def camera_from_ego(self) -> FloatArray:
        """Pose [4, 4] of the ego frame in the camera frame."""
        return poses.invert(self.camera.ego_from_camera)

    @cached_property
    def reach(self) -> FloatArray:
        """Half extent of the view [2]: the largest |x| / z and |y| / z of the picture, lens undone,
        and a small margin."""
        intrinsics, distortion = self.intrinsics.ravel(), self.camera.distortion
        return np.array(
            _reach(self.size_px, tuple(intrinsics.tolist()), tuple(distortion.tolist()))
        )

    def project(self, points_ego_m: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Returns pixels [P, 2] of the picture (NaN: not visible) and depths [P] of ego points [P,
        3]."""
        points_camera = poses.apply(self.camera_from_ego, np.asarray(points_ego_m, np.float64))
        return camera_geometry.project(points_camera, self.intrinsics, self.camera.distortion)

    def contains(self, pixels: FloatArray) -> BoolArray:
        """Returns a mask [...] of pixels [..., 2] inside the picture; False for NaN."""
        height, width = self.size_px
        inside: BoolArray = np.all((pixels > -0.5) & (pixels < (width - 0.5, height - 0.5)), -1)
        return inside


@lru_cache(maxsize=64)
def _reach(
    size_px: tuple[int, int], intrinsics: tuple[float, ...], distortion: tuple[float, ...]
) -> tuple[float, ...]:
    """Returns the half extent of a view: it is the same in every frame of a drive."""
    height, width = size_px
    u, v = np.meshgrid(np.linspace(0, width - 1, 9), np.linspace(0, height - 1, 9))
    border = np.stack([u, v, np.ones_like(u)], -1).reshape(-1, 3)
    distorted = (border @ np.linalg.inv(np.reshape(intrinsics, (3, 3))).T)[:, :2]
    rays = camera_geometry.undistort(distorted, np.array(distortion))
    fold = np.sqrt(camera_geometry.fold_radius2(np.array(distortion)))
    return tuple(np.minimum(np.abs(rays).max(0) * _MARGIN, fold).tolist())


def project_edges(view: CameraView, boxes: FloatArray) -> FloatArray:
    """Projects the twelve edges of boxes [N, 7] as polylines [N, 12, SAMPLES_PER_EDGE, 2] in the
    picture.

    Each edge is cut in space at the near plane and at the sides of the view, so an edge that passes
    the camera ends where it leaves the picture. An edge of which nothing is visible is NaN.
    """
    corners = poses.apply(view.camera_from_ego, box_geometry.corners(boxes).reshape(-1, 3))
    edges = corners.reshape(-1, 8, 3)[:, np.asarray(box_geometry.EDGES)]
    start, end = clip_to_view(edges[:, :, 0], edges[:, :, 1], view.reach)
    return _projected(view, _samples(start, end))


def _samples(start_m: FloatArray, end_m: FloatArray) -> FloatArray:
    """Returns points [..., SAMPLES_PER_EDGE, 3] from start to end [..., 3]."""
    along = np.linspace(0, 1, SAMPLES_PER_EDGE)[:, None]
    return start_m[..., None, :] * (1 - along) + end_m[..., None, :] * along


def ground_paths(view: CameraView, lines_m: Sequence[FloatArray]) -> list[list[FloatArray]]:
    """Projects the visible parts of lines, each [N, 2] on the ground, or [N, 3].

    Returns for each line a path [K, 2] for each of its segments that is visible. The segments of
    all lines are projected together: there are hundreds of short ones.
    """
    lines = [in_space(line_m) for line_m in lines_m]
    if not lines:
        return []
    points = poses.apply(view.camera_from_ego, np.concatenate(lines))
    lengths = np.array([len(line) for line in lines])
    owner = np.repeat(np.arange(len(lines)), lengths)
    first = np.flatnonzero(owner[:-1] == owner[1:])
    start, end = clip_to_view(points[first], points[first + 1], view.reach)
    shows = np.isfinite(start).all(-1)
    paths = _projected(view, _samples(start[shows], end[shows]))
    whole = np.isfinite(paths).all((1, 2))
    of_line: list[list[FloatArray]] = [[] for _ in lines]
    for line, path in zip(owner[first[shows][whole]].tolist(), paths[whole], strict=True):
        of_line[line].append(path)
    return of_line


def _projected(view: CameraView, samples_m: FloatArray) -> FloatArray:
    """Returns the pixels [..., 2] of points [..., 3] in the camera frame."""
    pixels, _ = camera_geometry.project(
        samples_m.reshape(-1, 3), view.intrinsics, view.camera.distortion
    )
    return pixels.reshape(*samples_m.shape[:-1], 2)


def clip_to_view(
    start_m: FloatArray, end_m: FloatArray, reach: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Clips segments [..., 3] (camera frame) to the part beyond the near plane with |x|, |y| <=
    reach z.

    Both ends of a segment outside are NaN. After Liang and Barsky, "A New Concept and Method for
    Line Clipping" (1984): each plane raises the first or lowers the last position on the segment.
    """
    first, last = np.zeros(start_m.shape[:-1]), np.ones(start_m.shape[:-1])
    for normal, offset in zip(*_view_planes(reach), strict=True):
        at_start, at_end = start_m @ normal - offset, end_m @ normal - offset
        change = at_start - at_end
        crossing = np.clip(at_start / np.where(change == 0, 1.0, change), 0, 1)
        first = np.where(at_start < 0, np.maximum(first, crossing), first)
        last = np.where(at_end < 0, np.minimum(last, crossing), last)
        last = np.where((at_start < 0) & (at_end < 0), -1.0, last)
    visible = (first <= last)[..., None]
    along = end_m - start_m
    cut_start, cut_end = start_m + first[..., None] * along, start_m + last[..., None] * along
    return np.where(visible, cut_start, np.nan), np.where(visible, cut_end, np.nan)


def _view_planes(reach: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Returns normals [5, 3] and offsets [5]: a camera point p is in view where normals @ p >=
    offsets."""
    x, y = reach
    normals = np.array([[0, 0, 1.0], [1, 0, x], [-1, 0, x], [0, 1, y], [0, -1, y]])
    return normals, np.array([2 * camera_geometry.MIN_DEPTH_M, 0, 0, 0, 0])


def _near_view(view: CameraView, boxes: FloatArray) -> IntArray:
    """Returns the indices of the boxes [N, 7] whose bounding sphere reaches into the view.

    A box that stands around the camera is left out: the sides of it would cover the picture.
    """
    normals, offsets = _view_planes(view.reach)
    centres = poses.apply(view.camera_from_ego, boxes[:, :3])
    radius = np.linalg.norm(boxes[:, 3:6], axis=-1, keepdims=True) / 2
    reaching = centres @ normals.T - offsets + radius * np.linalg.norm(normals, axis=-1) >= 0
    position_m = np.asarray(view.camera.ego_from_camera)[:2, 3]
    return np.flatnonzero(reaching.all(-1) & ~_around_position(boxes, position_m))


def _around_position(boxes: FloatArray, position_m: FloatArray) -> BoolArray:
    """Returns a mask [N] of the boxes [N, 7] whose footprint holds an ego position [2]."""
    x, y = (position_m - boxes[:, :2]).T
    cos, sin = np.cos(boxes[:, 6]), np.sin(boxes[:, 6])
    local = np.stack([cos * x + sin * y, cos * y - sin * x], -1)
    holds: BoolArray = (np.abs(local) <= boxes[:, 3:5] / 2).all(-1)
    return holds


def draw_camera(
    camera: CameraFrame,
    size_px: tuple[int, int],
    detections: Detections | None = None,
    gt: Labels | None = None,
    *,
    points: FloatArray | None = None,
    map_lines: Sequence[MapPolyline] = (),
    draw_occlusion: bool = True,
) -> ImageArray:
    """Draws one camera's picture [height, width, 3] with its name; `size_px` is (height, width).

    Everything that is given and visible is drawn: select first. From the bottom: image; `points`
    [P, 3 or more] (ego frame) coloured by depth; lines of the map, on the plane z = 0 where they
    have no heights; ground truth (thin; see `gt_by_colour`); detections in the colour of their
    class with the front face shaded, outlined by occlusion level with `draw_occlusion`; track ids
    and confidences. A camera without image is labelled so, and nothing is projected into it.
    """
    if camera.image is None:
        return _no_image(camera.name, size_px)
    image: ImageArray = cv2.resize(camera.image, size_px[::-1], interpolation=cv2.INTER_AREA)
    view = CameraView(camera, size_px)
    if points is not None:
        _draw_points(image, view, points[:, :3])
    paths_of_lines = ground_paths(view, [line.points_m for line in map_lines])
    kinds = (line.kind for line in map_lines)
    drawing.draw_map_lines(image, list(zip(kinds, paths_of_lines, strict=True)))
    if gt is not None:
        edges_of = dict(zip(*visible_boxes(view, gt.boxes), strict=True))
        for colour, index in gt_by_colour(gt, alone=detections is None):
            edges = [edge for i in index for edge in edges_of.get(i, ())]
            drawing.draw_paths(image, edges, colour, THIN)
    if detections is not None:
        labels = _draw_detections(image, view, detections, draw_occlusion)
        taken = [chip_at(camera.name, (0, 0), _NAME_PX)]
        draw_labels(image, labels, taken)
    _draw_name(image, camera.name)
    return image


def _no_image(name: str, size_px: tuple[int, int]) -> ImageArray:
    height, width = size_px
    image = np.full((height, width, 3), palette.CANVAS, np.uint8)
    hatching = [
        np.array([[start, height], [start + height, 0.0]]) for start in range(-height, width, 24)
    ]
    drawing.draw_paths(image, hatching, palette.GRID, THIN)
    chip = chip_at("no image", (0, 0), 20)
    place = chip_at("no image", ((width - chip.right) // 2, (height - chip.bottom) // 2), 20)
    if place.inside(size_px):
        draw_chip(image, "no image", place, 20, palette.FAULT)
    _draw_name(image, name)
    return image


def _draw_name(image: ImageArray, name: str) -> None:
    place = chip_at(name, (0, 0), _NAME_PX)
    if place.inside(image.shape[:2]):
        draw_chip(image, name, place, _NAME_PX)


def _draw_points(image: ImageArray, view: CameraView, points_m: FloatArray) -> None:
    """Draws squares of two pixels from red (near) to blue (far), far ones first."""
    pixels, depth = view.project(points_m)
    visible = np.flatnonzero(view.contains(pixels))
    if not len(visible):
        return  # OpenCV colours no empty array
    visible = visible[np.argsort(-depth[visible], kind="stable")]
    nearness = 255 - np.clip(depth[visible] / _MAX_DEPTH_M, 0, 1) * 255
    shades = nearness.astype(np.uint8)[:, None]
    colours = cv2.applyColorMap(shades, cv2.COLORMAP_TURBO).reshape(-1, 3)[:, ::-1]
    column, row = np.rint(pixels[visible]).astype(np.int64).T
    height, width = view.size_px
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        image[np.minimum(row + down, height - 1), np.minimum(column + right, width - 1)] = colours


def visible_boxes(view: CameraView, boxes: FloatArray) -> tuple[IntArray, list[list[FloatArray]]]:
    """Returns the indices of the visible boxes [N, 7], and for each the visible edges as paths [K,
    2]."""
    index = _near_view(view, boxes)
    edges = project_edges(view, boxes[index])
    shows = np.flatnonzero(np.any(view.contains(edges), (1, 2)))
    finite = np.asarray(np.isfinite(edges).all(-1))
    paths = [
        list(edges[i]) if finite[i].all() else _finite_parts(edges[i], finite[i]) for i in shows
    ]
    return index[shows], paths


def _finite_parts(edges: FloatArray, finite: BoolArray) -> list[FloatArray]:
    """Returns the finite points [K, 2] of the edges [12, SAMPLES_PER_EDGE, 2] that have two."""
    return [edge[seen] for edge, seen in zip(edges, finite, strict=True) if seen.sum() > 1]


def _draw_detections(
    image: ImageArray, view: CameraView, detections: Detections, draw_occlusion: bool
) -> list[Label]:
    """Draws far boxes first; returns the labels of those large enough, nearest first."""
    index, paths = visible_boxes(view, detections.boxes)
    seen = detections.select(index)
    depth = poses.apply(view.camera_from_ego, seen.boxes[:, :3])[:, 2]
    colours = [CLASS_COLOURS[c] for c in seen.class_id]
    drawing.fill_areas(image, _front_faces(view, seen.boxes, colours), 0.3)
    labels = []
    for i in np.argsort(-depth, kind="stable"):
        style = OCCLUSION_STYLES[seen.occlusion_level[i]] if draw_occlusion else SOLID
        drawing.draw_paths(image, paths[i], colours[i], style)
        around = _around(paths[i], view)
        if around.bottom - around.top >= _MIN_LABELLED_PX:
            identity = f"{seen.track_id[i]}  " if seen.track_id[i] >= 0 else ""
            text = f"{identity}{seen.score[i]:.2f}"
            labels.append(Label(text, around, colours[i], _LABEL_PX))
    return labels[::-1]


def _around(paths: list[FloatArray], view: CameraView) -> Rectangle:
    """Returns the rectangle that a box covers of the picture."""
    height, width = view.size_px
    points = np.clip(np.concatenate(paths), 0, (width - 1, height - 1))
    limits = np.rint(np.concatenate([points.min(0), points.max(0)])).astype(int)
    return Rectangle(*limits.tolist())


def _front_faces(
    view: CameraView, boxes: FloatArray, colours: list[Colour]
) -> list[tuple[FloatArray, Colour]]:
    """Returns outlines [4 SAMPLES_PER_EDGE, 2] of the front faces that lie wholly before the
    camera."""
    corners = box_geometry.corners(boxes)[:, _FRONT_CORNERS]
    outline = _samples(corners, np.roll(corners, -1, axis=1))
    pixels, _ = view.project(outline.reshape(-1, 3))
    faces = pixels.reshape(len(boxes), outline.size // max(len(boxes), 1) // 3, 2)
    return [
        (face, colour)
        for face, colour in zip(faces, colours, strict=True)
        if np.isfinite(face).all()
    ]
