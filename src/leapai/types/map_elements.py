"""Map elements: vector maps, their rasters as labels, and what the network predicts of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from leapai.types.vocabulary import FloatArray, counted

if TYPE_CHECKING:
    from leapai.types.bev_grid import BevGrid


@dataclass(frozen=True)
class MapLine:
    """One polyline of a vector map."""

    kind: str
    """One of `STATIC_CLASSES` where the publisher's word has a counterpart there, else that word:
    `DashedLine`, `PEDESTRIAN_CROSSING`."""
    layer: str
    """`lane_boundary`, `crossing`, `drivable_area`, `centreline`, ..."""
    points_m: FloatArray
    """[K, 3] float64, global frame."""


VectorMap = tuple[MapLine, ...]


@dataclass(frozen=True)
class MapPolyline:
    """One map element or lane marking as a line in the ego frame."""

    kind: str
    """One of `LANE_MARKINGS` or `ROAD_ELEMENTS`."""
    confidence: float
    """In [0, 1]: the mean probability of `kind` along the line; 1 for ground truth."""
    points_m: FloatArray
    """[K, 2] float64 x y on the ground, K >= 2, or [K, 3] of a map with heights; a closed
    line ends where it starts."""


@dataclass(frozen=True)
class Map:
    """The predicted map in the current ego frame: map segmentation and map elements."""

    probability: FloatArray
    """[14, rows, columns] in [0, 1] by `STATIC_CLASSES`."""
    grid: BevGrid
    """The grid of the cells of `probability`."""
    lines: tuple[MapPolyline, ...] = ()

    def __repr__(self) -> str:
        _, rows, columns = self.probability.shape
        lines = f"{len(self.lines)} lines: {counted(line.kind for line in self.lines)}"
        return f"Map({rows} x {columns} cells of {self.grid.cell_m:g} m, {lines})"
