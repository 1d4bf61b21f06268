"""Argoverse 2's vector map (JSON) of one log, in the classes of the static task
(docs/design.md, section 11)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from leapai.data import columns, reading
from leapai.data.checked_table import MAX_COORDINATE_M
from leapai.data.map_edges import PIECE_M, along, road_edges
from leapai.types import STATIC_CLASSES, FloatArray, MapLine, VectorMap

LANE_MARK_OF = {
    "SOLID": ("SolidLine", "SolidLine"),
    "DASHED": ("DashedLine", "DashedLine"),
    "DOUBLE_SOLID": ("DoubleSolidLine", "DoubleSolidLine"),
    "DOUBLE_DASH": ("DoubleDashedLine", "DoubleDashedLine"),
    "SOLID_DASH": ("RightSolidLeftDashed", "LeftSolidRightDashed"),
    "DASH_SOLID": ("LeftSolidRightDashed", "RightSolidLeftDashed"),
}
"""Mark type without its colour -> our class where it is the left, and the right, boundary of a
lane: double lines are named from the lane outwards (av2 `rendering/map.py`). `NONE` and `UNKNOWN`
are no paint and keep their words."""
MAPPED_CLASSES = tuple(
    name
    for name in STATIC_CLASSES
    if name in {"Curb", "Lane", "GroundSigns", *(n for pair in LANE_MARK_OF.values() for n in pair)}
)
"""Classes that the map can contain. It has neither walls nor speed bumps, nor the width of a line
or the length of a dash; of what is painted on the ground it has crossings."""
MAPS_IN_MEMORY = 32
"""Maps of this many logs stay in memory, about 0.1 MB each."""
MAX_EXTENT_M = 10_000.0
"""Largest element; one that is larger has a point that is far away."""
_logger = logging.getLogger(__name__)
_T = TypeVar("_T")
_REMEDY = "get this log again, or leave it out"


def read_map(folder: Path) -> VectorMap | None:
    """Returns the vector map in the log `folder`, in the city frame, or None where there is none.

    Lane boundaries are of our class, or of the mark type's word where nothing is painted; crossings
    and drivable areas are closed lines; the edges of all drivable ground are kerbs; the middles of
    lanes outside intersections are lanes. An element that cannot be used is left out and counted.
    Raises ValueError where the file cannot be read, or most of its elements cannot be used.
    """
    path = next(iter(sorted(folder.glob("map/log_map_archive_*.json"))), None)
    return None if path is None else _read(path)


class _Segment(NamedTuple):
    """One piece of a lane; sides are left and right."""

    is_intersection: bool
    boundaries_m: tuple[FloatArray, FloatArray]
    mark_types: tuple[str, str]


@lru_cache(maxsize=MAPS_IN_MEMORY)
def _read(path: Path) -> VectorMap:
    content = reading.read_json(path, _REMEDY)
    segments = _elements(path, content, "lane_segments", _segment)
    lines = [*_lane_boundaries(segments), *_lanes(segments)]
    for outline in _elements(path, content, "pedestrian_crossings", _crossing):
        lines.append(MapLine("GroundSigns", "crossing", outline))
    areas = _elements(path, content, "drivable_areas", _area)
    lines += [MapLine("DRIVABLE_AREA", "drivable_area", area) for area in areas]
    lines += [MapLine("Curb", "road_edge", edge) for edge in road_edges([[area] for area in areas])]
    return tuple(lines)


def _elements(
    path: Path, content: Any, name: str, read: Callable[[Mapping[str, Any]], _T | None]
) -> list[_T]:
    """Returns the elements of the table `name` that can be used. Raises ValueError where these are
    less than half."""
    table = content.get(name) if isinstance(content, dict) else None
    if not isinstance(table, dict):
        raise ValueError(f"{path} has no table {name}; {_REMEDY}")
    found = {
        token: read(element) if isinstance(element, dict) else None
        for token, element in table.items()
    }
    usable = [element for element in found.values() if element is not None]
    bad = len(found) - len(usable)
    if bad:
        first = next(ascii(token)[:60] for token, element in found.items() if element is None)
        words = f"{name}: {bad} of {len(found)} cannot be used; the first is {first}"
        if bad > len(usable):
            raise ValueError(f"{path}: {words}; {_REMEDY}")
        _logger.warning("%s: %s; they are left out", path, words)
    return usable


def _segment(element: Mapping[str, Any]) -> _Segment | None:
    left, right = (_points(element.get(f"{side}_lane_boundary"), 2) for side in ("left", "right"))
    marks, _ = columns.names([element.get(f"{side}_lane_mark_type") for side in ("left", "right")])
    is_intersection = element.get("is_intersection")
    if left is None or right is None or not all(marks) or not isinstance(is_intersection, bool):
        return None
    return _Segment(is_intersection, (left, right), (marks[0], marks[1]))


def _crossing(element: Mapping[str, Any]) -> FloatArray | None:
    first, second = (_points(element.get(edge), 2) for edge in ("edge1", "edge2"))
    if first is None or second is None:
        return None
    return np.concatenate([first, second[::-1], first[:1]])


def _area(element: Mapping[str, Any]) -> FloatArray | None:
    outline = _points(element.get("area_boundary"), 3)
    return None if outline is None else np.concatenate([outline, outline[:1]])


def _points(value: Any, least: int) -> FloatArray | None:
    """Returns a line [K, 3] of `least` points or more; None: it is none."""
    if not isinstance(value, list) or len(value) < least:
        return None
    rows = [[p.get("x"), p.get("y"), p.get("z")] if isinstance(p, dict) else None for p in value]
    points_m = columns.numbers(rows, 3)
    is_line = columns.positions(points_m, MAX_COORDINATE_M).all()
    return points_m if is_line and np.ptp(points_m, axis=0).max() <= MAX_EXTENT_M else None


def _lane_boundaries(segments: Sequence[_Segment]) -> list[MapLine]:
    """Returns both boundaries of every lane; one that neighbours share occurs once."""
    lines: dict[tuple[str, bytes], MapLine] = {}
    for segment in segments:
        sides = zip(segment.mark_types, segment.boundaries_m, strict=True)
        for i, (word, points_m) in enumerate(sides):
            kinds = LANE_MARK_OF.get(word.rpartition("_")[0])
            kind = kinds[i] if kinds else word
            lines.setdefault((kind, points_m.tobytes()), MapLine(kind, "lane_boundary", points_m))
    return list(lines.values())


def _lanes(segments: Sequence[_Segment]) -> list[MapLine]:
    """Returns the middle between both boundaries of every lane, a point every 2 m."""
    lines = []
    for segment in segments:
        if not segment.is_intersection:
            length_m = max(along(side)[-1] for side in segment.boundaries_m)
            count = 1 + int(np.ceil(length_m / PIECE_M))
            middle = np.mean([_resampled(side, count) for side in segment.boundaries_m], axis=0)
            lines.append(MapLine("Lane", "centreline", middle))
    return lines


def _resampled(line_m: FloatArray, count: int) -> FloatArray:
    """Returns `count` points, 2 or more, at equal distances along a line [K, 3]."""
    at_points = along(line_m)
    at = np.linspace(0.0, at_points[-1], max(count, 2))
    return np.stack([np.interp(at, at_points, line_m[:, i]) for i in range(3)], -1)
