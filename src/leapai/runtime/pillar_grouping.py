"""Points to pillars with NumPy, as an exported step takes them: the twin of
`leapai.models.lidar.PillarGrouping` and `leapai.models.intensity` for one stream."""

from __future__ import annotations

import math

import numpy as np

from leapai.config.network_sections import LidarConfig
from leapai.types import BevGrid, FloatArray, IntArray

_FEWEST = 2
"""Points that a graph takes at least."""
_GROUND, _GROUND_POINTS, _FULL = 0.04, 50, 25.0
_NEAR_M, _FAR_M, _HEIGHT_M = 3.0, 30.0, 0.4


class PillarGrouping:
    """Groups points into the pillars of a grid. Of more than `max_pillars` the nearest to the ego
    stay, of more than `max_points_per_pillar` points the first of the sweep, and of more than
    `most` in all those of the nearest pillars."""

    def __init__(self, config: LidarConfig, grid: BevGrid, most: int) -> None:
        self.grid, self.by_ground = grid, config.intensity == "ground"
        self.most_points, self.most = config.max_points_per_pillar, most
        self.pillars = min(config.max_pillars, grid.rows * grid.columns)
        x, y = grid.cell_centres_m().T
        self.near_first = np.argsort(x * x + y * y, kind="stable")

    def __call__(self, points: FloatArray) -> dict[str, np.ndarray]:
        """Returns points [P, 5], the pillar of each and the cell of each pillar, by the names that
        a graph has for them. Points that are outside, not finite or too many are left out."""
        if self.by_ground:
            points = relative_to_ground(points)
        cell = self._cells(points)
        pillar_of_cell, cell_of_pillar = self._pillars(cell)
        pillar = pillar_of_cell[cell]
        order = np.argsort(pillar, kind="stable")
        pillar = pillar[order]
        rank = np.arange(len(pillar)) - np.searchsorted(pillar, pillar)
        counts = (pillar < self.pillars) & (rank < self.most_points)
        kept = counts.nonzero()[0][: self.most]
        points, pillar = points[order][kept], pillar[kept]
        if len(kept) == self.most:  # a pillar whose points are left out is an empty one
            cell_of_pillar[pillar[-1] + 1 :] = self.grid.rows * self.grid.columns
        missing = max(_FEWEST - len(pillar), 0)
        return {
            "points": np.pad(points, ((0, missing), (0, 0))),
            "point_pillar": np.pad(pillar, (0, missing), constant_values=self.pillars),
            "pillar_cell": cell_of_pillar,
        }

    def _cells(self, points: FloatArray) -> IntArray:
        """Returns the cell [P] of each point; behind the last cell for a point outside."""
        grid = self.grid
        local = points[:, :3] - np.array(grid.low_m, np.float32)
        inside = np.asarray(
            ((local >= 0) & (local < np.array(grid.extent_m, np.float32))).all(1)
            & np.isfinite(points).all(1)
        )
        place = np.where(inside[:, None], local[:, :2] / np.float32(grid.cell_m), 0).astype(int)
        column, row = place.clip(max=(grid.columns - 1, grid.rows - 1)).T
        return np.where(inside, row * grid.columns + column, grid.rows * grid.columns)

    def _pillars(self, cell: IntArray) -> tuple[IntArray, IntArray]:
        """Returns the pillar of each cell [rows * columns + 1], and the cell of each pillar [V],
        given the cells of points [P]."""
        cells = len(self.near_first)
        hit = np.zeros(cells + 1, bool)
        hit[cell] = True
        found = self.near_first[hit[self.near_first]][: self.pillars]
        pillar_of_cell = np.full(cells + 1, self.pillars)
        pillar_of_cell[found] = np.arange(len(found))
        return pillar_of_cell, np.pad(found, (0, self.pillars - len(found)), constant_values=cells)


def relative_to_ground(points: FloatArray) -> FloatArray:
    """Returns points [P, 5] with their intensity scaled by the median of the ground, compressed."""
    x, y, z, intensity = points[:, :4].T
    distance2 = x * x + y * y
    level = (distance2 > _NEAR_M**2) & (distance2 < _FAR_M**2) & (np.abs(z) < _HEIGHT_M)
    known = np.maximum(intensity, 0)
    of_ground = np.sort(known[level & np.isfinite(intensity)])
    ground = np.float32(_GROUND)
    if len(of_ground) >= _GROUND_POINTS:
        ground = np.maximum(of_ground[(len(of_ground) - 1) // 2], np.float32(1e-4))
    scaled = points.copy()
    scaled[:, 3] = np.minimum(np.log1p(known / ground) / np.float32(math.log1p(_FULL)), 1)
    return scaled
