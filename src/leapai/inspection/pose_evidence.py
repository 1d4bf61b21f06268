"""Evidence that the poses of the vehicle are right: it drives forward at the speed of vehicles, and
what stands still stays where it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

from leapai.geometry import poses
from leapai.types import FloatArray, Frame

MAX_SPEED_MPS = 100.0
MIN_MOVED_M = 0.3
"""Motion between two frames that points can tell from none."""
MAX_SIDEWAYS = 0.7
"""Sideways share of a vehicle's motion; parking with all wheels turned has 0.5."""
_NEAR_M, _FAR_M, _ABOVE_M = 4.0, 40.0, 0.5
_MOST_POINTS = 1500


class Motion(NamedTuple):
    """Motion between two frames, from their poses and their points."""

    speed_mps: float
    sideways: float
    """Share of the motion across the vehicle; NaN: it hardly moved."""
    moved_m: float
    """Median distance to its neighbour of what stands above the ground, after the poses' motion;
    NaN: it hardly moved, or there are too few points."""
    unmoved_m: float
    """The same without any motion."""


def motion_of(earlier: Frame, later: Frame) -> Motion | None:
    """Compares two frames of a sequence; None: they are over 2 s apart."""
    seconds = (later.timestamp_us - earlier.timestamp_us) / 1e6
    if not 0 < seconds <= 2:
        return None
    earlier_from_later = poses.invert(earlier.ego2global) @ later.ego2global
    forward_m, left_m = earlier_from_later[:2, 3]
    distance_m = float(np.hypot(forward_m, left_m))
    nan = float("nan")
    if distance_m < MIN_MOVED_M or distance_m / seconds > MAX_SPEED_MPS:
        return Motion(distance_m / seconds, nan, nan, nan)
    moved_m = unmoved_m = nan
    before, after = _standing(earlier), _standing(later)
    if min(len(before), len(after)) >= _MOST_POINTS // 10:
        tree = KDTree(before)
        moved_m = float(np.median(tree.query(poses.apply(earlier_from_later, after))[0]))
        unmoved_m = float(np.median(tree.query(after)[0]))
    return Motion(distance_m / seconds, abs(float(left_m)) / distance_m, moved_m, unmoved_m)


def _standing(frame: Frame) -> FloatArray:
    """Returns points [K, 3] above the ground, not of the vehicle itself."""
    if frame.points is None:
        return np.zeros((0, 3))
    xyz = frame.points[:, :3].astype(np.float64)
    distance_m = np.hypot(xyz[:, 0], xyz[:, 1])
    kept = (distance_m > _NEAR_M) & (distance_m < _FAR_M) & (xyz[:, 2] > _ABOVE_M)
    xyz = xyz[kept & np.isfinite(xyz).all(-1)]
    return xyz[:: max(len(xyz) // _MOST_POINTS, 1)]


def warnings(motions: Sequence[Motion]) -> Iterator[str]:
    """Yields sentences on poses that no vehicle has."""
    if not motions:
        return
    speed, sideways, moved, unmoved = np.array(motions).T
    fast = int((speed > MAX_SPEED_MPS).sum())
    if fast:
        yield (
            f"poses jump: {speed.max():.3g} m/s between two frames; check ego2global (is it "
            "inverted?) and times"
        )
    known = np.isfinite(sideways)
    if known.any() and np.median(sideways[known]) > MAX_SIDEWAYS:
        yield "the vehicle drives sideways: check ego2global (is it inverted?) and the ego frame"
    known = np.isfinite(moved)
    if known.any() and np.median(moved[known] - unmoved[known]) > 0:
        yield (
            "what stands still fits better without the motion of the poses than with it: check "
            "ego2global (is it inverted?) and times"
        )
