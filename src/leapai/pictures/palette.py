"""Colours and line styles of every picture: RGB, on a dark background."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from leapai.types import LANE_MARKINGS, OCCLUSION_NAMES, STATIC_CLASSES, FloatArray, ImageArray
from leapai.types.vocabulary import MOST_CLASSES

Colour = tuple[int, int, int]
"""Red, green, blue in 0..255."""

BACKGROUND: Colour = (13, 17, 23)
CANVAS: Colour = (20, 26, 35)
GRID: Colour = (32, 41, 54)
RING: Colour = (55, 68, 86)
TEXT: Colour = (230, 237, 243)
DIM_TEXT: Colour = (145, 157, 172)
FAULT: Colour = (255, 148, 102)
GT: Colour = (205, 210, 216)
GT_HIDDEN: Colour = (120, 126, 134)
EGO: Colour = (240, 246, 252)


def _more_colours(value: float) -> tuple[Colour, ...]:
    """Returns colours of the classes beyond the first eight, of brightness `value`: hues turn by
    the golden angle, so that neighbours in number are far apart, and every other one is paler."""
    colours = []
    for i in range(MOST_CLASSES - 8):
        hue, pale = (0.11 + i * _GOLDEN_TURN) % 1.0, i % 2
        rgb = colorsys.hsv_to_rgb(hue, 0.45 if pale else 0.8, value * (0.85 if pale else 1.0))
        red, green, blue = (round(255 * channel) for channel in rgb)
        colours.append((red, green, blue))
    return tuple(colours)


_GOLDEN_TURN = 0.381966
CLASS_COLOURS: tuple[Colour, ...] = (
    (72, 176, 255),  # car: sky blue
    (255, 158, 30),  # truck: orange
    (255, 240, 110),  # bus: yellow
    (235, 50, 50),  # person: red
    (255, 160, 220),  # non_motor: pink
    (140, 90, 255),  # riderless_non_motor: violet
    (0, 165, 115),  # barrier: bluish green
    (175, 255, 225),  # pillar: mint
    *_more_colours(1.0),
)
"""One colour a class by its number; the first eight are named after the default classes.

After Okabe and Ito, "Color Universal Design" (2008), for a dark background: hues that a deficiency
of colour vision makes alike differ in lightness.
"""

CLASS_COLOURS_ON_WHITE: tuple[Colour, ...] = (
    (17, 110, 200),  # car
    (184, 78, 8),  # truck
    (201, 133, 0),  # bus
    (182, 19, 39),  # person
    (221, 62, 149),  # non_motor
    (96, 40, 190),  # riderless_non_motor
    (0, 81, 69),  # barrier
    (0, 156, 173),  # pillar
    *_more_colours(0.52),
)
"""The same hues for a white page: each has a contrast of 3 or more with it (WCAG 2, 1.4.11)."""

MAP_LAYER_COLOURS: dict[str, Colour] = {
    "lane_boundary": (84, 100, 122),
    "crossing": (64, 116, 122),
    "drivable_area": (66, 77, 95),
}
MAP_LAYER_DEFAULT: Colour = (48, 58, 73)
"""Map layers that `MAP_LAYER_COLOURS` does not name."""

_HEIGHT_RANGE_M = (-1.0, 3.0)


@dataclass(frozen=True)
class LineStyle:
    """Style of an outline: thickness and, for a broken line, the lengths drawn and skipped."""

    thickness_px: int = 2
    dash_px: tuple[float, float] | None = None


SOLID = LineStyle()
THIN = LineStyle(thickness_px=1)
DOUBLE_LINES = tuple(kind for kind in LANE_MARKINGS if "Double" in kind or "Left" in kind)
MAP_ELEMENT_COLOURS: dict[str, Colour] = {
    **dict.fromkeys(LANE_MARKINGS, (226, 222, 190)),  # cream
    **dict.fromkeys(DOUBLE_LINES, (214, 190, 84)),  # mustard
    "Wall": (176, 122, 196),  # mauve
    "Curb": (196, 138, 96),  # clay
    "Lane": (84, 132, 122),  # dim sea green
    "SpeedBump": (214, 104, 124),  # rose
    "GroundSigns": (110, 168, 196),  # dusty blue
}
"""Predicted lane markings and map elements, by kind: paler than boxes, warmer than the given
map."""
MAP_ELEMENT_STYLES: dict[str, LineStyle] = {
    **dict.fromkeys(STATIC_CLASSES, THIN),
    "DashedLine": LineStyle(1, (9.0, 6.0)),
    "ShortDashedLine": LineStyle(1, (4.0, 4.0)),
    "WideSolidLine": LineStyle(2),
    "WideDashedLine": LineStyle(2, (9.0, 6.0)),
    "DoubleSolidLine": LineStyle(3),
    "DoubleDashedLine": LineStyle(3, (9.0, 6.0)),
    "RightSolidLeftDashed": LineStyle(3, (18.0, 4.0)),
    "LeftSolidRightDashed": LineStyle(3, (18.0, 4.0)),
    "Wall": LineStyle(2),
    "Lane": LineStyle(1, (2.0, 4.0)),
}
"""Styles of map lines by kind: dashed where the marking is dashed, wide where it is wide."""
OCCLUSION_STYLES = (SOLID, LineStyle(2, (8.0, 5.0)), LineStyle(2, (1.5, 5.0)), THIN)
"""Styles by occlusion level: solid, dashed, dotted, thin."""
OCCLUSION_WORDS = tuple(name.removesuffix("Occluded").lower() for name in OCCLUSION_NAMES)
"""Short names of the levels: no, slightly, partly, heavily."""


def faded(colour: Colour, background: Colour, strength: float) -> Colour:
    """Blends `colour` at `strength` (1: itself, 0: `background`)."""
    red, green, blue = (
        round(b + (c - b) * strength) for c, b in zip(colour, background, strict=True)
    )
    return red, green, blue


def height_colours(z_m: FloatArray) -> ImageArray:
    """Returns colours [P, 3] of LiDAR returns at heights [P]: from dark slate at -1 m to pale blue
    at 3 m, calm enough for boxes to stand out."""
    low, high = _HEIGHT_RANGE_M
    level = np.clip((z_m - low) / (high - low), 0, 1) * 255
    colours: ImageArray = _height_table()[level.astype(np.uint8)]
    return colours


@lru_cache(maxsize=1)
def _height_table() -> ImageArray:
    """Returns the colours of 256 heights [256, 3]."""
    stops = np.array([[44, 62, 88], [66, 104, 140], [120, 160, 185], [200, 220, 232]])
    at = np.linspace(0, len(stops) - 1, 256)
    channels = [np.interp(at, range(len(stops)), stops[:, c]) for c in range(3)]
    return np.stack(channels, -1).astype(np.uint8)
