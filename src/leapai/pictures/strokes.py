"""Lines, dashes, arrows and translucent areas on arrays.

OpenCV with sub-pixel coordinates and anti-aliasing. Points are (x right, y down) in pixels; the
centre of the top left pixel is (0, 0).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import cv2
import numpy as np
import numpy.typing as npt

from leapai.pictures.palette import Colour, LineStyle
from leapai.types import FloatArray, ImageArray

_SHIFT = 4
"""Fractional bits of OpenCV's fixed-point coordinates."""
_FAR_PX = 1e5
"""Points further out are pulled in: OpenCV's fixed-point coordinates would overflow."""


def _fixed(points_px: FloatArray) -> npt.NDArray[np.int32]:
    scaled = np.minimum(np.maximum(points_px, -_FAR_PX), _FAR_PX) * (1 << _SHIFT)
    fixed: npt.NDArray[np.int32] = np.rint(scaled).astype(np.int32)
    return fixed


def draw_paths(
    image: ImageArray, paths: Sequence[FloatArray], colour: Colour, style: LineStyle
) -> None:
    """Open polylines, each [K, 2]."""
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
    steps = np.hypot(*np.diff(path, axis=0).T)
    distance = np.concatenate([[0.0], np.cumsum(steps)])
    starts = np.arange(0.0, max(distance[-1], 1e-9), on_px + off_px)
    ends = np.minimum(starts + on_px, distance[-1])
    at = np.stack([starts, ends], -1)
    return np.stack([np.interp(at, distance, path[:, axis]) for axis in (0, 1)], -1)


def draw_dot(
    image: ImageArray, centre_px: FloatArray, radius_px: float, colour: Colour, hollow: bool = False
) -> None:
    """A disc, or its rim where `hollow`."""
    x, y = (int(value) for value in _fixed(centre_px))
    radius = int(radius_px * (1 << _SHIFT))
    cv2.circle(image, (x, y), radius, colour, 1 if hollow else -1, cv2.LINE_AA, _SHIFT)


def draw_arrow(
    image: ImageArray, start_px: FloatArray, end_px: FloatArray, colour: Colour, style: LineStyle
) -> None:
    """A line with a filled head at `end_px`; nothing below one pixel, which shows no direction."""
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
    """Translucent polygons [K, 2] with their colours."""
    if not areas:
        return
    filled = image.copy()
    for polygon, colour in areas:
        cv2.fillPoly(filled, [_fixed(polygon)], colour, cv2.LINE_AA, _SHIFT)
    cv2.addWeighted(filled, opacity, image, 1 - opacity, 0.0, dst=image)


def sides(outline: FloatArray) -> list[FloatArray]:
    """The K sides [2, 2] of a closed polygon [K, 2]."""
    return list(np.stack([outline, np.roll(outline, -1, axis=0)], 1))
