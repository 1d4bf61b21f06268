"""Vectorised map elements: polylines in metres from rasters of probability.

1. A layer is all nine lane markings together, or one map element. Its cells of at least the
   threshold are thinned to skeletons and traced (`leapai.streaming.thinning`). Taking markings
   together keeps a line whole, and single, where the network wavers between two kinds.
2. Ends that go on in each other are joined (`_partners`): over gaps, and straight over crossings.
3. Points move to the centroid of the probability about them, which is finer than a cell, and are
   smoothed along the line.
4. A marking's kind is the likeliest along the line, by a running mean over `_KIND_M`; the line is
   cut where that changes.
5. Lines are simplified (Douglas and Peucker, 1973); those shorter than `MIN_LENGTH_M` are dropped.

Why thinning and not ridges of the probability: networks saturate at 1 over the width of a line, and
there the plateau has no ridge, while the middle of a mask is always defined.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.ndimage import gaussian_filter1d, uniform_filter1d
from scipy.spatial import cKDTree

from leapai.geometry.polylines import length_m, simplified
from leapai.streaming.thinning import thin, trace
from leapai.types import LANE_MARKINGS, STATIC_CLASSES, BevGrid, FloatArray, IntArray, MapPolyline

THRESHOLD = 0.5
"""Cells of at least this probability are of a line; the same at which `evaluation.map.map_cells`
evaluates them."""
LINE_ELEMENTS = ("Wall", "Curb", "Lane", "SpeedBump")
"""Map elements that have a middle line; `GroundSigns` are areas."""
MIN_LENGTH_M = 1.0
_GAP_M, _OFFSET_M, _TURN_RAD = 1.5, 0.4, np.deg2rad(40.0)
_END_M = 1.0
"""A line's direction at its end is that of its last metre."""
_WINDOW = np.arange(-2, 3)
_SMOOTHING_M = 0.4
_KIND_M = 4.0


def polylines(
    probability: FloatArray, grid: BevGrid, threshold: float = THRESHOLD
) -> tuple[MapPolyline, ...]:
    """Returns the lines of one frame, in the ego frame, from probabilities [14, rows, columns] of
    `STATIC_CLASSES` over `grid`; masks will do.

    Kinds are those of `LANE_MARKINGS` and `LINE_ELEMENTS`.
    """
    lines = list(_layer(probability[: len(LANE_MARKINGS)], LANE_MARKINGS, grid, threshold))
    for kind in LINE_ELEMENTS:
        plane = probability[STATIC_CLASSES.index(kind)]
        lines += _layer(plane[None], (kind,), grid, threshold)
    return tuple(lines)


def _layer(
    planes: FloatArray, kinds: Sequence[str], grid: BevGrid, threshold: float
) -> Iterator[MapPolyline]:
    """Returns the lines of planes [C, rows, columns] that form one layer."""
    planes = np.asarray(planes, np.float32)
    likeliest = planes.max(0)
    mask = likeliest >= threshold
    if not mask.any():
        return
    paths = [path for path in trace(thin(mask)) if len(path) > 2]
    weight = np.pad(np.where(likeliest >= threshold / 2, likeliest, 0), len(_WINDOW) // 2)
    for path in joined(paths, grid.cell_m):
        closed = bool((path[0] == path[-1]).all())
        points = _smoothed(_centroids(weight, path), _SMOOTHING_M / grid.cell_m, closed)
        points_m = (points[:, ::-1] + 0.5) * grid.cell_m + grid.low_m[:2]
        along = planes[:, path[:, 0], path[:, 1]]
        for first, last, kind in _runs(along, round(_KIND_M / grid.cell_m)):
            line = simplified(points_m[first : last + 1])
            if length_m(line) >= MIN_LENGTH_M:
                yield MapPolyline(kinds[kind], float(along[kind, first : last + 1].mean()), line)


def _centroids(weight: FloatArray, path: IntArray) -> FloatArray:
    """Returns the centroid [K, 2] (row, column) of the weight in a window about each cell [K, 2];
    `weight` has a border of half a window."""
    row, column = (path[:, i, None] + np.arange(len(_WINDOW)) for i in (0, 1))
    around = weight[row[:, :, None], column[:, None, :]]
    total = around.sum((1, 2))
    down, right = (around.sum(3 - axis) @ _WINDOW / total for axis in (1, 2))
    return np.asarray(path + np.stack([down, right], 1))


def _smoothed(points: FloatArray, sigma: float, closed: bool) -> FloatArray:
    """Smooths points [K, 2] by a Gaussian along the line; ends stay where they are."""
    if closed:
        ring = gaussian_filter1d(points[:-1], sigma, axis=0, mode="wrap")
        return np.concatenate([ring, ring[:1]])
    reach = int(4 * sigma)
    padded = np.pad(points, ((reach, reach), (0, 0)), "reflect", reflect_type="odd")
    smooth: FloatArray = gaussian_filter1d(padded, sigma, axis=0)[reach:-reach]
    return smooth


def _runs(along: FloatArray, window: int) -> Iterator[tuple[int, int, int]]:
    """Yields first and last point, and the likeliest kind, of parts of a line, from probabilities
    [C, K]; a part ends where the next begins, and has two points at least."""
    kind = uniform_filter1d(along, window, axis=1, mode="nearest").argmax(0)
    starts = np.flatnonzero(np.diff(kind, prepend=-1))
    ends = [*starts[1:], len(kind) - 1]
    for first, last in zip(starts.tolist(), ends, strict=True):
        if last > first:
            yield first, int(last), int(kind[first])


def joined(paths: Sequence[IntArray], cell_m: float) -> list[IntArray]:
    """Joins paths of cells [K, 2] that go on in each other; rings stay as they are."""
    rings = [path for path in paths if (path[0] == path[-1]).all()]
    paths = [path for path in paths if (path[0] != path[-1]).any()]
    partner = _partners(paths, cell_m)
    chains, left = [], np.ones(len(paths), bool)
    free = np.flatnonzero(partner < 0).tolist()
    for start in (*free, *range(len(partner))):
        if left[start // 2]:
            entered = _entered(partner, start)
            chains.append(_chain(paths, entered, closed=partner[start] >= 0))
            left[[end // 2 for end in entered]] = False
    return rings + chains


def _entered(partner: IntArray, start: int) -> list[int]:
    """Returns the end at which each path of a chain is entered, from `start` on."""
    entered = [start]
    while (following := int(partner[entered[-1] ^ 1])) >= 0 and following != start:
        entered.append(following)
    return entered


def _chain(paths: Sequence[IntArray], entered: Sequence[int], closed: bool) -> IntArray:
    """Returns the cells of the paths of a chain, one after another; `closed`: and the first cell
    again."""
    parts = [paths[end // 2][:: -1 if end % 2 else 1] for end in entered]
    return np.concatenate([*parts, parts[0][:1]] if closed else parts)


def _partners(paths: Sequence[IntArray], cell_m: float) -> IntArray:
    """Returns the end that goes on from each end [2 P], -1 for none; path p has ends 2 p (its first
    cell) and 2 p + 1.

    Two ends go on in each other where they are at most `_GAP_M` apart, the line turns by at most
    `_TURN_RAD`, and neither lies more than `_OFFSET_M` off the other's last metre prolonged. Of
    several the one with the smallest gap and offsets is taken.
    """
    partner = np.full(2 * len(paths), -1)
    if not paths:
        return partner
    at, outward = _directed_ends(paths, cell_m)
    a, b = cKDTree(at).query_pairs(_GAP_M, output_type="ndarray").T
    gap = at[b] - at[a]
    offset = np.abs(_cross(outward[a], gap)), np.abs(_cross(outward[b], gap))
    goes_on = -(outward[a] * outward[b]).sum(1) >= np.cos(_TURN_RAD)
    goes_on &= ((outward[a] - outward[b]) * gap).sum(1) >= 0
    goes_on &= np.maximum(*offset) <= _OFFSET_M
    cost = np.hypot(*gap.T) + offset[0] + offset[1]
    order = np.flatnonzero(goes_on)
    for pair in order[np.argsort(cost[order], kind="stable")]:
        if partner[a[pair]] < 0 and partner[b[pair]] < 0:
            partner[a[pair]], partner[b[pair]] = b[pair], a[pair]
    return partner


def _directed_ends(paths: Sequence[IntArray], cell_m: float) -> tuple[FloatArray, FloatArray]:
    """Returns positions in metres and unit directions out of the line, [2 P, 2] each."""
    reach = round(_END_M / cell_m)
    at = np.array([path[end] for path in paths for end in (0, -1)]) * cell_m
    inner = [
        path[i] for path in paths for i in (min(reach, len(path) - 1), -min(reach + 1, len(path)))
    ]
    outward = at - np.array(inner) * cell_m
    return at, outward / np.linalg.norm(outward, axis=1, keepdims=True)


def _cross(a: FloatArray, b: FloatArray) -> FloatArray:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
