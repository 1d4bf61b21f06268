"""Argoverse 2's vector map (JSON) of one log, in the classes of the static task
(docs/design.md, section 11)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from leapai.data import reading
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
_REMEDY = "get this log again, or leave it out"


def read_map(folder: Path) -> VectorMap | None:
    """Returns the vector map in the log `folder`, in the city frame, or None where there is none.

    Lane boundaries are of our class, or of the mark type's word where nothing is painted; crossings
    and drivable areas are closed lines; the edges of all drivable ground are kerbs; the middles of
    lanes outside intersections are lanes. Raises ValueError where the file cannot be read.
    """
    path = next(iter(sorted(folder.glob("map/log_map_archive_*.json"))), None)
    return None if path is None else _read(path)


@lru_cache(maxsize=MAPS_IN_MEMORY)
def _read(path: Path) -> VectorMap:
    content = reading.read_json(path, _REMEDY)
    segments = list(content["lane_segments"].values())
    lines = [*_lane_boundaries(segments), *_lanes(segments)]
    for crossing in content["pedestrian_crossings"].values():
        edges = crossing["edge1"] + crossing["edge2"][::-1]
        lines.append(MapLine("GroundSigns", "crossing", _points(edges + edges[:1])))
    boundaries = [area["area_boundary"] for area in content["drivable_areas"].values()]
    areas = [_points(boundary + boundary[:1]) for boundary in boundaries]
    lines += [MapLine("DRIVABLE_AREA", "drivable_area", area) for area in areas]
    lines += [MapLine("Curb", "road_edge", edge) for edge in road_edges([[area] for area in areas])]
    return tuple(lines)


def _points(points: Iterable[dict[str, float]]) -> FloatArray:
    return np.array([[p["x"], p["y"], p["z"]] for p in points], np.float64)


def _lane_boundaries(segments: Sequence[dict[str, Any]]) -> list[MapLine]:
    """Returns both boundaries of every lane; one that neighbours share occurs once."""
    lines: dict[tuple[str, bytes], MapLine] = {}
    for segment in segments:
        for i, side in enumerate(("left", "right")):
            word = segment[f"{side}_lane_mark_type"]
            kinds = LANE_MARK_OF.get(word.rpartition("_")[0])
            kind = kinds[i] if kinds else word
            points_m = _points(segment[f"{side}_lane_boundary"])
            lines.setdefault((kind, points_m.tobytes()), MapLine(kind, "lane_boundary", points_m))
    return list(lines.values())


def _lanes(segments: Sequence[dict[str, Any]]) -> list[MapLine]:
    """Returns the middle between both boundaries of every lane, a point every 2 m."""
    lines = []
    for segment in segments:
        if not segment["is_intersection"]:
            sides = [_points(segment[f"{side}_lane_boundary"]) for side in ("left", "right")]
            count = 1 + max(int(np.ceil(along(side)[-1] / PIECE_M)) for side in sides)
            middle = np.mean([_resampled(side, count) for side in sides], axis=0)
            lines.append(MapLine("Lane", "centreline", middle))
    return lines


def _resampled(line_m: FloatArray, count: int) -> FloatArray:
    """Returns `count` points, 2 or more, at equal distances along a line [K, 3]."""
    at_points = along(line_m)
    at = np.linspace(0.0, at_points[-1], max(count, 2))
    return np.stack([np.interp(at, at_points, line_m[:, i]) for i in range(3)], -1)
