"""The bird's-eye-view canvas: forward is up, left is left, ego frame in metres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from leapai.config.validation_sections import DrawDynamicConfig, TemporalVisualizationConfig
from leapai.geometry import boxes as box_geometry
from leapai.pictures import drawing, palette
from leapai.pictures.bev_scene import EGO_OUTLINE_M, BevLine, BevScene, Trail, gt_by_colour
from leapai.pictures.drawing import Label, Rectangle, draw_labels, draw_text, text_size
from leapai.pictures.palette import CLASS_COLOURS, OCCLUSION_STYLES, SOLID, THIN, Colour
from leapai.types import Detections, FloatArray, ImageArray, Labels, MemorySlots

HIDDEN_LEVEL = 2
"""A trail's point is hollow from this occlusion level on."""
_TARGET_HEIGHT_PX = 900
_TICK_CELLS = 10
_RING_STEPS_M = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_MAX_RINGS = 7
_RING_LABEL_RAD = -0.62
"""Ring labels stand ahead and to the right, off the ego's path, where objects are rarer."""
_LABEL_PX = 13


@dataclass(frozen=True)
class BevView:
    """Mapping of metres to canvas pixels. Each of the `label_h` x `label_w` cells is a square of
    pixels."""

    coords: tuple[float, float, float, float]
    """x and y range, metres."""
    label_h: int
    label_w: int

    @property
    def cell_px(self) -> int:
        """Side of a cell, such that the canvas is about 900 pixels high."""
        return max(1, round(_TARGET_HEIGHT_PX / self.label_w))

    @property
    def size_px(self) -> tuple[int, int]:
        """Size (height, width): x runs along the height, y along the width."""
        return self.label_w * self.cell_px, self.label_h * self.cell_px

    def pixels(self, xy_m: FloatArray) -> FloatArray:
        """Returns pixels [..., 2] (right, down) of ego points [..., 2 or more]."""
        x_min, x_max, y_min, y_max = self.coords
        height, width = self.size_px
        right = (y_max - xy_m[..., 1]) * (width / (y_max - y_min))
        down = (x_max - xy_m[..., 0]) * (height / (x_max - x_min))
        return np.stack([right, down], -1) - 0.5


def draw_bev(
    scene: BevScene, draw: DrawDynamicConfig, temporal: TemporalVisualizationConfig
) -> ImageArray:
    """Draws the canvas [label_w k, label_h k, 3] of a scene, k pixels a cell.

    Everything that the scene holds is drawn: select first (`leapai.pictures.bev_scene`). From the
    bottom: range rings, cells of the predicted map, the given map, LiDAR coloured by height, lines
    of the predicted map, ground truth (thin; see `gt_by_colour`); trails (`draw_trajectory`; with
    `show_occlusion` a point is hollow where the object was partly or heavily occluded); memory
    (`show_history`: a dot a slot, fading over `history_frames`; `show_velocity`: its arrow);
    detections (outline by occlusion with `draw_occlusion`) with velocity (`draw_velo`) and id.
    Arrows are `velocity_scale` pixels long for each m/s.
    """
    view = BevView(draw.coords, draw.label_h, draw.label_w)
    image = _background(view).copy()
    if scene.map is not None:
        drawing.tint_cells(image, scene.map.probability, scene.map.grid, view.pixels)
    _draw_map(image, view, scene.map_lines)
    if scene.points is not None:
        _draw_points(image, view, scene.points)
    if scene.map is not None:
        lines = [(line.kind, [view.pixels(line.points_m[:, :2])]) for line in scene.map.lines]
        drawing.draw_map_lines(image, lines)
    _draw_ego(image, view)
    if scene.gt is not None:
        _draw_gt(image, view, scene.gt, alone=scene.detections is None)
    if scene.detections is not None and draw.draw_trajectory:
        _draw_trails(image, view, scene.detections, scene.trails, temporal.show_occlusion)
    if scene.memory is not None and temporal.show_history:
        _draw_memory(image, view, scene.memory, temporal)
    if scene.detections is not None:
        _draw_detections(image, view, scene.detections, draw, temporal.velocity_scale)
    _draw_labels(image, view, scene.detections)
    return image


def _draw_gt(image: ImageArray, view: BevView, gt: Labels, alone: bool) -> None:
    outlines = view.pixels(box_geometry.corners_bev(gt.boxes))
    for colour, index in gt_by_colour(gt, alone):
        sides = [side for i in index for side in drawing.sides(outlines[i])]
        drawing.draw_paths(image, sides, colour, THIN)


@lru_cache(maxsize=4)
def _background(view: BevView) -> ImageArray:
    """Returns the empty canvas: a tick at the border for each cell, a faint line every ten, range
    rings."""
    height, width = view.size_px
    image = np.full((height, width, 3), palette.CANVAS, np.uint8)
    k = view.cell_px
    image[:: k * _TICK_CELLS] = image[:, :: k * _TICK_CELLS] = palette.GRID
    for step, length in ((k, 3), (k * _TICK_CELLS, 8)):
        image[::step, :length] = image[::step, -length:] = palette.RING
        image[:length, ::step] = image[-length:, ::step] = palette.RING
    angle = np.linspace(0, 2 * np.pi, 181)
    circle = np.stack([np.cos(angle), np.sin(angle)], -1)
    rings = [view.pixels(radius * circle) for radius in ring_radii_m(view)]
    drawing.draw_paths(image, rings, palette.RING, THIN)
    return image


def ring_radii_m(view: BevView) -> range:
    """Returns the radii of the range rings: round numbers, at most seven of them up to the furthest
    border."""
    reach = max(abs(limit) for limit in view.coords)
    step = next((s for s in _RING_STEPS_M if reach / s <= _MAX_RINGS), _RING_STEPS_M[-1])
    return range(step, int(reach) + 1, step)


def _ring_labels(view: BevView) -> list[tuple[str, Rectangle]]:
    direction = np.array([np.cos(_RING_LABEL_RAD), np.sin(_RING_LABEL_RAD)])
    labels = []
    for radius in ring_radii_m(view):
        text = f"{radius} m"
        width, height = text_size(text, _LABEL_PX)
        x, y = np.rint(view.pixels(radius * direction) - (width / 2, height / 2)).astype(int)
        place = Rectangle(int(x), int(y), int(x) + width, int(y) + height)
        if place.inside(view.size_px):
            labels.append((text, place))
    return labels


def _draw_map(image: ImageArray, view: BevView, lines: Sequence[BevLine]) -> None:
    for line in lines:
        colour = palette.MAP_LAYER_COLOURS.get(line.layer, palette.MAP_LAYER_DEFAULT)
        drawing.draw_paths(image, [view.pixels(line.points_m)], colour, THIN)


def _draw_points(image: ImageArray, view: BevView, points: FloatArray) -> None:
    """Draws one pixel a return, brighter the higher; of several in a pixel the highest shows."""
    pixels = np.rint(view.pixels(points[:, :2])).astype(np.int64)
    height, width = view.size_px
    inside = ((pixels >= 0) & (pixels < (width, height))).all(-1)
    order = np.flatnonzero(inside)
    order = order[np.argsort(points[order, 2], kind="stable")]
    image[pixels[order, 1], pixels[order, 0]] = palette.height_colours(points[order, 2])


def _draw_ego(image: ImageArray, view: BevView) -> None:
    outline = view.pixels(EGO_OUTLINE_M)
    drawing.fill_areas(image, [(outline, palette.EGO)], 0.35)
    drawing.draw_paths(image, drawing.sides(outline), palette.EGO, THIN)


def _draw_trails(
    image: ImageArray,
    view: BevView,
    detections: Detections,
    trails: Sequence[Trail],
    show_occlusion: bool,
) -> None:
    """Draws the trails of the shown detections, each ending at its detection."""
    index_of = {int(track): i for i, track in enumerate(detections.track_id)}
    for trail in trails:
        if trail.track_id in index_of:
            now = detections.select(np.array([index_of[trail.track_id]]))
            path = view.pixels(np.concatenate([trail.position_m, now.boxes[:, :3]]))
            hidden = (trail.occlusion_level >= HIDDEN_LEVEL) & show_occlusion
            _draw_trail(image, path, hidden.tolist(), CLASS_COLOURS[now.class_id[0]])


def _draw_trail(image: ImageArray, path: FloatArray, hidden: list[bool], colour: Colour) -> None:
    """Draws line and dots, stronger the later; the last point of `path` is where the object is
    now."""
    for k, hollow in enumerate(hidden):
        strength = 0.3 + 0.6 * (k + 1) / len(hidden)
        shade = palette.faded(colour, palette.CANVAS, strength)
        drawing.draw_paths(image, [path[k : k + 2]], shade, THIN)
        if hollow:
            drawing.draw_dot(image, path[k], 3.0, palette.CANVAS)
        drawing.draw_dot(image, path[k], 3.0 if hollow else 2.0, shade, hollow)


def _draw_memory(
    image: ImageArray, view: BevView, memory: MemorySlots, temporal: TemporalVisualizationConfig
) -> None:
    centres = view.pixels(memory.position_m)
    tips = centres + _arrow_px(memory.velocity_mps, temporal.velocity_scale)
    strengths = 0.75 * (1 - (memory.frames_ago - 1) / (temporal.history_frames + 1))
    for centre, tip, class_id, strength in zip(
        centres, tips, memory.class_id, strengths, strict=True
    ):
        shade = palette.faded(CLASS_COLOURS[class_id], palette.CANVAS, float(strength))
        if temporal.show_velocity:
            drawing.draw_arrow(image, centre, tip, shade, THIN)
        drawing.draw_dot(image, centre, 2.5, shade)


def _arrow_px(velocity_mps: FloatArray, px_per_mps: float) -> FloatArray:
    """Returns canvas vectors [N, 2] of velocities [N, 3]."""
    return -velocity_mps[:, 1::-1] * px_per_mps


def _draw_detections(
    image: ImageArray,
    view: BevView,
    detections: Detections,
    draw: DrawDynamicConfig,
    velocity_scale: float,
) -> None:
    """Draws boxes, the first detection on top; a wedge from the front corners shows the heading."""
    outlines = view.pixels(box_geometry.corners_bev(detections.boxes))
    colours = [CLASS_COLOURS[c] for c in detections.class_id]
    drawing.fill_areas(image, list(zip(outlines, colours, strict=True)), 0.28)
    centres = view.pixels(detections.boxes)
    tips = centres + _arrow_px(detections.velocity_mps, velocity_scale)
    for i in reversed(range(len(detections))):
        style = OCCLUSION_STYLES[detections.occlusion_level[i]] if draw.draw_occlusion else SOLID
        drawing.draw_paths(image, drawing.sides(outlines[i]), colours[i], style)
        wedge = np.stack([outlines[i, 0], centres[i], outlines[i, 3]])
        drawing.draw_paths(image, [wedge], colours[i], THIN)
        if draw.draw_velo:
            drawing.draw_arrow(image, centres[i], tips[i], colours[i], SOLID)


def _draw_labels(image: ImageArray, view: BevView, detections: Detections | None) -> None:
    """Draws ring labels, then ids where they cover neither text nor an object."""
    ring_labels = _ring_labels(view)
    for text, place in ring_labels:
        draw_text(image, text, (place.left, place.top), _LABEL_PX, palette.DIM_TEXT)
    if detections is None:
        return
    outlines = view.pixels(box_geometry.corners_bev(detections.boxes))
    around = [_around(outline) for outline in outlines]
    labels = [
        Label(str(track), around[i], CLASS_COLOURS[detections.class_id[i]], _LABEL_PX)
        for i, track in enumerate(detections.track_id)
        if track >= 0
    ]
    ego = _around(view.pixels(EGO_OUTLINE_M))
    taken = [ego, *around, *(place for _, place in ring_labels)]
    draw_labels(image, labels, taken)


def _around(outline_px: FloatArray) -> Rectangle:
    limits = np.rint(np.concatenate([outline_px.min(0), outline_px.max(0)])).astype(int)
    return Rectangle(*limits.tolist())
