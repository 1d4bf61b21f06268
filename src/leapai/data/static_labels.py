"""Truth of what does not move, as rasters about the ego, from a vector map (design, section 11)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from leapai.geometry import boxes as box_geometry
from leapai.geometry import poses
from leapai.geometry.grid import BevGrid
from leapai.types import BoolArray, FloatArray, VectorMap

LANE_MARKINGS = (
    "SolidLine",
    "DoubleSolidLine",
    "DashedLine",
    "DoubleDashedLine",
    "RightSolidLeftDashed",
    "LeftSolidRightDashed",
    "WideSolidLine",
    "WideDashedLine",
    "ShortDashedLine",
)
ROAD_ELEMENTS = ("Wall", "Curb", "Lane", "SpeedBump", "GroundSigns")
GRID = BevGrid(x_range_m=(-20.8, 62.4), y_range_m=(-22.4, 22.4), cell_m=0.2)
"""224 rows along y, 416 columns along x."""
DRIVABLE_LAYER = "drivable_area"
_SINGLE_M, _WIDE_M, _DOUBLE_M = 0.14, 0.30, 0.38
WIDTH_M = {
    **dict.fromkeys(LANE_MARKINGS, _SINGLE_M),
    **{name: _DOUBLE_M for name in LANE_MARKINGS if "Double" in name or "Left" in name},
    **{name: _WIDE_M for name in LANE_MARKINGS if "Wide" in name},
    "Wall": 0.30,
    "Curb": 0.20,
    "Lane": 0.20,
    "SpeedBump": 0.40,
    "GroundSigns": 0.20,
}
"""Width of an open line by its kind; a double line is two single ones and what lies between."""
_PIECE_M = 1.0


@dataclass(frozen=True)
class StaticLabels:
    """Rasters over `GRID`: row along y from its lower end, column along x from its lower end."""

    lane_markings: BoolArray
    """[9, 224, 416], a plane for each of `LANE_MARKINGS`. A dashed line has no gaps."""
    road_elements: BoolArray
    """[5, 224, 416], a plane for each of `ROAD_ELEMENTS`."""
    free_space: BoolArray | None
    """[224, 416] drivable ground that is under no object and no wall; None: the map does not say
    what is drivable."""


def rasterise(vector_map: VectorMap, ego2global: FloatArray, boxes: FloatArray) -> StaticLabels:
    """Static truth of one frame.

    Lines count where their `kind` is one of `LANE_MARKINGS` or `ROAD_ELEMENTS`. An open line covers
    a cell whose centre is at most half of its `WIDTH_M`, or half a cell, away. A line that ends
    where it starts is an area and covers the centres inside. `ego2global` is [4, 4] float64;
    `boxes` [N, 7] are all that stands in the way, in the ego frame.
    """
    outlines = _in_ego_frame(vector_map, ego2global)
    lanes = np.zeros((len(LANE_MARKINGS), GRID.rows, GRID.columns), bool)
    elements = np.zeros((len(ROAD_ELEMENTS), GRID.rows, GRID.columns), bool)
    drivable = np.zeros((GRID.rows, GRID.columns), bool)
    for line, outline in zip(vector_map, outlines, strict=True):
        if line.layer == DRIVABLE_LAYER:
            drivable |= inside(outline)
        elif line.kind in LANE_MARKINGS:
            lanes[LANE_MARKINGS.index(line.kind)] |= near(outline, WIDTH_M[line.kind] / 2)
        elif line.kind in ROAD_ELEMENTS:
            elements[ROAD_ELEMENTS.index(line.kind)] |= _element(line.kind, outline)
    if not any(line.layer == DRIVABLE_LAYER for line in vector_map):
        return StaticLabels(lanes, elements, None)
    taken = elements[ROAD_ELEMENTS.index("Wall")] | _covered(box_geometry.corners_bev(boxes))
    return StaticLabels(lanes, elements, drivable & ~taken)


def _in_ego_frame(vector_map: VectorMap, ego2global: FloatArray) -> Iterable[FloatArray]:
    """x y [K, 2] of every line."""
    ego_from_global = poses.invert(ego2global)
    return [poses.apply(ego_from_global, line.points_m)[:, :2] for line in vector_map]


def _element(kind: str, outline_m: FloatArray) -> BoolArray:
    is_area = len(outline_m) > 3 and np.allclose(outline_m[0], outline_m[-1])
    return inside(outline_m) if is_area else near(outline_m, WIDTH_M[kind] / 2)


def _covered(footprints_m: FloatArray) -> BoolArray:
    """Cells [rows, columns] whose centre is in a footprint [N, 4, 2] or within half a cell of
    it."""
    covered = np.zeros((GRID.rows, GRID.columns), bool)
    low, high = np.array((GRID.x_range_m, GRID.y_range_m)).T
    in_range = (footprints_m.max(1) > low).all(1) & (footprints_m.min(1) < high).all(1)
    for corners in footprints_m[in_range]:
        outline = np.concatenate([corners, corners[:1]])
        covered |= inside(outline) | near(outline, 0.0)
    return covered


def near(line_m: FloatArray, half_width_m: float) -> BoolArray:
    """Cells [rows, columns] whose centre is within `half_width_m`, at least half a cell, of a line
    [K, 2].

    The line is cut into pieces of a metre or less; each piece asks the cells of a small square
    about it.
    """
    reach = max(half_width_m, GRID.cell_m / 2)
    start, along = _pieces(line_m, reach)
    side = np.arange(2 * int(np.ceil((_PIECE_M / 2 + reach) / GRID.cell_m)) + 1)
    low = np.array([GRID.x_range_m[0], GRID.y_range_m[0]])
    middle = np.floor((start + along / 2 - low) / GRID.cell_m).astype(np.int64)
    column, row = (middle[:, i, None] + side - len(side) // 2 for i in range(2))
    x = (low[0] + (column + 0.5) * GRID.cell_m - start[:, :1])[:, None, :]
    y = (low[1] + (row + 0.5) * GRID.cell_m - start[:, 1:])[:, :, None]
    dx, dy = along[:, 0, None, None], along[:, 1, None, None]
    share = np.clip((x * dx + y * dy) / np.maximum(dx**2 + dy**2, 1e-12), 0, 1)
    close = (x - share * dx) ** 2 + (y - share * dy) ** 2 <= reach**2
    mask = np.zeros((GRID.rows, GRID.columns), bool)
    known = ((row >= 0) & (row < GRID.rows))[:, :, None] & (
        (column >= 0) & (column < GRID.columns)
    )[:, None, :]
    piece, i, j = np.nonzero(close & known)
    mask[row[piece, i], column[piece, j]] = True
    return mask


def _pieces(line_m: FloatArray, reach_m: float) -> tuple[FloatArray, FloatArray]:
    """Starts and vectors [P, 2] of pieces of at most `_PIECE_M`, those in range only."""
    length = np.linalg.norm(np.diff(line_m, axis=0), axis=1)
    count = np.maximum(np.ceil(length / _PIECE_M), 1).astype(np.int64)
    segment = np.repeat(np.arange(len(count)), count)
    number = np.arange(len(segment)) - np.repeat(np.cumsum(count) - count, count)
    along = np.diff(line_m, axis=0)[segment] / count[segment, None]
    start = line_m[segment] + along * number[:, None]
    low, high = np.array((GRID.x_range_m, GRID.y_range_m)).T
    margin = _PIECE_M + reach_m
    kept = ((start > low - margin) & (start < high + margin)).all(1)
    return start[kept], along[kept]


def inside(outline_m: FloatArray) -> BoolArray:
    """Cells [rows, columns] whose centre lies inside a closed outline [K, 2], by the even-odd rule.

    Every edge crosses the centre lines of some rows; what lies right of an odd number of crossings
    is inside.
    """
    column, row = ((outline_m - [GRID.x_range_m[0], GRID.y_range_m[0]]) / GRID.cell_m - 0.5).T
    first, last = np.sort(np.stack([row[:-1], row[1:]]), axis=0)
    first = np.clip(np.ceil(first), 0, GRID.rows).astype(np.int64)
    last = np.clip(np.ceil(last), 0, GRID.rows).astype(np.int64)  # A row on the end is the next's.
    edge = np.repeat(np.arange(len(first)), last - first)
    crossed = np.arange(len(edge)) - np.repeat(np.cumsum(last - first) - last, last - first)
    share = (crossed - row[edge]) / (row[edge + 1] - row[edge])
    at = column[edge] + share * (column[edge + 1] - column[edge])
    crossings = np.zeros((GRID.rows, GRID.columns + 1), np.int64)
    np.add.at(crossings, (crossed, np.clip(np.ceil(at), 0, GRID.columns).astype(np.int64)), 1)
    odd: BoolArray = np.cumsum(crossings[:, :-1], axis=1) % 2 == 1
    return odd
