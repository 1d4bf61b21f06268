"""Where the pictures of a rig's cameras go: front above, back below, left on the left."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from leapai.types import CameraFrame, FloatArray
from leapai.visualisation.text import Rectangle

_SAME_DIRECTION_RAD = np.deg2rad(12.0)
"""Cameras whose angle to forward differs by less stand in one row: left and right partners stay together."""


def arrange_cameras(
    cameras: Sequence[CameraFrame], size_px: tuple[int, int], gap_px: int
) -> list[Rectangle]:
    """A place for each camera, in the order given, inside an area of `size_px` (height, width).

    Cameras are sorted by the angle of their optical axis to forward and dealt to rows of equal height each; a
    row is sorted from left to right. Of all ways to break the rows, the one that shows the largest pictures
    is taken; their aspect ratios are kept.
    """
    axes = np.array([camera.ego_from_camera[:2, 2] for camera in cameras]).reshape(-1, 2)
    aspects = np.array([camera.size_px[1] / camera.size_px[0] for camera in cameras])
    directions = _directions(axes)
    best: list[Rectangle] = []
    best_area = 0.0
    for breaks in range(len(directions)):
        for cuts in combinations(range(1, len(directions)), breaks):
            rows = _rows(directions, cuts, axes)
            places = _fit(rows, aspects, size_px, gap_px)
            area = sum((p.right - p.left) * (p.bottom - p.top) for p in places)
            if area > best_area:
                best, best_area = places, area
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
    """Rows of camera indices; within a row the further left an optical axis points, the further left it stands."""
    bounds = (0, *cuts, len(directions))
    rows = [sum(directions[a:b], []) for a, b in zip(bounds, bounds[1:], strict=False)]
    return [sorted(row, key=lambda i: -axes[i, 1]) for row in rows]


def _fit(
    rows: list[list[int]], aspects: FloatArray, size_px: tuple[int, int], gap_px: int
) -> list[Rectangle]:
    """Rows as wide as the area, then all made smaller alike where they are too high together; centred."""
    height, width = size_px
    row_heights = [(width - gap_px * (len(row) - 1)) / aspects[row].sum() for row in rows]
    gaps = gap_px * (len(rows) - 1)
    scale = min(1.0, (height - gaps) / sum(row_heights))
    top = (height - gaps - scale * sum(row_heights)) / 2
    places: dict[int, Rectangle] = {}
    for row, row_height in zip(rows, row_heights, strict=True):
        row_height *= scale
        left = (width - row_height * aspects[row].sum() - gap_px * (len(row) - 1)) / 2
        for i in row:
            right = left + row_height * aspects[i]
            places[i] = Rectangle(int(left), int(top), int(right), int(top + row_height))
            left = right + gap_px
        top += row_height + gap_px
    return [places[i] for i in range(len(places))]
