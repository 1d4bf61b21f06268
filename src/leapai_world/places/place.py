"""The places of the world: their names, and the data that a drive needs of each."""

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
    """One place with its actors, map, scenery and light, all in the local frame."""

    actors: Actors
    map_lines: VectorMap
    scenery: Callable[[FloatArray], Mesh]
    """Builds the mesh of what stands still and has no label, within 100 m of a point [2] at
    least."""
    light: Light
    window_m: float = 50.0
    """Scenery is requested at multiples of this in x and y."""


def place_of(seed: int) -> str:
    """Returns the place of a seed: any five seeds in a row show all of them."""
    return PLACES[seed % len(PLACES)]


def global_origin(seed: int) -> FloatArray:
    """Returns the origin [3] of the local frame on the map, metres: far from the origin, as in real
    data."""
    rng = random_generator(seed, 18)
    return np.array(
        [rng.uniform(3.2e5, 6.8e5), rng.uniform(5.2e6, 5.9e6), rng.uniform(20.0, 500.0)]
    )
