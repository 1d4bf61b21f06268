"""Where the pictures of a rig's cameras go: front above, back below, left on the left."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise

import numpy as np

from leapai.pictures.text import Rectangle
from leapai.types import CameraFrame, FloatArray

_SAME_DIRECTION_RAD = np.deg2rad(12.0)
"""Cameras whose angles to forward differ by less stay in one row: left and right partners."""
_CLEARLY_LARGER = 0.01
"""Of arrangements about equally large the one with the larger front pictures is taken."""


def arrange_cameras(
    cameras: Sequence[CameraFrame], size_px: tuple[int, int], gap_px: int
) -> list[Rectangle]:
    """A place for each camera, in the order given, inside an area of `size_px` (height, width).

    Cameras are sorted by the angle of their optical axis to forward and dealt to rows; a row is
    sorted from left to right and its pictures are equally high. Of all ways to break the rows that
    one is taken whose pictures have the largest geometric mean area. Aspect ratios are kept.
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
    """Indices of cameras by angle to forward, those of nearly the same angle together."""
    angle = np.abs(np.arctan2(axes[:, 1], axes[:, 0]))
    directions: list[list[int]] = []
    for i in np.argsort(angle, kind="stable"):
        if directions and angle[i] - angle[directions[-1][0]] < _SAME_DIRECTION_RAD:
            directions[-1].append(int(i))
        else:
            directions.append([int(i)])
    return directions


def _rows(directions: list[list[int]], cuts: tuple[int, ...], axes: FloatArray) -> list[list[int]]:
    """Rows of camera indices; the more an optical axis points left, the more left it stands."""
    bounds = (0, *cuts, len(directions))
    rows = [[i for group in directions[a:b] for i in group] for a, b in pairwise(bounds)]
    return [sorted(row, key=lambda i: -axes[i, 1]) for row in rows]


def _fit(
    rows: list[list[int]], aspects: FloatArray, size_px: tuple[int, int], gap_px: int
) -> list[Rectangle]:
    """Rows as wide as the area, or all smaller alike where they are too high together; centred."""
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
