"""The ego and the actors of a drive, as a place lists them before traffic moves them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leapai.types.vocabulary import CLASS_NAMES, FloatArray
from leapai_world.actors import colours, shapes
from leapai_world.random_generators import random_generator
from leapai_world.traffic.routes import Route, route

EGO_HALF_LENGTH_M, EGO_HALF_WIDTH_M = 2.4, 0.95
CAR, TRUCK, BUS, PERSON, NON_MOTOR, RIDERLESS, BARRIER, PILLAR = range(len(CLASS_NAMES))
_PRESENT = (0.15, 1.0)
"""Least and largest share of the listed actors that is present."""


@dataclass(frozen=True)
class Plan:
    """Plan of an actor on its route, beyond its speed; fields as in `simulation.Agents`."""

    speed_variation: float = 0.0
    phase_rad: float = 0.0
    stop_line_m: float = -1.0
    yield_zone_m: float = 0.0
    green_s: tuple[float, float] = (-np.inf, np.inf)
    next_route: int = -1
    scripted_s: tuple[float, float] = (0.0, 0.0)
    scripted_m: float = 0.0


_JUST_GO = Plan()


@dataclass(frozen=True)
class Standing:
    """An actor that never moves."""

    class_id: int
    position_m: FloatArray
    """[3] on the ground, local frame."""
    heading_rad: float
    size_m: FloatArray
    shape: int


@dataclass(frozen=True)
class Moving:
    """An actor that follows a route, from `start_m` on."""

    class_id: int
    route: int
    start_m: float
    speed_mps: float
    plan: Plan
    size_m: FloatArray
    shape: int


class Actors:
    """The ego and all actors of a drive in order of precedence; the ego comes first."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.routes: list[Route] = []
        self.members: list[Standing | Moving] = []

    def present(self) -> list[Standing | Moving]:
        """Returns the ego and the actors that are present: most of those listed in a busy drive,
        few in a quiet one."""
        rng = random_generator(self._seed, 22)
        share = rng.uniform(*_PRESENT)
        stays = rng.random(len(self.members)) < share
        return [m for i, m in enumerate(self.members) if i == 0 or stays[i]]

    def route_through(self, points_m: FloatArray) -> int:
        """Adds the route through points [P, 2] or [P, 3] and returns its number."""
        return self.add_route(route(points_m))

    def add_route(self, new_route: Route) -> int:
        """Adds a route and returns its number."""
        self.routes.append(new_route)
        return len(self.routes) - 1

    def add_ego(self, route: int, start_m: float, speed_mps: float, plan: Plan = _JUST_GO) -> None:
        """Adds the ego, which must come before all actors."""
        assert not self.members
        size = 2 * np.array([EGO_HALF_LENGTH_M, EGO_HALF_WIDTH_M, 0.8])
        self.members.append(Moving(CAR, route, start_m, speed_mps, plan, size, 0))

    def add_moving(
        self, class_id: int, route: int, start_m: float, speed_mps: float, plan: Plan = _JUST_GO
    ) -> None:
        """Adds an actor that moves."""
        size, shape = self._draw_shape(class_id)
        self.members.append(Moving(class_id, route, start_m, speed_mps, plan, size, shape))

    def add_standing(
        self,
        class_id: int,
        position_m: FloatArray,
        heading_rad: float,
        size_m: tuple[float, float, float] | None = None,
        kind: str = "",
    ) -> None:
        """Adds an actor that stands still; kind (`kinds.KINDS`) and size are drawn where none is
        given."""
        size, shape = self._draw_shape(class_id, kind)
        if size_m is not None:
            size = np.array(size_m)
        self.members.append(
            Standing(class_id, np.asarray(position_m, float), heading_rad, size, shape)
        )

    def own_colours(self, number: int) -> FloatArray:
        """Returns the colours [3, 3] of one of the members (`colours.own_colours`)."""
        return colours.own_colours(random_generator(self._seed, 6, int(number)))

    def own_reflectivities(self, number: int) -> FloatArray:
        """Returns the reflectivities [3] of one of the members (`colours.own_reflectivities`)."""
        rng = random_generator(self._seed, 7, int(number))
        return colours.own_reflectivities(self.own_colours(number), rng)

    def _draw_shape(self, class_id: int, kind: str = "") -> tuple[FloatArray, int]:
        return shapes.draw(class_id, random_generator(self._seed, 4, len(self.members)), kind)
