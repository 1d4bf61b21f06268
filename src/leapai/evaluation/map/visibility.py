"""Visibility of the ground: what is in sight, and what was a short while ago.

Ground is seen where a LiDAR return lies on it, or where a camera looks at it past all obstacles. An
obstacle is a LiDAR return well above the lowest return about it. Seen from a camera at height h
over the ground, a return at distance r and height a hides the ground behind it up to r h / (h - a),
or all of it where a >= h. Shadows are drawn on a polar grid about each camera. No labels are
used, so this works on any data; what the LiDAR misses hides nothing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import minimum_filter

from leapai.evaluation.map.map_cells import Sight
from leapai.evaluation.map.map_flicker import nearest_cells
from leapai.evaluation.map.map_results import HIDDEN_GROUND_S
from leapai.geometry import cameras as camera_geometry
from leapai.geometry import poses
from leapai.types import BevGrid, BoolArray, CameraFrame, FloatArray, Frame, IntArray

_LOOK_S = 0.3
"""One frame in this time is kept: what is in sight changes slowly."""
_OBSTACLE_M = 0.4
"""Higher than a kerb and than ground that rises by 5 % within the surroundings below."""
_PATCH_M = 2.0
"""The ground about a return is the lowest return of 3 x 3 patches of this size."""
_SLOPE = 0.05
"""Where only an upper part of a thing is seen, its lowest return is no ground: the ground rises by
no more than this from the ego on."""
_SECTORS = 360
"""Wide enough for the beams of a LiDAR to leave no gap between them."""
_STEP_M = 0.25
_DEPTH_M = 0.3
"""Shadows begin this far behind the return: what the ray hits is itself seen."""


def seen_now(frame: Frame, grid: BevGrid) -> BoolArray | None:
    """Returns which cells of the ground [rows, columns] are in sight; None where the LiDAR failed,
    so that what stands in the way is not known."""
    if frame.points is None:
        return None
    points = np.asarray(frame.points[:, :3], np.float64)
    height = height_above_ground(points)
    ground = grid.cell_centres_m().astype(np.float64)
    seen = np.zeros((grid.rows, grid.columns), bool)
    row, column = _cells_of(points[height < _OBSTACLE_M], grid)
    seen[row, column] = True
    standing = np.flatnonzero(height >= _OBSTACLE_M)
    obstacles, height = points[standing, :2], height[standing]
    for camera in frame.cameras:
        if camera.image is not None:
            looked_at = ground_in_picture(camera, grid, ~seen)
            eye = camera.ego_from_camera[:3, 3]
            hidden = in_shadow(ground[looked_at], eye, obstacles, height)
            seen.reshape(-1)[looked_at[~hidden]] = True
    return seen


def height_above_ground(points_m: FloatArray) -> FloatArray:
    """Returns heights [P] of returns [P, 3] in the ego frame."""
    if not len(points_m):
        return np.zeros(0)
    low = points_m[:, :2].min(0)
    column, row = ((points_m[:, :2] - low) // _PATCH_M).astype(np.int64).T
    lowest = np.full((row.max() + 1, column.max() + 1), np.inf)
    np.minimum.at(lowest, (row, column), points_m[:, 2])
    around = minimum_filter(lowest, 3, mode="nearest")[row, column]
    ground = np.minimum(around, _SLOPE * np.hypot(points_m[:, 0], points_m[:, 1]))
    return np.asarray(points_m[:, 2] - ground)


def in_shadow(
    ground_m: FloatArray, eye_m: FloatArray, obstacles_m: FloatArray, height_m: FloatArray
) -> BoolArray:
    """Returns whether points on the ground [G, 2] are hidden [G] from an eye [3] by obstacles [P,
    2] of heights [P]."""
    sector, distance = _polar(obstacles_m - eye_m[:2])
    clearance = eye_m[2] - height_m
    reach = np.where(clearance > 0, distance * eye_m[2] / np.maximum(clearance, 1e-9), np.inf)
    ground_sector, ground_distance = _polar(ground_m - eye_m[:2])
    rings = int(ground_distance.max(initial=0.0) / _STEP_M) + 2
    first, last = (
        np.minimum(np.ceil(d / _STEP_M), rings - 1).astype(np.int64)
        for d in (distance + _DEPTH_M, reach)
    )
    edges = np.zeros((_SECTORS, rings), np.int64)
    casts = last > first
    np.add.at(edges, (sector[casts], first[casts]), 1)
    np.add.at(edges, (sector[casts], last[casts]), -1)
    shadow = np.cumsum(edges, axis=1) > 0
    return np.asarray(shadow[ground_sector, (ground_distance / _STEP_M).astype(np.int64)])


def _polar(offset_m: FloatArray) -> tuple[IntArray, FloatArray]:
    """Returns sector and distance [N] of offsets [N, 2]."""
    turn = np.arctan2(offset_m[:, 1], offset_m[:, 0]) / (2 * np.pi) % 1.0
    sector = np.minimum((turn * _SECTORS).astype(np.int64), _SECTORS - 1)
    return sector, np.hypot(offset_m[:, 0], offset_m[:, 1])


def ground_in_picture(camera: CameraFrame, grid: BevGrid, among: BoolArray) -> IntArray:
    """Returns the cells, counted row by row, whose centre on the ground a camera's picture shows;
    only cells of the mask `among` [rows, columns] are looked for.

    The ground is a plane and the grid has rows and columns, so a camera coordinate of a centre is a
    term of its column and one of its row. What lies behind the camera is not projected.
    """
    camera_from_ego = poses.invert(camera.ego_from_camera)
    x, y = (c.astype(np.float64) for c in (grid.column_centres_m(), grid.row_centres_m()))
    in_camera = [a * x + (b * y + t)[:, None] for a, b, _, t in camera_from_ego[:3]]
    cells = np.flatnonzero((in_camera[2] > camera_geometry.MIN_DEPTH_M) & among)
    centres = np.stack([coordinate.reshape(-1)[cells] for coordinate in in_camera], -1)
    pixels, _ = camera_geometry.project(centres, camera.intrinsics, camera.distortion)
    (u, v), (height, width) = pixels.T, camera.size_px
    shown: IntArray = cells[(u > -0.5) & (u < width - 0.5) & (v > -0.5) & (v < height - 0.5)]
    return shown


def _cells_of(points_m: FloatArray, grid: BevGrid) -> tuple[IntArray, IntArray]:
    """Returns row and column of the points [P, 3] inside the grid."""
    column, row = np.floor((points_m[:, :2] - grid.low_m[:2]) / grid.cell_m).astype(np.int64).T
    inside = (row >= 0) & (row < grid.rows) & (column >= 0) & (column < grid.columns)
    return row[inside], column[inside]


@dataclass(frozen=True)
class _Look:
    timestamp_us: int
    ego2global: FloatArray
    seen: BoolArray


class SightMemory:
    """Ground that was in sight in the last frames; forgotten when the sequence changes."""

    def __init__(self, grid: BevGrid) -> None:
        self._grid = grid
        self._sequence: str | None = None
        self._looks: deque[_Look] = deque()

    def sight(self, frame: Frame) -> Sight | None:
        """Returns the sight of the next frame; None where its LiDAR failed."""
        if frame.sequence != self._sequence:
            self._sequence = frame.sequence
            self._looks.clear()
        oldest_us = frame.timestamp_us - round(HIDDEN_GROUND_S * 1e6)
        while self._looks and self._looks[0].timestamp_us < oldest_us:
            self._looks.popleft()
        seen = seen_now(frame, self._grid)
        if seen is None:
            return None
        before = self._seen_before(frame.ego2global)
        last_us = self._looks[-1].timestamp_us if self._looks else oldest_us
        if frame.timestamp_us - last_us >= _LOOK_S * 1e6:
            self._looks.append(_Look(frame.timestamp_us, frame.ego2global, seen))
        return Sight(seen, before)

    def _seen_before(self, ego2global: FloatArray) -> BoolArray:
        """Returns the cells [rows, columns] seen before, in the ego frame of now."""
        before = np.zeros((self._grid.rows, self._grid.columns), bool)
        for look in self._looks:
            then_from_now = poses.invert(np.asarray(look.ego2global, np.float64)) @ ego2global
            row, column, covered = nearest_cells(then_from_now, self._grid)
            before |= look.seen[row, column] & covered
        return before
