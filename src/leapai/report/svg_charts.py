"""Small drawings as SVG text: lines over axes, bands, bars. They take the page's type and colours
from its style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from leapai.types import FloatArray

SMALL_PX, LARGE_PX = (270, 200), (520, 250)
"""Width and height of a chart, about as large as the page shows it."""
SIDES_PX = (34, 8, 22, 34)
"""Margins left, right, above and below of the inner part of a chart."""
_TICKS = 5
"""Approximate number of ticks of an axis."""


@dataclass(frozen=True)
class Axis:
    """An axis with its words, from `low` to `high`."""

    name: str
    low: float
    high: float


@dataclass(frozen=True)
class Line:
    """Values over x, both [K]; broken where one is NaN."""

    x: FloatArray
    y: FloatArray
    colour: str
    name: str = ""
    style: str = ""
    """Style of the style sheet: `dashed`, `faint`."""


@dataclass(frozen=True)
class Band:
    """The area between two values over x, [K] each."""

    x: FloatArray
    low: FloatArray
    high: FloatArray
    colour: str


@dataclass(frozen=True)
class Bars:
    """Heights [K] over intervals [K + 1] of x."""

    edges: FloatArray
    height: FloatArray
    colour: str


Mark = Line | Band | Bars


class Key(NamedTuple):
    """One entry of a legend, with its mark."""

    key: Markup
    """A drawing of 22 x 12 pixels."""
    words: str


class Frame:
    """Maps values to a drawing."""

    def __init__(
        self,
        x: Axis,
        y: Axis,
        size_px: tuple[int, int],
        sides_px: tuple[int, int, int, int] = SIDES_PX,
    ) -> None:
        self.x_axis, self.y_axis = x, y
        self.left, right, self.top, below = sides_px
        self.right, self.bottom = size_px[0] - right, size_px[1] - below

    def xs(self, values: FloatArray) -> FloatArray:
        """Pixels [K] from the left."""
        axis = self.x_axis
        share = (np.asarray(values) - axis.low) / (axis.high - axis.low)
        return np.asarray(self.left + share * (self.right - self.left))

    def ys(self, values: FloatArray) -> FloatArray:
        """Pixels [K] from the top; what lies beyond the axis is drawn at its end."""
        axis = self.y_axis
        share = (axis.high - np.clip(values, axis.low, axis.high)) / (axis.high - axis.low)
        return np.asarray(self.top + share * (self.bottom - self.top))

    def x(self, value: float) -> float:
        """Returns the place of one value, in pixels."""
        return float(self.xs(np.array(value)))

    def y(self, value: float) -> float:
        """Returns the height of one value, in pixels."""
        return float(self.ys(np.array(value)))


def chart(
    name: str, x: Axis, y: Axis, marks: Sequence[Mark], size_px: tuple[int, int] = SMALL_PX
) -> Markup:
    """Draws one chart, named for those who do not see it."""
    frame = Frame(x, y, size_px)
    drawn = Markup("").join(draw(mark, frame) for mark in marks)
    return svg(name, size_px, y_axis(frame) + x_axis(frame) + drawn + axis_names(frame), "chart")


def svg(name: str, size_px: tuple[int, int], content: Markup, kind: str) -> Markup:
    """Returns a drawing of that size that grows and shrinks with its place."""
    width, height = size_px
    return Markup('<svg class="{}" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        kind, width, height, name, content
    )


def ticks(low: float, high: float, about: int = _TICKS) -> list[float]:
    """Returns round values from `low` to `high`: steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / about
    power = 10.0 ** floor(log10(rough))
    step = next(power * times for times in (1, 2, 5, 10) if power * times >= rough * 0.999)
    first = np.ceil(low / step - 1e-9)
    return [float(k * step) + 0.0 for k in np.arange(first, floor(high / step + 1e-9) + 1)]


def text(x: float, y: float, content: str, kind: str) -> Markup:
    """Draws words at a point of the chart."""
    return Markup('<text x="{:.1f}" y="{:.1f}" class="{}">{}</text>').format(x, y, kind, content)


def y_axis(frame: Frame, about: int = _TICKS) -> Markup:
    """Lines across at round values, which stand left of them."""
    parts = []
    for value in ticks(frame.y_axis.low, frame.y_axis.high, about):
        at = frame.y(value)
        parts.append(path("grid", f"M{frame.left} {at:.1f}H{frame.right}"))
        parts.append(text(frame.left - 6, at + 3.5, f"{value:g}", "tick end"))
    return Markup("").join(parts)


def x_axis(frame: Frame) -> Markup:
    """Draws the foot of a chart, with round values below it."""
    parts = [path("axis", f"M{frame.left} {frame.bottom}H{frame.right}")]
    for value in ticks(frame.x_axis.low, frame.x_axis.high):
        at = frame.x(value)
        parts.append(path("axis", f"M{at:.1f} {frame.bottom}v4"))
        parts.append(text(at, frame.bottom + 16, f"{value:g}", "tick middle"))
    return Markup("").join(parts)


def line_key(line: Line) -> Key:
    """Returns the entry of a legend for a line."""
    return Key(path(f"line {line.style}".rstrip(), "M0 6H22", line.colour), line.name)


def axis_names(frame: Frame) -> Markup:
    """Draws the names of both axes: below the chart, and above it."""
    below = text(frame.right, frame.bottom + 32, frame.x_axis.name, "name end")
    return below + text(0, 10, frame.y_axis.name, "name")


def draw(mark: Mark, frame: Frame) -> Markup:
    """Draws one mark in a frame."""
    if isinstance(mark, Line):
        points = _move_and_line(frame.xs(mark.x), frame.ys(mark.y))
        drawn = path(f"line {mark.style}".rstrip(), points, mark.colour)
        return Markup("<g>{}<title>{}</title></g>").format(drawn, mark.name) if mark.name else drawn
    if isinstance(mark, Band):
        known = np.isfinite(mark.low) & np.isfinite(mark.high)
        x = frame.xs(mark.x[known])
        around = np.append(x, x[::-1])
        sides = np.append(frame.ys(mark.low[known]), frame.ys(mark.high[known])[::-1])
        return Markup('<path class="band" fill="{}" d="{}"/>').format(
            mark.colour, _move_and_line(around, sides)
        )
    left, right = frame.xs(mark.edges[:-1]), frame.xs(mark.edges[1:])
    top, foot = frame.ys(mark.height), frame.y(frame.y_axis.low)
    d = "".join(
        f"M{a + 0.5:.1f} {foot:.1f}V{t:.1f}H{b - 0.5:.1f}V{foot:.1f}Z"
        for a, b, t in zip(left, right, top, strict=True)
        if np.isfinite(t)
    )
    return Markup('<path class="bars" fill="{}" d="{}"/>').format(mark.colour, d)


def _move_and_line(x: FloatArray, y: FloatArray) -> str:
    """Draws a path through points [K]; a gap where one is NaN."""
    known = np.isfinite(x) & np.isfinite(y)
    starts = known & ~np.append(False, known[:-1])
    return "".join(
        f"{'M' if start else 'L'}{a:.1f} {b:.1f}"
        for a, b, start in zip(x[known], y[known], starts[known], strict=True)
    )


def path(kind: str, d: str, stroke: str = "") -> Markup:
    """Draws a path of a style of the style sheet."""
    colour = Markup(' stroke="{}"').format(stroke) if stroke else ""
    return Markup('<path class="{}"{} d="{}"/>').format(kind, colour, d)
