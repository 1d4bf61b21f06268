"""Flicker of the map: change of the prediction at the same places from frame to frame.

Each cell of a frame is looked up in the frame before it, at its centre, by the relative pose formed
in float64, in the nearest cell. Cells that the frame before did not cover are left out.

* Change: the mean of |p now - p before|. A line that is drawn again on a moved grid falls on other
  cells, so a perfect map changes, too, by what resampling costs.
* Flip rate: a cell is marked from the threshold on. A mark of one frame flickers where the other
  frame has none in the 3 x 3 cells about it; the rate is the share of such marks, of both frames.
  The cell of tolerance forgives resampling: a perfect map has a rate near 0. (It also forgives
  marks that are so many that one is always near: then only the change shows flicker.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import cv2
import numpy as np

from leapai.evaluation.map.map_cells import STEPS, THRESHOLD_STEP, Zones
from leapai.geometry import poses
from leapai.types import STATIC_CLASSES, BevGrid, BoolArray, FloatArray, IntArray

_Planes = TypeVar("_Planes", FloatArray, BoolArray)
MAX_GAP_S = 1.0
"""Frames further apart do not follow each other."""
_UNIT = 1 << 16
"""Changes are summed as whole numbers of 1/65536, so that sums do not depend on their order."""


class MapView(NamedTuple):
    """The predicted map at one instant."""

    sequence: str
    timestamp_us: int
    ego2global: FloatArray
    """[4, 4] float64."""
    probability: FloatArray
    """[14, rows, columns] in [0, 1], by `STATIC_CLASSES`."""


@dataclass
class FlickerCounts:
    """Sums over pairs of successive frames, int64. Letters: C classes, D + 1 zones by distance from
    the ego of now (the first and the last lie outside of all bands)."""

    change: IntArray
    """[C] in `_UNIT`s."""
    flickering: IntArray
    """[C, D + 1] marks that have none near them in the other frame."""
    marks: IntArray
    """[C, D + 1] marks of both frames."""
    cells: int = 0

    @staticmethod
    def of(zones: Zones) -> FlickerCounts:
        """Returns the counts of no frame."""
        shape = (len(STATIC_CLASSES), zones.shape[0])
        return FlickerCounts(
            np.zeros(shape[0], np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        )

    def add(self, before: MapView, now: MapView, grid: BevGrid, zones: Zones) -> None:
        """Counts one frame and the one before it, where both are successive ones of a sequence."""
        gap_us = now.timestamp_us - before.timestamp_us
        if before.sequence != now.sequence or not 0 < gap_us <= MAX_GAP_S * 1e6:
            return
        before_from_now = poses.invert(np.asarray(before.ego2global, np.float64)) @ now.ego2global
        row, column, covered = nearest_cells(before_from_now, grid)
        cell = row * grid.columns + column
        p_now, p_before = now.probability, _looked_up(before.probability, cell)
        change = np.abs(p_now - p_before)[:, covered]
        change *= _UNIT
        self.change += np.rint(change, out=change).sum(1, dtype=np.float64).astype(np.int64)
        self.cells += int(covered.sum())
        threshold = THRESHOLD_STEP / STEPS
        over, over_before = p_now >= threshold, before.probability >= threshold
        marked, marked_before = over & covered, _looked_up(over_before, cell) & covered
        close, close_before = dilated(over), _looked_up(dilated(over_before), cell)
        flickering = (marked & ~close_before) | (marked_before & ~close)
        self.flickering += zones.by_distance(flickering)
        self.marks += zones.by_distance(marked) + zones.by_distance(marked_before)

    def merge(self, other: FlickerCounts) -> None:
        """Adds the counts of another rank."""
        self.change += other.change
        self.flickering += other.flickering
        self.marks += other.marks
        self.cells += other.cells

    def mean_change(self) -> FloatArray:
        """Returns the mean change [C]; NaN where no frame followed another."""
        mean: FloatArray = self.change / _UNIT / (self.cells or np.nan)
        return mean

    def flip_rate(self) -> FloatArray:
        """Returns the flip rate [C]; NaN where nothing is marked."""
        flickering, marks = self.flickering.sum(1), self.marks.sum(1)
        rate: FloatArray = flickering / np.where(marks > 0, marks, np.nan)
        return rate


def nearest_cells(
    other_from_this: FloatArray, grid: BevGrid
) -> tuple[IntArray, IntArray, BoolArray]:
    """Returns the row and column [rows, columns] in another frame's grid of each cell of this one,
    and whether that grid covers it (0, 0 where not)."""
    x, y = (c.astype(np.float64) for c in (grid.column_centres_m(), grid.row_centres_m()))
    column, row = (  # As the grid is, a coordinate is a sum of a term of its column and of its row.
        np.floor((a * x + (b * y + t - low)[:, None]) / grid.cell_m)
        for (a, b, _, t), low in zip(other_from_this[:2], grid.low_m, strict=False)
    )
    covered = (row >= 0) & (row < grid.rows) & (column >= 0) & (column < grid.columns)
    return (row * covered).astype(np.int64), (column * covered).astype(np.int64), covered


def _looked_up(planes: _Planes, cell: IntArray) -> _Planes:
    """Returns the values of planes [C, rows, columns] at cells [rows, columns], counted row by
    row."""
    found: _Planes = planes.reshape(len(planes), -1).take(cell, axis=1)
    return found


def dilated(masks: BoolArray) -> BoolArray:
    """Returns masks [N, rows, columns], each grown by one cell to all sides."""
    square = np.ones((3, 3), np.uint8)
    grown = [cv2.dilate(mask, square) for mask in masks.view(np.uint8)]
    return np.stack(grown).view(bool)
