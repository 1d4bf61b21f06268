"""Lines, areas, text and map cells on arrays [H, W, 3], anti-aliased.

Points are (x right, y down) in pixels; the centre of the top left pixel is (0, 0). Lines have
OpenCV's sub-pixel coordinates. Labels never overlap.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import NamedTuple, cast

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from leapai.pictures import palette
from leapai.pictures.palette import TEXT, Colour, LineStyle, faded
from leapai.types import STATIC_CLASSES, BevGrid, FloatArray, ImageArray

_SHIFT = 4
"""Fractional bits of OpenCV's fixed-point coordinates."""
_FAR_PX = 1e5
"""Points further out are pulled in: OpenCV's fixed-point coordinates would overflow."""
_CELL_OPACITY = 0.5
"""Opacity of a cell whose class is certain."""
_CHIP_OPACITY = 0.72
_PADDING_PX = 3
_COLOURED = 0.6
"""Share of its object's colour in a label; the rest is white, as pure red or violet reads badly."""


def _fixed(points_px: FloatArray) -> npt.NDArray[np.int32]:
    scaled = np.minimum(np.maximum(points_px, -_FAR_PX), _FAR_PX) * (1 << _SHIFT)
    fixed: npt.NDArray[np.int32] = np.rint(scaled).astype(np.int32)
    return fixed


def draw_paths(
    image: ImageArray, paths: Sequence[FloatArray], colour: Colour, style: LineStyle
) -> None:
    """Draws open polylines, each [K, 2]."""
    if style.dash_px is not None:
        paths = [dash for path in paths for dash in dashes(path, *style.dash_px)]
    if len(paths) == 0:
        return
    ends = accumulate((len(path) for path in paths), initial=0)
    together = _fixed(np.concatenate(paths))
    fixed = [together[start:end] for start, end in pairwise(ends)]
    cv2.polylines(image, fixed, False, colour, style.thickness_px, cv2.LINE_AA, _SHIFT)


def dashes(path: FloatArray, on_px: float, off_px: float) -> FloatArray:
    """Cuts a polyline [K, 2] into dashes [D, 2, 2] (start, end); the first starts where it does."""
    steps = path[1:] - path[:-1]
    distance = np.zeros(len(path))
    np.cumsum(np.hypot(steps[:, 0], steps[:, 1]), out=distance[1:])
    starts = np.arange(0.0, max(distance[-1], 1e-9), on_px + off_px)
    at = np.minimum(starts[:, None] + (0.0, on_px), distance[-1])
    ends = np.empty((*at.shape, 2))
    ends[..., 0] = np.interp(at, distance, path[:, 0])
    ends[..., 1] = np.interp(at, distance, path[:, 1])
    return ends


def draw_dot(
    image: ImageArray, centre_px: FloatArray, radius_px: float, colour: Colour, hollow: bool = False
) -> None:
    """Draws a disc, or its rim where `hollow`."""
    x, y = (int(value) for value in _fixed(centre_px))
    radius = int(radius_px * (1 << _SHIFT))
    cv2.circle(image, (x, y), radius, colour, 1 if hollow else -1, cv2.LINE_AA, _SHIFT)


def draw_arrow(
    image: ImageArray, start_px: FloatArray, end_px: FloatArray, colour: Colour, style: LineStyle
) -> None:
    """Draws a line with a filled head at `end_px`; nothing below one pixel, which shows no
    direction."""
    length = float(np.hypot(*(end_px - start_px)))
    if length < 1.0:
        return
    along = (end_px - start_px) / length
    across = np.array([-along[1], along[0]])
    head = min(length, 3.0 + 2.5 * style.thickness_px)
    neck = end_px - head * along
    draw_paths(image, [np.stack([start_px, neck])], colour, style)
    triangle = np.stack([end_px, neck + 0.55 * head * across, neck - 0.55 * head * across])
    cv2.fillPoly(image, [_fixed(triangle)], colour, cv2.LINE_AA, _SHIFT)


def fill_areas(
    image: ImageArray, areas: Sequence[tuple[FloatArray, Colour]], opacity: float
) -> None:
    """Fills polygons [K, 2] translucently with their colours."""
    if not areas:
        return
    filled = image.copy()
    for polygon, colour in areas:
        cv2.fillPoly(filled, [_fixed(polygon)], colour, cv2.LINE_AA, _SHIFT)
    cv2.addWeighted(filled, opacity, image, 1 - opacity, 0.0, dst=image)


def sides(outline: FloatArray) -> list[FloatArray]:
    """Returns the K sides [2, 2] of a closed polygon [K, 2]."""
    return list(np.stack([outline, np.roll(outline, -1, axis=0)], 1))


def tint_cells(
    image: ImageArray,
    probability: FloatArray,
    grid: BevGrid,
    pixels: Callable[[FloatArray], FloatArray],
) -> None:
    """Tints each cell in the colour of its likeliest class, as strongly as that is likely.

    `probability` is [14, rows, columns]; `pixels` takes ego points [N, 2] to pixels [N, 2] and is
    affine.
    """
    colours = np.array([palette.MAP_ELEMENT_COLOURS[kind] for kind in STATIC_CLASSES], np.float32)
    layer = np.empty((grid.rows, grid.columns, 4), np.float32)
    layer[..., :3] = colours[probability.argmax(0)]
    layer[..., 3] = probability.max(0) * _CELL_OPACITY
    layer[..., :3] *= layer[..., 3:]  # So that borders of cells mix as they should.
    centres = np.array([[0.5, 0.5], [1.5, 0.5], [0.5, 1.5]]) * grid.cell_m + grid.low_m[:2]
    cells = np.array([[0, 0], [1, 0], [0, 1]], np.float32)
    warp = cv2.getAffineTransform(cells, pixels(centres).astype(np.float32))
    drawn = cv2.warpAffine(layer, warp, image.shape[1::-1], flags=cv2.INTER_LINEAR)
    kept = cv2.merge([1 - drawn[..., 3]] * 3)  # Whole planes: broadcasting over 3 is slow.
    image[:] = np.rint(image * kept + cv2.cvtColor(drawn, cv2.COLOR_BGRA2BGR))


def draw_map_lines(image: ImageArray, lines: Sequence[tuple[str, Sequence[FloatArray]]]) -> None:
    """Draws lines of a map, each (kind, paths [K, 2] in pixels). A double line has a dark
    middle."""
    for kind, paths in lines:
        colour, style = palette.MAP_ELEMENT_COLOURS[kind], palette.MAP_ELEMENT_STYLES[kind]
        draw_paths(image, paths, colour, style)
        if kind in palette.DOUBLE_LINES:
            draw_paths(image, paths, palette.CANVAS, LineStyle(1, style.dash_px))


class Rectangle(NamedTuple):
    """Pixels from (left, top) to (right, bottom), the latter excluded."""

    left: int
    top: int
    right: int
    bottom: int

    def overlaps(self, other: Rectangle) -> bool:
        """Returns whether both share a pixel."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def inside(self, size_px: tuple[int, int]) -> bool:
        """Returns whether a picture of (height, width) holds all of it."""
        height, width = size_px
        return min(self.left, self.top) >= 0 and self.bottom <= height and self.right <= width


@dataclass(frozen=True)
class Label:
    """A short text next to the rectangle `around` its object, where there is room."""

    text: str
    around: Rectangle
    colour: Colour
    size_px: int = 14


@lru_cache(maxsize=32)
def _font(size_px: int) -> ImageFont.FreeTypeFont:
    return cast(ImageFont.FreeTypeFont, ImageFont.load_default(size_px))


@lru_cache(maxsize=2048)
def _coverage(text: str, size_px: int) -> npt.NDArray[np.uint8]:
    """Returns the coverage [H, W] in 0..255 of one line of text; H is the same for every text of a
    size."""
    font = _font(size_px)
    ascent, descent = font.getmetrics()
    page = Image.new("L", (int(np.ceil(font.getlength(text))) + 1, ascent + descent))
    ImageDraw.Draw(page).text((0, 0), text, fill=255, font=font)
    return np.asarray(page)


def text_size(text: str, size_px: int) -> tuple[int, int]:
    """Returns (width, height) in pixels that `draw_text` covers."""
    height, width = _coverage(text, size_px).shape
    return width, height


def draw_text(
    image: ImageArray, text: str, left_top: tuple[int, int], size_px: int, colour: Colour = TEXT
) -> int:
    """Blends a line of text into `image` [H, W, 3], cut at its borders; returns where it ends."""
    left, top = left_top
    coverage = _coverage(text, size_px)
    right = left + int(coverage.shape[1])
    coverage = coverage[max(-top, 0) :, max(-left, 0) :]
    region = image[max(top, 0) :, max(left, 0) :][: coverage.shape[0], : coverage.shape[1]]
    alpha = coverage[: region.shape[0], : region.shape[1], None] / np.float32(255)
    region[:] = np.rint(region + (np.asarray(colour, np.float32) - region) * alpha)
    return right


def elide(text: str, size_px: int, width_px: int) -> str:
    """Returns `text`, or as much of its beginning as fits into `width_px`, then an ellipsis."""
    font = _font(size_px)
    if font.getlength(text) < width_px:
        return text
    kept = bisect_left(
        range(len(text)), width_px, key=lambda count: int(font.getlength(text[: count + 1] + "…"))
    )
    return text[:kept] + "…"


def draw_chip(
    image: ImageArray, text: str, place: Rectangle, size_px: int, colour: Colour = TEXT
) -> None:
    """Draws text on a translucent dark chip that fills `place`, which must lie inside `image`."""
    region = image[place.top : place.bottom, place.left : place.right]
    region[:] = region * (1 - _CHIP_OPACITY) + np.multiply(palette.BACKGROUND, _CHIP_OPACITY)
    draw_text(image, text, (place.left + _PADDING_PX, place.top), size_px, colour)


def chip_at(text: str, left_top: tuple[int, int], size_px: int) -> Rectangle:
    """Returns the place that `draw_chip` needs for `text`."""
    width, height = text_size(text, size_px)
    left, top = left_top
    return Rectangle(left, top, left + width + 2 * _PADDING_PX, top + height)


def place_labels(
    labels: Sequence[Label], size_px: tuple[int, int], taken: Iterable[Rectangle] = ()
) -> list[tuple[Label, Rectangle]]:
    """Finds room next to each label's object, first come first served; without room it is left out.

    `size_px` is (height, width) of the picture. The places lie inside it, and overlap neither each
    other nor a rectangle that is `taken`.
    """
    occupied = list(taken)
    placed = []
    for label in labels:
        for place in _places(label):
            if place.inside(size_px) and not any(place.overlaps(other) for other in occupied):
                occupied.append(place)
                placed.append((label, place))
                break
    return placed


def draw_labels(
    image: ImageArray, labels: Sequence[Label], taken: Iterable[Rectangle] = ()
) -> None:
    """Draws the labels for which `place_labels` finds room in `image` [H, W, 3]."""
    for label, place in place_labels(labels, image.shape[:2], taken):
        draw_chip(image, label.text, place, label.size_px, faded(label.colour, TEXT, _COLOURED))


def _places(label: Label) -> list[Rectangle]:
    """Lists where a label may stand: above, right, left, below its object, then at its corners."""
    width, height = chip_at(label.text, (0, 0), label.size_px)[2:]
    around = label.around
    lefts = (around.left - width - 2, (around.left + around.right - width) // 2, around.right + 2)
    tops = (around.top - height - 1, (around.top + around.bottom - height) // 2, around.bottom + 1)
    order = ((1, 0), (2, 1), (0, 1), (1, 2), (2, 0), (0, 0), (2, 2), (0, 2))
    return [Rectangle(lefts[i], tops[j], lefts[i] + width, tops[j] + height) for i, j in order]
