"""The multi-lane street and the residential street as places."""

from __future__ import annotations

import numpy as np

from leapai.types.vocabulary import FloatArray
from leapai_world.meshes import Mesh, joined
from leapai_world.places import scenery, street_actors
from leapai_world.places.lighting import daylight
from leapai_world.places.place import Place
from leapai_world.places.street import REACH_M, Section, Street, draw_bend
from leapai_world.random_generators import random_generator
from leapai_world.traffic.actor_list import Actors

_FASTEST_MPS = 16.0
_WINDOW_M = 125.0
"""Blocks whose middles are nearer than this to a point are its scenery."""


def street(seed: int, duration_s: float) -> Place:
    """Lays out one or two lanes each way with cycle lanes; all lane markings occur over the
    seeds."""
    rng = random_generator(seed, 0)
    lanes = int(rng.integers(1, 3))
    solid = ("DoubleSolidLine", "WideSolidLine", "RightSolidLeftDashed", "LeftSolidRightDashed")
    broken = ("DashedLine", "DoubleDashedLine", "RightSolidLeftDashed", "LeftSolidRightDashed")
    section = Section(
        lanes,
        divider=str(rng.choice(solid if lanes == 2 else broken)),
        separator=str(rng.choice(["DashedLine", "WideDashedLine"])),
        edge=str(rng.choice(["SolidLine", "WideSolidLine"])),
    )
    return _place(seed, duration_s, section, street_actors.draw_pace(rng, 12.5))


def residential(seed: int, duration_s: float) -> Place:
    """Lays out one lane each way, shared with riders, between parked cars."""
    rng = random_generator(seed, 0)
    divider = str(rng.choice(["DashedLine", "ShortDashedLine"]))
    section = Section(1, cycle_m=0.0, divider=divider, edge="ShortDashedLine")
    return _place(seed, duration_s, section, street_actors.draw_pace(rng, 8.0))


def _place(seed: int, duration_s: float, section: Section, pace: street_actors.Pace) -> Place:
    length = _FASTEST_MPS * duration_s
    road = Street(seed, length, section, draw_bend(random_generator(seed, 19)))
    actors = Actors(seed)
    street_actors.add_street_actors(road, actors, pace, length)
    numbers = np.arange(-5, int(length / scenery.BLOCK_M) + 6)
    middles = road.centre((numbers + 0.5) * scenery.BLOCK_M)

    def around(point_m: FloatArray) -> Mesh:
        near = np.linalg.norm(middles - point_m, axis=1) < _WINDOW_M
        return joined([scenery.build_block(road, int(number)) for number in numbers[near]])

    lines = scenery.map_lines(road, -REACH_M, length + REACH_M)
    return Place(actors, lines, around, daylight(seed))
