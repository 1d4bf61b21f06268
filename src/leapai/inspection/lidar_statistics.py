"""Statistics of what a LiDAR reports: intensity of the ground and of objects, what its returns come
from, how far they reach, rings on the ground, and how it is mounted.

The plane of the ground shows the mounting: where height and angles of a LiDAR are calibrated well,
the ground lies level at z = 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from leapai.geometry import boxes as box_geometry
from leapai.inspection.ground_evidence import RANGE_M, above_plane, fit_plane, on_plane
from leapai.types import FloatArray, Frame, IntArray, Labels, Vocabulary

INTENSITY_RANGE_M = 30.0
"""Distance up to which intensities are taken."""
RING_RANGE_M = (6.0, 15.0)
"""Distances between which rings on the ground are counted: nearer, those of a dense LiDAR are as
close as its noise is wide."""
_SECTOR_DEG = 1.0
_BETWEEN_RINGS_M = 0.06
_BACKGROUND = -1
"""Stands for the background among the classes."""
_LONGEST_M = 10.0
"""Distance of an object's farthest points from its centre: half of the longest bus."""
_RETURNS_KEPT = 2000
"""Returns of one kind that are taken from a sweep, so that no sweep outweighs the others."""
STANDING_M = 0.5
"""Height above the plane of the ground from which a return is of what stands there: lower ones can
be of pavements and of a road that bends."""
SOURCES = (
    f"nearer than {RANGE_M[0]:g} m",
    "labelled object",
    f"ground, lower than {STANDING_M:g} m",
    "background",
)
"""Sources of the returns up to `INTENSITY_RANGE_M`; a return is of the first that holds.

Nearer lies the vehicle itself. The background is what stands there without a label: walls, plants,
poles.
"""


class LidarValues(NamedTuple):
    """Values of F sweeps, of each quantity as many as there are."""

    points: FloatArray
    """[F] number of points."""
    distance_m: FloatArray
    """Distance of returns from the ego's origin, on the ground."""
    rings: FloatArray
    """Number of rings on the ground between `RING_RANGE_M`: of beams that meet it there."""
    ground_height_m: FloatArray
    """Height of the ground under the ego's origin."""
    ground_tilt_deg: FloatArray
    ground_intensity: FloatArray
    """Intensity of returns from the ground."""
    background_intensity: FloatArray
    background_against_ground: FloatArray
    """The same as multiples of the ground's median in their sweep: rigs whose conventions of
    intensity differ can be compared by these."""
    intensity: tuple[FloatArray, ...]
    """Intensity of returns inside the boxes of each class."""
    against_ground: tuple[FloatArray, ...]
    """The same as multiples of the ground's median."""
    sources: FloatArray
    """[len(SOURCES)] mean share over the sweeps with labels and ground; NaN: there are none."""


class _Sweep(NamedTuple):
    """Values of one sweep, before those of all are joined."""

    points: int
    distance_m: FloatArray
    ground: tuple[float, float, float]
    """Rings, height in m and tilt in degrees; NaN: not known."""
    ground_intensity: FloatArray
    standing: tuple[tuple[int, FloatArray], ...]
    """Class and intensities of the returns inside each near box, and those of the background."""
    sources: FloatArray


def lidar_values(frames: Iterable[Frame], vocabulary: Vocabulary) -> LidarValues:
    """Measures the sweeps of frames that have one; their labels are of `vocabulary`."""
    sweeps = [
        _measure(frame.points, frame.labels)
        for frame in frames
        if frame.points is not None and len(frame.points)
    ]
    grounds = np.array([sweep.ground for sweep in sweeps]).reshape(-1, 3)
    rings, height_m, tilt_deg = (column[np.isfinite(column)] for column in grounds.T)
    sources = np.array([sweep.sources for sweep in sweeps]).reshape(-1, len(SOURCES))
    sources = sources[np.isfinite(sources).all(1)]
    classes = range(len(vocabulary))
    return LidarValues(
        points=np.array([sweep.points for sweep in sweeps], np.float64),
        distance_m=_joined(sweep.distance_m for sweep in sweeps),
        rings=rings,
        ground_height_m=height_m,
        ground_tilt_deg=tilt_deg,
        ground_intensity=_joined(sweep.ground_intensity for sweep in sweeps),
        background_intensity=_joined(_of_class(sweeps, _BACKGROUND)),
        background_against_ground=_joined(_against_ground(sweeps, _BACKGROUND)),
        intensity=tuple(_joined(_of_class(sweeps, number)) for number in classes),
        against_ground=tuple(_joined(_against_ground(sweeps, number)) for number in classes),
        sources=sources.mean(0) if len(sources) else np.full(len(SOURCES), np.nan),
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


def _measure(points: FloatArray, labels: Labels | None) -> _Sweep:
    """Returns the values of a sweep [P, 5] with its labels."""
    count = len(points)
    points = points[np.isfinite(points).all(1)]
    distance_m = np.hypot(points[:, 0], points[:, 1]).astype(np.float64)
    plane = fit_plane(points)
    ground = (np.nan, np.nan, np.nan)
    is_ground = np.zeros(len(points), bool)
    if plane is not None:
        is_ground = on_plane(points, plane, INTENSITY_RANGE_M)
        tilt_deg = float(np.degrees(np.arctan(np.hypot(*plane[1:]))))
        ground = (ground_rings(points[is_ground]), float(plane[0]), tilt_deg)
    standing = list(_of_objects(points, distance_m, labels)) if labels is not None else []
    sources = np.full(len(SOURCES), np.nan)
    if plane is not None and labels is not None:
        number = _source_numbers(points, distance_m, labels, above_plane(points, plane))
        background = points[number == SOURCES.index("background"), 3]
        standing.append((_BACKGROUND, _thinned(background)))
        sources = np.bincount(number[number >= 0], minlength=len(SOURCES)) / (number >= 0).sum()
    return _Sweep(
        points=count,
        distance_m=_thinned(distance_m),
        ground=ground,
        ground_intensity=_thinned(points[is_ground, 3]),
        standing=tuple(standing),
        sources=sources,
    )


def _source_numbers(
    points: FloatArray, distance_m: FloatArray, labels: Labels, above_m: FloatArray
) -> IntArray:
    """Returns which of `SOURCES` each point [P, 5] comes from, by its height [P] above the ground;
    -1: it is farther away."""
    number = np.full(len(points), -1, np.int64)
    near = np.flatnonzero(distance_m <= INTENSITY_RANGE_M)
    boxes = labels.boxes[np.hypot(*labels.boxes[:, :2].T) <= INTENSITY_RANGE_M + _LONGEST_M]
    is_object = box_geometry.points_inside(points[near, :3], boxes).any(0)
    number[near] = np.select(
        [distance_m[near] < RANGE_M[0], is_object, above_m[near] < STANDING_M], [0, 1, 2], 3
    )
    return number


def _of_objects(
    points: FloatArray, distance_m: FloatArray, labels: Labels
) -> Iterator[tuple[int, FloatArray]]:
    """Yields class and intensities of the returns inside each near box."""
    near = points[distance_m < INTENSITY_RANGE_M + _LONGEST_M]
    chosen = np.hypot(*labels.boxes[:, :2].T) <= INTENSITY_RANGE_M
    boxes, class_id = labels.boxes[chosen], labels.class_id[chosen]
    for inside, kind in zip(box_geometry.points_inside(near[:, :3], boxes), class_id, strict=True):
        yield int(kind), near[inside, 3]


def _against_ground(sweeps: Sequence[_Sweep], class_id: int) -> Iterator[FloatArray]:
    """Yields the intensities of a class in each sweep as multiples of the ground's median."""
    for sweep in sweeps:
        ground = float(np.median(sweep.ground_intensity)) if len(sweep.ground_intensity) else 0.0
        if ground > 0:
            yield from (intensity / ground for intensity in _of_class([sweep], class_id))


def _of_class(sweeps: Sequence[_Sweep], class_id: int) -> Iterator[FloatArray]:
    return (intensity for sweep in sweeps for kind, intensity in sweep.standing if kind == class_id)


def _joined(parts: Iterable[FloatArray]) -> FloatArray:
    return np.concatenate([np.zeros(0), *parts]).astype(np.float64)


def _thinned(values: FloatArray) -> FloatArray:
    """Returns at most `_RETURNS_KEPT` of values [K], at random and the same every time: every n-th
    return of a sweep may be of the same beam."""
    if len(values) <= _RETURNS_KEPT:
        return values
    return np.random.default_rng(0).choice(values, _RETURNS_KEPT, replace=False)
