"""What there is to draw in one frame, in its ego frame, and which of it a configuration shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leapai.config import DrawDynamicConfig, DrawStaticConfig, TemporalVisualizationConfig
from leapai.geometry.grid import BevGrid
from leapai.types import (
    OCCLUSION_NAMES,
    BoolArray,
    Detections,
    FloatArray,
    IntArray,
    Labels,
    MapPolyline,
)
from leapai.visualisation.palette import CLASS_COLOURS, TRUTH, TRUTH_HIDDEN, Colour

HEAVILY_OCCLUDED = len(OCCLUSION_NAMES) - 1
EGO_OUTLINE_M = np.array([[3.9, 0.0], [3.0, 0.95], [-1.0, 0.95], [-1.0, -0.95], [3.0, -0.95]])
"""A passenger car around the rear axle, pointed in front."""


@dataclass(frozen=True)
class MemoryDots:
    """The valid slots of the memory, in the current ego frame. S slots."""

    position_m: FloatArray
    """[S, 3]"""
    velocity_mps: FloatArray
    """[S, 3] over ground, in ego axes."""
    class_id: IntArray
    """[S]"""
    age: IntArray
    """[S] frames ago: 1 is the last frame."""

    def select(self, index: IntArray | BoolArray) -> MemoryDots:
        """The slots at `index` (integers [M] or mask [S])."""
        return MemoryDots(
            self.position_m[index], self.velocity_mps[index], self.class_id[index], self.age[index]
        )


@dataclass(frozen=True)
class Trail:
    """Where a track was before, oldest first, in the current ego frame. K points."""

    track_id: int
    position_m: FloatArray
    """[K, 3]"""
    occlusion_level: IntArray
    """[K] at that time."""


@dataclass(frozen=True)
class BevLine:
    """One line of the map in the current ego frame."""

    layer: str
    points_m: FloatArray
    """[K, 2]"""


@dataclass(frozen=True)
class Road:
    """What the system says of the road, in the current ego frame."""

    probability: FloatArray | None
    """[14, rows, columns] by `STATIC_CLASSES`; None: cells are not drawn."""
    grid: BevGrid
    """Of the cells."""
    lines: Sequence[MapPolyline] = ()


@dataclass(frozen=True)
class BevScene:
    """Everything of one frame that the canvas shows."""

    points: FloatArray | None = None
    """[P, 3 or more]: x y z in metres; None: the LiDAR failed."""
    truth: Labels | None = None
    detections: Detections | None = None
    trails: Sequence[Trail] = ()
    memory: MemoryDots | None = None
    map_lines: Sequence[BevLine] = ()
    road: Road | None = None


def in_valid_range(
    position_m: FloatArray, valid_range: tuple[float, float, float, float]
) -> BoolArray:
    """Mask [N] of ego positions [N, 2 or more] inside `valid_range`.

    The first pair runs along the canvas' downward axis, so it bounds -x: (-150, 20) is 150 m ahead
    to 20 m behind. The second pair bounds y, left positive.
    """
    down_min, down_max, y_min, y_max = valid_range
    down, y = -position_m[:, 0], position_m[:, 1]
    inside: BoolArray = (down >= down_min) & (down <= down_max) & (y >= y_min) & (y <= y_max)
    return inside


def shown_detections(detections: Detections, draw: DrawDynamicConfig) -> Detections:
    """The detections that a picture shows, most confident first.

    Those of at least `dynamic_conf` inside `valid_range`; of these at most `max_objects`.
    """
    confident = detections.score >= draw.dynamic_conf
    kept = detections.select(confident & in_valid_range(detections.boxes, draw.valid_range))
    return kept.select(np.argsort(-kept.score, kind="stable")[: draw.max_objects])


def shown_labels(labels: Labels, draw: DrawDynamicConfig) -> Labels:
    """The true objects inside `valid_range`."""
    return labels.select(in_valid_range(labels.boxes, draw.valid_range))


def shown_road(road: Road, static: DrawStaticConfig) -> Road:
    """The cells and lines of at least `static_conf`, as far as they are drawn."""
    probability = road.probability if static.draw_cells else None
    if probability is not None:
        probability = np.where(probability >= static.static_conf, probability, 0)
    sure = [line for line in road.lines if line.confidence >= static.static_conf]
    return Road(probability, road.grid, sure if static.draw_lines else ())


def truth_by_colour(truth: Labels, alone: bool) -> list[tuple[Colour, IntArray]]:
    """Colours and the indices [M] of the true objects drawn in each.

    Truth that stands `alone`, without detections, has the colours of its classes; beside detections
    it is grey, darker where heavily occluded.
    """
    if alone:
        colours = [(colour, truth.class_id == i) for i, colour in enumerate(CLASS_COLOURS)]
    else:
        hidden = truth.occlusion_level == HEAVILY_OCCLUDED
        colours = [(TRUTH_HIDDEN, hidden), (TRUTH, ~hidden)]
    return [(colour, np.flatnonzero(chosen)) for colour, chosen in colours]


def shown_memory(
    memory: MemoryDots, draw: DrawDynamicConfig, temporal: TemporalVisualizationConfig
) -> MemoryDots:
    """The slots of the last `history_frames` frames inside `valid_range`, oldest first."""
    recent = memory.age <= temporal.history_frames
    kept = memory.select(recent & in_valid_range(memory.position_m, draw.valid_range))
    return kept.select(np.argsort(-kept.age, kind="stable"))
