"""Markings of a car park or a garage, and its map."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from leapai.data.static_labels import DRIVABLE_LAYER
from leapai.types.map_elements import MapLine
from leapai.types.vocabulary import FloatArray
from leapai_world.places.parking_lot import AISLE_M, DEPTH_M, KEEP_M, SLOT_M, ParkingLot
from leapai_world.places.road_markings import Line, arrow, element, mark, straight
from leapai_world.random_generators import random_generator

BUMP_M, BUMP_HEIGHT_M = 0.45, 0.05
"""Length along the aisle and height of a speed bump."""


def _lanes(lot: ParkingLot) -> Iterator[Line]:
    """Yields all lanes of the aisles as lines in the axes of the lot, from one end of the rows to
    the other."""
    for aisle in range(lot.aisles):
        y = lot.aisle_y(aisle)
        yield straight((-lot.half_x_m, y - KEEP_M), 0.0)
        yield straight((lot.half_x_m, y + KEEP_M), np.pi)


def slot_lines(lot: ParkingLot) -> Iterator[tuple[Line, float]]:
    """Yields the markings between slots: a line, and its length."""
    for row in range(2 * lot.aisles):
        aisle, above = divmod(row, 2)
        y = lot.aisle_y(aisle) + (2 * above - 1) * AISLE_M / 2
        for column in range(lot.columns + 1):
            x = column * SLOT_M - lot.half_x_m
            yield straight((x, y), (2 * above - 1) * np.pi / 2), DEPTH_M - 0.1


def arrows(lot: ParkingLot) -> Iterator[FloatArray]:
    """Yields the outlines of the arrows in the lanes, in the axes of the lot."""
    for line in _lanes(lot):
        for s in np.arange(4.0, 2 * lot.half_x_m - 6.0, 15.0):
            yield arrow(line, float(s))


def bumps(lot: ParkingLot) -> Iterator[tuple[float, float]]:
    """Yields the middles of the speed bumps, which lie across whole aisles."""
    rng = random_generator(lot.seed, 33)
    for aisle in range(lot.aisles):
        for share in (-0.5, 0.45):
            yield lot.half_x_m * (share + rng.uniform(-0.1, 0.1)), lot.aisle_y(aisle)


def map_lines(lot: ParkingLot) -> Iterator[MapLine]:
    """Yields the lines of the map, local frame."""

    def turned(line: MapLine) -> MapLine:
        return MapLine(line.kind, line.layer, lot.place(line.points_m))

    for line, length in slot_lines(lot):
        yield turned(mark("SolidLine", line, 0.0, 0.0, length))
    for line in _lanes(lot):
        s = np.linspace(0.0, 2 * lot.half_x_m, 20)
        yield turned(element("Lane", line(s, 0.0)))
    for outline in arrows(lot):
        yield turned(element("GroundSigns", outline))
    for x, y in bumps(lot):
        outline = _rectangle([BUMP_M / 2, AISLE_M / 2 - 0.3])
        yield turned(element("SpeedBump", outline + np.array([x, y, 0.0])))
    border = _rectangle([lot.wall_x_m, lot.wall_y_m])
    yield turned(MapLine("Drivable", DRIVABLE_LAYER, border))
    for a, b in pairwise(border):
        kind = "Wall" if lot.roofed else "Curb"
        yield turned(element(kind, np.linspace(a, b, 20)))


def _rectangle(half: list[float]) -> FloatArray:
    """Returns the closed outline [5, 3] of a rectangle around the origin."""
    square = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1], [1, 1]]) * half
    return np.concatenate([square, np.zeros((5, 1))], 1)
