"""Bounds of the free lengths of a graph: as asked for, or what the configuration lets expect."""

from __future__ import annotations

from dataclasses import dataclass

from leapai.config.schema import TaskConfig
from leapai.runtime.manifest import MOST_LENGTH, FreeLength, LengthBounds
from leapai.types import BevGrid

_POINTS_OF_PILLAR = 4
"""Points of a pillar in an ordinary sweep."""


@dataclass(frozen=True)
class AskedLengths:
    """The usual and the largest value of each free length; None: by the configuration."""

    points: tuple[int, int] | None = None
    pairs: tuple[int, int] | None = None


AS_CONFIGURED = AskedLengths()


def length_bounds(
    config: TaskConfig, cameras: int, asked: AskedLengths
) -> dict[FreeLength, LengthBounds]:
    """Returns the bounds of the free lengths of a graph with so many cameras: by default of as many
    points as the pillars take, and of all cells in all cameras, of which each cell is usually seen
    by one. Raises ValueError for points where the network reads none."""
    bev, lidar = config.bev, config.lidar
    cells = bev.grid().rows * bev.grid().columns
    bounds: dict[FreeLength, LengthBounds] = {"M": _bounds(asked.pairs, cells, cells * cameras)}
    if config.enable_lidar:
        grid = BevGrid(bev.x_range_m, bev.y_range_m, cell_m=lidar.pillar_m)
        pillars = min(lidar.max_pillars, grid.rows * grid.columns)
        usual = pillars * min(_POINTS_OF_PILLAR, lidar.max_points_per_pillar)
        most = pillars * lidar.max_points_per_pillar
        bounds["P"] = _bounds(asked.points, usual, most)
    elif asked.points is not None:
        raise ValueError(f"{config.job_name} reads no points: leave --points out")
    return bounds


def _bounds(asked: tuple[int, int] | None, usual: int, most: int) -> LengthBounds:
    if asked is not None:
        usual, most = asked
    most = max(min(most, MOST_LENGTH), 2)
    return LengthBounds(least=2, usual=max(min(usual, most), 2), most=most)
