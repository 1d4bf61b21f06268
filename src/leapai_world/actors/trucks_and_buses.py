"""Meshes of trucks and buses: x forward, z up, the ground at z = 0."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from leapai.types.vocabulary import FloatArray
from leapai_world.actors.colours import (
    AMBER,
    BODY,
    BRIGHT,
    COAT,
    CONCRETE,
    DARK,
    DISPLAY,
    GLASS,
    HEADLAMP,
    METAL,
    PAINTS,
    PLATE,
    RUBBLE,
    TAIL_LAMP,
    WOOD,
    pick,
)
from leapai_world.actors.vehicle_parts import across, pair, wheels
from leapai_world.meshes import Material, Mesh, block, ellipsoid, extrusion, joined, loft, tube

Generator = np.random.Generator
_CAB_M = 1.9
_DECK_M = 1.05
"""Length of a cab, and height of the deck that carries the load."""


def _cab(size: FloatArray, height: float, rng: Generator) -> list[Mesh]:
    """Builds a cab over the front axle: windscreen, doors with windows, grille, bumper, mirrors and
    lamps."""
    paint = pick((*PAINTS, *BRIGHT), rng, BODY)
    half, front = size[1] / 2, size[0] / 2
    back, belt = front - _CAB_M, 0.57 * height
    body = [
        (back, 0.5), (back, height), (front - 0.35, height), (front - 0.03, belt),
        (front - 0.03, 0.5),
    ]  # fmt: skip
    screen = [(front - 0.33, height - 0.15), (front, belt + 0.02), (front - 0.4, belt + 0.02)]
    return [
        extrusion(body, 0.95 * half, paint),
        extrusion(screen, 0.85 * half, GLASS),
        *pair(front - 0.85, 0.945 * half, 0.74 * height, (0.8, 0.04, 0.28 * height), GLASS),
        across(front - 0.03, 0.43 * height, (0.06, 1.1 * half, 0.16 * height), DARK),
        across(front - 0.05, 0.55, (0.16, 1.86 * half, 0.28), DARK),
        across(front + 0.03, 0.55, (0.02, 0.52, 0.12), PLATE),
        *pair(front, 0.72 * half, 0.82, (0.06, 0.34, 0.16), HEADLAMP),
        *pair(front - 0.2, 0.98 * half, 0.75 * height, (0.10, 0.10, 0.42), DARK),
    ]


def _chassis(size: FloatArray) -> list[Mesh]:
    """Builds frame, wheels, tanks, under-run bar and rear lamps."""
    length, half = size[0], size[1] / 2
    front, rear = length / 2, -length / 2
    axles = (rear + 0.14 * length, rear + 0.14 * length + 1.15, front - 1.1)
    return [
        block((rear + 0.1, -0.38 * half, 0.62), (front - 0.3, 0.38 * half, _DECK_M), DARK),
        block((rear, -0.9 * half, 0.55), (rear + 0.1, 0.9 * half, 0.72), DARK),
        *pair(0.12 * length, 0.78 * half, 0.68, (0.14 * length, 0.3 * half, 0.5), METAL),
        *wheels(axles if length > 6.4 else axles[::2], 0.97 * half, 0.48, 0.30),
        *pair(rear, 0.78 * half, 0.86, (0.06, 0.30, 0.16), TAIL_LAMP),
        across(rear - 0.01, 0.86, (0.02, 0.52, 0.12), PLATE),
    ]


def _load_ends(size: FloatArray) -> tuple[float, float, float]:
    """Returns rear end, front end and half width of the place for a load."""
    return -size[0] / 2, size[0] / 2 - _CAB_M - 0.12, size[1] / 2


def box_truck(size: FloatArray, rng: Generator) -> Mesh:
    """Builds a closed box with ribs and rear doors, and a wind deflector on the cab."""
    rear, front, half = _load_ends(size)
    h, cab_h = size[2], min(0.84 * size[2], 2.7)
    load = pick((*PAINTS[:2], *BRIGHT), rng, COAT)
    ribs = [
        part
        for x in np.linspace(rear + 0.05, front - 0.05, 6)
        for part in pair(x, half - 0.012, (_DECK_M + h) / 2, (0.06, 0.03, h - _DECK_M), METAL)
    ]
    nose = [(size[0] / 2 - 0.6, cab_h), (front + 0.15, cab_h), (front + 0.15, 0.97 * h)]
    return joined(
        [
            *_cab(size, cab_h, rng),
            *_chassis(size),
            block((rear, -half + 0.01, _DECK_M), (front, half - 0.01, h), load),
            *ribs,
            across(rear, (_DECK_M + h) / 2, (0.03, 0.03, h - _DECK_M - 0.2), DARK),
            *pair(rear, 0.5, (_DECK_M + h) / 2, (0.05, 0.04, h - _DECK_M - 0.3), METAL),
            extrusion(nose, 0.8 * half, DARK),
        ]
    )


def flatbed(size: FloatArray, rng: Generator) -> Mesh:
    """Builds an open platform with a headboard; crates, timber or pipes lie on it."""
    rear, front, half = _load_ends(size)
    h, cab_h = size[2], min(0.95 * size[2], 2.7)
    floor, room = _DECK_M + 0.12, front - rear - 0.3
    load: list[Mesh] = []
    if rng.random() < 0.5:
        edges = np.linspace(rear + 0.1, front - 0.2, int(rng.integers(3, 6)))
        for x0, x1 in pairwise(edges):
            top = floor + rng.uniform(0.3, 0.9) * (h - floor)
            of = WOOD if rng.random() < 0.5 else pick(BRIGHT, rng, COAT)
            load.append(block((x0 + 0.05, -0.85 * half, floor), (x1 - 0.05, 0.85 * half, top), of))
    else:
        radius = 0.28 * half
        of = METAL if rng.random() < 0.5 else WOOD
        for y, z in ((-2, 1), (0, 1), (2, 1), (-1, 2.7), (1, 2.7)):
            start = (rear + 0.1, 0.9 * y * radius, floor + z * radius)
            load.append(tube(start, (start[0] + room, *start[1:]), radius, of, 8))
    return joined(
        [
            *_cab(size, cab_h, rng),
            *_chassis(size),
            block((rear, -half, _DECK_M), (front, half, floor), DARK),
            block((front - 0.1, -half, floor), (front, half, h), METAL),
            *pair((rear + front) / 2, half - 0.02, floor + 0.15, (front - rear, 0.04, 0.3), METAL),
            *load,
        ]
    )


def tipper(size: FloatArray, rng: Generator) -> Mesh:
    """Builds a hopper, wider above than below, heaped with rubble."""
    rear, front, half = _load_ends(size)
    h, cab_h = size[2], min(0.90 * size[2], 2.7)
    paint, rim = pick(BRIGHT, rng, COAT), 0.82 * h
    hopper = [
        np.array([(x0, -y, z), (x1, -y, z), (x1, y, z), (x0, y, z)])
        for x0, x1, y, z in (
            (rear + 0.35, front - 0.3, 0.82 * half, _DECK_M),
            (rear, front, half, rim),
        )
    ]
    ribs = [
        part
        for x in np.linspace(rear + 0.6, front - 0.5, 4)
        for part in pair(x, 0.95 * half, 0.5 * (_DECK_M + rim), (0.1, 0.1, rim - _DECK_M), DARK)
    ]
    heap = ((rear + front) / 2, 0.0, rim - 0.1)
    return joined(
        [
            *_cab(size, cab_h, rng),
            *_chassis(size),
            loft(hopper, paint),
            *ribs,
            ellipsoid(heap, (0.45 * (front - rear), 0.85 * half, h - rim + 0.1), RUBBLE, 10),
            block((front, -0.9 * half, rim - 0.05), (front + 0.9, 0.9 * half, rim + 0.03), paint),
        ]
    )


def mixer(size: FloatArray, rng: Generator) -> Mesh:
    """Builds a concrete mixer: a striped drum that leans, a hopper and a chute."""
    rear, front, half = _load_ends(size)
    h, cab_h = size[2], min(0.84 * size[2], 2.7)
    stripe, length = pick(BRIGHT, rng, COAT), front - rear
    radii, places = (0.45, 0.88, 0.92, 0.50), (0.0, 0.28, 0.62, 0.95)
    middle = [(front - p * length, 0.0, 1.95 + 0.35 * p) for p in places]
    scale = min(half, (h - 2.2) / 0.92)
    drum = [
        tube(a, b, (scale * r0, scale * r1), of, 12)
        for a, b, r0, r1, of in zip(
            middle, middle[1:], radii, radii[1:], (CONCRETE, stripe, CONCRETE), strict=False
        )
    ]
    return joined(
        [
            *_cab(size, cab_h, rng),
            *_chassis(size),
            *drum,
            block((rear + 0.05, -0.3, 2.1), (rear + 0.6, 0.3, h), METAL, 1.4),
            tube((rear + 0.3, 0.0, 1.7), (rear, 0.35, 1.1), 0.16, METAL, 6),
            *pair(rear + 0.4, 0.5 * half, 1.45, (0.15, 0.12, 1.0), DARK),
            *pair(front - 0.2, 0.5 * half, 1.4, (0.15, 0.12, 0.8), DARK),
        ]
    )


def _bus_body(size: FloatArray, paint: Material, nose: float) -> Mesh:
    """Builds a hull whose front leans back by `nose` metres."""
    half, h = size[1] / 2, size[2]
    front, rear = size[0] / 2, -size[0] / 2
    body = [
        (rear, 0.32), (rear, h - 0.25), (rear + 0.12, h - 0.08), (front - nose - 0.2, h - 0.08),
        (front - nose, h - 0.25), (front, 0.40 * h), (front, 0.32),
    ]  # fmt: skip
    return extrusion(body, half - 0.01, paint)


def _bus_windows(size: FloatArray, pitch: float, end: float) -> list[Mesh]:
    """Builds a row of panes along both sides up to `end` metres from the front, the driver's window
    on the left, and the rear window."""
    half, h = size[1] / 2, size[2]
    front, rear = size[0] / 2, -size[0] / 2
    low, high = 0.42 * h, 0.80 * h
    panes = [
        part
        for x in np.arange(rear + 0.35, front - end - pitch, pitch)
        for part in pair(
            x + pitch / 2, half - 0.005, (low + high) / 2, (pitch - 0.14, 0.03, high - low), GLASS
        )
    ]
    driver = block(
        (front - end + 0.1, half - 0.02, low), (front - 0.3 * end, half + 0.01, 0.76 * h), GLASS
    )
    return [*panes, driver, across(rear, 0.64 * h, (0.04, 1.5 * half, 0.28 * h), GLASS)]


def _bus_ends(size: FloatArray) -> list[Mesh]:
    half, h = size[1] / 2, size[2]
    front, rear = size[0] / 2, -size[0] / 2
    return [
        *pair(front, 0.74 * half, 0.24 * h, (0.06, 0.34, 0.16), HEADLAMP),
        *pair(rear, 0.82 * half, 0.30 * h, (0.06, 0.20, 0.34), TAIL_LAMP),
        *pair(rear, 0.82 * half, 0.88 * h, (0.06, 0.20, 0.10), AMBER),
        across(front + 0.01, 0.15 * h, (0.03, 0.52, 0.12), PLATE),
        across(rear - 0.01, 0.2 * h, (0.03, 0.52, 0.12), PLATE),
    ]


def _door(x: float, size: FloatArray, width: float) -> list[Mesh]:
    """Builds a door of two glazed leaves on the right side, at x."""
    y, h = -size[1] / 2 - 0.002, size[2]
    frame = block((x - 0.05, y, 0.34), (x + width + 0.05, y + 0.04, 0.84 * h), DARK)
    leaves = [
        block((x0 + 0.03, y - 0.01, 0.45), (x0 + width / 2 - 0.03, y, 0.81 * h), GLASS)
        for x0 in (x, x + width / 2)
    ]
    return [frame, *leaves]


def city_bus(size: FloatArray, rng: Generator) -> Mesh:
    """Builds a bus with an upright front, two doors on the right, a climate unit on the roof and a
    display of its line."""
    paint, stripe = pick((*PAINTS, *BRIGHT), rng, COAT), pick(BRIGHT, rng, BODY)
    length, half, h = size[0], size[1] / 2, size[2]
    front, rear = length / 2, -length / 2
    return joined(
        [
            _bus_body(size, paint, 0.12),
            *_bus_windows(size, 1.45, 1.3),
            *_door(front - 1.35, size, 1.0),
            *_door(-0.05 * length, size, 1.2),
            *pair(0.0, half - 0.002, 0.30 * h, (length - 0.8, 0.02, 0.2), stripe),
            across(front - 0.05, 0.57 * h, (0.14, 1.78 * half, 0.40 * h), GLASS),
            across(front - 0.09, 0.85 * h, (0.10, 1.3 * half, 0.11 * h), DISPLAY),
            across(-0.15 * length, h - 0.06, (0.22 * length, 1.3 * half, 0.16), DARK),
            *pair(front + 0.10, 0.97 * half, 0.72 * h, (0.12, 0.14, 0.40), DARK),
            *wheels((rear + 0.25 * length, front - 0.23 * length), half + 0.005, 0.48, 0.30),
            *_bus_ends(size),
        ]
    )


def minibus(size: FloatArray, rng: Generator) -> Mesh:
    """Builds a short bus with a windscreen that leans far back, and one door."""
    paint, stripe = pick((*PAINTS, *BRIGHT), rng, COAT), pick(BRIGHT, rng, BODY)
    length, half, h = size[0], size[1] / 2, size[2]
    front, rear, nose = length / 2, -length / 2, 0.65
    screen = [
        (front - nose + 0.03, 0.86 * h), (front + 0.01, 0.44 * h), (front - 0.3, 0.44 * h)
    ]  # fmt: skip
    return joined(
        [
            _bus_body(size, paint, nose),
            extrusion(screen, 0.88 * half, GLASS),
            *_bus_windows(size, 1.15, 1.5),
            *_door(front - 2.1, size, 0.8),
            *pair(0.0, half - 0.002, 0.28 * h, (length - 0.6, 0.02, 0.14), stripe),
            across(front - 0.01, 0.32 * h, (0.06, 1.2 * half, 0.10 * h), DARK),
            *pair(front - 0.5, 1.03 * half, 0.55 * h, (0.10, 0.14, 0.26), DARK),
            *wheels((rear + 0.22 * length, front - 0.17 * length), half + 0.005, 0.38, 0.24),
            *_bus_ends(size),
        ]
    )
