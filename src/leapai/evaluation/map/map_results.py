"""Result models of the map evaluation, and the constants that define its metrics. `None` stands
where there is nothing to measure: no cell, or no line, of a class in the ground truth."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from leapai.config.network_sections import StaticConfig
from leapai.types import LANE_MARKINGS

LINE_KINDS = (*LANE_MARKINGS, "Wall", "Curb", "Lane")
"""Kinds that maps give as lines. Speed bumps and ground signs are areas, evaluated
by cells alone."""
MATCH_M = (0.25, 0.5)
"""Distances at which lines match."""
_STATIC = StaticConfig()
HIDDEN_GROUND_S = round(max(_STATIC.past_s) + _STATIC.tolerance_s, 3)
"""Ground that is hidden now must be kept by memory for this long: as far back as the memory of the
static task reaches by default (docs/design.md, section 11: 3.3 s and a tolerance of 0.1 s)."""


class _Metrics(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MapClassMetrics(_Metrics):
    """Map metrics of one class."""

    cells: int
    """Ground-truth cells, over all frames."""
    iou: float | None
    """IoU at `MapMetrics.threshold`."""
    best_iou: float | None
    """IoU at the threshold that suits the class best."""
    best_threshold: float | None
    hidden_iou: float | None
    """Over cells that are hidden now, but were seen before."""
    change: float | None
    """Mean |p now - p before| of a cell of the world; None: no frame follows another."""
    flip_rate: float | None
    """Flicker: of cells marked in one of two successive frames, the share without a mark of the
    other frame in the 3 x 3 cells about it; None: none is marked."""


class MapMeans(_Metrics):
    """One metric of each raster: the mean over the classes that have it."""

    lane_markings: float | None
    road_elements: float | None


class LineMetrics(_Metrics):
    """Metrics of lines, weighted by length. A line counts as found within a distance of one of its
    kind."""

    said_m: float
    """Length of all predicted lines, over all frames."""
    true_m: float
    """Length of all ground-truth lines, over all frames."""
    precision: float | None
    """Correctness: the share of the predicted lines that lies near a ground-truth line."""
    recall: float | None
    """Completeness: the share of the ground truth that lies near a predicted line."""
    f1: float | None


class MapMetrics(_Metrics):
    """Quality and temporal consistency of the predicted map of a run."""

    frames: int
    labelled_frames: int
    """Frames with a ground-truth map."""
    threshold: float
    """Probability from which a cell counts as marked."""
    iou: MapMeans
    best_iou: MapMeans
    hidden_iou: MapMeans
    hidden_cells: int
    """Cells hidden now and seen before, over all labelled frames."""
    change: MapMeans
    flip_rate: MapMeans
    """Flips over marks of all classes together."""
    flip_rate_bands: dict[str, MapMeans]
    """The same by distance from the ego's origin, all around; keys as "0-30 m"."""
    classes: dict[str, MapClassMetrics]
    distance_bands: dict[str, MapMeans]
    """IoU by distance from the ego's origin, all around; keys as "0-30 m"."""
    lateral_bands: dict[str, MapMeans]
    """IoU by distance to the left or right of the ego's axis."""
    lines: dict[str, dict[str, LineMetrics]]
    """Line metrics by distance at which lines match ("0.25 m"), then by kind, and "all"."""

    def iou_by_place(self) -> list[dict[str, MapMeans]]:
        """Returns mean IoU over all cells and of hidden ground, by distance, and to the sides."""
        return [
            {
                "all": self.iou,
                "at the best threshold": self.best_iou,
                "hidden": self.hidden_iou,
            },
            self.distance_bands,
            {f"{name} aside": means for name, means in self.lateral_bands.items()},
        ]

    def classes_with_cells(self) -> dict[str, MapClassMetrics]:
        """Returns the metrics of each class that the ground truth has cells of."""
        return {name: part for name, part in self.classes.items() if part.cells}

    def classes_and_mean(self) -> dict[str, MapClassMetrics]:
        """Returns `classes_with_cells` and, as "all", the means over these classes and the number
        of their cells."""
        classes = self.classes_with_cells()
        fields = [name for name in MapClassMetrics.model_fields if name != "cells"]
        cells = sum(part.cells for part in classes.values())
        means = {name: _mean(getattr(part, name) for part in classes.values()) for name in fields}
        return {**classes, "all": MapClassMetrics(cells=cells, **means)}

    def lines_by_kind(self) -> dict[str, dict[str, LineMetrics]]:
        """Returns the metrics of lines by kind ("all" is the last), then by matching distance."""
        kinds = next(iter(self.lines.values()), {})
        return {
            kind: {within: by_kind[kind] for within, by_kind in self.lines.items()}
            for kind in kinds
        }


def _mean(values: Iterable[float | None]) -> float | None:
    """Returns the mean of the values that are there."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
