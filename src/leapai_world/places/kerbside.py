"""Layout along the kerbs, by side and slot: parking places, furniture, zebra crossings."""

from __future__ import annotations

import numpy as np

from leapai_world.random_generators import random_generator

PARKING_PITCH_M = 6.6


def kerb_slots(low_m: float, high_m: float) -> list[tuple[int, int]]:
    """Returns (side, slot) of all places along both kerbs; side -1 is the right one."""
    first, last = int(np.floor(low_m / PARKING_PITCH_M)), int(np.ceil(high_m / PARKING_PITCH_M))
    return [(side, slot) for side in (-1, 1) for slot in range(first, last + 1)]


_ZEBRA_EVERY = 11


def zebra_slots(seed: int, low_m: float, high_m: float) -> list[int]:
    """Returns the kerb slots at which a zebra crossing lies, on both sides."""
    shift = int(random_generator(seed, 9).integers(_ZEBRA_EVERY))
    slots = {slot for _, slot in kerb_slots(low_m, high_m)}
    return sorted(slot for slot in slots if slot % _ZEBRA_EVERY == shift)


def _is_zebra(seed: int, slot: int) -> bool:
    return slot % _ZEBRA_EVERY == int(random_generator(seed, 9).integers(_ZEBRA_EVERY))


def parking_kind(seed: int, side: int, slot: int) -> str:
    """Returns what occupies a parking place: `car`, `leaving` (a car that will pull out),
    `barrier`, `bicycles`, or `` (free)."""
    if _is_zebra(seed, slot):
        return ""
    leaving = int(random_generator(seed, 10).integers(2, 6))
    if side < 0 and slot in (leaving, leaving + 1) and not _is_zebra(seed, leaving):
        return "leaving" if slot == leaving else ""
    shift = int(random_generator(seed, 11, side).integers(9))
    if slot % 9 == shift:
        return "barrier"
    draw = random_generator(seed, 12, side, slot).random()
    return "bicycles" if draw < 0.08 else "car" if draw < 0.80 else ""


def furniture_kind(seed: int, side: int, slot: int) -> str:
    """Returns what stands in the kerb strip: `tree`, `lamp`, `bin`, `sign`, `bicycle`, `bollards`,
    or `` (nothing)."""
    if _is_zebra(seed, slot):
        return ""
    shift = int(random_generator(seed, 13, side).integers(6))
    fixed = {shift: "bollards", (shift + 2) % 6: "bicycle", (shift + 4) % 6: "lamp"}
    draw = random_generator(seed, 14, side, slot).random()
    loose = "tree" if draw < 0.5 else "bin" if draw < 0.7 else "sign" if draw < 0.85 else ""
    return fixed.get(slot % 6, loose)
