"""Who is in a drive, and where each of them is at any time.

A place casts its actors in order of precedence; the traffic then moves them (`simulation`) and
takes out whoever would touch somebody of higher precedence at any time, so that nobody ever passes
through anybody.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leapai.types import (
    CLASS_NAMES,
    BoolArray,
    FloatArray,
    IntArray,
)
from leapai_world.actors import colours, shapes
from leapai_world.places.street import Motion, random_generator
from leapai_world.traffic.collision_filter import collision_free
from leapai_world.traffic.routes import Route, Routes, route
from leapai_world.traffic.simulation import (
    START_S,
    STEP_S,
    Agents,
    TrajectorySamples,
    simulate,
)

EGO_REAR_AXLE_M = 1.4
"""The rear axle (origin of the ego frame) lies this far behind the middle of the ego vehicle."""
EGO_HALF_LENGTH_M, EGO_HALF_WIDTH_M = 2.4, 0.95
CAR, TRUCK, BUS, PERSON, NON_MOTOR, RIDERLESS, BARRIER, PILLAR = range(len(CLASS_NAMES))

_PRESENT = (0.15, 1.0)
"""Least and largest share of a actors that is there."""


@dataclass(frozen=True)
class Plan:
    """How somebody moves along a route, beyond its speed; fields as in `simulation.Crew`."""

    speed_variation: float = 0.0
    phase_rad: float = 0.0
    stop_line_m: float = -1.0
    yield_zone_m: float = 0.0
    green_s: tuple[float, float] = (-np.inf, np.inf)
    then: int = -1
    scripted_s: tuple[float, float] = (0.0, 0.0)
    scripted_m: float = 0.0


_JUST_GO = Plan()


@dataclass(frozen=True)
class Standing:
    """One who never moves."""

    class_id: int
    position_m: FloatArray
    """[3] on the ground, local frame."""
    heading_rad: float
    size_m: FloatArray
    shape: int


@dataclass(frozen=True)
class Moving:
    """One who follows a route, from `start_m` on."""

    class_id: int
    route: int
    start_m: float
    speed_mps: float
    plan: Plan
    size_m: FloatArray
    shape: int


class Actors:
    """The ego and all actors of a drive, in order of precedence; the ego comes first."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.routes: list[Route] = []
        self.members: list[Standing | Moving] = []

    def present(self) -> list[Standing | Moving]:
        """The ego, and whom a drive has of all others: most in a busy one, few in a quiet one."""
        rng = random_generator(self._seed, 22)
        share = rng.uniform(*_PRESENT)
        stays = rng.random(len(self.members)) < share
        return [m for i, m in enumerate(self.members) if i == 0 or stays[i]]

    def route_through(self, points_m: FloatArray) -> int:
        """The number of a new route through points [P, 2] or [P, 3]."""
        return self.add_route(route(points_m))

    def add_route(self, one: Route) -> int:
        """The number of a new route."""
        self.routes.append(one)
        return len(self.routes) - 1

    def add_ego(self, route: int, start_m: float, speed_mps: float, plan: Plan = _JUST_GO) -> None:
        """The ego, which must be actors before all others."""
        assert not self.members
        size = 2 * np.array([EGO_HALF_LENGTH_M, EGO_HALF_WIDTH_M, 0.8])
        self.members.append(Moving(CAR, route, start_m, speed_mps, plan, size, 0))

    def add_moving(
        self, class_id: int, route: int, start_m: float, speed_mps: float, plan: Plan = _JUST_GO
    ) -> None:
        """An actor that moves."""
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
        """An actor that stands still; kind (`kinds.KINDS`) and size are drawn where none is
        given."""
        size, shape = self._draw_shape(class_id, kind)
        if size_m is not None:
            size = np.array(size_m)
        self.members.append(
            Standing(class_id, np.asarray(position_m, float), heading_rad, size, shape)
        )

    def own_colours(self, number: int) -> FloatArray:
        """[3, 3] of one who goes or stands (`colours.own_colours`)."""
        return colours.own_colours(random_generator(self._seed, 6, int(number)))

    def _draw_shape(self, class_id: int, kind: str = "") -> tuple[FloatArray, int]:
        return shapes.draw(class_id, random_generator(self._seed, 4, len(self.members)), kind)


class Traffic:
    """The motion of a actors through a drive of `duration_s`."""

    def __init__(self, actors: Actors, duration_s: float) -> None:
        members = actors.present()
        movers = [m for m in members if isinstance(m, Moving)]
        standing = [m for m in members if isinstance(m, Standing)]
        order = np.array([isinstance(m, Standing) for m in members])
        precedence = np.concatenate([np.flatnonzero(~order), np.flatnonzero(order)])
        self._routes = Routes(actors.routes)
        self._trajectories = simulate(self._routes, _agents(movers), duration_s)
        self._still = np.array([[*m.position_m, m.heading_rad] for m in standing]).reshape(-1, 4)
        everybody: list[Standing | Moving] = [*movers, *standing]
        size = np.array([m.size_m for m in everybody])
        kept = collision_free(self._outlines(duration_s), size[:, :2], precedence)
        self._movers: IntArray = kept[(kept < len(movers)) & (kept > 0)]
        self._still = self._still[kept[kept >= len(movers)] - len(movers)]
        kept = kept[kept > 0]
        self.class_id: IntArray = np.array([everybody[i].class_id for i in kept], np.int64)
        self.shape: IntArray = np.array([everybody[i].shape for i in kept], np.int64)
        """[N] index into `shapes.prototypes` of each body in its first pose."""
        self.own_colours = np.array([actors.own_colours(i) for i in kept], np.float32)
        """[N, 3, 3] (`colours.own_colours`)."""
        self.size_m: FloatArray = size[kept]
        self.moves: BoolArray = np.arange(len(kept)) < len(self._movers)
        """[N] whether the actor ever moves."""

    def ego(self, time_s: float) -> Motion:
        """Motion of the ego's origin, as arrays of one body."""
        return self._of(np.array([0]), time_s, EGO_REAR_AXLE_M)

    def motion(self, time_s: float) -> Motion:
        """Motion of all actors; positions are where they stand, headings those of the bodies."""
        moving = self._of(self._movers, time_s)
        position, heading = self._still[:, :3], self._still[:, 3]
        none = np.zeros_like(position)
        return Motion(
            np.concatenate([moving.position_m, position]),
            np.concatenate([moving.heading_rad, heading]),
            np.concatenate([moving.velocity_mps, none]),
            np.concatenate([moving.acceleration_mps2, none]),
        )

    def posed(self, time_s: float) -> IntArray:
        """[N] index into `shapes.prototypes` of each body in its pose at a time: legs step by the
        distance walked."""
        s, v = self._trajectories.of(self._movers, time_s)[:2]
        still = np.zeros(len(self._still))
        travelled, speed = np.concatenate([s, still]), np.concatenate([np.abs(v), still])
        return shapes.posed(self.shape, self.size_m[:, 2], travelled, speed)

    def _of(self, movers: IntArray, time_s: float, behind_m: float = 0.0) -> Motion:
        """Motion of points of movers that lie `behind_m` behind their middles."""
        s, v, a, route = self._trajectories.of(movers, time_s)
        backwards = self._routes.backwards[route]
        s = s - behind_m * np.where(backwards, -1.0, 1.0)
        first, second = self._routes.derivatives(route, s)
        direction_rad = np.arctan2(first[:, 1], first[:, 0])
        return Motion(
            position_m=self._routes.position(route, s),
            heading_rad=direction_rad + np.pi * backwards,
            velocity_mps=first * v[:, None],
            acceleration_mps2=first * a[:, None] + second * v[:, None] ** 2,
        )

    def _outlines(self, duration_s: float) -> FloatArray:
        """Position x y and heading [K, N, 3] of all movers and all who stand, at 10 Hz."""
        knots: TrajectorySamples = self._trajectories
        everybody, outlines = np.arange(knots.s.shape[1]), []
        for time_s in np.arange(START_S, duration_s + 0.15, STEP_S):
            motion = self._of(everybody, time_s)
            moving = np.concatenate([motion.position_m[:, :2], motion.heading_rad[:, None]], 1)
            moving[0] = self._ego_middle(time_s)
            outlines.append(np.concatenate([moving, self._still[:, [0, 1, 3]]]))
        return np.stack(outlines)

    def _ego_middle(self, time_s: float) -> FloatArray:
        """x, y and heading [3]: the ego's axle follows its route, and its middle swings out."""
        ego = self.ego(time_s)
        heading = ego.heading_rad[0]
        ahead = EGO_REAR_AXLE_M * np.array([np.cos(heading), np.sin(heading)])
        return np.array([*(ego.position_m[0, :2] + ahead), heading])


def _agents(movers: list[Moving]) -> Agents:
    plans = [m.plan for m in movers]
    return Agents(
        length_m=np.array([m.size_m[0] for m in movers]),
        width_m=np.array([m.size_m[1] for m in movers]),
        start_m=np.array([m.start_m for m in movers]),
        speed_mps=np.array([m.speed_mps for m in movers]),
        speed_variation=np.array([p.speed_variation for p in plans]),
        phase_rad=np.array([p.phase_rad for p in plans]),
        walks=np.array([m.class_id == PERSON for m in movers]),
        route=np.array([m.route for m in movers]),
        then=np.array([p.then for p in plans]),
        scripted_s=np.array([p.scripted_s for p in plans]),
        scripted_m=np.array([p.scripted_m for p in plans]),
        stop_line_m=np.array([p.stop_line_m for p in plans]),
        yield_zone_m=np.array([p.yield_zone_m for p in plans]),
        green_s=np.array([p.green_s for p in plans]),
    )
