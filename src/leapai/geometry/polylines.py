"""Polylines in metres: length, simplification, and lines of a map in an ego frame."""

from __future__ import annotations

from collections.abc import Collection

import cv2
import numpy as np

from leapai.geometry import poses
from leapai.types.map_elements import MapPolyline, VectorMap
from leapai.types.vocabulary import FloatArray

_DETAIL_M = 0.05
"""No point of the original line is further from the simplified one."""


def length_m(line_m: FloatArray) -> float:
    """Returns the length of a line [K, 2]."""
    return float(np.hypot(*np.diff(line_m, axis=0).T).sum())


def in_space(line_m: FloatArray) -> FloatArray:
    """Returns the line [K, 2] on the plane z = 0, or a line [K, 3] as it is: float64 [K, 3]."""
    space = np.zeros((len(line_m), 3))
    space[:, : line_m.shape[1]] = line_m
    return space


def simplified(line_m: FloatArray) -> FloatArray:
    """Returns a line [K, 2] with as few of its points as keep `_DETAIL_M`; a closed one stays
    closed."""
    closed = bool((line_m[0] == line_m[-1]).all())
    points = (line_m[:-1] if closed else line_m).astype(np.float32)
    kept = cv2.approxPolyDP(points[:, None], _DETAIL_M, closed)[:, 0].astype(np.float64)
    return np.concatenate([kept, kept[:1]]) if closed else kept


def lines_in_ego(
    vector_map: VectorMap, ego2global: FloatArray, kinds: Collection[str]
) -> tuple[MapPolyline, ...]:
    """Moves the lines of a map (global frame) that are of `kinds` to the ego frame, with their
    heights; formed in float64."""
    ego_from_global = poses.invert(np.asarray(ego2global, np.float64))
    return tuple(
        MapPolyline(line.kind, 1.0, poses.apply(ego_from_global, line.points_m))
        for line in vector_map
        if line.kind in kinds
    )
