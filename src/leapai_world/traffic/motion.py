"""Motion of the ego and of the actors of a drive at any time.

A place lists its actors in order of precedence (`actor_list`). Traffic then moves them
(`simulation`) and removes each that would touch one of higher precedence at any time
(`collision_filter`), so that no two bodies ever pass through each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leapai.types.vocabulary import BoolArray, FloatArray, IntArray
from leapai_world.actors import shapes
from leapai_world.traffic.actor_list import PERSON, Actors, Moving, Standing
from leapai_world.traffic.collision_filter import collision_free
from leapai_world.traffic.routes import Routes
from leapai_world.traffic.simulation import START_S, STEP_S, Agents, TrajectorySamples, simulate

EGO_REAR_AXLE_M = 1.4
"""The rear axle (origin of the ego frame) lies this far behind the middle of the ego vehicle."""


@dataclass(frozen=True)
class Motion:
    """Positions and motion of N bodies in the local frame; float64, metres and seconds."""

    position_m: FloatArray
    """[N, 3] on the ground."""
    heading_rad: FloatArray
    """[N] direction in which the body faces."""
    velocity_mps: FloatArray
    """[N, 3]"""
    acceleration_mps2: FloatArray
    """[N, 3]"""


class Traffic:
    """Traffic of a drive of `duration_s`: the actors that remain, and their motion."""

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
        reflectivities = [actors.own_reflectivities(i) for i in kept]
        self.own_reflectivities = np.array(reflectivities, np.float32)
        """[N, 3] (`colours.own_reflectivities`)."""
        self.size_m: FloatArray = size[kept]
        self.moves: BoolArray = np.arange(len(kept)) < len(self._movers)
        """[N] whether the actor ever moves."""

    def ego(self, time_s: float) -> Motion:
        """Returns the motion of the origin of the ego frame, as arrays of one body."""
        return self._of(np.array([0]), time_s, EGO_REAR_AXLE_M)

    def motion(self, time_s: float) -> Motion:
        """Returns the motion of all actors; positions are on the ground, headings those of the
        bodies."""
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
        """Returns the index [N] into `shapes.prototypes` of each body in its pose at a time: legs
        step by the distance walked."""
        s, v = self._trajectories.of(self._movers, time_s)[:2]
        still = np.zeros(len(self._still))
        travelled, speed = np.concatenate([s, still]), np.concatenate([np.abs(v), still])
        return shapes.posed(self.shape, self.size_m[:, 2], travelled, speed)

    def _of(self, movers: IntArray, time_s: float, behind_m: float = 0.0) -> Motion:
        """Returns the motion of points of moving bodies that lie `behind_m` behind their
        middles."""
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
        """Returns position x y and heading [K, N, 3] of all moving and all standing bodies, at 10
        Hz."""
        samples: TrajectorySamples = self._trajectories
        everybody, outlines = np.arange(samples.s.shape[1]), []
        for time_s in np.arange(START_S, duration_s + 0.15, STEP_S):
            motion = self._of(everybody, time_s)
            moving = np.concatenate([motion.position_m[:, :2], motion.heading_rad[:, None]], 1)
            moving[0] = self._ego_middle(time_s)
            outlines.append(np.concatenate([moving, self._still[:, [0, 1, 3]]]))
        return np.stack(outlines)

    def _ego_middle(self, time_s: float) -> FloatArray:
        """Returns x, y and heading [3] of the middle of the ego: its axle follows the route, and
        its middle swings out."""
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
        next_route=np.array([p.next_route for p in plans]),
        scripted_s=np.array([p.scripted_s for p in plans]),
        scripted_m=np.array([p.scripted_m for p in plans]),
        stop_line_m=np.array([p.stop_line_m for p in plans]),
        yield_zone_m=np.array([p.yield_zone_m for p in plans]),
        green_s=np.array([p.green_s for p in plans]),
    )
