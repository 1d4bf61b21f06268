"""The parking lot: layout of the open car park and of the underground garage, and the ways through
it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leapai.types.vocabulary import FloatArray
from leapai_world.random_generators import random_generator
from leapai_world.traffic.routes import STEP_M, Route, rounded, route

SLOT_M = 2.6
DEPTH_M = 5.1
AISLE_M = 6.4
CEILING_M = 2.9
"""Height of the ceiling of the garage."""
KEEP_M = 1.45
"""Traffic keeps this far to the right of the middle of an aisle."""
REVERSING_M = 8.0
"""Length of the way out of a slot, in reverse."""
_FOLD_M = 3.0
"""The way on begins this far behind the body, so that its rear axle has a route too."""


@dataclass(frozen=True)
class Slot:
    """One place for a car, in the axes of the parking lot."""

    row: int
    column: int
    x_m: float
    y_m: float
    aisle: int
    """Number of the aisle that it opens to."""
    up: int
    """1 where the aisle lies towards +y, else -1."""


class ParkingLot:
    """A parking lot: aisles along x, one above another, with a row of slots on both sides of each.

    A ring road joins the ends of the aisles. The origin is in the middle; traffic keeps right.
    """

    def __init__(self, seed: int, *, roofed: bool) -> None:
        rng = random_generator(seed, 0)
        self.seed, self.roofed = seed, roofed
        self.aisles = 3 if roofed else 4
        self.columns = int(rng.integers(18, 25))
        self.turned_rad = rng.uniform(-np.pi, np.pi)
        self.pitch_m = 2 * DEPTH_M + AISLE_M
        self.half_x_m = self.columns * SLOT_M / 2
        self.half_y_m = self.aisles * self.pitch_m / 2
        self.wall_x_m = self.half_x_m + AISLE_M + 0.5
        self.wall_y_m = self.half_y_m + 0.4
        self.gap = int(rng.integers(6, self.columns - 6))
        """Column through which people walk; it stays free."""

    def place(self, points_m: FloatArray) -> FloatArray:
        """Returns points [..., 2 or 3] of the axes of the parking lot in the local frame."""
        c, s = np.cos(self.turned_rad), np.sin(self.turned_rad)
        points = np.array(points_m, float)
        points[..., :2] = points[..., :2] @ np.array([[c, s], [-s, c]])
        return points

    def aisle_y(self, aisle: int) -> float:
        """Returns y of the middle of an aisle."""
        return (aisle + 0.5) * self.pitch_m - self.half_y_m

    def column_x(self, column: float) -> float:
        """Returns x of the middle of a column of slots."""
        return (column + 0.5) * SLOT_M - self.half_x_m

    def slots(self) -> list[Slot]:
        """Returns all slots. Row 2 a lies below aisle a and row 2 a + 1 above it."""
        found = []
        for row in range(2 * self.aisles):
            aisle, above = divmod(row, 2)
            y = self.aisle_y(aisle) + (2 * above - 1) * (AISLE_M + DEPTH_M) / 2
            for column in range(self.columns):
                up = -1 if above else 1
                found.append(Slot(row, column, self.column_x(column), y, aisle, up))
        return found

    def loop(self, aisle: int, following: int, laps: int) -> FloatArray:
        """Returns points [P, 2] of a way along an aisle in +x and along another in -x, over and
        over."""
        left = following > aisle
        x = self.half_x_m + AISLE_M / 2 + (KEEP_M if left else -KEEP_M)
        there, back = self.aisle_y(aisle) - KEEP_M, self.aisle_y(following) + KEEP_M
        lap = [(x, there), (x, back), (-x, back), (-x, there)]
        corners = [(-self.half_x_m, there), *(lap * laps), (0.0, there)]
        return self.place(rounded(corners, 5.0 if left else 3.2))

    def reversing(self, slot: Slot) -> tuple[Route, Route]:
        """Returns the way out of a slot backwards, and on from there along the aisle and around.

        A car that comes out of a row below its aisle faces +x then, out of one above it -x. The
        first part ends at `REVERSING_M`, in the middle of the aisle and in line with it.
        """
        ahead, y = float(slot.up), self.aisle_y(slot.aisle)
        out = rounded(
            [(slot.x_m, slot.y_m), (slot.x_m, y), (slot.x_m - 14.0 * ahead, y)], DEPTH_M / 2 + 0.3
        )
        fold = route(out).samples_m[round(REVERSING_M / STEP_M), 0]
        lane, end = y - KEEP_M * ahead, ahead * (self.half_x_m + AISLE_M / 2 + KEEP_M)
        last = self.aisle_y(self.aisles - 1 if slot.up > 0 else 0) + KEEP_M * ahead
        begin = [(fold - _FOLD_M * ahead, y), (fold + 1.5 * ahead, y), (fold + 7.5 * ahead, lane)]
        way = [*begin, (end, lane), (end, last), (-end, last), (-end, lane), (end, lane)]
        return (
            route(self.place(out), backwards=True),
            route(self.place(rounded(way, 5.0)), first_m=REVERSING_M - _FOLD_M),
        )
