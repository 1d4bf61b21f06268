"""Cells of the map, right and wrong, counted by class, place and probability.

Probabilities are counted in steps of 1/32, so the counts of one pass give the IoU at every
threshold k/32, which floating point holds exactly. Counts are whole numbers: they add up to the
same, whatever the order of frames and however they are sharded to ranks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from leapai.config.validation_sections import EvaluationConfig
from leapai.types import STATIC_CLASSES, BevGrid, BoolArray, FloatArray, IntArray, StaticLabels

STEPS = 32
THRESHOLD_STEP = 16
"""A cell counts as marked from a probability of 16/32 on."""


class Sight(NamedTuple):
    """Ground that is in sight, now or before."""

    seen_now: BoolArray
    """[rows, columns]"""
    seen_before: BoolArray
    """[rows, columns] in one of the frames that memory reaches back to, in this frame's grid."""

    def hidden(self) -> BoolArray:
        """Returns the cells [rows, columns] that only memory can provide."""
        return np.asarray(self.seen_before & ~self.seen_now)


class Zones:
    """The bands of distance and of lateral distance that the cells of a grid lie in."""

    def __init__(self, grid: BevGrid, evaluation: EvaluationConfig) -> None:
        self.distance_m = evaluation.map_distance_bands_m
        self.lateral_m = evaluation.map_lateral_bands_m
        x, y = grid.cell_centres_m().astype(np.float64).T
        distance = np.searchsorted(self.distance_m, np.hypot(x, y), "right")
        lateral = np.searchsorted(self.lateral_m, np.abs(y), "right")
        self.shape = (len(self.distance_m) + 1, len(self.lateral_m) + 1)
        self.of_cell = distance * self.shape[1] + lateral
        """[rows * columns]"""

    def by_distance(self, masks: BoolArray) -> IntArray:
        """Counts the cells of masks [C, rows, columns] in each zone by distance [C, D + 1]."""
        kind, cell = np.divmod(np.flatnonzero(masks), len(self.of_cell))
        distance = self.of_cell[cell] // self.shape[1]
        counts = np.bincount(kind * self.shape[0] + distance, minlength=len(masks) * self.shape[0])
        return counts.reshape(len(masks), self.shape[0])


@dataclass
class CellCounts:
    """Sums over frames. Letters: C classes, D + 1 and L + 1 zones by distance and lateral distance
    (the first and the last lie outside of all bands), T ground truth, P steps of probability."""

    cells: IntArray
    """[C, D + 1, L + 1, T = 2, P = 33] int64; cells that are neither in the ground truth nor of a
    probability of 1/32 are left out."""
    hidden: IntArray
    """[C, T = 2, P = 33] int64: those of them that are hidden now, but were seen before."""
    hidden_cells: int = 0
    frames: int = 0

    @staticmethod
    def of(zones: Zones) -> CellCounts:
        """Returns the counts of no frame."""
        classes = len(STATIC_CLASSES)
        cells = np.zeros((classes, *zones.shape, 2, STEPS + 1), np.int64)
        return CellCounts(cells, np.zeros((classes, 2, STEPS + 1), np.int64))

    def add(
        self, probability: FloatArray, labels: StaticLabels, sight: Sight | None, zones: Zones
    ) -> None:
        """Counts one frame: probabilities [C, rows, columns]."""
        probability, gt = np.asarray(probability, np.float32), labels.planes
        counted = ((probability >= 1 / STEPS) | gt) & labels.known[:, None, None]
        at = np.flatnonzero(counted)
        kind, cell = np.divmod(at, len(zones.of_cell))
        step = np.floor(probability.reshape(-1)[at] * STEPS).astype(np.int64)
        what = gt.reshape(-1)[at] * (STEPS + 1) + step
        place = (kind * np.prod(zones.shape) + zones.of_cell[cell]) * 2 * (STEPS + 1) + what
        self.cells += np.bincount(place, minlength=self.cells.size).reshape(self.cells.shape)
        self.frames += 1
        if sight is not None:
            hidden = sight.hidden()
            place = (kind * 2 * (STEPS + 1) + what)[hidden.reshape(-1)[cell]]
            counts = np.bincount(place, minlength=self.hidden.size)
            self.hidden += counts.reshape(self.hidden.shape)
            self.hidden_cells += int(hidden.sum())

    def merge(self, other: CellCounts) -> None:
        """Adds the counts of another rank."""
        self.cells += other.cells
        self.hidden += other.hidden
        self.hidden_cells += other.hidden_cells
        self.frames += other.frames


def iou_by_threshold(counts: IntArray) -> FloatArray:
    """Returns IoU [..., 31] at thresholds 1/32 .. 31/32 of counts [..., T = 2, P = 33]; NaN where
    the ground truth has no cell."""
    marked = np.flip(np.cumsum(np.flip(counts, -1), -1), -1)[..., 1:STEPS]
    true = counts[..., 1, :].sum(-1)[..., None]
    iou: FloatArray = np.where(
        true > 0, marked[..., 1, :] / np.maximum(true + marked[..., 0, :], 1), np.nan
    )
    return iou


def band_names(bands_m: Sequence[float]) -> list[str]:
    """Returns names as "0-30 m"."""
    return [f"{low:g}-{high:g} m" for low, high in pairwise(bands_m)]
