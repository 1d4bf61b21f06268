"""Kinds of the eight classes: how common each is, and what builds its mesh."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from leapai.types.vocabulary import FloatArray
from leapai_world.actors import cars, obstacles, people, riders, trucks_and_buses
from leapai_world.actors.sizes import SIZES, Spread
from leapai_world.meshes import Mesh

Generator = np.random.Generator


@dataclass(frozen=True)
class Gait:
    """Gait of a body: its meshes over one cycle of legs or pedals while it travels."""

    build: Callable[[FloatArray, Generator, int], Mesh]
    """Builds the mesh from size, random draws and phase; the same draws give the same body."""
    phases: int
    """Number of phases of one cycle."""
    cycle_heights: float
    """Distance travelled in one cycle, in heights of the body."""
    stands: bool = False
    """Whether phase `phases` is that of a body at rest; else a body at rest keeps its phase."""


@dataclass(frozen=True)
class Kind:
    """One kind of actor within a class."""

    name: str
    share: float
    """Share of its class in `draw`; 0: only drawn by name."""
    variants: int
    """Number of shapes."""
    shape: Callable[[FloatArray, Generator], Mesh] | Gait

    @property
    def size_m(self) -> tuple[Spread, Spread, Spread]:
        """Spreads of length, width and height (`sizes.SIZES`)."""
        return SIZES[self.name].rows

    def draw_size(self, rng: Generator) -> FloatArray:
        """Draws length, width and height [3] in metres."""
        return SIZES[self.name].draw(rng)


KINDS: dict[str, tuple[Kind, ...]] = {
    "car": (
        Kind("saloon", 0.30, 3, cars.saloon),
        Kind("hatchback", 0.25, 3, cars.hatchback),
        Kind("suv", 0.28, 3, cars.suv),
        Kind("minivan", 0.12, 2, cars.minivan),
        Kind("pickup", 0.05, 1, cars.pickup),
    ),
    "truck": (
        Kind("box_truck", 0.45, 5, trucks_and_buses.box_truck),
        Kind("flatbed", 0.22, 3, trucks_and_buses.flatbed),
        Kind("tipper", 0.22, 3, trucks_and_buses.tipper),
        Kind("mixer", 0.11, 1, trucks_and_buses.mixer),
    ),
    "bus": (
        Kind("city_bus", 0.70, 8, trucks_and_buses.city_bus),
        Kind("minibus", 0.30, 4, trucks_and_buses.minibus),
    ),
    "person": (
        Kind("adult", 0.80, 7, Gait(people.adult, people.STEP_PHASES, 0.75, stands=True)),
        Kind("child", 0.13, 3, Gait(people.child, people.STEP_PHASES, 0.75, stands=True)),
        Kind(
            "with_umbrella",
            0.07,
            2,
            Gait(people.with_umbrella, people.STEP_PHASES, 0.68, stands=True),
        ),
    ),
    "non_motor": (
        Kind("cyclist", 0.48, 5, Gait(riders.cyclist, riders.PEDAL_PHASES, 2.9)),
        Kind("moped_rider", 0.30, 3, riders.moped_rider),
        Kind("kick_scooter_rider", 0.12, 2, riders.kick_scooter_rider),
        Kind("tricycle_rider", 0.10, 2, riders.tricycle_rider),
    ),
    "riderless_non_motor": (
        Kind("parked_bicycle", 0.40, 4, riders.parked_bicycle),
        Kind("racked_bicycle", 0.15, 2, riders.racked_bicycle),
        Kind("fallen_bicycle", 0.05, 1, riders.fallen_bicycle),
        Kind("parked_moped", 0.24, 3, riders.parked_moped),
        Kind("parked_kick_scooter", 0.10, 1, riders.parked_kick_scooter),
        Kind("parked_tricycle", 0.06, 1, riders.parked_tricycle),
    ),
    "barrier": (
        Kind("jersey", 0.30, 3, obstacles.jersey),
        Kind("water_filled", 0.28, 3, obstacles.water_filled),
        Kind("board_gate", 0.22, 2, obstacles.board_gate),
        Kind("crowd_fence", 0.20, 2, obstacles.crowd_fence),
        Kind("boom", 0.0, 2, obstacles.boom),
    ),
    "pillar": (
        Kind("round_bollard", 0.65, 5, obstacles.round_bollard),
        Kind("square_bollard", 0.35, 3, obstacles.square_bollard),
        Kind("round_column", 0.0, 2, obstacles.round_column),
        Kind("square_column", 0.0, 2, obstacles.square_column),
    ),
}
