"""Colours and line styles of every picture: RGB, dark background, safe for the common colour-vision deficiencies."""

from __future__ import annotations

from dataclasses import dataclass

from leapai.types import OCCLUSION_NAMES

Colour = tuple[int, int, int]
"""Red, green, blue in 0..255."""

BACKGROUND: Colour = (13, 17, 23)
CANVAS: Colour = (20, 26, 35)
GRID: Colour = (32, 41, 54)
RING: Colour = (55, 68, 86)
TEXT: Colour = (230, 237, 243)
DIM_TEXT: Colour = (139, 152, 168)
FAULT: Colour = (255, 148, 102)
TRUTH: Colour = (205, 210, 216)
EGO: Colour = (240, 246, 252)

CLASS_COLOURS: tuple[Colour, ...] = (
    (72, 176, 255),  # car: sky blue
    (255, 163, 26),  # truck: orange
    (255, 236, 90),  # bus: yellow
    (255, 84, 72),  # person: vermilion
    (245, 140, 200),  # non_motor: pink
    (170, 122, 255),  # riderless_non_motor: violet
    (30, 200, 140),  # barrier: bluish green
    (178, 250, 228),  # pillar: pale mint
)
"""One colour a class, in the order of `leapai.types.CLASS_NAMES`. After Okabe and Ito, "Color Universal Design" (2008),
lightened for a dark background; hues that a deficiency makes alike differ in lightness."""

MAP_COLOURS: dict[str, Colour] = {
    "lane_boundary": (84, 100, 122),
    "crossing": (64, 110, 118),
    "drivable_area": (58, 68, 84),
}
MAP_DEFAULT: Colour = (48, 58, 73)
"""Map layers that `MAP_COLOURS` does not name."""


@dataclass(frozen=True)
class LineStyle:
    """How an outline is drawn: thickness and, for a broken line, the lengths drawn and skipped."""

    thickness_px: int = 2
    dash_px: tuple[float, float] | None = None


SOLID = LineStyle()
THIN = LineStyle(thickness_px=1)
OCCLUSION_STYLES = (SOLID, LineStyle(2, (8.0, 5.0)), LineStyle(2, (1.5, 5.0)), THIN)
"""By occlusion level: solid, dashed, dotted, thin."""
OCCLUSION_WORDS = tuple(name.removesuffix("Occluded").lower() for name in OCCLUSION_NAMES)
"""Short names of the levels: no, slightly, partly, heavily."""


def occlusion_style(level: int, shown: bool) -> LineStyle:
    """The outline of an object of occlusion `level` (0..3); solid where the level is not `shown` or not known (-1)."""
    return OCCLUSION_STYLES[level] if shown and level >= 0 else SOLID
