"""The tables of nuScenes' map expansion (version 1.3), one JSON file for each place, as lines and
areas.

The format is that of nuscenes-devkit's `map_expansion/map_api.py` and `arcline_path_utils.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from leapai.data import reading
from leapai.data.checked_table import MAX_COORDINATE_M
from leapai.data.map_edges import PIECE_M, Area, closed
from leapai.types import BoolArray, FloatArray

REMEDY = "unpack the map expansion 1.3 again into the folder maps, or move its folder away"
_TURN_OF = {"L": 1.0, "S": 0.0, "R": -1.0}
_APART_M = 0.01
MAX_ARC_M = 10_000.0
"""Longest arc of a lane."""
_FIELDS = {
    "node": ("token", "x", "y"),
    "line": ("token", "node_tokens"),
    "polygon": ("token", "exterior_node_tokens", "holes"),
    "drivable_area": ("polygon_tokens",),
    "ped_crossing": ("polygon_token",),
    "lane_divider": ("lane_divider_segments",),
    "road_divider": ("line_token",),
    "lane": ("token",),
}
"""Fields that are read of each table."""
_PATH_FIELDS = ("start_pose", "shape", "radius", "segment_length")
_T = TypeVar("_T")
_Row = Mapping[str, Any]


def moves(line_m: FloatArray) -> BoolArray:
    """Returns which points [K - 1] of a line [K, 3] differ from the next one."""
    apart: BoolArray = np.linalg.norm(np.diff(line_m, axis=0), axis=1) > _APART_M
    return apart


class MapTables:
    """The tables of one file. Raises ValueError for what is missing in it or is no number."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._content = reading.read_json(path, REMEDY)
        nodes = self._rows("node")
        xy = self._numbers([(row["x"], row["y"]) for row in nodes], "node", 2)
        self._place = {row["token"]: i for i, row in enumerate(nodes)}
        self._xyz = np.concatenate([xy, np.zeros((len(xy), 1))], -1)
        # Singapore's drivable ground is a polygon whose token is null.
        self._polygons = {row["token"]: row for row in self._rows("polygon")}

    def lane_dividers(self) -> Iterable[tuple[FloatArray, list[str]]]:
        """Yields the points [K, 3] and types [K] of each lane divider."""
        for row in self._rows("lane_divider"):
            segments = row["lane_divider_segments"]
            self._check(segments, ("node_token", "segment_type"), "lane_divider_segments")
            if len(segments) > 1:
                points = self._points([segment["node_token"] for segment in segments])
                yield points, [segment["segment_type"] for segment in segments]

    def road_dividers(self) -> Iterable[FloatArray]:
        """Yields the points [K, 3] of each road divider."""
        lines = {row["token"]: row["node_tokens"] for row in self._rows("line")}
        for row in self._rows("road_divider"):
            points = self._points(self._find(lines, row["line_token"], "line"))
            if len(points) > 1:
                yield points

    def crossings(self) -> Iterable[FloatArray]:
        """Yields the outer outline [K, 3] of each crossing."""
        for row in self._rows("ped_crossing"):
            yield from self._area(row["polygon_token"])[:1]

    def drivable_areas(self) -> list[Area]:
        """Returns every polygon of every drivable area once."""
        rows = self._rows("drivable_area")
        tokens = dict.fromkeys(token for row in rows for token in row["polygon_tokens"])
        areas = [self._area(token) for token in tokens]
        return [area for area in areas if area]

    def centre_lines(self) -> list[FloatArray]:
        """Returns the middle [K, 3] of each lane, a point every 2 m."""
        paths_of = self._table("arcline_path_3")
        tokens = [row["token"] for row in self._rows("lane")]
        paths = [self._find(paths_of, token, "arcline_path_3") for token in tokens]
        pieces = iter(self._arclines([path for lane in paths for path in lane]))
        lines = [
            np.concatenate([np.zeros((0, 3)), *(next(pieces) for _ in lane)]) for lane in paths
        ]
        lines = [line[np.append(moves(line), True)] for line in lines if len(line)]
        return [line for line in lines if len(line) > 1]

    def _arclines(self, paths: Sequence[_Row]) -> list[FloatArray]:
        table = "arcline_path_3"
        self._check(paths, _PATH_FIELDS, table)
        for path in paths:
            if len(path["shape"]) != 3 or not set(path["shape"]) <= set(_TURN_OF):
                raise ValueError(
                    f"{self._path}: {table}: unknown shape '{path['shape']}'; {REMEDY}"
                )
        turn = np.array([[_TURN_OF[part] for part in path["shape"]] for path in paths])
        radius_m = self._numbers([(path["radius"],) for path in paths], table, 1)
        if (radius_m <= 0).any():
            raise ValueError(f"{self._path}: {table}: a radius is not positive; {REMEDY}")
        start = self._numbers([path["start_pose"] for path in paths], table, 3)
        length_m = self._numbers([path["segment_length"] for path in paths], table, 3, MAX_ARC_M)
        return arclines(start, turn.reshape(-1, 3) / radius_m, length_m)

    def _area(self, polygon_token: str | None) -> list[FloatArray]:
        """Returns closed outlines of a polygon, the outer one first; none where it has no area."""
        polygon = self._find(self._polygons, polygon_token, "polygon")
        self._check(polygon["holes"], ("node_tokens",), "holes")
        tokens = [polygon["exterior_node_tokens"], *(h["node_tokens"] for h in polygon["holes"])]
        outlines = [closed(self._points(of)) for of in tokens]
        is_area = len(outlines[0]) > 3
        return [outline for outline in outlines if len(outline) > 3] if is_area else []

    def _points(self, node_tokens: Sequence[str]) -> FloatArray:
        """Returns the points [K, 3] of nodes."""
        places = [self._find(self._place, token, "node") for token in node_tokens]
        return self._xyz[np.array(places, np.int64)]

    def _rows(self, table: str) -> Sequence[_Row]:
        rows: Sequence[_Row] = self._table(table)
        self._check(rows, _FIELDS[table], table)
        return rows

    def _table(self, table: str) -> Any:
        if table not in self._content:
            raise ValueError(f"{self._path}: there is no table '{table}'; {REMEDY}")
        return self._content[table]

    def _check(self, rows: Iterable[_Row], fields: Sequence[str], table: str) -> None:
        for row in rows:
            absent = [field for field in fields if field not in row]
            if absent:
                raise ValueError(
                    f"{self._path}: {table}: row {row.get('token')} has no {absent}; {REMEDY}"
                )

    def _find(self, table: Mapping[Any, _T], token: str | None, name: str) -> _T:
        if token not in table:
            raise ValueError(
                f"{self._path}: {name}: there is no row '{token}', to which another table refers; "
                f"{REMEDY}"
            )
        return table[token]

    def _numbers(
        self,
        rows: Sequence[Sequence[float]],
        table: str,
        count: int,
        limit: float = MAX_COORDINATE_M,
    ) -> FloatArray:
        """Returns a table of numbers [N, count]. Raises ValueError where one is not finite, or
        beyond `limit`."""
        try:
            numbers = np.array(rows, np.float64).reshape(len(rows), count)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{self._path}: {table}: {error}; {REMEDY}") from None
        bad = np.flatnonzero(~(np.abs(numbers) <= limit).all(1))  # NaN is not
        if len(bad):
            raise ValueError(
                f"{self._path}: {table}: {numbers[bad[0]].tolist()} is not finite, or over "
                f"{limit:g}; {REMEDY}"
            )
        return numbers


def arclines(
    start: FloatArray, curvature_per_m: FloatArray, length_m: FloatArray
) -> list[FloatArray]:
    """Returns the points [K, 3] of paths made of three arcs, or straight parts, each: both ends,
    and a point every 2 m or less.

    `start` [N, 3]: x y yaw. `curvature_per_m` [N, 3] of each part, positive to the left.
    """
    poses = [start]
    for part in range(2):
        poses.append(_advanced(poses[-1], curvature_per_m[:, part], length_m[:, part]))
    begin = np.cumsum(length_m, axis=1) - length_m
    total = length_m.sum(1)
    count = np.maximum(np.ceil(total / PIECE_M), 1).astype(np.int64) + 1
    path = np.repeat(np.arange(len(count)), count)
    number = np.arange(len(path)) - np.repeat(np.cumsum(count) - count, count)
    at = number * (total / (count - 1))[path]
    part = (at > begin[path, 1]).astype(np.int64) + (at > begin[path, 2])
    pose = np.stack(poses, 1)[path, part]
    points = _advanced(pose, curvature_per_m[path, part], at - begin[path, part])
    points[:, 2] = 0.0  # yaw -> z
    return np.split(points, np.cumsum(count)[:-1]) if len(count) else []


def _advanced(pose: FloatArray, curvature_per_m: FloatArray, length_m: FloatArray) -> FloatArray:
    """Returns the end poses [N, 3] of arcs [N] from poses [N, 3] (x y yaw): along the chord, half
    of the turn away."""
    turn = curvature_per_m * length_m
    chord_m = length_m * np.sinc(turn / (2 * np.pi))  # sin(turn / 2) / (turn / 2)
    yaw = pose[:, 2] + turn / 2
    step = np.stack([chord_m * np.cos(yaw), chord_m * np.sin(yaw), turn], -1)
    moved: FloatArray = pose + step
    return moved
