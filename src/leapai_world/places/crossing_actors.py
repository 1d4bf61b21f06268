"""The actors of a crossing: queues at its lights, and people at its corners and zebra crossings."""

from __future__ import annotations

import numpy as np

from leapai_world.places import street_actors
from leapai_world.places.junction import STOP_M, ZEBRA_M, Junction, exits
from leapai_world.places.street import KERB_HEIGHT_M
from leapai_world.random_generators import random_generator
from leapai_world.traffic.actor_list import BUS, CAR, NON_MOTOR, PERSON, TRUCK, Actors, Plan

_PHASE_S = 7.0


def add_crossing_actors(junction: Junction, actors: Actors) -> None:
    """Adds the ego, which comes in by arm 0, and all actors of the crossing."""
    rng = random_generator(junction.seed, 3)
    before = rng.uniform(4.0, 22.0) if rng.random() < 0.6 else -rng.uniform(6.0, 12.0)
    stop = junction.length_m - junction.half_m - STOP_M
    # The ego's arm is green from the start in most drives, in others it turns green later.
    first = int(rng.choice([0, 0, 0, 1])) if before > 0 else 0
    green = [_green((arm - first) % 4) for arm in range(4)]
    plan = Plan(0.1, 0.0, stop_line_m=stop, green_s=green[0])
    actors.add_ego(
        actors.route_through(junction.way(0, junction.ego_out, junction.ego_lane)),
        stop - 2.6 - before,
        9.0,
        plan,
    )
    for arm in range(4):
        for lane_number in range(junction.lanes):
            is_own = arm == 0 and lane_number == junction.ego_lane
            skip = stop - 2.6 - before if is_own else None
            _queue(junction, actors, (arm, lane_number), green[arm], skip)
            _leaving(junction, actors, (arm, lane_number))
    _standing(junction, actors)
    _people(junction, actors)


def _green(turn: int) -> tuple[float, float]:
    """Returns when the arm that has the `turn`-th green may go; the first is green already."""
    begin = turn * _PHASE_S - 4.0
    return (-np.inf, begin + _PHASE_S - 1.5) if turn == 0 else (begin + 1.0, begin + _PHASE_S - 1.5)


def _queue(
    junction: Junction,
    actors: Actors,
    lane: tuple[int, int],
    green_s: tuple[float, float],
    skip_m: float | None,
) -> None:
    """Adds vehicles that come in by a lane, from the stop line back, with a gap for the ego."""
    arm, number = lane
    rng = random_generator(junction.seed, 5, arm, number)
    stop = junction.length_m - junction.half_m - STOP_M
    routes = {
        out: actors.route_through(junction.way(arm, out, number)) for out in range(4) if out != arm
    }
    waits = green_s[0] > -np.inf
    start, big = stop - rng.uniform(3.0, 5.0), arm in (1, 2) and number == 0
    while start > junction.length_m - junction.reach_m(arm):
        out = int(rng.choice(exits(arm, number, junction.lanes)))
        class_id = (CAR, CAR, CAR, CAR, TRUCK)[int(rng.integers(5))]
        if big:
            class_id, big, start = (BUS if arm == 1 else TRUCK), False, start - 4.0
        if skip_m is None or abs(start - skip_m) > 11.0:
            plan = Plan(0.15, rng.uniform(0, 6), stop_line_m=stop, green_s=green_s)
            actors.add_moving(class_id, routes[out], start, 9.0 * rng.uniform(0.85, 1.1), plan)
        start -= 5.0 if class_id == BUS else 0.0
        near = stop - start < 30.0
        start -= rng.uniform(10.0, 12.0) if waits and near else rng.uniform(15.0, 38.0)


def _leaving(junction: Junction, actors: Actors, lane: tuple[int, int]) -> None:
    """Adds vehicles that have passed the junction and leave by an arm, and riders that come and
    go."""
    arm, number = lane
    rng = random_generator(junction.seed, 6, arm, number)
    route = actors.route_through(junction.way((arm + 2) % 4, arm, number))
    middle = junction.length_m
    for start in np.arange(middle + junction.half_m + 14.0, middle + junction.reach_m(arm), 24.0):
        if rng.random() < 0.55:
            actors.add_moving(CAR, route, start + rng.uniform(-6, 6), 9.5, Plan(0.1))
    if number == 0:
        street = junction.arms[arm]
        d = street.carriageway_m - 0.9
        span = (junction.half_m, junction.reach_m(arm))
        for side in (-1, 1):
            points = street_actors.lane_points(street, side * d, *span, side)
            lane_route, length = actors.route_through(points), span[1] - span[0]
            stop = length - STOP_M - 1.0
            plan = Plan(stop_line_m=stop, green_s=(np.inf, np.inf)) if side > 0 else Plan()
            for begin in np.arange(length - 14.0 if side > 0 else 6.0, 0.0, -26.0):
                actors.add_moving(NON_MOTOR, lane_route, begin, rng.uniform(3.5, 5.0), plan)


def _standing(junction: Junction, actors: Actors) -> None:
    """Adds what stands in the parking places and at the kerbs, clear of the zebra crossings."""
    for arm, street in enumerate(junction.arms):
        span = (junction.half_m + 16.0, junction.reach_m(arm))
        street_actors.parked(street, actors, span)
        street_actors.at_kerbs(street, actors, span)


def _people(junction: Junction, actors: Actors) -> None:
    for arm, street in enumerate(junction.arms):
        rng = random_generator(junction.seed, 8, arm)
        street_actors.crossing_people(street, actors, junction.half_m + ZEBRA_M, rng)
        for side in (-1, 1):
            span = (junction.half_m + 7.0, junction.reach_m(arm))
            street_actors.walkers(street, actors, side, span)
        _at_corner(junction, actors, arm)


def _at_corner(junction: Junction, actors: Actors, arm: int) -> None:
    """Adds people who wait at a corner, between kerb and building line."""
    rng = random_generator(junction.seed, 9, arm)
    kerb, half = junction.arms[0].kerb_m, junction.half_m
    turn = np.array([[0.0, 1.0], [-1.0, 0.0]])
    for _ in range(int(rng.integers(1, 4))):
        at = np.array([*rng.uniform(kerb + 2.4, half - 0.4, 2), KERB_HEIGHT_M])
        at[:2] = at[:2] @ np.linalg.matrix_power(turn, arm)
        actors.add_standing(PERSON, junction.place(at), rng.uniform(-np.pi, np.pi))
