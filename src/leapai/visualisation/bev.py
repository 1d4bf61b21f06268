"""The bird's-eye-view canvas: forward is up, left is left, ego frame in metres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from leapai.config import DrawDynamicConfig, TemporalVisualizationConfig
from leapai.geometry import boxes as box_geometry
from leapai.types import Detections, FloatArray, ImageArray, IntArray, Labels
from leapai.visualisation import palette, strokes
from leapai.visualisation.palette import CLASS_COLOURS, THIN, Colour, LineStyle
from leapai.visualisation.text import (
    Label,
    Rectangle,
    chip_at,
    draw_chip,
    draw_text,
    place_labels,
    text_size,
)

_TARGET_HEIGHT_PX = 900
_POINT_Z_RANGE_M = (-1.0, 3.0)
_HIDDEN_LEVEL = 2
"""From this occlusion level on a trail's point is drawn hollow."""
_TICK_CELLS = 10
_RING_STEPS_M = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_LABEL_PX = 13
_EGO_OUTLINE_M = np.array([[3.9, 0.0], [3.0, 0.95], [-1.0, 0.95], [-1.0, -0.95], [3.0, -0.95]])
"""A passenger car around the rear axle, pointed in front."""


@dataclass(frozen=True)
class MemoryDots:
    """The valid slots of the memory, in the current ego frame. S slots."""

    position_m: FloatArray
    """[S, 3]"""
    velocity_mps: FloatArray
    """[S, 3] over ground, in ego axes."""
    class_id: IntArray
    """[S]"""
    age: IntArray
    """[S] frames ago: 1 is the last frame."""


@dataclass(frozen=True)
class Trail:
    """Where a track was before, oldest first, in the current ego frame. K points."""

    track_id: int
    position_m: FloatArray
    """[K, 3]"""
    occlusion_level: IntArray
    """[K] at that time."""


@dataclass(frozen=True)
class BevLine:
    """One line of the map in the current ego frame."""

    layer: str
    points_m: FloatArray
    """[K, 2]"""


@dataclass(frozen=True)
class BevScene:
    """What there is to draw in one frame; everything in the current ego frame."""

    points: FloatArray | None = None
    """[P, 3 or more]: x y z in metres; None: the LiDAR failed."""
    truth: Labels | None = None
    detections: Detections | None = None
    trails: Sequence[Trail] = ()
    memory: MemoryDots | None = None
    map_lines: Sequence[BevLine] = ()


@dataclass(frozen=True)
class BevView:
    """Metres to canvas pixels. Every one of the `label_h` x `label_w` cells is a square of `cell_px` pixels."""

    coords: tuple[float, float, float, float]
    """x and y range, metres."""
    label_h: int
    label_w: int

    @property
    def cell_px(self) -> int:
        """Such that the canvas is about 900 pixels high."""
        return max(1, round(_TARGET_HEIGHT_PX / self.label_w))

    @property
    def size_px(self) -> tuple[int, int]:
        """(height, width): x runs along the height, y along the width."""
        return self.label_w * self.cell_px, self.label_h * self.cell_px

    def pixels(self, xy_m: FloatArray) -> FloatArray:
        """Pixels [..., 2] (right, down) of ego points [..., 2 or more]."""
        x_min, x_max, y_min, y_max = self.coords
        height, width = self.size_px
        right = (y_max - xy_m[..., 1]) * (width / (y_max - y_min))
        down = (x_max - xy_m[..., 0]) * (height / (x_max - x_min))
        return np.stack([right, down], -1) - 0.5


def in_valid_range(
    position_m: FloatArray, valid_range: tuple[float, float, float, float]
) -> FloatArray:
    """Mask [N] of ego positions [N, 3] inside `valid_range`.

    The first pair runs along the canvas' downward axis, so it bounds -x: (-150, 20) is 150 m ahead to 20 m
    behind. The second pair bounds y, left positive.
    """
    down_min, down_max, y_min, y_max = valid_range
    down, y = -position_m[:, 0], position_m[:, 1]
    return (down >= down_min) & (down <= down_max) & (y >= y_min) & (y <= y_max)


def drawn_detections(detections: Detections, draw: DrawDynamicConfig) -> Detections:
    """The detections that a picture shows, most confident first.

    Those of at least `dynamic_conf` inside `valid_range`, and of these the `max_objects` most confident.
    """
    shown = (detections.score >= draw.dynamic_conf) & in_valid_range(
        detections.boxes, draw.valid_range
    )
    kept = detections.select(shown)
    return kept.select(np.argsort(-kept.score, kind="stable")[: draw.max_objects])


def draw_bev(
    scene: BevScene, draw: DrawDynamicConfig, temporal: TemporalVisualizationConfig
) -> ImageArray:
    """The canvas [label_w k, label_h k, 3] of a scene.

    From the bottom: map, LiDAR coloured by height, truth (thin, grey), trails (`draw_trajectory`; a point is
    hollow where the object was at least partly occluded, with `show_occlusion`), memory (`show_history`: fading
    dots of the last `history_frames` frames; `show_velocity`: their arrows), detections (outline by occlusion
    with `draw_occlusion`), their velocity (`draw_velo`) and ids. Arrows are `velocity_scale` pixels for 1 m/s.
    """
    view = BevView(draw.coords, draw.label_h, draw.label_w)
    image = _background(view).copy()
    _draw_map(image, view, scene.map_lines)
    if scene.points is not None:
        _draw_points(image, view, scene.points)
    ring_labels = _draw_rings(image, view)
    _draw_ego(image, view)
    if scene.truth is not None:
        truth = scene.truth.boxes[in_valid_range(scene.truth.boxes, draw.valid_range)]
        for outline in view.pixels(box_geometry.corners_bev(truth)):
            strokes.draw_paths(image, _edges(outline), palette.TRUTH, THIN)
    detections = None if scene.detections is None else drawn_detections(scene.detections, draw)
    if detections is not None and draw.draw_trajectory:
        _draw_trails(image, view, detections, scene.trails, temporal.show_occlusion)
    if scene.memory is not None and temporal.show_history:
        _draw_memory(image, view, _shown_memory(scene.memory, draw, temporal), temporal)
    if detections is not None:
        _draw_detections(image, view, detections, draw, temporal.velocity_scale)
        for label, place in place_labels(_ids(view, detections), view.size_px, ring_labels):
            draw_chip(image, label.text, place, label.size_px, label.colour)
    return image


@lru_cache(maxsize=4)
def _background(view: BevView) -> ImageArray:
    """Empty canvas: a tick on the border for every cell, a longer one and a faint line every ten."""
    height, width = view.size_px
    image = np.full((height, width, 3), palette.CANVAS, np.uint8)
    k = view.cell_px
    image[:: k * _TICK_CELLS] = image[:, :: k * _TICK_CELLS] = palette.GRID
    for step, length in ((k, 3), (k * _TICK_CELLS, 8)):
        image[::step, :length] = image[::step, -length:] = palette.RING
        image[:length, ::step] = image[-length:, ::step] = palette.RING
    return image


def _draw_rings(image: ImageArray, view: BevView) -> list[Rectangle]:
    """Circles around the ego origin, labelled in metres straight ahead; returns the places of their labels."""
    reach = max(abs(limit) for limit in view.coords)
    step = next((s for s in _RING_STEPS_M if reach / s <= 7), _RING_STEPS_M[-1])
    angle = np.linspace(0, 2 * np.pi, 181)
    circle = np.stack([np.cos(angle), np.sin(angle)], -1)
    places = []
    for radius in range(step, int(reach) + 1, step):
        strokes.draw_paths(image, [view.pixels(radius * circle)], palette.RING, THIN)
        text = f"{radius} m"
        width, height = text_size(text, _LABEL_PX)
        x, y = view.pixels(radius * np.array([np.cos(0.62), -np.sin(0.62)]))
        place = chip_at(text, (int(x) - width // 2, int(y) - height // 2), _LABEL_PX)
        if min(place[:2]) >= 0 and place.bottom <= image.shape[0] and place.right <= image.shape[1]:
            draw_text(image, text, (place.left + 3, place.top), _LABEL_PX, palette.DIM_TEXT)
            places.append(place)
    return places


def _draw_ego(image: ImageArray, view: BevView) -> None:
    outline = view.pixels(_EGO_OUTLINE_M)
    strokes.fill_areas(image, [(outline, palette.EGO)], 0.35)
    strokes.draw_paths(image, _edges(outline), palette.EGO, THIN)


def _draw_map(image: ImageArray, view: BevView, lines: Sequence[BevLine]) -> None:
    for line in lines:
        colour = palette.MAP_COLOURS.get(line.layer, palette.MAP_DEFAULT)
        strokes.draw_paths(image, [view.pixels(line.points_m)], colour, THIN)


def _draw_points(image: ImageArray, view: BevView, points: FloatArray) -> None:
    """One pixel a return, brighter the higher; of several in a pixel the highest shows."""
    pixels = np.rint(view.pixels(points[:, :2])).astype(np.int64)
    height, width = view.size_px
    inside = ((pixels >= 0) & (pixels < (width, height))).all(-1)
    order = np.flatnonzero(inside)
    order = order[np.argsort(points[order, 2], kind="stable")]
    low, high = _POINT_Z_RANGE_M
    level = np.clip((points[order, 2] - low) / (high - low), 0, 1) * 255
    image[pixels[order, 1], pixels[order, 0]] = _height_colours()[level.astype(np.uint8)]


@lru_cache(maxsize=1)
def _height_colours() -> ImageArray:
    """[256, 3] from dark slate to pale blue: calm enough for boxes to stand out."""
    stops = np.array([[44, 62, 88], [66, 104, 140], [120, 160, 185], [200, 220, 232]])
    at = np.linspace(0, len(stops) - 1, 256)
    channels = [np.interp(at, range(len(stops)), stops[:, c]) for c in range(3)]
    return np.stack(channels, -1).astype(np.uint8)


def _shown_memory(
    memory: MemoryDots, draw: DrawDynamicConfig, temporal: TemporalVisualizationConfig
) -> MemoryDots:
    shown = in_valid_range(memory.position_m, draw.valid_range)
    shown &= memory.age <= temporal.history_frames
    index = np.flatnonzero(shown)[np.argsort(-memory.age[shown], kind="stable")]
    return MemoryDots(
        memory.position_m[index],
        memory.velocity_mps[index],
        memory.class_id[index],
        memory.age[index],
    )


def _draw_memory(
    image: ImageArray, view: BevView, memory: MemoryDots, temporal: TemporalVisualizationConfig
) -> None:
    centres = view.pixels(memory.position_m)
    tips = centres + _arrow_px(memory.velocity_mps, temporal.velocity_scale)
    for centre, tip, class_id, age in zip(centres, tips, memory.class_id, memory.age, strict=True):
        colour = _fading(int(class_id), 0.75 * (1 - (age - 1) / (temporal.history_frames + 1)))
        if temporal.show_velocity:
            strokes.draw_arrow(image, centre, tip, colour, THIN)
        strokes.draw_dot(image, centre, 2.5, colour)


def _fading(class_id: int, strength: float) -> Colour:
    return strokes.faded(CLASS_COLOURS[class_id], palette.CANVAS, strength)


def _draw_trails(
    image: ImageArray,
    view: BevView,
    detections: Detections,
    trails: Sequence[Trail],
    show_occlusion: bool,
) -> None:
    """Trails of the detections that are drawn, each ending at its detection."""
    index_of = {int(track): i for i, track in enumerate(detections.track_id)}
    for trail in trails:
        i = index_of.get(trail.track_id)
        if i is None:
            continue
        path = view.pixels(np.concatenate([trail.position_m, detections.boxes[i, None, :3]]))
        count = len(trail.position_m)
        for k in range(count):
            colour = _fading(int(detections.class_id[i]), 0.25 + 0.6 * (k + 1) / count)
            strokes.draw_paths(image, [path[k : k + 2]], colour, THIN)
            hollow = show_occlusion and int(trail.occlusion_level[k]) >= _HIDDEN_LEVEL
            if hollow:
                strokes.draw_dot(image, path[k], 3.0, palette.CANVAS)
            strokes.draw_dot(image, path[k], 3.0 if hollow else 2.0, colour, hollow)


def _arrow_px(velocity_mps: FloatArray, px_per_mps: float) -> FloatArray:
    """Canvas vectors [N, 2] of velocities [N, 3]."""
    return -velocity_mps[:, 1::-1] * px_per_mps


def _edges(outline: FloatArray) -> list[FloatArray]:
    """The sides [K] x [2, 2] of a closed polygon [K, 2]."""
    return list(np.stack([outline, np.roll(outline, -1, axis=0)], 1))


def _draw_detections(
    image: ImageArray,
    view: BevView,
    detections: Detections,
    draw: DrawDynamicConfig,
    velocity_scale: float,
) -> None:
    """Least confident first, so that the surest lie on top."""
    outlines = view.pixels(box_geometry.corners_bev(detections.boxes))
    colours = [CLASS_COLOURS[c] for c in detections.class_id]
    strokes.fill_areas(image, list(zip(outlines, colours, strict=True)), 0.28)
    centres = view.pixels(detections.boxes)
    tips = centres + _arrow_px(detections.velocity_mps, velocity_scale)
    for i in reversed(range(len(detections))):
        style = palette.occlusion_style(int(detections.occlusion_level[i]), draw.draw_occlusion)
        strokes.draw_paths(image, _edges(outlines[i]), colours[i], style)
        _draw_heading(image, outlines[i], colours[i])
        if draw.draw_velo:
            strokes.draw_arrow(image, centres[i], tips[i], colours[i], LineStyle(2))


def _draw_heading(image: ImageArray, outline: FloatArray, colour: Colour) -> None:
    """A wedge from the front corners to the middle of the box."""
    front_left, front_right = outline[0], outline[3]
    strokes.draw_paths(image, [np.stack([front_left, outline.mean(0), front_right])], colour, THIN)


def _ids(view: BevView, detections: Detections) -> list[Label]:
    outlines = view.pixels(box_geometry.corners_bev(detections.boxes))
    labels = []
    for outline, track, class_id in zip(
        outlines, detections.track_id, detections.class_id, strict=True
    ):
        if track >= 0:
            around = Rectangle(
                *np.rint(np.concatenate([outline.min(0), outline.max(0)])).astype(int)
            )
            labels.append(Label(str(track), around, CLASS_COLOURS[class_id], _LABEL_PX))
    return labels
