"""The ground around the vehicle, as its LiDAR sees it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from leapai.types import BoolArray, FloatArray

RANGE_M = (2.5, 15.0)
"""Nearer lies the vehicle itself; further, the road bends."""
CELL_M = 1.5
_LOWEST_PERCENT = 10.0
_GROUND_PERCENT = 25.0
"""Share of the cells that show the ground at least: of a full garage, most show cars and walls."""
_ON_GROUND_M = 0.2
_MIN_CELLS = 12
_ROUNDS = 6


class Ground(NamedTuple):
    """A plane under the vehicle, z = height + slope . (x, y)."""

    height_m: float
    """At the ego's origin, which lies on the ground."""
    tilt_deg: float
    intensity: float
    """Median of the returns on it."""


def fit_ground(points: FloatArray) -> Ground | None:
    """Describes the ground under points [P, 5] in the ego frame; None: too few are around."""
    plane = fit_plane(points)
    if plane is None:
        return None
    intensity = points[on_plane(points, plane, RANGE_M[1]), 3]
    return Ground(
        height_m=float(plane[0]),
        tilt_deg=float(np.degrees(np.arctan(np.hypot(*plane[1:])))),
        intensity=float(np.median(intensity)) if len(intensity) else float("nan"),
    )


def fit_plane(points: FloatArray) -> FloatArray | None:
    """Fits z = p0 + p1 x + p2 y to the ground under points [P, 5] in the ego frame; returns p [3],
    or None where too few points are around.

    The lowest returns of each cell are fitted, and cells above the plane (cars, bushes) are left
    out, round by round.
    """
    lowest = _lowest_of_cells(points[_around(points, RANGE_M[1]), :3].astype(np.float64))
    if len(lowest) < _MIN_CELLS:
        return None
    columns = np.column_stack([np.ones(len(lowest)), lowest[:, :2]])
    plane = np.array([np.percentile(lowest[:, 2], _GROUND_PERCENT), 0.0, 0.0])
    for _ in range(_ROUNDS):
        above_m = lowest[:, 2] - columns @ plane
        kept = above_m <= max(_ON_GROUND_M, float(np.percentile(above_m, _GROUND_PERCENT)))
        if kept.sum() < _MIN_CELLS:
            return None
        plane = np.linalg.lstsq(columns[kept], lowest[kept, 2], rcond=None)[0]
    return np.asarray(plane)


def on_plane(points: FloatArray, plane: FloatArray, reach_m: float) -> BoolArray:
    """Returns which points [P, 5] lie on the plane [3] of the ground, up to `reach_m` away."""
    return np.asarray(
        _around(points, reach_m) & (np.abs(above_plane(points, plane)) <= _ON_GROUND_M)
    )


def above_plane(points: FloatArray, plane: FloatArray) -> FloatArray:
    """Returns the height [P] of points [P, 5] in metres above the plane [3] of the ground."""
    return np.asarray(points[:, 2] - plane[0] - points[:, :2].astype(np.float64) @ plane[1:])


def _around(points: FloatArray, reach_m: float) -> BoolArray:
    distance_m = np.hypot(points[:, 0], points[:, 1])
    is_near = (distance_m >= RANGE_M[0]) & (distance_m <= reach_m)
    return np.asarray(np.isfinite(points[:, :3]).all(-1) & is_near)


def _lowest_of_cells(xyz: FloatArray) -> FloatArray:
    """Returns a low point [C, 3] of each cell of the ground with a few returns."""
    cell = np.floor(xyz[:, :2] / CELL_M).astype(np.int64)
    order = np.lexsort((xyz[:, 2], cell[:, 1], cell[:, 0]))
    _, start, count = np.unique(cell[order], axis=0, return_index=True, return_counts=True)
    rank = (count * _LOWEST_PERCENT / 100).astype(np.int64)
    return np.asarray(xyz[order[start + rank]])
