"""The parts of a composed picture: header, legend, and where the cameras of a rig go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np

from leapai.config.validation_sections import DrawDynamicConfig, TemporalVisualizationConfig
from leapai.pictures import drawing, palette
from leapai.pictures.drawing import Rectangle, draw_text, elide, text_size
from leapai.pictures.palette import SOLID, THIN, Colour, LineStyle
from leapai.types import CLASS_NAMES, CameraFrame, Detections, FloatArray, Frame, ImageArray

HEADER_PX = 56
LEGEND_PX = 112
MARGIN_PX = 16
_HEADER_TEXT_PX = 20
_TEXT_PX = 17
_SAMPLE_PX = 38
"""Width of a line that the legend explains."""
_MAP_ENTRIES = (
    ("solid", "SolidLine"),
    ("dashed", "DashedLine"),
    ("short dashes", "ShortDashedLine"),
    ("wide", "WideSolidLine"),
    ("double", "DoubleSolidLine"),
    ("solid + dashed", "RightSolidLeftDashed"),
    ("kerb", "Curb"),
    ("wall", "Wall"),
    ("lane", "Lane"),
    ("speed bump", "SpeedBump"),
)
_MAX_ARROW_PX = 60
_SAME_DIRECTION_RAD = np.deg2rad(12.0)
"""Cameras whose angles to forward differ by less stay in one row: left and right partners."""
_CLEARLY_LARGER = 0.01
"""Gain in mean log area from which on an arrangement replaces an earlier one, which has the larger
front pictures."""
_SAMPLE_SPEEDS_MPS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)


def header_parts(
    frame: Frame, number: int, seconds: float, shown: Detections | None
) -> list[tuple[str, Colour]]:
    """Returns sequence, frame number, seconds since the sequence's start, counts and faults."""
    points = "no LiDAR" if frame.points is None else f"{len(frame.points):,} points"
    parts = [
        (frame.sequence, palette.TEXT),
        (f"frame {number}", palette.TEXT),
        (f"{seconds:.2f} s", palette.TEXT),
        (f"{frame.timestamp_us} us", palette.DIM_TEXT),
        (points, palette.FAULT if frame.points is None else palette.DIM_TEXT),
    ]
    if frame.labels is not None:
        parts.append((f"{len(frame.labels)} ground-truth objects", palette.DIM_TEXT))
    if shown is not None:
        parts.append((f"{len(shown)} detections", palette.TEXT))
    if frame.faults:
        one_line = " ".join("; ".join(frame.faults).split())
        failed = f"{len(frame.faults)} failed: {one_line}"
        parts.append((failed, palette.FAULT))
    return parts


def draw_header(area: ImageArray, parts: list[tuple[str, Colour]]) -> None:
    """Draws texts one after another in `area` [HEADER_PX, W, 3]; what has no room ends in an
    ellipsis."""
    left, top = MARGIN_PX, (HEADER_PX - text_size("", _HEADER_TEXT_PX)[1]) // 2
    for text, colour in parts:
        fitting = elide(text, _HEADER_TEXT_PX, area.shape[1] - MARGIN_PX - left)
        left = draw_text(area, fitting, (left, top), _HEADER_TEXT_PX, colour) + 28


def draw_notice(area: ImageArray, text: str) -> None:
    """Draws a text in the middle of `area` [H, W, 3]: why there is nothing else."""
    width, height = text_size(text, _HEADER_TEXT_PX)
    left_top = ((area.shape[1] - width) // 2, (area.shape[0] - height) // 2)
    draw_text(area, text, left_top, _HEADER_TEXT_PX, palette.DIM_TEXT)


@dataclass(frozen=True)
class Explained:
    """Entries of a legend in addition to the detections: those that the picture has."""

    gt: bool = False
    """Labelled objects."""
    map: bool = False
    """The predicted map."""
    given_map: bool = False
    """The map of the data."""
    classes: tuple[str, ...] = CLASS_NAMES
    """Names of the classes of the objects."""


def draw_legend(
    area: ImageArray,
    draw: DrawDynamicConfig,
    temporal: TemporalVisualizationConfig,
    explained: Explained,
) -> None:
    """Draws classes in the first row of `area` [LEGEND_PX, W, 3], what is drawn of them in the
    second, and the kinds of map elements in the third, where the picture has a predicted map."""
    middles_px = (18, 53, 88) if explained.map else (22, 66)
    classes, styles, *more = (_Row(area, middle_px) for middle_px in middles_px)
    for row in more:
        _map_row(row)
    last = more[0] if more else styles
    classes.swatches(explained.classes)
    if draw.draw_occlusion:
        _occlusion_entries(styles)
    if explained.gt:
        styles.line("ground truth", palette.GT, THIN)
    if draw.draw_velo or (temporal.show_history and temporal.show_velocity):
        speed = _sample_speed_mps(temporal.velocity_scale)
        styles.arrow(f"{speed:g} m/s", speed * temporal.velocity_scale)
    if draw.draw_trajectory:
        styles.dots("trail", hollow=False)
        if temporal.show_occlusion:
            styles.dots("trail, occluded", hollow=True)
    if temporal.show_history:
        styles.dot("memory")
    if explained.given_map:
        last.line("given map", palette.MAP_LAYER_COLOURS["lane_boundary"], THIN)


def _occlusion_entries(row: _Row) -> None:
    row.line("not occluded", palette.TEXT, palette.OCCLUSION_STYLES[0])
    for word, style in zip(palette.OCCLUSION_WORDS[1:], palette.OCCLUSION_STYLES[1:], strict=True):
        row.line(word, palette.TEXT, style)


def _map_row(row: _Row) -> None:
    for text, kind in _MAP_ENTRIES:
        row.map_line(text, kind)
    row.swatch("sign", palette.MAP_ELEMENT_COLOURS["GroundSigns"])


def _sample_speed_mps(px_per_mps: float) -> float:
    """Returns a round speed whose arrow fits the legend."""
    fitting = (speed for speed in _SAMPLE_SPEEDS_MPS if speed * px_per_mps <= _MAX_ARROW_PX)
    return max(fitting, default=_SAMPLE_SPEEDS_MPS[0])


class _Row:
    """One row of a legend: each entry is drawn to the right of the last."""

    def __init__(self, area: ImageArray, middle_px: int) -> None:
        self._area, self._middle, self._left = area, middle_px, MARGIN_PX

    def swatch(self, text: str, colour: Colour) -> None:
        rows = slice(self._middle - 7, self._middle + 8)
        self._area[rows, self._left : self._left + 22] = colour
        self._finish(text, 22)

    def swatches(self, names: Sequence[str]) -> None:
        """Draws as many classes as fit, and the number of the others."""
        room = self._area.shape[1] - text_size("and 99 more", _TEXT_PX)[0] - MARGIN_PX
        for i, name in enumerate(names):
            if self._left + 30 + text_size(name, _TEXT_PX)[0] > room and i < len(names) - 1:
                self._finish(f"and {len(names) - i} more", 0)
                return
            self.swatch(name, palette.CLASS_COLOURS[i])

    def line(self, text: str, colour: Colour, style: LineStyle) -> None:
        drawing.draw_paths(self._area, [self._sample()], colour, style)
        self._finish(text, _SAMPLE_PX)

    def map_line(self, text: str, kind: str) -> None:
        drawing.draw_map_lines(self._area, [(kind, [self._sample()])])
        self._finish(text, _SAMPLE_PX)

    def arrow(self, text: str, length_px: float) -> None:
        ends = self._point(0), self._point(length_px)
        drawing.draw_arrow(self._area, *ends, palette.TEXT, SOLID)
        self._finish(text, round(length_px))

    def dots(self, text: str, hollow: bool) -> None:
        drawing.draw_paths(self._area, [self._sample()], palette.DIM_TEXT, THIN)
        for along_px in (4, 19, 34):
            centre = self._point(along_px)
            if hollow:
                drawing.draw_dot(self._area, centre, 3.0, palette.BACKGROUND)
            drawing.draw_dot(self._area, centre, 3.0 if hollow else 2.0, palette.DIM_TEXT, hollow)
        self._finish(text, _SAMPLE_PX)

    def dot(self, text: str) -> None:
        drawing.draw_dot(self._area, self._point(4), 3.0, palette.DIM_TEXT)
        self._finish(text, 8)

    def _point(self, along_px: float) -> FloatArray:
        return np.array([self._left + along_px, self._middle], float)

    def _sample(self) -> FloatArray:
        return np.stack([self._point(0), self._point(_SAMPLE_PX)])

    def _finish(self, text: str, sample_px: int) -> None:
        top = self._middle - text_size(text, _TEXT_PX)[1] // 2
        left_top = (self._left + sample_px + 8, top)
        self._left = draw_text(self._area, text, left_top, _TEXT_PX) + 26


def arrange_cameras(
    cameras: Sequence[CameraFrame], size_px: tuple[int, int], gap_px: int
) -> list[Rectangle]:
    """Returns a place for each camera, in the order given, inside an area of `size_px` (height,
    width).

    Cameras are sorted by the angle of their optical axis to forward and distributed over rows; a
    row is sorted from left to right and its pictures are equally high. Of all ways to break the
    rows that one is taken whose pictures have the largest geometric mean area. Aspect ratios are
    kept.
    """
    axes = np.array([camera.ego_from_camera[:2, 2] for camera in cameras]).reshape(-1, 2)
    aspects = np.array([camera.size_px[1] / camera.size_px[0] for camera in cameras])
    directions = _directions(axes)
    best: list[Rectangle] = []
    best_size = -np.inf
    for count in range(len(directions)):
        for cuts in combinations(range(1, len(directions)), count):
            places = _fit(_rows(directions, cuts, axes), aspects, size_px, gap_px)
            size = np.mean([np.log((p.right - p.left) * (p.bottom - p.top)) for p in places])
            if size > best_size + _CLEARLY_LARGER:
                best, best_size = places, float(size)
    return best


def _directions(axes: FloatArray) -> list[list[int]]:
    """Returns indices of cameras by angle to forward, those of nearly the same angle together."""
    angle = np.abs(np.arctan2(axes[:, 1], axes[:, 0]))
    directions: list[list[int]] = []
    for i in np.argsort(angle, kind="stable"):
        if directions and angle[i] - angle[directions[-1][0]] < _SAME_DIRECTION_RAD:
            directions[-1].append(int(i))
        else:
            directions.append([int(i)])
    return directions


def _rows(directions: list[list[int]], cuts: tuple[int, ...], axes: FloatArray) -> list[list[int]]:
    """Returns rows of camera indices; the more an optical axis points left, the more left it
    stands."""
    bounds = (0, *cuts, len(directions))
    rows = [[i for group in directions[a:b] for i in group] for a, b in pairwise(bounds)]
    return [sorted(row, key=lambda i: -axes[i, 1]) for row in rows]


def _fit(
    rows: list[list[int]], aspects: FloatArray, size_px: tuple[int, int], gap_px: int
) -> list[Rectangle]:
    """Places rows as wide as the area, or all smaller alike where they are too high together;
    centred."""
    height, width = size_px
    full_heights = [(width - gap_px * (len(row) - 1)) / aspects[row].sum() for row in rows]
    gaps = gap_px * (len(rows) - 1)
    scale = min(1.0, (height - gaps) / sum(full_heights))
    top = (height - gaps - scale * sum(full_heights)) / 2
    places: dict[int, Rectangle] = {}
    for row, full_height in zip(rows, full_heights, strict=True):
        bottom = top + scale * full_height
        widths = aspects[row] * (bottom - top)
        left = (width - widths.sum() - gap_px * (len(row) - 1)) / 2
        for i, tile_width in zip(row, widths, strict=True):
            places[i] = Rectangle(int(left), int(top), int(left + tile_width), int(bottom))
            left += tile_width + gap_px
        top = bottom + gap_px
    return [places[i] for i in range(len(places))]
