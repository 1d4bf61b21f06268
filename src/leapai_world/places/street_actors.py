"""The actors of a street: traffic in its lanes, people on its pavements, objects at its kerbs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leapai.types.vocabulary import FloatArray
from leapai_world.places.kerbside import (
    PARKING_PITCH_M,
    furniture_kind,
    kerb_slots,
    parking_kind,
    zebra_slots,
)
from leapai_world.places.street import LANE_M, REACH_M, Street
from leapai_world.random_generators import random_generator
from leapai_world.smooth_step import smooth_step
from leapai_world.traffic.actor_list import (
    BARRIER,
    BUS,
    CAR,
    EGO_HALF_LENGTH_M,
    NON_MOTOR,
    PERSON,
    PILLAR,
    RIDERLESS,
    TRUCK,
    Actors,
    Plan,
)

WALKER_PITCH_M = 5.5
CHANGE_M = 32.0
"""Length of a lane change."""


@dataclass(frozen=True)
class Pace:
    """Pace of the traffic in a street."""

    speed_mps: float
    pitch_m: float
    speed_variation: float
    """Share by which speeds go up and down; 1: stop and go."""
    occupied: float
    """Share of places in a lane that are taken."""


def draw_pace(rng: np.random.Generator, fastest_mps: float) -> Pace:
    """Draws the pace: free flow mostly, dense traffic sometimes, stop and go now and then."""
    draw = rng.random()
    if draw < 0.2:
        return Pace(0.35 * fastest_mps, 12.5, 1.0, 0.9)
    if draw < 0.45:
        return Pace(0.7 * fastest_mps, 17.0, 0.4, 0.85)
    return Pace(fastest_mps * rng.uniform(0.8, 1.1), 24.0, 0.3, 0.8)


def lane_points(
    street: Street, d_m: FloatArray | float, low_m: float, high_m: float, side: int
) -> FloatArray:
    """Returns points [P, 3] along a street in the direction that traffic on `side` takes (-1: with
    s)."""
    s = np.arange(low_m, high_m, 1.0)
    d = np.broadcast_to(np.asarray(d_m, float), s.shape)
    points = street.local(s, d, street.height(d))
    return points if side < 0 else points[::-1]


def shifted(
    street: Street,
    d_m: tuple[float, float],
    at_m: float,
    over_m: float,
    span_m: tuple[float, float],
) -> FloatArray:
    """Returns points along s that change from one d to another from `at_m` on, over `over_m`."""
    s = np.arange(*span_m, 1.0)
    d = d_m[0] + (d_m[1] - d_m[0]) * smooth_step((s - at_m) / over_m)[0]
    return street.local(s, d, street.height(d))


def add_street_actors(street: Street, actors: Actors, pace: Pace, length_m: float) -> None:
    """Adds the ego, which drives with s from near s = 0, and all actors within reach of its way."""
    span = (-REACH_M, length_m + REACH_M)
    _ego(street, actors, pace, span)
    for side in (-1, 1):
        for lane in range(street.lanes_each_way):
            _lane(street, actors, pace, side * (lane + 1), span)
    parked(street, actors, span)
    _changers(street, actors, pace, span)
    _pulling_out(street, actors, span)
    _riders(street, actors, span)
    at_kerbs(street, actors, span)
    crossers(street, actors, span)
    for side in (-1, 1):
        walkers(street, actors, side, span)


def lane_centre(number: int) -> float:
    """Returns d of a lane: -1 is the innermost of the right side, 1 of the left one."""
    return float(np.sign(number) * LANE_M * (abs(number) - 0.5))


def _ego(street: Street, actors: Actors, pace: Pace, span: tuple[float, float]) -> None:
    rng = random_generator(street.seed, 3)
    lane = -int(rng.integers(1, street.lanes_each_way + 1))
    d, begin = lane_centre(lane), span[0]
    target = d
    if street.lanes_each_way > 1 and rng.random() < 0.5:
        target = lane_centre(-3 - lane)
    points = shifted(street, (d, target), rng.uniform(8.0, 20.0), CHANGE_M, span)
    plan = Plan(pace.speed_variation, rng.uniform(0, 2 * np.pi))
    actors.add_ego(
        actors.route_through(points), -begin, pace.speed_mps * rng.uniform(0.9, 1.1), plan
    )


def _lane(
    street: Street, actors: Actors, pace: Pace, number: int, span: tuple[float, float]
) -> None:
    """Adds cars, trucks and buses of a lane. The two lanes next to the centreline always have a
    large vehicle near the start of the ego."""
    rng = random_generator(street.seed, 5, number + 8)
    side = 1 if number > 0 else -1
    points = lane_points(street, lane_centre(number), *span, side)
    route = actors.route_through(points)
    length = span[1] - span[0]
    speed = pace.speed_mps * rng.uniform(0.9, 1.1)
    phase = rng.uniform(0, 2 * np.pi)
    shift = rng.uniform(0.3, 0.7) * pace.pitch_m if number > 0 else 0.0
    big = {-1: (TRUCK, 2), 1: (BUS, 1)}.get(number)
    for slot in range(int(-REACH_M / pace.pitch_m), int((span[1]) / pace.pitch_m)):
        s = (slot + rng.uniform(-0.08, 0.08)) * pace.pitch_m + shift
        start = s - span[0] if side < 0 else length - (s - span[0])
        draw = rng.random()
        if big and slot == big[1]:
            class_id = big[0]
        elif (number < 0 and slot == 0) or draw > pace.occupied:
            continue  # This slot is for the ego, in whatever lane it drives.
        else:
            class_id = (CAR, CAR, CAR, CAR, CAR, TRUCK, BUS)[int(draw * 97) % 7]
        speed_variation = pace.speed_variation * rng.uniform(0.7, 1.0)
        plan = Plan(speed_variation, phase + 0.25 * slot)
        if 8.0 < start < length - 8.0:
            actors.add_moving(class_id, route, start, speed * rng.uniform(0.95, 1.05), plan)


def _changers(street: Street, actors: Actors, pace: Pace, span: tuple[float, float]) -> None:
    """Adds cars that change from one lane to the other, ahead of the ego and behind it."""
    if street.lanes_each_way < 2:
        return
    rng = random_generator(street.seed, 15)
    for at in (rng.uniform(-45, -25), rng.uniform(14, 30), rng.uniform(35, 60)):
        one = int(rng.integers(1, 3))
        d = lane_centre(-one), lane_centre(one - 3)
        points = shifted(street, d, at + rng.uniform(2, 10), CHANGE_M, span)
        actors.add_moving(
            CAR,
            actors.route_through(points),
            at - span[0],
            pace.speed_mps * 1.1,
            Plan(pace.speed_variation),
        )


def _pulling_out(street: Street, actors: Actors, span: tuple[float, float]) -> None:
    """Adds parked cars on the side of the ego that drive off when a gap in the traffic lets
    them."""
    outer = lane_centre(-street.lanes_each_way)
    for slot in range(1, 9):
        if parking_kind(street.seed, -1, slot) == "leaving":
            s = slot * PARKING_PITCH_M
            d = -(street.carriageway_m + 1.15)
            points = shifted(street, (d, outer), s + 0.5, 10.5, span)
            start = s - span[0]
            gate = start + EGO_HALF_LENGTH_M + 0.3
            actors.add_moving(
                CAR,
                actors.route_through(points),
                start,
                6.5,
                Plan(stop_line_m=gate, yield_zone_m=14.0),
            )


def parked(street: Street, actors: Actors, span: tuple[float, float]) -> None:
    """Adds cars, bicycles and barriers in the parking places along both kerbs."""
    for side, slot in kerb_slots(*span):
        kind = parking_kind(street.seed, side, slot)
        rng = random_generator(street.seed, 7, side, slot)
        s, d = slot * PARKING_PITCH_M, side * (street.carriageway_m + 1.15)
        facing = float(street.heading(s)) + (0.0 if side < 0 else np.pi)
        if kind == "car":
            place = street.local(s + rng.uniform(-0.4, 0.4), d + rng.normal(0, 0.06))
            actors.add_standing(CAR, place, facing + rng.normal(0, 0.015))
        elif kind == "barrier":
            for offset in (-1.45, 1.45):
                place = street.local(s + offset, d + rng.normal(0, 0.1))
                actors.add_standing(BARRIER, place, facing + rng.normal(0, 0.04))
        elif kind == "bicycles":
            for offset in (-1.3, 0.0, 1.3):
                place = street.local(s + offset, d + rng.normal(0, 0.1))
                actors.add_standing(RIDERLESS, place, facing + np.pi / 2 + rng.normal(0, 0.04))


def at_kerbs(street: Street, actors: Actors, span: tuple[float, float]) -> None:
    """Adds bicycles and bollards in the strip between kerb and footpath."""
    for side, slot in kerb_slots(*span):
        kind = furniture_kind(street.seed, side, slot)
        s, d = slot * PARKING_PITCH_M, side * (street.kerb_m + 0.85)
        facing, z = float(street.heading(s)), street.height(np.array(d))
        if kind == "bicycle":
            actors.add_standing(RIDERLESS, street.local(s, d, z), facing + np.pi * (slot % 2))
        elif kind == "bollards":
            for offset in (-1.5, 0.0, 1.5):
                actors.add_standing(PILLAR, street.local(s + offset, d, z), facing)


def _riders(street: Street, actors: Actors, span: tuple[float, float]) -> None:
    """Adds riders in the cycle lanes; the faster of some pairs swings out and overtakes."""
    lane = street.carriageway_m - (0.9 if street.section.cycle_m else 0.7)
    for side in (-1, 1):
        rng = random_generator(street.seed, 16, side)
        points = lane_points(street, side * lane, *span, side)
        route, s = actors.route_through(points), span[0] + rng.uniform(10, 25)
        while s < span[1] - 20:
            start = s - span[0] if side < 0 else span[1] - s
            speed = rng.uniform(3.2, 4.8)
            actors.add_moving(NON_MOTOR, route, start, speed)
            if street.section.cycle_m and rng.random() < 0.5:
                _overtaker(street, actors, (side, lane), (span, start, speed))
            s += rng.uniform(16, 40)


def _overtaker(
    street: Street,
    actors: Actors,
    lane: tuple[int, float],
    slow: tuple[tuple[float, float], float, float],
) -> None:
    """Adds a rider some metres behind a slower one, who swings out now and back in ahead of it."""
    (side, d), (span, start, speed) = lane, slow
    along = np.arange(*span, 1.0)
    at = along - span[0] if side < 0 else span[1] - along
    out = smooth_step((at - start + 7.0) / 6.0)[0] - smooth_step((at - start - 26.0) / 8.0)[0]
    offset = side * (d - 1.15 * out)
    points = street.local(along, offset, street.height(offset))
    route = actors.route_through(points if side < 0 else points[::-1])
    actors.add_moving(NON_MOTOR, route, start - 6.5, speed + 2.6)


def walkers(street: Street, actors: Actors, side: int, span: tuple[float, float]) -> None:
    """Adds people on a pavement: two rows, one each way."""
    for row, direction in ((0, -1), (1, 1)):
        rng = random_generator(street.seed, 17, side, row)
        d = side * (street.kerb_m + 1.9 + 1.3 * row)
        route = actors.route_through(lane_points(street, d, *span, direction))
        for start in np.arange(5.0, span[1] - span[0] - 10.0, WALKER_PITCH_M):
            speed = rng.uniform(0.9, 1.7)
            if rng.random() < 0.22:
                actors.add_moving(
                    PERSON, route, start + rng.uniform(-2, 2), speed, Plan(0.2, start)
                )


def crossers(street: Street, actors: Actors, span: tuple[float, float]) -> None:
    """Adds people at the zebra crossings; each goes when a gap in the traffic lets it."""
    for slot in zebra_slots(street.seed, *span):
        rng = random_generator(street.seed, 8, slot)
        crossing_people(street, actors, slot * PARKING_PITCH_M, rng)


def crossing_people(street: Street, actors: Actors, s_m: float, rng: np.random.Generator) -> None:
    """Adds four people who are about to cross at s, from both sides; they meet in the middle."""
    for place in range(4):
        side = 1.0 if place % 2 else -1.0
        s, edge = s_m + 1.05 * (place - 1.5), street.kerb_m
        back = rng.uniform(0.7, 1.2)
        d = np.arange(edge + 3.9, -edge - 3.9, -0.25) * side
        route = actors.route_through(street.local(s, d, street.height(d)))
        start = 3.9 - back
        plan = Plan(stop_line_m=start + 0.5, yield_zone_m=2 * edge)
        actors.add_moving(PERSON, route, start, rng.uniform(1.1, 1.8), plan)
