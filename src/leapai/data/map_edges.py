"""Geometry of vector maps: lengths along lines, areas cut to a box, edges of drivable ground."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from leapai.types import BoolArray, FloatArray

PIECE_M = 2.0
"""Points of a line that is sampled are at most this far apart."""
Area = Sequence[FloatArray]
"""Closed outlines [K, 3]: the outer one and those of holes. What an odd number of them encloses is
inside."""
_SIDEWAYS_M = 0.3
"""Distance from an outline at which both of its sides are examined."""


def along(line_m: FloatArray) -> FloatArray:
    """Returns the length [K] up to each point of a line [K, 3]."""
    steps = np.linalg.norm(np.diff(line_m, axis=0), axis=1)
    return np.concatenate([[0.0], np.cumsum(steps)])


def road_edges(areas: Sequence[Area]) -> list[FloatArray]:
    """Returns lines [K, 3] where the ground of all areas ends. None is closed, as it would then
    count as an area.

    Areas of the map meet: a piece of an outline that has drivable ground on both of its sides lies
    in the middle of the carriageway.
    """
    outlines = [outline for area in areas for outline in area]
    lines = [half for outline in outlines for half in _halves(_with_points_between(outline))]
    start = np.concatenate([np.zeros((0, 2)), *(line[:-1, :2] for line in lines)])
    vector = np.concatenate([np.zeros((0, 2)), *(np.diff(line[:, :2], axis=0) for line in lines)])
    length = np.maximum(np.linalg.norm(vector, axis=1, keepdims=True), 1e-9)
    sideways = _SIDEWAYS_M * np.stack([-vector[:, 1], vector[:, 0]], -1) / length
    middle = start + vector / 2
    ends = ~(_drivable(middle + sideways, areas) & _drivable(middle - sideways, areas))
    of_lines = np.split(ends, np.cumsum([len(line) - 1 for line in lines]))
    return [run for line, kept in zip(lines, of_lines, strict=False) for run in runs(line, kept)]


def runs(line_m: FloatArray, kept: BoolArray) -> list[FloatArray]:
    """Returns the parts of a line [K, 3] whose pieces [K - 1] are kept."""
    changes = np.flatnonzero(np.diff(np.concatenate([[False], kept, [False]]).astype(np.int8)))
    return [line_m[a : b + 1] for a, b in changes.reshape(-1, 2)]


def clipped(outline_m: FloatArray, low_m: FloatArray, high_m: FloatArray) -> FloatArray:
    """Clips a closed line to the box from `low_m` to `high_m` [2]: the result [K, 3] encloses in
    the box what `outline_m` does, and nothing elsewhere; [0, 3] where there is nothing. Parts of it
    lie on the border.

    Clips at one side of the box after the other, as Sutherland and Hodgman (1974).
    """
    sides = ((0, low_m[0], 1), (1, low_m[1], 1), (0, high_m[0], -1), (1, high_m[1], -1))
    for axis, limit, sign in sides:
        depth = sign * (outline_m[:, axis] - limit)
        cut = np.flatnonzero((depth[:-1] >= 0) != (depth[1:] >= 0))
        share = depth[cut] / (depth[cut] - depth[cut + 1])
        at = outline_m[cut] + share[:, None] * (outline_m[cut + 1] - outline_m[cut])
        at[:, axis] = limit
        within = np.insert(depth, cut + 1, 0.0) >= 0
        outline_m = closed(np.insert(outline_m, cut + 1, at, axis=0)[within])
    return outline_m


def closed(line_m: FloatArray) -> FloatArray:
    """Returns the line [K, 3] with its first point again at its end."""
    is_closed = len(line_m) == 0 or (line_m[0] == line_m[-1]).all()
    return line_m if is_closed else np.concatenate([line_m, line_m[:1]])


def _halves(line_m: FloatArray) -> tuple[FloatArray, FloatArray]:
    middle = len(line_m) // 2
    return line_m[: middle + 1], line_m[middle:]


def _with_points_between(line_m: FloatArray) -> FloatArray:
    """Returns the line [K, 3] with points added, so that none is farther than 2 m from the next."""
    at_points = along(line_m)
    count = np.maximum(np.ceil(np.diff(at_points) / PIECE_M), 1).astype(np.int64)
    ends = zip(at_points[:-1], at_points[1:], count, strict=True)
    at = np.concatenate(
        [*(np.linspace(a, b, n, endpoint=False) for a, b, n in ends), at_points[-1:]]
    )
    return np.stack([np.interp(at, at_points, line_m[:, i]) for i in range(3)], -1)


def _drivable(points_m: FloatArray, areas: Sequence[Area]) -> BoolArray:
    """Returns which points [P, 2] lie in one of the areas."""
    found = np.zeros(len(points_m), bool)
    for area in areas:
        low, high = area[0][:, :2].min(0), area[0][:, :2].max(0)
        near = np.flatnonzero(((points_m >= low) & (points_m <= high)).all(1))
        found[near] |= _inside(points_m[near], area)
    return found


def _inside(points_m: FloatArray, area: Area) -> BoolArray:
    """Returns which points [P, 2] are in an area by the even-odd rule: a point inside has an odd
    number of edges to its right. Points are sorted by y, so that an edge is compared with those
    between its ends only."""
    x0, y0 = np.concatenate([outline[:-1, :2] for outline in area]).T
    x1, y1 = np.concatenate([outline[1:, :2] for outline in area]).T
    order = np.argsort(points_m[:, 1])
    y = points_m[order, 1]
    first, last = (np.searchsorted(y, ends) for ends in (np.minimum(y0, y1), np.maximum(y0, y1)))
    count = last - first
    edge = np.repeat(np.arange(len(count)), count)
    rank = np.arange(len(edge)) - np.repeat(np.cumsum(count) - last, count)
    share = (y[rank] - y0[edge]) / (y1[edge] - y0[edge])
    point = order[rank]
    crossed = points_m[point, 0] < x0[edge] + share * (x1[edge] - x0[edge])
    odd: BoolArray = np.bincount(point[crossed], minlength=len(points_m)) % 2 == 1
    return odd
