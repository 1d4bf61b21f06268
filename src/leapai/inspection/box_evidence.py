"""Evidence that boxes and points belong together, which needs no recorded number of points: as
recorded, boxes hold more than where they are moved, turned or mirrored."""

from __future__ import annotations

import numpy as np

from leapai.data.reading import AnnotatedBoxes
from leapai.geometry import poses
from leapai.types import FloatArray

SHIFT_M = 1.0
MAX_DISTANCE_M = 40.0
"""Boxes further away hold too few points to tell."""
MOST_POINTS = 50
"""Points of a box that count: one bus at arm's length must not decide."""
VARIANTS = (
    "as recorded",
    *(f"moved by {SHIFT_M:g} m {way}" for way in ("forward", "back", "left", "right")),
    *(f"moved by {SHIFT_M:g} m {way}" for way in ("up", "down")),
    "turned by 90 degrees",
    "mirrored in y",
)
_OFFSETS_M = SHIFT_M * np.array(
    [[0, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]]
)


def points_in_variants(recorded: AnnotatedBoxes, points: FloatArray) -> FloatArray:
    """Returns the points [N, 9] in each near box, `MOST_POINTS` at most, for each of `VARIANTS`.

    `points` [P, 3+] and boxes are in the ego frame; moves are along the axes of the box.
    """
    centre = recorded.ego_from_box[:, :3, 3]
    near = np.flatnonzero(np.hypot(centre[:, 0], centre[:, 1]) <= MAX_DISTANCE_M)
    xyz = points[:, :3].astype(np.float64)
    xyz = xyz[np.isfinite(xyz).all(-1)]
    mirrored = xyz * (1.0, -1.0, 1.0)
    counts = np.zeros((len(near), len(VARIANTS)))
    for row, i in enumerate(near):
        box_from_ego = poses.invert(recorded.ego_from_box[i])
        size_m = recorded.size_lwh_m[i]
        in_box = _near(xyz, centre[i], box_from_ego, size_m)
        for variant, offset_m in enumerate(_OFFSETS_M):
            counts[row, variant] = _holds(in_box - offset_m, size_m)
        counts[row, -2] = _holds(in_box, size_m[[1, 0, 2]])
        counts[row, -1] = _holds(_near(mirrored, centre[i], box_from_ego, size_m), size_m)
    return np.minimum(counts, MOST_POINTS)


def _near(
    xyz: FloatArray, centre: FloatArray, box_from_ego: FloatArray, size_m: FloatArray
) -> FloatArray:
    """Returns the points [K, 3] around a box, in its axes."""
    reach_m = float(np.linalg.norm(size_m)) / 2 + SHIFT_M
    around = np.flatnonzero((np.abs(xyz - centre) <= reach_m).all(-1))
    return poses.apply(box_from_ego, xyz[around])


def _holds(in_box: FloatArray, size_m: FloatArray) -> int:
    return int((np.abs(in_box) <= size_m / 2).all(-1).sum())
