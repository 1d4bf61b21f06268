"""Everything to draw of one frame, in its ego frame, and which of it a configuration shows."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from leapai.config.validation_sections import (
    DrawDynamicConfig,
    DrawStaticConfig,
    TemporalVisualizationConfig,
)
from leapai.geometry import poses
from leapai.pictures.palette import CLASS_COLOURS, GT, GT_HIDDEN, Colour
from leapai.types import (
    OCCLUSION_NAMES,
    BoolArray,
    Detections,
    FloatArray,
    Frame,
    IntArray,
    Labels,
    Map,
    MemorySlots,
)

_FORGET_US = 1_000_000
"""A track that has been gone for this long loses its trail."""
HEAVILY_OCCLUDED = len(OCCLUSION_NAMES) - 1
EGO_OUTLINE_M = np.array([[3.9, 0.0], [3.0, 0.95], [-1.0, 0.95], [-1.0, -0.95], [3.0, -0.95]])
"""A passenger car around the rear axle, pointed in front."""


@dataclass(frozen=True)
class Trail:
    """Past positions of a track, oldest first, in the current ego frame. K points."""

    track_id: int
    position_m: FloatArray
    """[K, 3]"""
    occlusion_level: IntArray
    """[K] occlusion level at that time."""


@dataclass(frozen=True)
class BevLine:
    """One line of the given map in the current ego frame."""

    layer: str
    points_m: FloatArray
    """[K, 2]"""


@dataclass(frozen=True)
class BevScene:
    """Everything of one frame that the canvas shows."""

    points: FloatArray | None = None
    """[P, 3 or more]: x y z in metres; None: the LiDAR failed."""
    gt: Labels | None = None
    detections: Detections | None = None
    trails: Sequence[Trail] = ()
    memory: MemorySlots | None = None
    map_lines: Sequence[BevLine] = ()
    """Lines of the given map."""
    map: Map | None = None
    """The predicted map."""


def in_valid_range(
    position_m: FloatArray, valid_range: tuple[float, float, float, float]
) -> BoolArray:
    """Returns a mask [N] of ego positions [N, 2 or more] inside `valid_range`.

    The first pair runs along the canvas' downward axis, so it bounds -x: (-150, 20) is 150 m ahead
    to 20 m behind. The second pair bounds y, left positive.
    """
    down_min, down_max, y_min, y_max = valid_range
    down, y = -position_m[:, 0], position_m[:, 1]
    inside: BoolArray = (down >= down_min) & (down <= down_max) & (y >= y_min) & (y <= y_max)
    return inside


def shown_detections(detections: Detections, draw: DrawDynamicConfig) -> Detections:
    """Returns the detections that a picture shows, most confident first.

    They are those of at least `dynamic_conf` inside `valid_range`; of these at most `max_objects`.
    """
    confident = detections.score >= draw.dynamic_conf
    kept = detections.select(confident & in_valid_range(detections.boxes, draw.valid_range))
    return kept.select(np.argsort(-kept.score, kind="stable")[: draw.max_objects])


def shown_labels(labels: Labels, draw: DrawDynamicConfig) -> Labels:
    """Returns the ground-truth objects inside `valid_range`."""
    return labels.select(in_valid_range(labels.boxes, draw.valid_range))


def shown_map(bev_map: Map, static: DrawStaticConfig) -> Map:
    """Returns the cells and lines of at least `static_conf`, as far as they are drawn."""
    shown = (bev_map.probability >= static.static_conf) & static.draw_cells
    probability = np.where(shown, bev_map.probability, 0)
    sure = tuple(line for line in bev_map.lines if line.confidence >= static.static_conf)
    return Map(probability, bev_map.grid, sure if static.draw_lines else ())


def gt_by_colour(gt: Labels, alone: bool) -> list[tuple[Colour, IntArray]]:
    """Returns colours and the indices [M] of the ground-truth objects drawn in each.

    Ground truth that is drawn `alone`, without detections, has the colours of its classes; next to
    detections it is grey, darker where heavily occluded.
    """
    if alone:
        colours = [(colour, gt.class_id == i) for i, colour in enumerate(CLASS_COLOURS)]
    else:
        hidden = gt.occlusion_level == HEAVILY_OCCLUDED
        colours = [(GT_HIDDEN, hidden), (GT, ~hidden)]
    return [(colour, np.flatnonzero(chosen)) for colour, chosen in colours]


def shown_memory(
    memory: MemorySlots, draw: DrawDynamicConfig, temporal: TemporalVisualizationConfig
) -> MemorySlots:
    """Returns the slots of the last `history_frames` frames inside `valid_range`, oldest first."""
    recent = memory.frames_ago <= temporal.history_frames
    kept = memory.select(recent & in_valid_range(memory.position_m, draw.valid_range))
    return kept.select(np.argsort(-kept.frames_ago, kind="stable"))


class Trails:
    """Past positions of tracks in the global frame; forgotten when the sequence changes."""

    def __init__(self, length: int) -> None:
        """Keeps `length` points for each track."""
        self._length = length
        self._sequence: str | None = None
        self._points: dict[int, deque[tuple[FloatArray, int]]] = {}
        self._last_seen_us: dict[int, int] = {}

    def seen_from(self, frame: Frame) -> list[Trail]:
        """Returns the trails before this frame, in its ego frame; float64, so exact far from the
        origin."""
        if frame.sequence != self._sequence:
            self._sequence = frame.sequence
            self._points.clear()
            self._last_seen_us.clear()
        ego_from_global = poses.invert(np.asarray(frame.ego2global, np.float64))
        return [
            Trail(
                track_id,
                poses.apply(ego_from_global, np.stack([position for position, _ in points])),
                np.array([level for _, level in points]),
            )
            for track_id, points in self._points.items()
            if points
        ]

    def paths(
        self, frame: Frame, detections: Detections, world_from_global: FloatArray
    ) -> tuple[list[FloatArray], IntArray]:
        """Returns where the tracks of the detections have been, up to now, each [K, 3] in `world`,
        and the index [N] of the detection of each; stores their positions, too."""
        world = replace(frame, ego2global=poses.invert(world_from_global))
        world_from_ego = world_from_global @ np.asarray(frame.ego2global, np.float64)
        now = poses.apply(world_from_ego, detections.boxes[:, :3])
        index_of = {int(track): i for i, track in enumerate(detections.track_id)}
        trails = [t for t in self.seen_from(world) if t.track_id in index_of]
        index = np.array([index_of[t.track_id] for t in trails], np.int64)
        self.add(frame, detections)
        of_trails = zip(trails, index, strict=True)
        return [np.vstack([trail.position_m, now[i]]) for trail, i in of_trails], index

    def add(self, frame: Frame, detections: Detections) -> None:
        """Stores where the tracks of this frame are; drops those gone for a second."""
        positions = poses.apply(np.asarray(frame.ego2global, np.float64), detections.boxes[:, :3])
        for track_id, position, level in zip(
            detections.track_id.tolist(), positions, detections.occlusion_level, strict=True
        ):
            if track_id >= 0:
                points = self._points.setdefault(track_id, deque(maxlen=self._length))
                points.append((position, int(level)))
                self._last_seen_us[track_id] = frame.timestamp_us
        for track_id, last_seen_us in list(self._last_seen_us.items()):
            if frame.timestamp_us - last_seen_us >= _FORGET_US:
                del self._points[track_id], self._last_seen_us[track_id]
