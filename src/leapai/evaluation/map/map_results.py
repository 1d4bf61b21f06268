"""What figures of the map are. `None` stands where there is nothing to measure: no cell, or no
line, of a class is true."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class _Metrics(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MapClassMetrics(_Metrics):
    """Of one class."""

    cells: int
    """True ones, over all frames."""
    iou: float | None
    """At `MapMetrics.threshold`."""
    best_iou: float | None
    """At the threshold that suits the class best."""
    best_threshold: float | None
    hidden_iou: float | None
    """Over cells that are hidden now, but were seen before."""
    change: float | None
    """Mean |p now - p before| of a cell of the world; None: no frame follows another."""
    flip_rate: float | None
    """Of cells marked in one of two successive frames, the share without a mark of the other frame
    in the 3 x 3 cells about it; None: none is marked."""


class MapMeans(_Metrics):
    """One figure of each raster: the mean over the classes that have it."""

    lane_markings: float | None
    road_elements: float | None


class LineMetrics(_Metrics):
    """Of lines, weighted by length, where a line counts as found within a distance of one of its
    kind."""

    said_m: float
    """Length of all that was said, over all frames."""
    true_m: float
    precision: float | None
    """Correctness: the share of what was said that lies near a true line."""
    recall: float | None
    """Completeness: the share of the truth that lies near a line that was said."""
    f1: float | None


class MapMetrics(_Metrics):
    """How well the road is mapped, and how steadily."""

    frames: int
    labelled_frames: int
    threshold: float
    iou: MapMeans
    best_iou: MapMeans
    hidden_iou: MapMeans
    hidden_cells: int
    """Hidden now and seen before, over all labelled frames."""
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
    """By distance at which lines match ("0.25 m"), then by kind, and "all"."""
