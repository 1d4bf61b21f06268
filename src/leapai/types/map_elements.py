"""Map elements: vector maps, their rasters as labels, and what the network predicts of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from leapai.types.bev_grid import BevGrid
from leapai.types.vocabulary import STATIC_CLASSES, BoolArray, FloatArray


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
class StaticLabels:
    """Truth of what does not move, as rasters over a region about the ego: row along y from its
    lower end, column along x from its lower end (docs/design.md, section 11)."""

    lane_markings: BoolArray
    """[9, rows, columns], a plane for each of `LANE_MARKINGS`. A dashed line has no gaps."""
    road_elements: BoolArray
    """[5, rows, columns], a plane for each of `ROAD_ELEMENTS`."""
    free_space: BoolArray | None = None
    """[rows, columns] drivable ground that is under no object and no wall; None: the map does not
    say what is drivable, or nobody asked."""
    known: BoolArray = field(default_factory=lambda: np.ones(len(STATIC_CLASSES), bool))
    """[14] the classes that the map tells of; an empty plane of another one says nothing."""

    @property
    def planes(self) -> BoolArray:
        """[14, rows, columns] of both rasters, by `STATIC_CLASSES`."""
        return np.concatenate([self.lane_markings, self.road_elements])


@dataclass(frozen=True)
class MapPolyline:
    """One line of the road in the ego frame."""

    kind: str
    """One of `LANE_MARKINGS` or `ROAD_ELEMENTS`."""
    confidence: float
    """In [0, 1]: the mean probability of `kind` along the line; 1 of a true line."""
    points_m: FloatArray
    """[K, 2] float64 x y on the ground, K >= 2, or [K, 3] of a map that knows heights; a closed
    line ends where it starts."""


@dataclass(frozen=True)
class Map:
    """What the system says of the road, in the current ego frame."""

    probability: FloatArray
    """[14, rows, columns] in [0, 1] by `STATIC_CLASSES`."""
    grid: BevGrid
    """Of the cells."""
    lines: tuple[MapPolyline, ...] = ()
