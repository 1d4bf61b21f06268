"""Scenery of a car park or a garage: floor, walls, hedges, lamps and houses."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from leapai_world import meshes
from leapai_world.meshes import Material, Mesh, block, surface
from leapai_world.places import scenery
from leapai_world.places.clutter import clutter
from leapai_world.places.furniture import house, lamp, litter_bin, sign, tree
from leapai_world.places.parking_lot import AISLE_M, CEILING_M, SLOT_M, ParkingLot
from leapai_world.places.parking_markings import BUMP_HEIGHT_M, BUMP_M, arrows, bumps, slot_lines
from leapai_world.places.road_markings import filled, painted, tiles
from leapai_world.places.street import KERB_HEIGHT_M
from leapai_world.random_generators import random_generator

_FLOOR = Material((0.47, 0.47, 0.46), 0.08, 0.6, meshes.TARMAC)
_WALL = Material((0.66, 0.66, 0.63), 0.25, 0.4)
_BAND = Material((0.62, 0.52, 0.16), 0.2, 0.3)
_CEILING = Material((0.55, 0.55, 0.54), 0.2, 0.4)
_PIPE = Material((0.58, 0.24, 0.20), 0.12)
_LIT = Material((2.6, 2.6, 2.45), 0.1)
"""Brighter than any light makes a surface: a lamp that is on."""
_BUMP = Material((0.66, 0.54, 0.14), 0.3, 0.6)
_HEDGE = Material((0.20, 0.34, 0.13), 0.3, 0.6, meshes.LEAVES)


def ground(lot: ParkingLot) -> Iterator[Mesh]:
    """Builds floor, markings and bumps, in the axes of the lot."""
    low, high = (-lot.wall_x_m, -lot.wall_y_m), (lot.wall_x_m, lot.wall_y_m)
    yield surface(tiles(low, high, 0.0, 5.0), _FLOOR if lot.roofed else scenery.ROAD)
    for line, length in slot_lines(lot):
        yield from painted("SolidLine", line, 0.0, 0.0, length)
    for outline in arrows(lot):
        yield filled(outline)
    for x, y in bumps(lot):
        size = np.array([BUMP_M / 2, AISLE_M / 2 - 0.3, 0.0])
        middle = np.array([x, y, 0.0])
        yield block(middle - size, middle + size + [0, 0, BUMP_HEIGHT_M], _BUMP, 0.8)


def enclosure(lot: ParkingLot) -> Iterator[Mesh]:
    """Builds walls with a band of colour, ceiling, beams, lamps and pipes, in the axes of the
    lot."""
    x, y, top = lot.wall_x_m, lot.wall_y_m, CEILING_M
    for material, low_m, high_m, inward in ((_WALL, 0.0, top, 0.0), (_BAND, 0.9, 1.15, 0.01)):
        for side in (-1.0, 1.0):
            a, b = sorted((side * (x - inward), side * (x + 0.3)))
            yield block((a, -y, low_m), (b, y, high_m), material)
            a, b = sorted((side * (y - inward), side * (y + 0.3)))
            yield block((-x, a, low_m), (x, b, high_m), material)
    yield surface(tiles((-x, -y), (x, y), top, 5.0)[:, ::-1], _CEILING)
    yield surface(tiles((-x, -y), (x, y), top + 0.3, 10.0), _CEILING)
    for at in np.arange(-lot.half_x_m, lot.half_x_m + 0.1, 6 * SLOT_M):
        yield block((at - 0.2, -y, top - 0.35), (at + 0.2, y, top), _CEILING)
    for aisle in range(lot.aisles):
        middle = lot.aisle_y(aisle)
        for at in np.arange(-lot.half_x_m + 3.0, lot.half_x_m, 7.0):
            yield block((at, middle - 0.08, top - 0.1), (at + 1.5, middle + 0.08, top - 0.04), _LIT)
        pipe = (-x, middle - AISLE_M / 2 - 0.1, top - 0.28)
        yield block(pipe, (x, pipe[1] + 0.11, pipe[2] + 0.11), _PIPE)


def open_surroundings(lot: ParkingLot) -> Iterator[Mesh]:
    """Builds a kerb, a hedge, lawns, houses, and what stands on the islands, in the axes of the
    lot."""
    rng = random_generator(lot.seed, 34)
    x, y, top = lot.wall_x_m, lot.wall_y_m, KERB_HEIGHT_M
    yield surface(tiles((-x - 90, -y - 90), (x + 90, y + 90), -0.02, 25.0), scenery.LAWN)
    for side in (-1.0, 1.0):
        for low, high, material, height in (
            (0.0, 0.25, scenery.STONE, top),
            (0.25, 2.5, scenery.PAVEMENT, top),
            (3.0, 3.9, _HEDGE, rng.uniform(0.9, 1.5)),
        ):
            a, b = sorted((side * (y + low), side * (y + high)))
            yield block((-x - high, a, 0.0), (x + high, b, height), material)
            a, b = sorted((side * (x + low), side * (x + high)))
            yield block((a, -y - high, 0.0), (b, y + high, height), material)
        for at in np.arange(-x + 6.0, x, 15.0):
            body = house(rng.uniform(5.5, 7.4), 10.0, rng)
            yield body.turned(0.0, (at, side * (y + 14.0 + rng.uniform(0, 4)), 0.0))
        for at in np.arange(-y + 8.0, y, 13.0):
            yield tree(rng).turned(0.0, (side * (x + 6.0), at + rng.uniform(-3, 3), 0.0))
    yield from _islands(lot, rng)


def _islands(lot: ParkingLot, rng: np.random.Generator) -> Iterator[Mesh]:
    """Builds lamps and trees between rows that stand back to back; bins and signs on the
    pavement."""
    for row in range(1, lot.aisles):
        at = row * lot.pitch_m - lot.half_y_m
        for column in range(3, lot.columns, 6):
            x = column * SLOT_M - lot.half_x_m
            body = lamp(1 if row % 2 else -1) if (row + column // 6) % 2 else tree(rng)
            yield body.turned(0.0, (x, at, 0.0))
    for side in (-1.0, 1.0):
        for at in rng.uniform(-lot.half_x_m, lot.half_x_m, 4):
            body = litter_bin(rng) if rng.random() < 0.6 else sign(rng)
            yield body.turned(np.pi / 2, (at, side * (lot.wall_y_m + 1.2), KERB_HEIGHT_M))
        for at in rng.uniform(-lot.half_x_m, lot.half_x_m, 12):
            place = (at, side * (lot.wall_y_m + rng.uniform(1.9, 2.4)), KERB_HEIGHT_M)
            yield clutter(rng).turned(0.0, place)
