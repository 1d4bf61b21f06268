"""Metrics of predicted maps against ground truth: `map_metrics(frames, ...)`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from leapai.config.validation_sections import EvaluationConfig
from leapai.evaluation.map.line_metrics import LineCounts
from leapai.evaluation.map.map_cells import (
    STEPS,
    THRESHOLD_STEP,
    CellCounts,
    Sight,
    Zones,
    band_names,
    iou_by_threshold,
)
from leapai.evaluation.map.map_flicker import FlickerCounts, MapView
from leapai.evaluation.map.map_results import MapClassMetrics, MapMeans, MapMetrics
from leapai.types import (
    LANE_MARKINGS,
    STATIC_CLASSES,
    BevGrid,
    FloatArray,
    IntArray,
    MapPolyline,
    StaticLabels,
)


@dataclass(frozen=True)
class MapFrame:
    """The predicted map of one frame, and its ground truth."""

    predicted: MapView
    lines: tuple[MapPolyline, ...]
    """Predicted lines, in the ego frame."""
    labels: StaticLabels | None
    """None: the frame has no ground truth; it counts for flicker only."""
    gt_lines: tuple[MapPolyline, ...] | None
    """Ground-truth lines; None: lines are not evaluated in this frame."""
    sight: Sight | None
    """None: what is hidden in this frame is not known."""


def map_metrics(
    frames: Iterable[MapFrame], grid: BevGrid, evaluation: EvaluationConfig
) -> MapMetrics:
    """Evaluates frames over `grid`, those of each sequence in order of time."""
    tally = MapTally(grid, evaluation)
    for frame in frames:
        tally.add(frame)
    return tally.metrics()


class MapTally:
    """Counts frames as they come, keeping none but the last.

    The frames of a sequence come one after another; the order of sequences, and how they are
    sharded to the ranks whose tallies are merged, change no metric."""

    def __init__(self, grid: BevGrid, evaluation: EvaluationConfig) -> None:
        self._grid = grid
        self._zones = Zones(grid, evaluation)
        self._frames = 0
        self._cells = CellCounts.of(self._zones)
        self._flicker = FlickerCounts.of(self._zones)
        self._lines = LineCounts()
        self._last: MapView | None = None

    def add(self, frame: MapFrame) -> None:
        """Counts one frame, which follows the last one."""
        self._frames += 1
        if self._last is not None:
            self._flicker.add(self._last, frame.predicted, self._grid, self._zones)
        self._last = frame.predicted
        if frame.labels is None:
            return
        self._cells.add(frame.predicted.probability, frame.labels, frame.sight, self._zones)
        if frame.gt_lines is not None:
            self._lines.add(frame.lines, frame.gt_lines, frame.labels.known, self._grid)

    def merge(self, other: MapTally) -> None:
        """Adds the counts of another rank, of other sequences."""
        self._frames += other._frames
        self._cells.merge(other._cells)
        self._flicker.merge(other._flicker)
        self._lines.merge(other._lines)

    def metrics(self) -> MapMetrics:
        """Returns the metrics of all that was counted."""
        overall = self._cells.cells.sum((1, 2))
        iou, hidden = iou_by_threshold(overall), iou_by_threshold(self._cells.hidden)
        change, flip_rate = self._flicker.mean_change(), self._flicker.flip_rate()
        by_distance, by_side = self._cells.cells.sum(2), self._cells.cells.sum(1)
        return MapMetrics(
            frames=self._frames,
            labelled_frames=self._cells.frames,
            threshold=THRESHOLD_STEP / STEPS,
            iou=_means(_at_threshold(iou)),
            best_iou=_means(iou.max(1)),
            hidden_iou=_means(_at_threshold(hidden)),
            hidden_cells=self._cells.hidden_cells,
            change=_means(change),
            flip_rate=_pooled(self._flicker, slice(None)),
            flip_rate_bands={
                name: _pooled(self._flicker, slice(1 + i, 2 + i))
                for i, name in enumerate(band_names(self._zones.distance_m))
            },
            classes={
                name: MapClassMetrics(
                    cells=int(overall[i, 1].sum()),
                    iou=_number(_at_threshold(iou)[i]),
                    best_iou=_number(iou[i].max()),
                    best_threshold=_best_threshold(iou[i]),
                    hidden_iou=_number(_at_threshold(hidden)[i]),
                    change=_number(change[i]),
                    flip_rate=_number(flip_rate[i]),
                )
                for i, name in enumerate(STATIC_CLASSES)
            },
            distance_bands=_by_band(by_distance, self._zones.distance_m),
            lateral_bands=_by_band(by_side, self._zones.lateral_m),
            lines=self._lines.metrics(),
        )


def _by_band(counts: IntArray, bands_m: tuple[float, ...]) -> dict[str, MapMeans]:
    """Returns mean IoU by band, from counts [C, bands + 1, 2, 33]."""
    iou = _at_threshold(iou_by_threshold(counts))
    return {name: _means(iou[:, 1 + i]) for i, name in enumerate(band_names(bands_m))}


def _at_threshold(iou: FloatArray) -> FloatArray:
    """Returns IoU [...] at the threshold, of IoU [..., 31] by threshold."""
    return np.asarray(iou[..., THRESHOLD_STEP - 1])


def _best_threshold(iou: FloatArray) -> float | None:
    """Returns the best threshold of IoU [31]; of several equally good ones the lowest."""
    return None if np.isnan(iou).all() else (int(iou.argmax()) + 1) / STEPS


def _means(values: FloatArray) -> MapMeans:
    """Returns the mean of each raster, of values [14], NaN where there is none."""
    markings, elements = np.split(values, [len(LANE_MARKINGS)])
    return MapMeans(lane_markings=_mean(markings), road_elements=_mean(elements))


def _pooled(flicker: FlickerCounts, zones: slice) -> MapMeans:
    """Returns the share of marks that flicker, over all classes of a raster together, in zones by
    distance. (A class that is not there has only specks, and all of them flicker.)"""
    flickering, marks = (
        [part.sum() for part in np.split(counts[:, zones], [len(LANE_MARKINGS)])]
        for counts in (flicker.flickering, flicker.marks)
    )
    markings, elements = (f / m if m else None for f, m in zip(flickering, marks, strict=True))
    return MapMeans(lane_markings=markings, road_elements=elements)


def _mean(values: FloatArray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
