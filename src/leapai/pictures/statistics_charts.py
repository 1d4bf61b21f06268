"""Small multiples: histograms and bars of one or two data sets side by side, as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from leapai.pictures.drawing import draw_text, elide, text_size
from leapai.pictures.palette import (
    BACKGROUND,
    CANVAS,
    CLASS_COLOURS,
    DIM_TEXT,
    GRID,
    TEXT,
    Colour,
    faded,
)
from leapai.types import FloatArray, ImageArray

COLOURS: tuple[Colour, Colour] = (CLASS_COLOURS[0], CLASS_COLOURS[1])
"""Of the first data set, filled, and of the second, an outline."""
_PANEL_PX = (150, 232)
"""Height and width."""
_GAP_PX, _HEADER_PX, _TITLE_PX, _AXIS_PX = 8, 44, 22, 20
_TEXT_PX, _SMALL_PX = 13, 11
_BINS = 24
_OUTER_PERCENT = (0.5, 99.5)
"""What lies outside is counted in the outermost bins, so that one wild value hides nothing."""
_FILLED = 0.75


@dataclass(frozen=True)
class Histogram:
    """One quantity: the values [K] of each data set."""

    title: str
    values: tuple[FloatArray, ...]
    logarithmic: bool = False
    """Counts: the axis shows log10(1 + value)."""


@dataclass(frozen=True)
class Bars:
    """Shares of kinds: [len(kinds)] in [0, 1] of each data set; NaN: unknown."""

    title: str
    kinds: tuple[str, ...]
    shares: tuple[FloatArray, ...]


Panel = Histogram | Bars


def draw_charts(names: Sequence[str], rows: Sequence[Sequence[Panel]]) -> ImageArray:
    """The panels [H, W, 3], each row filled from side to side; `names` are those of the data
    sets."""
    height, width = (side + _GAP_PX for side in _PANEL_PX)
    longest = max(len(row) for row in rows)
    picture = np.empty((_HEADER_PX + len(rows) * height, longest * width + _GAP_PX, 3), np.uint8)
    picture[:] = BACKGROUND
    _draw_names(picture, names)
    for number, row in enumerate(rows):
        edges = np.linspace(_GAP_PX, picture.shape[1], len(row) + 1).astype(int)
        top = _HEADER_PX + number * height
        for panel, left, right in zip(row, edges[:-1], edges[1:], strict=True):
            _draw_panel(picture[top : top + _PANEL_PX[0], left : right - _GAP_PX], panel)
    return picture


def _draw_names(picture: ImageArray, names: Sequence[str]) -> None:
    left = _GAP_PX
    for name, colour in zip(names, COLOURS, strict=False):
        picture[16:30, left : left + 14] = colour
        left = draw_text(picture, name, (left + 22, 13), 16, TEXT) + 40


def _draw_panel(area: ImageArray, panel: Panel) -> None:
    area[:] = CANVAS
    title = elide(panel.title, _TEXT_PX, area.shape[1] - 12)
    draw_text(area, title, (6, 3), _TEXT_PX, TEXT)
    plot = area[_TITLE_PX:-_AXIS_PX, 6:-6]
    axis = area[-_AXIS_PX:, 6:-6]
    axis[0] = GRID
    if isinstance(panel, Bars):
        _draw_bars(plot, axis, panel)
    else:
        _draw_histogram(plot, axis, panel)


def _draw_histogram(plot: ImageArray, axis: ImageArray, panel: Histogram) -> None:
    scaled = [np.log10(1 + v) if panel.logarithmic else v for v in panel.values]
    pooled = [np.percentile(v, _OUTER_PERCENT) for v in scaled if len(v)]
    if not pooled:
        draw_text(plot, "no values", (4, 30), _TEXT_PX, DIM_TEXT)
        return
    low, high = float(np.min(pooled)), float(np.max(pooled))
    margin = 0.02 * (high - low) or 0.5
    low, high = low - margin, high + margin
    bins = np.linspace(low, high, _BINS + 1)
    shares = [np.histogram(v.clip(low, high), bins)[0] / max(len(v), 1) for v in scaled]
    _draw_steps(plot, shares)
    for at, word in _ticks(low, high, panel.logarithmic):
        column = round((at - low) / (high - low) * (axis.shape[1] - 1))
        axis[:4, column] = DIM_TEXT
        width = text_size(word, _SMALL_PX)[0]
        left = int(np.clip(column - width // 2, 0, axis.shape[1] - width))
        draw_text(axis, word, (left, 4), _SMALL_PX, DIM_TEXT)


def _draw_steps(plot: ImageArray, shares: Sequence[FloatArray]) -> None:
    """The first series filled, the second as an outline, both on the same scale."""
    height, width = plot.shape[:2]
    top = max(float(share.max()) for share in shares)
    edges = np.linspace(0, width, _BINS + 1).round().astype(int)
    for number, (share, colour) in enumerate(zip(shares, COLOURS, strict=False)):
        level = height - np.ceil((height - 4) * share / top).astype(int)
        if number == 0:
            for left, right, y in zip(edges[:-1], edges[1:], level, strict=True):
                plot[y:, left:right] = faded(colour, CANVAS, _FILLED)
        elif share.any():
            outline = np.stack([np.repeat(edges, 2)[1:-1], np.repeat(level, 2)], -1)
            cv2.polylines(plot, [outline.astype(np.int32)], False, colour, 2)


def _draw_bars(plot: ImageArray, axis: ImageArray, panel: Bars) -> None:
    height, width = plot.shape[:2]
    top = max(float(np.nan_to_num(share).max()) for share in panel.shares) or 1.0
    edges = np.linspace(0, width, len(panel.kinds) + 1).astype(int)
    for index, kind in enumerate(panel.kinds):
        left, right = edges[index : index + 2]
        step = 0.8 * (right - left) / len(panel.shares)
        for number, share in enumerate(panel.shares):
            if np.isnan(share[index]):
                continue
            start, end = (left + round(step * (number + i)) for i in (0, 1))
            y = height - round((height - 16) * share[index] / top)
            plot[y:, start : end - 1] = COLOURS[number]
            draw_text(plot, f"{share[index]:.0%}", (start, y - 14), _SMALL_PX, DIM_TEXT)
        draw_text(axis, elide(kind, _SMALL_PX, right - left), (left, 4), _SMALL_PX, DIM_TEXT)


def _ticks(low: float, high: float, logarithmic: bool) -> list[tuple[float, str]]:
    """Places on the axis and their words: three to six round numbers."""
    if logarithmic:
        numbers = [0, *(10**power for power in range(6))]
        at = [float(np.log10(1 + number)) for number in numbers]
        return [(x, str(n)) for x, n in zip(at, numbers, strict=True) if low <= x <= high]
    step = 10.0 ** np.floor(np.log10(high - low))
    step = next(s for s in (step / 5, step / 2, step, 2 * step) if (high - low) / s <= 6)
    digits = max(0, -int(np.floor(np.log10(step))))
    first, last = np.ceil(low / step), np.floor(high / step)
    # Adding 0.0 makes -0.0 a plain zero.
    return [(i * step, f"{i * step + 0.0:.{digits}f}") for i in np.arange(first, last + 1)]
