"""Statistics of what a LiDAR reports: intensity of the ground and of objects, points, rings on the
ground, and how it is mounted.

The plane of the ground shows the mounting: where height and angles of a LiDAR are calibrated well,
the ground lies level at z = 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from leapai.geometry import boxes as box_geometry
from leapai.inspection.ground_evidence import fit_plane, on_plane
from leapai.types import FloatArray, Frame, Vocabulary

INTENSITY_RANGE_M = 30.0
"""Distance up to which intensities are taken."""
RING_RANGE_M = (6.0, 15.0)
"""Distances between which rings on the ground are counted: nearer, those of a dense LiDAR are as
close as its noise is wide."""
_SECTOR_DEG = 1.0
_BETWEEN_RINGS_M = 0.06
_RETURNS_KEPT = 2000
"""Returns of the ground that are taken from a frame."""


class LidarValues(NamedTuple):
    """Values of F sweeps, of each quantity as many as there are."""

    points: FloatArray
    """[F] number of points."""
    rings: FloatArray
    """Number of rings on the ground between `RING_RANGE_M`: of beams that meet it there."""
    ground_height_m: FloatArray
    """Height of the ground under the ego's origin."""
    ground_tilt_deg: FloatArray
    ground_intensity: FloatArray
    """Intensity of returns from the ground."""
    intensity: tuple[FloatArray, ...]
    """Intensity of returns inside the boxes of each class."""


def lidar_values(frames: Iterable[Frame], vocabulary: Vocabulary) -> LidarValues:
    """Measures the sweeps of frames that have one; their labels are of `vocabulary`."""
    points: list[int] = []
    grounds: list[tuple[float, float, float]] = []
    of_ground: list[FloatArray] = [np.zeros(0)]
    of_class: list[list[FloatArray]] = [[np.zeros(0)] for _ in vocabulary.names]
    for frame in frames:
        if frame.points is None or not len(frame.points):
            continue
        points.append(len(frame.points))
        plane = fit_plane(frame.points)
        if plane is not None:
            on_ground = frame.points[on_plane(frame.points, plane, INTENSITY_RANGE_M)]
            tilt_deg = float(np.degrees(np.arctan(np.hypot(*plane[1:]))))
            grounds.append((ground_rings(on_ground), float(plane[0]), tilt_deg))
            of_ground.append(on_ground[:: len(on_ground) // _RETURNS_KEPT + 1, 3])
        for class_id, intensity in _of_objects(frame, frame.points):
            of_class[class_id].append(intensity)
    rings, height_m, tilt_deg_all = np.array(grounds).reshape(-1, 3).T
    return LidarValues(
        points=np.array(points, np.float64),
        rings=rings[np.isfinite(rings)],
        ground_height_m=height_m,
        ground_tilt_deg=tilt_deg_all,
        ground_intensity=np.concatenate(of_ground).astype(np.float64),
        intensity=tuple(np.concatenate(each).astype(np.float64) for each in of_class),
    )


def ground_rings(points: FloatArray) -> float:
    """Returns the number of rings that points [P, 5] on the ground form between `RING_RANGE_M`, the
    median over directions that have any; NaN: none has."""
    x, y = points[:, :2].T.astype(np.float64)
    distance_m = np.hypot(x, y)
    far = (distance_m >= RING_RANGE_M[0]) & (distance_m <= RING_RANGE_M[1])
    sector = np.floor(np.degrees(np.arctan2(y[far], x[far])) / _SECTOR_DEG)
    order = np.lexsort((distance_m[far], sector))
    sector, distance_m = sector[order], distance_m[far][order]
    if not len(sector):
        return float("nan")
    is_new = np.ones(len(sector), bool)
    is_new[1:] = (np.diff(sector) != 0) | (np.diff(distance_m) > _BETWEEN_RINGS_M)
    counts = np.unique(sector[is_new], return_counts=True)[1]
    return float(np.median(counts))


def _of_objects(frame: Frame, points: FloatArray) -> Iterable[tuple[int, FloatArray]]:
    """Yields class and intensities of the returns inside each near box."""
    if frame.labels is None:
        return
    reach_m = INTENSITY_RANGE_M + 10.0
    near = points[np.hypot(points[:, 0], points[:, 1]) < reach_m]
    chosen = np.hypot(*frame.labels.boxes[:, :2].T) <= INTENSITY_RANGE_M
    boxes, class_id = frame.labels.boxes[chosen], frame.labels.class_id[chosen]
    for inside, kind in zip(box_geometry.points_inside(near[:, :3], boxes), class_id, strict=True):
        yield int(kind), near[inside, 3]
