"""What the system says of the road: cells as a tint of the canvas, lines in the style of their
kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from leapai.pictures import palette, strokes
from leapai.pictures.palette import LineStyle
from leapai.types import STATIC_CLASSES, BevGrid, FloatArray, ImageArray

_OPACITY = 0.5
"""Of a certain cell."""


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
    colours = np.array([palette.ROAD_COLOURS[kind] for kind in STATIC_CLASSES], np.float32)
    layer = np.empty((grid.rows, grid.columns, 4), np.float32)
    layer[..., :3] = colours[probability.argmax(0)]
    layer[..., 3] = probability.max(0) * _OPACITY
    layer[..., :3] *= layer[..., 3:]  # So that borders of cells mix as they should.
    centres = np.array([[0.5, 0.5], [1.5, 0.5], [0.5, 1.5]]) * grid.cell_m + grid.low_m[:2]
    cells = np.array([[0, 0], [1, 0], [0, 1]], np.float32)
    warp = cv2.getAffineTransform(cells, pixels(centres).astype(np.float32))
    drawn = cv2.warpAffine(layer, warp, image.shape[1::-1], flags=cv2.INTER_LINEAR)
    image[:] = np.rint(image * (1 - drawn[..., 3:]) + drawn[..., :3])


def draw_lines(image: ImageArray, lines: Sequence[tuple[str, Sequence[FloatArray]]]) -> None:
    """Lines as (kind, paths [K, 2] in pixels). A double line has a dark middle."""
    for kind, paths in lines:
        colour, style = palette.ROAD_COLOURS[kind], palette.ROAD_STYLES[kind]
        strokes.draw_paths(image, paths, colour, style)
        if kind in palette.DOUBLE_LINES:
            strokes.draw_paths(image, paths, palette.CANVAS, LineStyle(1, style.dash_px))
