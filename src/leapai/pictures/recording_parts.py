"""Parts of a recording: arrays of the package as rerun's archetypes."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import rerun as rr

from leapai.geometry import boxes as box_geometry
from leapai.geometry.polylines import in_space
from leapai.pictures import palette
from leapai.pictures.bev_scene import EGO_OUTLINE_M, gt_by_colour
from leapai.pictures.camera_overlay import CameraView, draw_camera, ground_paths, visible_boxes
from leapai.pictures.palette import CLASS_COLOURS, OCCLUSION_WORDS
from leapai.pictures.recording_bounds import IMAGE_WIDTH_PX, JPEG_QUALITY, POINT_STEP_M
from leapai.types import (
    CameraFrame,
    Detections,
    FloatArray,
    ImageArray,
    IntArray,
    Labels,
    MapPolyline,
    MemorySlots,
)

PIXEL_CENTRE = 0.5
"""Coordinate of the first pixel's centre in rerun; in this package it is 0."""
_STRAIGHT_PX = 0.2
"""Edges in images are simplified within this."""
_SLOW_MPS = 0.3
"""Slower objects have no arrow: their boxes would hide it."""
_OUTLINE_PX = np.array([1.5, 1.1, 0.8, 0.5])
"""Half width of a box's lines by occlusion level."""
_THIN_PX = 0.5
_RETURN_PX = 1.0
_GT_STRENGTH = 0.55
"""Strength of the grey of ground truth, so that detections stand out."""
_SLOT_RADIUS_M = 0.12
_SLOTS_FADE_OVER = 4
"""Age in frames at which a slot would be as dark as the background."""
_FRONT_CORNERS = (0, 3, 4, 7)
"""Indices of `boxes.corners`, the front face."""


def pose(parent_from_child: FloatArray) -> rr.Transform3D:
    """Returns a rigid transform [4, 4]."""
    return rr.Transform3D(translation=parent_from_child[:3, 3], mat3x3=parent_from_child[:3, :3])


def vehicle() -> rr.LineStrips3D:
    """Returns the outline of the ego on the ground."""
    closed = np.vstack([EGO_OUTLINE_M, EGO_OUTLINE_M[:1]])
    outline = np.pad(closed, ((0, 0), (0, 1)))
    return rr.LineStrips3D([outline], colors=[palette.EGO], radii=_px(1.5))


def map_lines(layer: str, lines_m: Sequence[FloatArray]) -> rr.LineStrips3D:
    """Returns polylines, each [K, 3], of one layer of the map."""
    colour = palette.MAP_LAYER_COLOURS.get(layer, palette.MAP_LAYER_DEFAULT)
    return rr.LineStrips3D(lines_m, colors=[colour], radii=_px(_THIN_PX))


def predicted_map_lines(lines: Sequence[MapPolyline]) -> rr.LineStrips3D:
    """Returns the lines of a predicted map on the ground in the colours of their kinds,
    labelled."""
    return rr.LineStrips3D(
        [in_space(line.points_m) for line in lines],
        colors=[palette.MAP_ELEMENT_COLOURS[line.kind] for line in lines],
        radii=_px(_OUTLINE_PX[0]),
        labels=[_of_line(line) for line in lines],
        show_labels=False,
    )


def _of_line(line: MapPolyline) -> str:
    return f"{line.kind}  {line.confidence:.2f}"


def returns(points: FloatArray | None) -> rr.Points3D:
    """Returns LiDAR points [P, 3 or more] coloured by height; empty where the sensor failed."""
    xyz_m = np.zeros((0, 3)) if points is None else points[:, :3]
    rounded_m = np.rint(xyz_m / POINT_STEP_M) * POINT_STEP_M
    colours = palette.height_colours(xyz_m[:, 2])
    return rr.Points3D(rounded_m, colors=colours, radii=_px(_RETURN_PX))


def boxes(detections: Detections) -> rr.Boxes3D:
    """Returns boxes in the colours of their classes, thinner the more occluded, with their
    labels."""
    return _boxes(
        detections.boxes,
        colors=_colours(detections.class_id),
        radii=_px(_OUTLINE_PX[detections.occlusion_level]),
        labels=_words(detections),
        show_labels=True,
    )


def values(detections: Detections) -> rr.AnyValues:
    """Returns the numbers behind the labels, for the viewer's selection panel and for queries."""
    return rr.AnyValues(
        confidence=detections.score,
        track_id=detections.track_id,
        class_id=detections.class_id,
        occlusion_level=detections.occlusion_level,
        speed_mps=np.linalg.norm(detections.velocity_mps, axis=1),
    )


def headings(detections: Detections) -> rr.LineStrips3D:
    """Returns a line from the centre of each box to that of its front."""
    nose = box_geometry.corners(detections.boxes)[:, _FRONT_CORNERS].mean(1)
    lines = np.stack([detections.boxes[:, :3], nose], 1)
    return rr.LineStrips3D(lines, colors=_colours(detections.class_id), radii=_px(_THIN_PX))


def arrows(position_m: FloatArray, velocity_mps: FloatArray, class_id: IntArray) -> rr.Arrows3D:
    """Returns velocities [N, 3] at positions [N, 3 or more] of moving objects, as long as the path
    of a second."""
    moves = np.linalg.norm(velocity_mps, axis=1) >= _SLOW_MPS
    return rr.Arrows3D(
        origins=position_m[moves, :3],
        vectors=velocity_mps[moves],
        colors=_colours(class_id[moves]),
        radii=_px(_THIN_PX),
    )


def no_labels() -> Labels:
    """Returns labels without any object."""
    return Labels.unlabelled(np.zeros((0, 7)), np.zeros(0, np.int64))


def gt(labels: Labels) -> rr.Boxes3D:
    """Returns ground-truth boxes in grey, darker where heavily occluded."""
    return _boxes(labels.boxes, colors=_gt_colours(labels), radii=_px(_THIN_PX))


def paths(lines_m: Sequence[FloatArray], class_id: IntArray) -> rr.LineStrips3D:
    """Returns the paths of tracks, each [K, 3], whose classes are `class_id`."""
    return rr.LineStrips3D(lines_m, colors=_colours(class_id), radii=_px(_THIN_PX))


def no_memory() -> MemorySlots:
    """Returns memory without any slot."""
    none = np.zeros(0, np.int64)
    return MemorySlots(np.zeros((0, 3)), np.zeros((0, 3)), none, none)


def slots(memory: MemorySlots) -> tuple[rr.Points3D, rr.AnyValues]:
    """Returns memory slots in the colours of their classes, darker the older."""
    strength = np.clip(1 - (memory.frames_ago - 1) / _SLOTS_FADE_OVER, 0, 1)[:, None]
    background = np.array(palette.BACKGROUND)
    shades = background + (_colours(memory.class_id) - background) * strength
    points = rr.Points3D(memory.position_m, colors=shades.astype(np.uint8), radii=[_SLOT_RADIUS_M])
    return points, rr.AnyValues(age_frames=memory.frames_ago, class_id=memory.class_id)


def recorded_size_px(camera: CameraFrame) -> tuple[int, int]:
    """Returns (height, width) of its image in the recording."""
    height, width = camera.size_px
    scale = min(1.0, IMAGE_WIDTH_PX / width)
    return round(height * scale), round(width * scale)


def pinhole(view: CameraView) -> rr.Pinhole:
    """Returns the camera without its lens, which rerun does not model."""
    height, width = view.size_px
    intrinsics = view.intrinsics.copy()
    intrinsics[:2, 2] += PIXEL_CENTRE
    return rr.Pinhole(
        image_from_camera=intrinsics,
        resolution=[width, height],
        camera_xyz=rr.ViewCoordinates.RDF,
        image_plane_distance=1.0,
    )


def image(view: CameraView) -> rr.EncodedImage:
    """Returns the image as JPEG; a failed camera is labelled so."""
    camera, size_px = view.camera, view.size_px
    if camera.image is None:
        picture = draw_camera(camera, size_px)
    else:
        picture = cv2.resize(camera.image, size_px[::-1], interpolation=cv2.INTER_AREA)
    options = (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY)
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    return rr.EncodedImage(contents=encoded.tobytes(), media_type="image/jpeg")


def projected_boxes(view: CameraView, detections: Detections) -> rr.LineStrips2D:
    """Returns the visible edges of the boxes as the lens shows them; labels appear when
    selected."""
    owner, edges = _edges(view, detections.boxes)
    words = _words(detections)
    return rr.LineStrips2D(
        edges,
        colors=_colours(detections.class_id)[owner],
        radii=_px(_OUTLINE_PX[detections.occlusion_level[owner]]),
        labels=[words[i] for i in owner],
        show_labels=False,
    )


def projected_gt(view: CameraView, labels: Labels) -> rr.LineStrips2D:
    """Returns the visible edges of the ground-truth boxes, in grey."""
    owner, edges = _edges(view, labels.boxes)
    return rr.LineStrips2D(edges, colors=_gt_colours(labels)[owner], radii=_px(_THIN_PX))


def projected_map(view: CameraView, lines: Sequence[MapPolyline]) -> rr.LineStrips2D:
    """Returns the visible parts of the lines of a map as the lens shows them."""
    if view.camera.image is None:
        lines = ()
    of_lines = ground_paths(view, [line.points_m for line in lines])
    paths = [(line, path) for line, of in zip(lines, of_lines, strict=True) for path in of]
    return rr.LineStrips2D(
        [_simplified(path) + PIXEL_CENTRE for _, path in paths],
        colors=[palette.MAP_ELEMENT_COLOURS[line.kind] for line, _ in paths],
        radii=_px(_THIN_PX),
        labels=[_of_line(line) for line, _ in paths],
        show_labels=False,
    )


def _edges(view: CameraView, boxes_m: FloatArray) -> tuple[IntArray, list[FloatArray]]:
    """Returns the index of its box for each visible edge, and the edges [K, 2]; none in a failed
    camera."""
    if view.camera.image is None:
        return np.zeros(0, np.int64), []
    index, of_boxes = visible_boxes(view, boxes_m)
    owner = np.repeat(index, [len(edges) for edges in of_boxes])
    return owner, [_simplified(edge) + PIXEL_CENTRE for edges in of_boxes for edge in edges]


def _simplified(edge_px: FloatArray) -> FloatArray:
    """Returns the polyline [K, 2] without the points that its neighbours imply: lenses bend little.

    After Douglas and Peucker (1973).
    """
    points = edge_px.astype(np.float32)[:, None]
    kept: FloatArray = cv2.approxPolyDP(points, _STRAIGHT_PX, closed=False)[:, 0]
    return kept


def _boxes(boxes_m: FloatArray, **looks: object) -> rr.Boxes3D:
    """Returns boxes [N, 7] with the looks that are given."""
    half_yaw = boxes_m[:, 6] / 2
    zero = np.zeros_like(half_yaw)
    xyzw = np.stack([zero, zero, np.sin(half_yaw), np.cos(half_yaw)], -1)
    return rr.Boxes3D(
        centers=boxes_m[:, :3],
        half_sizes=boxes_m[:, 3:6] / 2,
        quaternions=xyzw,
        fill_mode="majorwireframe",
        **looks,
    )


def _px(half_width_px: float | FloatArray) -> FloatArray:
    """Returns radii that stay the same on the screen whatever the distance: negative ones, to
    rerun."""
    return -np.atleast_1d(half_width_px)


def _colours(class_id: IntArray) -> ImageArray:
    """Returns the colours of classes [N, 3]."""
    colours: ImageArray = np.array(CLASS_COLOURS, np.uint8)[class_id]
    return colours


def _gt_colours(labels: Labels) -> ImageArray:
    """Returns the greys of ground-truth boxes [N, 3]."""
    colours = np.zeros((len(labels), 3), np.uint8)
    for colour, index in gt_by_colour(labels, alone=False):
        colours[index] = palette.faded(colour, palette.BACKGROUND, _GT_STRENGTH)
    return colours


def _words(detections: Detections) -> list[str]:
    """Returns the text next to each box: `car 12  0.87`, and how occluded it is where it is."""
    identity = [f" {track_id}" if track_id >= 0 else "" for track_id in detections.track_id]
    occlusion = [
        f"  {OCCLUSION_WORDS[level]}" if level else "" for level in detections.occlusion_level
    ]
    names = detections.vocabulary.named(detections.class_id)
    rows = zip(names, identity, detections.score, occlusion, strict=True)
    return [f"{name}{track}  {score:.2f}{hidden}" for name, track, score, hidden in rows]
