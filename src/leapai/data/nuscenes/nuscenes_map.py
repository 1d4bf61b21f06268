"""nuScenes' map expansion (version 1.3, JSON) around one scene, in the classes of the static task
(docs/design.md, section 11).

Its frame is the global frame; it has no heights, and neither have nuScenes' ego poses. Not read:
`stop_line` (ground to stop on, no paint), `walkway`, `carpark_area`, `traffic_light`, lanes across
intersections (`lane_connector`), and the divider segments of `lane`, which repeat, out of order
(nuscenes-devkit issue 417), what `lane_divider` holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

from leapai.data.map_edges import Area, clipped, road_edges, runs
from leapai.data.nuscenes.nuscenes_map_tables import REMEDY, MapTables, moves
from leapai.types import STATIC_CLASSES, BoolArray, FloatArray, MapLine, VectorMap

LANE_MARK_OF = {
    "SINGLE_SOLID_WHITE": "SolidLine",
    "SINGLE_SOLID_YELLOW": "SolidLine",
    "DOUBLE_SOLID_WHITE": "DoubleSolidLine",
    # There is no word for a single dashed line, the commonest one of both cities, and this is the
    # commonest word: it is taken for that line.
    "DOUBLE_DASHED_WHITE": "DashedLine",
}
"""Segment type of a lane divider -> our class. `NIL` is no paint, or not annotated;
`SINGLE_ZIGZAG_WHITE` is paint that we have no class for: both keep their words."""
ROAD_DIVIDER = "ROAD_DIVIDER"
"""Our word for what separates the two directions: the map has its place, not what is painted
there."""
MAPPED_CLASSES = tuple(
    name
    for name in STATIC_CLASSES
    if name in {"Curb", "Lane", "GroundSigns", *LANE_MARK_OF.values()}
)
"""Classes that the map can contain. Of paint it has crossings and what separates lanes of one
direction; lines between directions have no type, and those along the edge of the carriageway are
missing."""
NEAR_M = 120.0
"""Distance from the box around the ego's path beyond which the map is left out."""
CITIES_IN_MEMORY, MAPS_IN_MEMORY = 4, 32


def read_map(path: Path, ego_path_m: FloatArray) -> VectorMap | None:
    """Returns the vector map of the file `path` around a drive along `ego_path_m` [T, 2], global
    frame, or None where there is no such file.

    Lane dividers are of our class, or of the segment type's word, and are cut where that changes;
    crossings and drivable areas are closed lines; the edges of all drivable ground are kerbs; the
    middles of lanes outside intersections are lanes. Raises ValueError where the file is broken.
    """
    if not path.is_file():
        return None
    low, high = ego_path_m.min(0) - NEAR_M, ego_path_m.max(0) + NEAR_M
    return _near(path, tuple(low.tolist()), tuple(high.tolist()))


@lru_cache(maxsize=MAPS_IN_MEMORY)
def _near(path: Path, low_m: tuple[float, ...], high_m: tuple[float, ...]) -> VectorMap:
    city = _read(path)
    low, high = np.array(low_m), np.array(high_m)
    lines = [city.lines[i] for i in _meeting(city.line_boxes_m, low, high)]
    areas = []
    for i in _meeting(city.area_boxes_m, low, high):
        cut = [clipped(outline, low, high) for outline in city.areas[i]]
        areas.append([outline for outline in cut if len(outline)])
    areas = [area for area in areas if area]
    lines += [MapLine("DRIVABLE_AREA", "drivable_area", _as_one_line(area)) for area in areas]
    for edge in road_edges(areas):
        middle = (edge[1:, :2] + edge[:-1, :2]) / 2
        within: BoolArray = np.all((middle > low) & (middle < high), axis=1)
        lines += [MapLine("Curb", "road_edge", part) for part in runs(edge, within)]
    return tuple(lines)


def _meeting(boxes_m: FloatArray, low_m: FloatArray, high_m: FloatArray) -> list[int]:
    """Returns the indices of those of `boxes_m` [N, 2, 2] (low, high) that overlap with the box."""
    meets = (boxes_m[:, 1] > low_m).all(1) & (boxes_m[:, 0] < high_m).all(1)
    return [int(i) for i in np.flatnonzero(meets)]


def _as_one_line(area: Area) -> FloatArray:
    """Returns the outlines of an area as one closed line [K, 3]: a hole is joined to it by a way to
    its nearest point and back, which encloses nothing."""
    whole, *holes = area
    for hole in holes:
        distance, nearest = KDTree(whole).query(hole)
        at = int(np.argmin(distance))
        loop = np.roll(hole[:-1], -at, axis=0)
        cut = int(np.asarray(nearest)[at])
        whole = np.concatenate([whole[: cut + 1], loop, loop[:1], whole[cut:]])
    return whole


class _City(NamedTuple):
    """The content of one file as arrays, some MB."""

    lines: VectorMap
    line_boxes_m: FloatArray
    """[N, 2, 2] low and high."""
    areas: list[Area]
    area_boxes_m: FloatArray


@lru_cache(maxsize=CITIES_IN_MEMORY)
def _read(path: Path) -> _City:
    try:
        tables = MapTables(path)
        lines, areas = tuple(_lines(tables)), tables.drivable_areas()
    except (AttributeError, TypeError) as error:  # a list for a dictionary, and the like
        raise ValueError(f"{path} is not laid out as a map is ({error}); {REMEDY}") from error
    line_boxes = _boxes([line.points_m for line in lines])
    return _City(lines, line_boxes, areas, _boxes([area[0] for area in areas]))


def _lines(tables: MapTables) -> Iterable[MapLine]:
    yield from _lane_dividers(tables)
    for line in tables.road_dividers():
        yield MapLine(ROAD_DIVIDER, "lane_boundary", line)
    for line in tables.centre_lines():
        yield MapLine("Lane", "centreline", line)
    for outline in tables.crossings():
        yield MapLine("GroundSigns", "crossing", outline)


def _boxes(lines_m: Sequence[FloatArray]) -> FloatArray:
    boxes = [(line[:, :2].min(0), line[:, :2].max(0)) for line in lines_m]
    return np.array(boxes, np.float64).reshape(-1, 2, 2)


def _lane_dividers(tables: MapTables) -> Iterable[MapLine]:
    """Returns lane dividers, cut where their type changes. A type belongs to the piece from its
    node to the next; that of the last node has no meaning (`NIL` in nuscenes-devkit issue 894)."""
    for points_m, words in tables.lane_dividers():
        kinds = np.array([LANE_MARK_OF.get(word, word) for word in words])
        kept = np.append(moves(points_m), True)
        of_pieces = kinds[kept][:-1]
        for kind in dict.fromkeys(of_pieces.tolist()):
            for part in runs(points_m[kept], of_pieces == kind):
                yield MapLine(kind, "lane_boundary", part)
