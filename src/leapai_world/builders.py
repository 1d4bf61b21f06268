"""Which function lays out which place."""

from __future__ import annotations

from collections.abc import Callable

from leapai_world import junction, parking, streets
from leapai_world.places import Place

_BUILDERS: dict[str, Callable[[int, float], Place]] = {
    "street": streets.street,
    "crossing": junction.crossing,
    "residential": streets.residential,
    "car_park": parking.car_park,
    "garage": parking.garage,
}


def open_place(name: str, seed: int, duration_s: float) -> Place:
    """A place by its name, one of `places.PLACES`, laid out and cast from a seed."""
    return _BUILDERS[name](seed, duration_s)
