"""The street: a gently curved centreline and its cross section, in street coordinates (s, d).

s runs along the centreline in metres, d to its left. The *local* frame has its origin where s = 0
and the z axis up; it differs from the global frame by a shift alone. Traffic keeps right: it
moves with s where d < 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leapai.types import FloatArray

LANE_M = 3.5
CYCLE_LANE_M = 1.8
PARKING_M = 2.4
PAVEMENT_M = 4.6
KERB_HEIGHT_M = 0.12
KERB_RAMP_M = 0.35
"""Half the width over which what walks across a kerb rises or sinks."""
FIRST_S_M = -400.0
_STEP_M = 0.5
_GAUSS_NODES, _GAUSS_WEIGHTS = np.polynomial.legendre.leggauss(4)


def random_generator(seed: int, *stream: int) -> np.random.Generator:
    """A generator of its own for each place of the world, so that no place depends on what came
    before."""
    return np.random.default_rng([seed, *(index + (1 << 20) for index in stream)])


def smooth_step(x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Quintic step 6 x^5 - 15 x^4 + 10 x^3 of x clipped to [0, 1], and its two derivatives."""
    x = np.clip(x, 0.0, 1.0)
    rest = 1 - x
    return x**3 * (10 + x * (6 * x - 15)), 30 * (x * rest) ** 2, 60 * x * rest * (1 - 2 * x)


@dataclass(frozen=True)
class Motion:
    """Where N bodies are and how they move, in the local frame; float64, metres and seconds."""

    position_m: FloatArray
    """[N, 3] on the ground."""
    heading_rad: FloatArray
    """[N] of the body."""
    velocity_mps: FloatArray
    """[N, 3]"""
    acceleration_mps2: FloatArray
    """[N, 3]"""


@dataclass(frozen=True)
class Section:
    """Cross section of a street, the same on both sides; widths in metres."""

    lanes_each_way: int
    cycle_m: float = CYCLE_LANE_M
    """0: riders share the lanes."""
    parking_m: float = PARKING_M
    divider: str = "DashedLine"
    separator: str = "DashedLine"
    edge: str = "SolidLine"
    """Kinds of paint (docs/design.md, section 11): on the centreline, between lanes, beside the
    lanes."""
    lawn_m: float = 90.0
    """How far the ground goes on behind the houses."""


@dataclass(frozen=True)
class Bend:
    """Heading of a centreline: heading + swing sin(wave s + phase)."""

    heading_rad: float
    swing_rad: float = 0.0
    wave_per_m: float = 0.0
    phase_rad: float = 0.0


def draw_bend(rng: np.random.Generator) -> Bend:
    """A gentle curve to both sides."""
    return Bend(
        heading_rad=rng.uniform(-np.pi, np.pi),
        swing_rad=rng.uniform(0.25, 0.5) * rng.choice([-1.0, 1.0]),
        wave_per_m=2 * np.pi / rng.uniform(220.0, 300.0),
        phase_rad=rng.uniform(-0.6, 0.6),
    )


class Street:
    """A centreline with a cross section; `seed` draws what lies along it."""

    def __init__(self, seed: int, length_m: float, section: Section, bend: Bend) -> None:
        self.seed, self.section, self.bend = seed, section, bend
        self.lanes_each_way = section.lanes_each_way
        self._knots_m = np.arange(FIRST_S_M, length_m + 500.0, _STEP_M)
        self._knot_xy = self._integrate()

    def _integrate(self) -> FloatArray:
        nodes = self._knots_m[:-1, None] + _STEP_M * (_GAUSS_NODES + 1) / 2
        tangent = self.tangent(self.heading(nodes))
        steps = (tangent * _GAUSS_WEIGHTS[:, None]).sum(1) * _STEP_M / 2
        xy: FloatArray = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, 0)])
        return np.asarray(xy - xy[int(-FIRST_S_M / _STEP_M)])

    @property
    def carriageway_m(self) -> float:
        """Half the width of all that is driven on: lanes and cycle lane."""
        return self.lanes_each_way * LANE_M + self.section.cycle_m

    @property
    def kerb_m(self) -> float:
        """Distance of each kerb from the centreline."""
        return self.carriageway_m + self.section.parking_m

    @property
    def frontage_m(self) -> float:
        """Distance of each building line from the centreline."""
        return self.kerb_m + PAVEMENT_M

    def heading(self, s_m: FloatArray | float) -> FloatArray:
        """Direction of the centreline, local frame."""
        bend = self.bend
        wave = np.sin(bend.wave_per_m * s_m + bend.phase_rad)
        return np.asarray(bend.heading_rad + bend.swing_rad * wave)

    @staticmethod
    def tangent(heading_rad: FloatArray) -> FloatArray:
        """Unit vectors [..., 2]."""
        return np.stack([np.cos(heading_rad), np.sin(heading_rad)], -1)

    def centre(self, s_m: FloatArray | float) -> FloatArray:
        """Centreline points [..., 2], local frame: cubic Hermite between exact knots."""
        s_m = np.asarray(s_m, np.float64)
        i = np.clip(((s_m - FIRST_S_M) / _STEP_M).astype(np.int64), 0, len(self._knots_m) - 2)
        x = ((s_m - self._knots_m[i]) / _STEP_M)[..., None]
        t0 = self.tangent(self.heading(self._knots_m[i])) * _STEP_M
        t1 = self.tangent(self.heading(self._knots_m[i + 1])) * _STEP_M
        p0, p1 = self._knot_xy[i], self._knot_xy[i + 1]
        step = x * x * (3 - 2 * x)
        point: FloatArray = p0 + (p1 - p0) * step + t0 * x * (1 - x) ** 2 - t1 * x * x * (1 - x)
        return point

    def local(
        self, s_m: FloatArray | float, d_m: FloatArray | float, z_m: FloatArray | float = 0.0
    ) -> FloatArray:
        """Points [..., 3] of the local frame (broadcast)."""
        s, d, z = np.broadcast_arrays(np.asarray(s_m, np.float64), d_m, z_m)
        tangent = self.tangent(self.heading(s))
        normal = np.stack([-tangent[..., 1], tangent[..., 0]], -1)
        return np.concatenate([self.centre(s) + normal * d[..., None], z[..., None]], -1)

    def height(self, d_m: FloatArray) -> FloatArray:
        """Height of what stands at d: the kerb is a ramp to who walks over it."""
        return KERB_HEIGHT_M * smooth_step((np.abs(d_m) - self.kerb_m) / (2 * KERB_RAMP_M) + 0.5)[0]
