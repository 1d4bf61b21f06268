"""Kinds of the eight classes: how common, how large, and what builds them.

Sizes are those of vehicles on sale and of design guides; within them lie the tracks of the real
log that the tests know (Argoverse 2, 5th to 95th percentile: cars 4.0-4.9 x 1.7-2.4 x 1.4-2.1 m,
people 0.6-1.0 x 0.6-1.0 x 1.5-1.9 m, bicycles 1.6-1.8 x 0.5-0.6 x 1.1-1.5 m, bollards 0.2-0.4 x
0.9-1.1 m), but for widths over mirrors that are folded out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from leapai.types import FloatArray
from leapai_world.actors import cars, obstacles, people, riders, trucks_and_buses
from leapai_world.meshes import Mesh

Generator = np.random.Generator
Spread = tuple[tuple[float, float, float, float], ...]
"""(mean, standard deviation, low, high) of length, width, height in metres."""


@dataclass(frozen=True)
class Gait:
    """How a body moves while it travels."""

    build: Callable[[FloatArray, Generator, int], Mesh]
    """Of size, random draws and phase; the same draws give the same body."""
    phases: int
    """Of one cycle."""
    cycle_heights: float
    """Distance of a cycle, in heights of the body."""
    stands: bool = False
    """Whether phase `phases` is that of a body at rest; else a body at rest keeps its phase."""


@dataclass(frozen=True)
class Kind:
    """One kind of a class."""

    name: str
    share: float
    """Part of its class in `draw`; 0: only where asked for by name."""
    variants: int
    size_m: Spread
    shape: Callable[[FloatArray, Generator], Mesh] | Gait

    def draw_size(self, rng: Generator) -> FloatArray:
        """Length, width and height [3] in metres."""
        spread = np.array(self.size_m)
        size = np.clip(rng.normal(spread[:, 0], spread[:, 1]), spread[:, 2], spread[:, 3])
        if self.size_m[0] == self.size_m[1]:
            size[1] = size[0]
        return size


def _post(across: tuple[float, float, float, float], *height: float) -> Spread:
    """As wide as long."""
    low, spread, least, most = height
    return (across, across, (low, spread, least, most))


KINDS: dict[str, tuple[Kind, ...]] = {
    "car": (
        Kind(
            "saloon",
            0.30,
            3,
            ((4.65, 0.20, 4.2, 5.15), (1.82, 0.05, 1.70, 1.97), (1.45, 0.03, 1.37, 1.53)),
            cars.saloon,
        ),
        Kind(
            "hatchback",
            0.25,
            3,
            ((4.05, 0.22, 3.5, 4.45), (1.76, 0.05, 1.60, 1.87), (1.50, 0.05, 1.40, 1.62)),
            cars.hatchback,
        ),
        Kind(
            "suv",
            0.28,
            3,
            ((4.52, 0.20, 4.1, 5.05), (1.88, 0.06, 1.76, 2.05), (1.68, 0.06, 1.56, 1.88)),
            cars.suv,
        ),
        Kind(
            "minivan",
            0.12,
            2,
            ((4.85, 0.30, 4.3, 5.5), (1.93, 0.06, 1.80, 2.08), (1.95, 0.14, 1.72, 2.35)),
            cars.minivan,
        ),
        Kind(
            "pickup",
            0.05,
            1,
            ((5.30, 0.15, 4.9, 5.5), (1.92, 0.06, 1.80, 2.08), (1.82, 0.05, 1.72, 1.95)),
            cars.pickup,
        ),
    ),
    "truck": (
        Kind(
            "box_truck",
            0.45,
            5,
            ((7.6, 1.1, 5.6, 9.8), (2.45, 0.08, 2.20, 2.60), (3.35, 0.28, 2.80, 3.80)),
            trucks_and_buses.box_truck,
        ),
        Kind(
            "flatbed",
            0.22,
            3,
            ((7.4, 0.9, 5.8, 9.5), (2.45, 0.07, 2.25, 2.60), (2.75, 0.12, 2.50, 3.00)),
            trucks_and_buses.flatbed,
        ),
        Kind(
            "tipper",
            0.22,
            3,
            ((7.6, 0.7, 6.4, 9.2), (2.50, 0.04, 2.40, 2.60), (3.05, 0.12, 2.80, 3.40)),
            trucks_and_buses.tipper,
        ),
        Kind(
            "mixer",
            0.11,
            1,
            ((8.4, 0.4, 7.6, 9.4), (2.50, 0.03, 2.40, 2.60), (3.65, 0.08, 3.45, 3.80)),
            trucks_and_buses.mixer,
        ),
    ),
    "bus": (
        Kind(
            "city_bus",
            0.70,
            8,
            ((11.6, 0.5, 10.2, 12.3), (2.62, 0.06, 2.50, 2.80), (3.12, 0.10, 2.90, 3.40)),
            trucks_and_buses.city_bus,
        ),
        Kind(
            "minibus",
            0.30,
            4,
            ((7.2, 0.5, 6.0, 8.2), (2.22, 0.08, 2.05, 2.40), (2.75, 0.10, 2.55, 3.00)),
            trucks_and_buses.minibus,
        ),
    ),
    "person": (
        Kind(
            "adult",
            0.80,
            7,
            ((0.68, 0.09, 0.48, 0.90), (0.64, 0.06, 0.50, 0.80), (1.71, 0.09, 1.48, 1.98)),
            Gait(people.adult, people.STEP_PHASES, 0.75, stands=True),
        ),
        Kind(
            "child",
            0.13,
            3,
            ((0.52, 0.06, 0.38, 0.66), (0.48, 0.05, 0.38, 0.60), (1.22, 0.13, 0.95, 1.48)),
            Gait(people.child, people.STEP_PHASES, 0.75, stands=True),
        ),
        Kind(
            "with_umbrella",
            0.07,
            2,
            ((0.92, 0.03, 0.84, 0.98), (0.88, 0.03, 0.80, 0.95), (1.98, 0.07, 1.84, 2.14)),
            Gait(people.with_umbrella, people.STEP_PHASES, 0.68, stands=True),
        ),
    ),
    "non_motor": (
        Kind(
            "cyclist",
            0.48,
            5,
            ((1.78, 0.07, 1.60, 1.95), (0.62, 0.04, 0.52, 0.74), (1.74, 0.08, 1.52, 1.95)),
            Gait(riders.cyclist, riders.PEDAL_PHASES, 2.9),
        ),
        Kind(
            "moped_rider",
            0.30,
            3,
            ((1.86, 0.07, 1.70, 2.05), (0.70, 0.04, 0.60, 0.80), (1.62, 0.07, 1.45, 1.80)),
            riders.moped_rider,
        ),
        Kind(
            "kick_scooter_rider",
            0.12,
            2,
            ((1.16, 0.04, 1.05, 1.28), (0.60, 0.04, 0.50, 0.70), (1.84, 0.08, 1.62, 2.04)),
            riders.kick_scooter_rider,
        ),
        Kind(
            "tricycle_rider",
            0.10,
            2,
            ((2.40, 0.12, 2.10, 2.70), (0.94, 0.03, 0.86, 1.00), (1.62, 0.06, 1.48, 1.80)),
            riders.tricycle_rider,
        ),
    ),
    "riderless_non_motor": (
        Kind(
            "parked_bicycle",
            0.40,
            4,
            ((1.74, 0.07, 1.55, 1.92), (0.60, 0.04, 0.50, 0.70), (1.06, 0.05, 0.95, 1.22)),
            riders.parked_bicycle,
        ),
        Kind(
            "racked_bicycle",
            0.15,
            2,
            ((1.74, 0.06, 1.58, 1.90), (0.62, 0.03, 0.55, 0.70), (1.05, 0.03, 0.98, 1.15)),
            riders.racked_bicycle,
        ),
        Kind(
            "fallen_bicycle",
            0.05,
            1,
            ((1.74, 0.06, 1.58, 1.90), (1.04, 0.03, 0.95, 1.10), (0.54, 0.04, 0.45, 0.64)),
            riders.fallen_bicycle,
        ),
        Kind(
            "parked_moped",
            0.24,
            3,
            ((1.84, 0.07, 1.68, 2.02), (0.68, 0.04, 0.58, 0.76), (1.16, 0.05, 1.05, 1.30)),
            riders.parked_moped,
        ),
        Kind(
            "parked_kick_scooter",
            0.10,
            1,
            ((1.14, 0.03, 1.05, 1.24), (0.48, 0.03, 0.42, 0.56), (1.14, 0.04, 1.04, 1.24)),
            riders.parked_kick_scooter,
        ),
        Kind(
            "parked_tricycle",
            0.06,
            1,
            ((2.10, 0.05, 1.95, 2.20), (0.94, 0.03, 0.86, 1.00), (1.26, 0.06, 1.10, 1.40)),
            riders.parked_tricycle,
        ),
    ),
    "barrier": (
        Kind(
            "jersey",
            0.30,
            3,
            ((2.2, 0.22, 1.6, 2.6), (0.60, 0.02, 0.55, 0.66), (0.86, 0.06, 0.78, 1.07)),
            obstacles.jersey,
        ),
        Kind(
            "water_filled",
            0.28,
            3,
            ((1.8, 0.28, 1.2, 2.2), (0.46, 0.04, 0.38, 0.56), (0.86, 0.08, 0.70, 1.05)),
            obstacles.water_filled,
        ),
        Kind(
            "board_gate",
            0.22,
            2,
            ((2.0, 0.20, 1.5, 2.5), (0.50, 0.05, 0.40, 0.62), (1.08, 0.07, 0.92, 1.25)),
            obstacles.board_gate,
        ),
        Kind(
            "crowd_fence",
            0.20,
            2,
            ((2.3, 0.10, 2.0, 2.5), (0.52, 0.04, 0.42, 0.62), (1.10, 0.03, 1.00, 1.18)),
            obstacles.crowd_fence,
        ),
        Kind(
            "boom",
            0.0,
            2,
            ((3.2, 0.30, 2.6, 4.0), (0.36, 0.02, 0.32, 0.42), (1.06, 0.03, 0.98, 1.14)),
            obstacles.boom,
        ),
    ),
    "pillar": (
        Kind(
            "round_bollard",
            0.65,
            5,
            _post((0.22, 0.06, 0.12, 0.40), 0.95, 0.11, 0.70, 1.25),
            obstacles.round_bollard,
        ),
        Kind(
            "square_bollard",
            0.35,
            3,
            _post((0.22, 0.05, 0.14, 0.38), 0.92, 0.11, 0.70, 1.25),
            obstacles.square_bollard,
        ),
        Kind(
            "round_column",
            0.0,
            2,
            _post((0.62, 0.08, 0.45, 0.85), 2.6, 0.12, 2.3, 3.0),
            obstacles.round_column,
        ),
        Kind(
            "square_column",
            0.0,
            2,
            _post((0.64, 0.10, 0.45, 0.90), 2.6, 0.12, 2.3, 3.0),
            obstacles.square_column,
        ),
    ),
}
