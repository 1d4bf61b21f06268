"""The actors of a car park or a garage."""

from __future__ import annotations

import numpy as np

from leapai_world.places.parking_lot import (
    AISLE_M,
    CEILING_M,
    DEPTH_M,
    REVERSING_M,
    SLOT_M,
    ParkingLot,
    Slot,
)
from leapai_world.random_generators import random_generator
from leapai_world.traffic.actor_list import (
    BARRIER,
    CAR,
    NON_MOTOR,
    PERSON,
    PILLAR,
    RIDERLESS,
    Actors,
    Plan,
)
from leapai_world.traffic.routes import rounded

_COLUMN_M = 0.42
_WALK_M = 2.95
"""People walk this far from the middle of an aisle."""


def add_parking_actors(lot: ParkingLot, actors: Actors) -> None:
    """Adds the ego, which reverses out of its slot in the garage, and all actors."""
    rng = random_generator(lot.seed, 3)
    taken = {(row, lot.gap) for row in range(1, 2 * lot.aisles - 1)}
    _ego(lot, actors, taken, rng)
    for _ in range(4):
        _loop(lot, actors, CAR, rng)
    for _ in range(2):
        _loop(lot, actors, NON_MOTOR, rng)
    if lot.roofed:
        _columns(lot, actors)
    slots = lot.slots()
    for _ in range(3):
        _reversing(lot, actors, slots[int(rng.integers(len(slots)))], taken, rng.uniform(-1.0, 5.0))
    _walkers(lot, actors, rng)
    _parked(lot, actors, taken, rng)
    _around_the_rows(lot, actors, rng)


def _ego(
    lot: ParkingLot, actors: Actors, taken: set[tuple[int, int]], rng: np.random.Generator
) -> None:
    aisle = int(rng.integers(lot.aisles))
    if lot.roofed:
        row = 2 * aisle if aisle < lot.aisles - 1 else 2 * aisle + 1
        column = int(rng.integers(6, lot.columns - 6))
        (slot,) = (s for s in lot.slots() if (s.row, s.column) == (row, column))
        route, plan = _leaving(lot, actors, slot, rng.uniform(-3.0, -0.5))
        taken.add((row, column))
        actors.add_ego(route, 0.0, 4.0, plan)
        return
    following = aisle + int(rng.choice([-1, 1]))
    if not 0 <= following < lot.aisles:
        following = 2 * aisle - following
    # Half of the drives begin just before the end of an aisle, where the ego turns.
    start = 2 * lot.half_x_m - rng.uniform(0.0, 8.0) * (1 + 3 * float(rng.random() < 0.5))
    actors.add_ego(
        actors.route_through(lot.loop(aisle, following, 6)),
        start,
        4.5,
        Plan(0.35, rng.uniform(0, 6)),
    )


def _leaving(lot: ParkingLot, actors: Actors, slot: Slot, begin_s: float) -> tuple[int, Plan]:
    """Returns the route of a car that reverses out of a slot from `begin_s` on, and its plan."""
    first, then = lot.reversing(slot)
    route = actors.add_route(first)
    return route, Plan(
        next_route=actors.add_route(then),
        scripted_s=(begin_s, begin_s + 4.8),
        scripted_m=REVERSING_M,
    )


def _reversing(
    lot: ParkingLot, actors: Actors, slot: Slot, taken: set[tuple[int, int]], begin_s: float
) -> None:
    if (slot.row, slot.column) not in taken and 6 < slot.column < lot.columns - 6:
        route, plan = _leaving(lot, actors, slot, begin_s)
        taken.add((slot.row, slot.column))
        actors.add_moving(CAR, route, 0.0, 4.0, plan)


def _loop(lot: ParkingLot, actors: Actors, class_id: int, rng: np.random.Generator) -> None:
    aisle = int(rng.integers(lot.aisles - 1))
    both = (aisle, aisle + 1) if rng.random() < 0.5 else (aisle + 1, aisle)
    route = actors.route_through(lot.loop(*both, 6))
    start, speed = rng.uniform(6.0, 4 * lot.half_x_m), rng.uniform(3.0, 4.8)
    actors.add_moving(class_id, route, start, speed, Plan(0.4, rng.uniform(0, 6)))


def _columns(lot: ParkingLot, actors: Actors) -> None:
    """Adds columns between rows that stand back to back, and along the ends of the outer ones."""
    size = (_COLUMN_M, _COLUMN_M, CEILING_M - 0.02)
    kind = "round_column" if lot.seed % 2 else "square_column"
    for row in range(lot.aisles + 1):
        y = row * lot.pitch_m - lot.half_y_m
        y = np.clip(y, -lot.half_y_m + 0.1, lot.half_y_m - 0.1)
        for column in np.arange(0, lot.columns + 1, 3):
            at = np.array([column * SLOT_M - lot.half_x_m, y, 0.0])
            actors.add_standing(PILLAR, lot.place(at), lot.turned_rad, size, kind)


def _walkers(lot: ParkingLot, actors: Actors, rng: np.random.Generator) -> None:
    """Adds people who walk along the parked cars, through the gap between them to the next aisle,
    and on; some are hidden by the cars for a while."""
    x = lot.column_x(lot.gap)
    for number in range(16):
        aisle, side = int(rng.integers(lot.aisles)), rng.choice([-1.0, 1.0])
        y, offset = lot.aisle_y(aisle), rng.uniform(-0.5, 0.5)
        begin = x + rng.choice([-1.0, 1.0]) * rng.uniform(2.0, 18.0)
        begin = float(np.clip(begin, -lot.half_x_m, lot.half_x_m))
        corners = [(begin, y + side * _WALK_M), (x + offset, y + side * _WALK_M)]
        if 0 <= aisle + side < lot.aisles:
            beyond = lot.aisle_y(int(aisle + side)) - side * _WALK_M
            corners += [(x + offset, beyond), (2 * x - begin, beyond)]
        else:
            corners.append((x + offset, y - side * (_WALK_M + 1.0)))
        if rng.random() < 0.4:
            corners.reverse()
        route = actors.route_through(lot.place(rounded(corners, 0.8)))
        actors.add_moving(
            PERSON, route, rng.uniform(0.5, 6.0), rng.uniform(0.9, 1.6), Plan(0.2, number)
        )


def _parked(
    lot: ParkingLot, actors: Actors, taken: set[tuple[int, int]], rng: np.random.Generator
) -> None:
    """Adds cars in most slots, nose in or nose out; bicycles in one, barriers in front of
    another."""
    bicycles, closed = rng.integers(2, lot.columns - 2, 2)
    for slot in lot.slots():
        draw, nose = rng.random(), rng.random() < 0.7
        wobble, shift = rng.normal(0, 0.012), rng.uniform(-0.06, 0.06, 2)
        facing = lot.turned_rad + slot.up * (-np.pi / 2 if nose else np.pi / 2)
        at = np.array([slot.x_m + shift[0], slot.y_m + shift[1], 0.0])
        if (slot.row, slot.column) in taken:
            continue
        if slot.column == bicycles and slot.row % 3 == 0:
            for place in (-0.8, 0.0, 0.8):
                spot = lot.place(at + np.array([place, 0.0, 0.0]))
                actors.add_standing(RIDERLESS, spot, facing + rng.normal(0, 0.05))
        elif slot.column == closed and slot.row % 3 == 1:
            front = np.array([slot.x_m, slot.y_m + slot.up * (DEPTH_M / 2 - 0.6), 0.0])
            actors.add_standing(BARRIER, lot.place(front), lot.turned_rad)
        elif draw < 0.72:
            actors.add_standing(CAR, lot.place(at), facing + wobble)


def _around_the_rows(lot: ParkingLot, actors: Actors, rng: np.random.Generator) -> None:
    """Adds bollards at the ends of rows, barriers along the ring road, people who stand and
    talk."""
    for row in range(1, lot.aisles):
        y = row * lot.pitch_m - lot.half_y_m
        for x in (-lot.half_x_m - 0.35, lot.half_x_m + 0.35):
            for offset in (-2.0, 0.0, 2.0):
                actors.add_standing(
                    PILLAR, lot.place(np.array([x, y + offset, 0.0])), lot.turned_rad
                )
    edge = lot.half_x_m + AISLE_M - 0.1
    for y in rng.uniform(-lot.half_y_m, lot.half_y_m, 4):
        at = np.array([edge * rng.choice([-1, 1]), y, 0.0])
        actors.add_standing(BARRIER, lot.place(at), lot.turned_rad + np.pi / 2)
    for _ in range(4):
        slot = lot.slots()[int(rng.integers(2 * lot.aisles * lot.columns))]
        at = np.array([lot.column_x(lot.gap) + rng.uniform(-0.8, 0.8), slot.y_m, 0.0])
        actors.add_standing(PERSON, lot.place(at), rng.uniform(-np.pi, np.pi))
