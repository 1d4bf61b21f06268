"""The ground around the vehicle, as its LiDAR sees it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from leapai.types import FloatArray

RANGE_M = (2.5, 15.0)
"""Nearer lies the vehicle itself; further, the road bends."""
CELL_M = 1.5
_LOWEST_PERCENT = 10.0
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
    """Fits the plane of the ground to points [P, 5] in the ego frame; None: too few are around.

    The lowest returns of each cell are fitted, and cells above the plane (cars, bushes) are left
    out, round by round.
    """
    xyz = points[:, :3].astype(np.float64)
    distance_m = np.hypot(xyz[:, 0], xyz[:, 1])
    around = np.isfinite(xyz).all(-1) & (distance_m >= RANGE_M[0]) & (distance_m <= RANGE_M[1])
    xyz, intensity = xyz[around], points[around, 3]
    lowest = _lowest_of_cells(xyz)
    if len(lowest) < _MIN_CELLS:
        return None
    columns = np.column_stack([np.ones(len(lowest)), lowest[:, :2]])
    kept = np.ones(len(lowest), bool)
    plane = np.array([np.median(lowest[:, 2]), 0.0, 0.0])
    for _ in range(_ROUNDS):
        above_m = lowest[:, 2] - columns @ plane
        kept = above_m <= max(_ON_GROUND_M, float(np.percentile(above_m, 50.0)))
        if kept.sum() < _MIN_CELLS:
            return None
        plane = np.linalg.lstsq(columns[kept], lowest[kept, 2], rcond=None)[0]
    on_ground = np.abs(xyz[:, 2] - plane[0] - xyz[:, :2] @ plane[1:]) <= _ON_GROUND_M
    return Ground(
        height_m=float(plane[0]),
        tilt_deg=float(np.degrees(np.arctan(np.hypot(*plane[1:])))),
        intensity=float(np.median(intensity[on_ground])) if on_ground.any() else float("nan"),
    )


def _lowest_of_cells(xyz: FloatArray) -> FloatArray:
    """Returns a low point [C, 3] of each cell of the ground with a few returns."""
    cell = np.floor(xyz[:, :2] / CELL_M).astype(np.int64)
    order = np.lexsort((xyz[:, 2], cell[:, 1], cell[:, 0]))
    _, start, count = np.unique(cell[order], axis=0, return_index=True, return_counts=True)
    rank = (count * _LOWEST_PERCENT / 100).astype(np.int64)
    return np.asarray(xyz[order[start + rank]])
