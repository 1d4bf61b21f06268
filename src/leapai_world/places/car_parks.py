"""The open car park and the underground garage as places."""

from __future__ import annotations

import numpy as np

from leapai_world.meshes import joined
from leapai_world.places.lighting import daylight, lamplight
from leapai_world.places.parking_actors import add_parking_actors
from leapai_world.places.parking_lot import ParkingLot
from leapai_world.places.parking_markings import map_lines
from leapai_world.places.parking_scenery import enclosure, ground, open_surroundings
from leapai_world.places.place import Place
from leapai_world.traffic.actor_list import Actors


def car_park(seed: int, duration_s: float) -> Place:
    """Lays out an open car park with hedges and houses around it; the length of the drive does not
    matter."""
    del duration_s
    lot, actors = ParkingLot(seed, roofed=False), Actors(seed)
    add_parking_actors(lot, actors)
    mesh = joined([*ground(lot), *open_surroundings(lot)]).turned(lot.turned_rad, np.zeros(3))
    return Place(actors, tuple(map_lines(lot)), lambda _: mesh, daylight(seed), window_m=1e4)


def garage(seed: int, duration_s: float) -> Place:
    """Lays out a storey of an underground garage; the length of the drive does not matter."""
    del duration_s
    lot, actors = ParkingLot(seed, roofed=True), Actors(seed)
    add_parking_actors(lot, actors)
    mesh = joined([*ground(lot), *enclosure(lot)]).turned(lot.turned_rad, np.zeros(3))
    return Place(actors, tuple(map_lines(lot)), lambda _: mesh, lamplight(seed), window_m=1e4)
