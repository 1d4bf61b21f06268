"""The functions that lay out each place."""

from __future__ import annotations

from collections.abc import Callable

from leapai_world.places import car_parks, crossing, street_places
from leapai_world.places.place import Place

_BUILDERS: dict[str, Callable[[int, float], Place]] = {
    "street": street_places.street,
    "crossing": crossing.crossing,
    "residential": street_places.residential,
    "car_park": car_parks.car_park,
    "garage": car_parks.garage,
}


def open_place(name: str, seed: int, duration_s: float) -> Place:
    """Lays out a place by its name, one of `place.PLACES`, and lists its actors, from a seed."""
    return _BUILDERS[name](seed, duration_s)
