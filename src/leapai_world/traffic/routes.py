"""Routes: smooth curves that bodies follow. The place of a body at s fixes its heading too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.interpolate import CubicSpline

from leapai.types.vocabulary import BoolArray, FloatArray, IntArray

STEP_M = 0.5
"""Distance of the samples along a route."""
_SIDEWAYS_MPS2 = 2.0
_BRAKING_MPS2 = 1.5


@dataclass(frozen=True)
class Route:
    """A curve through evenly spaced samples, local frame; s is counted from `first_m`."""

    samples_m: FloatArray
    """[K, 3], `STEP_M` apart along the curve."""
    backwards: bool = False
    """Whether a body that follows it faces against it: reversing."""
    first_m: float = 0.0

    @property
    def last_m(self) -> float:
        """Distance s at the end of the route."""
        return self.first_m + STEP_M * (len(self.samples_m) - 1)


def route(points_m: FloatArray, *, backwards: bool = False, first_m: float = 0.0) -> Route:
    """Returns the route through points [P, 2] or [P, 3], local frame; it ends less than `STEP_M`
    early."""
    points = np.asarray(points_m, np.float64)
    if points.shape[1] == 2:
        points = np.concatenate([points, np.zeros((len(points), 1))], 1)
    steps = np.linalg.norm(np.diff(points[:, :2], axis=0), axis=1)
    kept = np.concatenate([[True], steps > 1e-9])
    points, steps = points[kept], steps[kept[1:]]
    length = np.concatenate([[0.0], np.cumsum(steps)])
    spline = CubicSpline(length, points)
    return Route(spline(np.arange(0.0, length[-1] + 1e-9, STEP_M)), backwards, first_m)


def rounded(corners_m: Sequence[tuple[float, float]], radius_m: float) -> FloatArray:
    """Returns points [P, 2] about 0.5 m apart along straight lines between corners, turned by arcs.

    An arc is made smaller where its lines are too short for it.
    """
    corners = np.asarray(corners_m, np.float64)
    leg = np.diff(corners, axis=0)
    length = np.linalg.norm(leg, axis=1)
    unit = leg / length[:, None]
    pieces = [corners[:1]]
    for i in range(1, len(corners) - 1):
        u, v = unit[i - 1], unit[i]
        turn = np.arctan2(u[0] * v[1] - u[1] * v[0], u @ v)
        if abs(turn) < 1e-6:
            continue
        slope = np.tan(abs(turn) / 2)
        # Both ends of a leg may be turned; the first and the last leg have one such end.
        before = length[i - 1] * (0.98 if i == 1 else 0.49)
        after = length[i] * (0.98 if i == len(corners) - 2 else 0.49)
        radius = min(radius_m, min(before, after) / slope)
        start = corners[i] - u * radius * slope
        normal = np.array([-u[1], u[0]]) * np.sign(turn)
        angle = np.linspace(0, abs(turn), max(4, int(radius * abs(turn) / 0.5) + 2))[:, None]
        arc = start + normal * radius * (1 - np.cos(angle)) + u * radius * np.sin(angle)
        pieces.append(arc)
    pieces.append(corners[-1:])
    return _filled(np.concatenate(pieces))


def _filled(points: FloatArray) -> FloatArray:
    """Returns the same polyline with points at most about 0.5 m apart."""
    out = [points[:1]]
    for a, b in pairwise(points):
        count = max(1, round(float(np.linalg.norm(b - a)) / 0.5))
        out.append(a + (b - a) * np.linspace(0, 1, count + 1)[1:, None])
    return np.concatenate(out)


class Routes:
    """All routes of a drive in one table, so that many bodies are located at once."""

    def __init__(self, routes: Sequence[Route]) -> None:
        pieces, samples = [], []
        for one in routes:
            at = STEP_M * np.arange(len(one.samples_m))
            spline = CubicSpline(at, one.samples_m)
            pieces.append(spline.c.transpose(1, 0, 2))
            samples.append(one.samples_m)
        counts = np.array([len(piece) for piece in pieces])
        self._first: IntArray = np.concatenate([[0], np.cumsum(counts)[:-1]])
        self._count: IntArray = counts
        self._coefficients: FloatArray = np.concatenate(pieces)
        self._limit_mps: FloatArray = np.concatenate([_speed_limit(k)[:-1] for k in samples])
        self._first_m: FloatArray = np.array([one.first_m for one in routes])
        self.backwards: BoolArray = np.array([one.backwards for one in routes])
        self.last_m: FloatArray = np.array([one.last_m for one in routes])

    def _piece(self, route: IntArray, s_m: FloatArray) -> tuple[IntArray, FloatArray]:
        x = s_m - self._first_m[route]
        i = np.clip((x / STEP_M).astype(np.int64), 0, self._count[route] - 1)
        return self._first[route] + i, x - i * STEP_M

    def position(self, route: IntArray, s_m: FloatArray) -> FloatArray:
        """Returns points [..., 3] at s on routes (same shape)."""
        piece, x = self._piece(route, s_m)
        c, x = self._coefficients[piece], x[..., None]
        point: FloatArray = ((c[..., 0, :] * x + c[..., 1, :]) * x + c[..., 2, :]) * x + c[
            ..., 3, :
        ]
        return point

    def derivatives(self, route: IntArray, s_m: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Returns the first and second derivative [N, 3] of the position along s."""
        piece, x = self._piece(route, s_m)
        c, x = self._coefficients[piece], x[:, None]
        return (3 * c[:, 0] * x + 2 * c[:, 1]) * x + c[:, 2], 6 * c[:, 0] * x + 2 * c[:, 1]

    def speed_limit(self, route: IntArray, s_m: FloatArray) -> FloatArray:
        """Returns the speed [N] that bends at and beyond s allow, m/s."""
        return self._limit_mps[self._piece(route, s_m)[0]]


def _speed_limit(samples: FloatArray) -> FloatArray:
    """Returns the speed [K] at which bends are comfortable, and from which a body can brake for
    them."""
    bend = np.zeros(len(samples))
    second = samples[2:, :2] - 2 * samples[1:-1, :2] + samples[:-2, :2]
    bend[1:-1] = np.linalg.norm(second, axis=1) / STEP_M**2
    squared = _SIDEWAYS_MPS2 / np.maximum(bend, 1e-3)
    room = 2 * _BRAKING_MPS2 * STEP_M * np.arange(len(samples))
    reachable = np.minimum.accumulate((squared + room)[::-1])[::-1] - room
    limit: FloatArray = np.sqrt(np.maximum(reachable, 1.0))
    return limit
