"""The places of the world: which there are, and what a drive needs of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from leapai.types.map_elements import VectorMap
from leapai.types.vocabulary import FloatArray
from leapai_world.meshes import Mesh
from leapai_world.random_generators import random_generator
from leapai_world.sensors.light import Light
from leapai_world.traffic.actor_list import Actors

PLACES = ("street", "crossing", "residential", "car_park", "garage")


@dataclass(frozen=True)
class Place:
    """One place, and who is in it. All is in the local frame."""

    actors: Actors
    map_lines: VectorMap
    scenery: Callable[[FloatArray], Mesh]
    """What stands still and has no label, within 100 m of a point [2] at least."""
    light: Light
    window_m: float = 50.0
    """Scenery is asked for at multiples of this in x and y."""


def place_of(seed: int) -> str:
    """The place of a seed: any five seeds in a row show all of them."""
    return PLACES[seed % len(PLACES)]


def global_origin(seed: int) -> FloatArray:
    """Where the local frame lies on the map [3], metres: far from the origin, as in real data."""
    rng = random_generator(seed, 18)
    return np.array(
        [rng.uniform(3.2e5, 6.8e5), rng.uniform(5.2e6, 5.9e6), rng.uniform(20.0, 500.0)]
    )
