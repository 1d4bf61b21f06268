"""Truth of what does not move, as rasters about the ego, from a vector map
(docs/design.md, section 11)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from leapai.geometry import boxes as box_geometry
from leapai.geometry import poses
from leapai.types import (
    LANE_MARKINGS,
    STATIC_CLASSES,
    BevGrid,
    BoolArray,
    FloatArray,
    Frame,
    StaticLabels,
    VectorMap,
)

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
MIRRORED = {
    "RightSolidLeftDashed": "LeftSolidRightDashed",
    "LeftSolidRightDashed": "RightSolidLeftDashed",
}
"""What a mirror makes of a kind; all others stay what they are."""
_PIECE_M = 1.0


def with_static_labels(
    frame: Frame, vector_map: VectorMap | None, region: BevGrid, known: Collection[str]
) -> Frame:
    """The frame with the static truth about its ego, which may be turned or mirrored; the frame as
    it is where there is no map. `known`: the classes that the map tells of."""
    if vector_map is None:
        return frame
    labels = rasterise(vector_map, frame.ego2global, region)
    reported = np.array([name in known for name in STATIC_CLASSES])
    return replace(frame, static_labels=replace(labels, known=reported))


def rasterise(
    vector_map: VectorMap,
    ego2global: FloatArray,
    region: BevGrid,
    boxes: FloatArray | None = None,
) -> StaticLabels:
    """Static truth of one frame over `region`.

    Lines count where their `kind` is one of `STATIC_CLASSES`. An open line covers a cell whose
    centre is at most half of its `WIDTH_M`, or half a cell, away. A road element's line that ends
    where it starts is an area and covers the centres inside. `ego2global` is [4, 4] float64, a
    mirror where its determinant is -1. With `boxes` [N, 7], all that stands in the way in the ego
    frame, there is free space, too.
    """
    lines, areas = _sorted_by_class(vector_map, ego2global)
    planes = np.zeros((len(STATIC_CLASSES), region.rows, region.columns), bool)
    for kind, outlines in lines.items():
        planes[STATIC_CLASSES.index(kind)] |= near(outlines, WIDTH_M[kind] / 2, region)
    for kind, outlines in areas.items():
        if kind in STATIC_CLASSES:
            planes[STATIC_CLASSES.index(kind)] |= _inside_any(outlines, region)
    free_space = None
    if boxes is not None and DRIVABLE_LAYER in areas:
        taken = planes[STATIC_CLASSES.index("Wall")]
        taken = taken | _covered(box_geometry.corners_bev(boxes), region)
        free_space = _inside_any(areas[DRIVABLE_LAYER], region) & ~taken
    markings = len(LANE_MARKINGS)
    return StaticLabels(planes[:markings], planes[markings:], free_space)


_Outlines = dict[str, list[FloatArray]]
"""Kind -> x y [K, 2] of each of its lines, ego frame."""


def _sorted_by_class(vector_map: VectorMap, ego2global: FloatArray) -> tuple[_Outlines, _Outlines]:
    """Open lines, and areas, among which drivable ones stand under `DRIVABLE_LAYER`."""
    lines, areas = defaultdict(list), defaultdict(list)
    ego_from_global = poses.invert(ego2global)
    is_mirror = np.linalg.det(ego2global[:3, :3]) < 0
    for line in vector_map:
        outline = poses.apply(ego_from_global, line.points_m)[:, :2]
        kind = MIRRORED.get(line.kind, line.kind) if is_mirror else line.kind
        if line.layer == DRIVABLE_LAYER:
            areas[DRIVABLE_LAYER].append(outline)
        elif kind in LANE_MARKINGS or (kind in STATIC_CLASSES and not _is_closed(outline)):
            lines[kind].append(outline)
        elif kind in STATIC_CLASSES:
            areas[kind].append(outline)
    return lines, areas


def _is_closed(outline_m: FloatArray) -> bool:
    return len(outline_m) > 3 and np.allclose(outline_m[0], outline_m[-1])


def _covered(footprints_m: FloatArray, region: BevGrid) -> BoolArray:
    """Cells [rows, columns] whose centre is in a footprint [N, 4, 2] or within half a cell of
    it."""
    outlines = list(np.concatenate([footprints_m, footprints_m[:, :1]], 1))
    return _inside_any(outlines, region) | near(outlines, 0.0, region)


def _inside_any(outlines_m: Sequence[FloatArray], region: BevGrid) -> BoolArray:
    covered = np.zeros((region.rows, region.columns), bool)
    low, high = np.array((region.x_range_m, region.y_range_m)).T
    for outline in outlines_m:
        if (outline.max(0) > low).all() and (outline.min(0) < high).all():
            covered |= inside(outline, region)
    return covered


def near(lines_m: Sequence[FloatArray], half_width_m: float, region: BevGrid) -> BoolArray:
    """Cells [rows, columns] whose centre is within `half_width_m`, at least half a cell, of one of
    the lines [K, 2].

    Lines are cut into pieces of a metre or less; each piece asks the cells of a small square about
    it.
    """
    reach = max(half_width_m, region.cell_m / 2)
    start, along = _pieces(lines_m, reach, region)
    side = np.arange(2 * int(np.ceil((_PIECE_M / 2 + reach) / region.cell_m)) + 1)
    low = np.array([region.x_range_m[0], region.y_range_m[0]])
    middle = np.floor((start + along / 2 - low) / region.cell_m).astype(np.int64)
    column, row = (middle[:, i, None] + side - len(side) // 2 for i in range(2))
    x = (low[0] + (column + 0.5) * region.cell_m - start[:, :1])[:, None, :]
    y = (low[1] + (row + 0.5) * region.cell_m - start[:, 1:])[:, :, None]
    dx, dy = along[:, 0, None, None], along[:, 1, None, None]
    share = np.clip((x * dx + y * dy) / np.maximum(dx**2 + dy**2, 1e-12), 0, 1)
    close = (x - share * dx) ** 2 + (y - share * dy) ** 2 <= reach**2
    mask = np.zeros((region.rows, region.columns), bool)
    known = ((row >= 0) & (row < region.rows))[:, :, None] & (
        (column >= 0) & (column < region.columns)
    )[:, None, :]
    piece, i, j = np.nonzero(close & known)
    mask[row[piece, i], column[piece, j]] = True
    return mask


def _pieces(
    lines_m: Sequence[FloatArray], reach_m: float, region: BevGrid
) -> tuple[FloatArray, FloatArray]:
    """Starts and vectors [P, 2] of pieces of at most `_PIECE_M`, those in range only."""
    nothing = [np.zeros((0, 2))]
    begin = np.concatenate([*(line[:-1] for line in lines_m), *nothing])
    vector = np.concatenate([*(np.diff(line, axis=0) for line in lines_m), *nothing])
    count = np.maximum(np.ceil(np.linalg.norm(vector, axis=1) / _PIECE_M), 1).astype(np.int64)
    segment = np.repeat(np.arange(len(count)), count)
    number = np.arange(len(segment)) - np.repeat(np.cumsum(count) - count, count)
    along = vector[segment] / count[segment, None]
    start = begin[segment] + along * number[:, None]
    low, high = np.array((region.x_range_m, region.y_range_m)).T
    margin = _PIECE_M + reach_m
    kept = ((start > low - margin) & (start < high + margin)).all(1)
    return start[kept], along[kept]


def inside(outline_m: FloatArray, region: BevGrid) -> BoolArray:
    """Cells [rows, columns] whose centre lies inside a closed outline [K, 2], by the even-odd rule.

    Every edge crosses the centre lines of some rows; what lies right of an odd number of crossings
    is inside.
    """
    low = [region.x_range_m[0], region.y_range_m[0]]
    column, row = ((outline_m - low) / region.cell_m - 0.5).T
    first, last = np.sort(np.stack([row[:-1], row[1:]]), axis=0)
    first = np.clip(np.ceil(first), 0, region.rows).astype(np.int64)
    last = np.clip(np.ceil(last), 0, region.rows).astype(np.int64)  # A row on the end: the next's.
    edge = np.repeat(np.arange(len(first)), last - first)
    crossed = np.arange(len(edge)) - np.repeat(np.cumsum(last - first) - last, last - first)
    share = (crossed - row[edge]) / (row[edge + 1] - row[edge])
    at = column[edge] + share * (column[edge + 1] - column[edge])
    crossings = np.zeros((region.rows, region.columns + 1), np.int64)
    np.add.at(crossings, (crossed, np.clip(np.ceil(at), 0, region.columns).astype(np.int64)), 1)
    odd: BoolArray = np.cumsum(crossings[:, :-1], axis=1) % 2 == 1
    return odd
