"""Anti-aliased text on arrays, and labels that never overlap."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from leapai.pictures.palette import (
    BACKGROUND,
    TEXT,
    Colour,
    faded,
)
from leapai.types import ImageArray

_CHIP_OPACITY = 0.72
_PADDING_PX = 3
_COLOURED = 0.6
"""Share of its object's colour in a label, the rest is white: pure red or violet reads badly."""


class Rectangle(NamedTuple):
    """Pixels from (left, top) to (right, bottom), the latter excluded."""

    left: int
    top: int
    right: int
    bottom: int

    def overlaps(self, other: Rectangle) -> bool:
        """Whether both share a pixel."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def inside(self, size_px: tuple[int, int]) -> bool:
        """Whether a picture of (height, width) holds all of it."""
        height, width = size_px
        return min(self.left, self.top) >= 0 and self.bottom <= height and self.right <= width


@dataclass(frozen=True)
class Label:
    """A short text that stands beside the rectangle `around` its object, where there is room."""

    text: str
    around: Rectangle
    colour: Colour
    size_px: int = 14


@lru_cache(maxsize=32)
def _font(size_px: int) -> ImageFont.FreeTypeFont:
    return cast(ImageFont.FreeTypeFont, ImageFont.load_default(size_px))


@lru_cache(maxsize=2048)
def _coverage(text: str, size_px: int) -> npt.NDArray[np.uint8]:
    """Coverage [H, W] in 0..255 of one line of text; H is the same for every text of a size."""
    font = _font(size_px)
    ascent, descent = font.getmetrics()
    page = Image.new("L", (int(np.ceil(font.getlength(text))) + 1, ascent + descent))
    ImageDraw.Draw(page).text((0, 0), text, fill=255, font=font)
    return np.asarray(page)


def text_size(text: str, size_px: int) -> tuple[int, int]:
    """(width, height) in pixels that `draw_text` covers."""
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
    """`text`, or as much of its beginning as fits into `width_px`, then an ellipsis."""
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
    """Text on a translucent dark chip that fills `place`, which must lie inside `image`."""
    region = image[place.top : place.bottom, place.left : place.right]
    region[:] = region * (1 - _CHIP_OPACITY) + np.multiply(BACKGROUND, _CHIP_OPACITY)
    draw_text(image, text, (place.left + _PADDING_PX, place.top), size_px, colour)


def chip_at(text: str, left_top: tuple[int, int], size_px: int) -> Rectangle:
    """The place that `draw_chip` needs for `text`."""
    width, height = text_size(text, size_px)
    left, top = left_top
    return Rectangle(left, top, left + width + 2 * _PADDING_PX, top + height)


def place_labels(
    labels: Sequence[Label], size_px: tuple[int, int], taken: Iterable[Rectangle] = ()
) -> list[tuple[Label, Rectangle]]:
    """Finds room beside each label's object, first come first served; without room it is left out.

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
    """Where a label may stand: above, right, left, below its object, then at its corners."""
    width, height = chip_at(label.text, (0, 0), label.size_px)[2:]
    around = label.around
    lefts = (around.left - width - 2, (around.left + around.right - width) // 2, around.right + 2)
    tops = (around.top - height - 1, (around.top + around.bottom - height) // 2, around.bottom + 1)
    order = ((1, 0), (2, 1), (0, 1), (1, 2), (2, 0), (0, 0), (2, 2), (0, 2))
    return [Rectangle(lefts[i], tops[j], lefts[i] + width, tops[j] + height) for i, j in order]
