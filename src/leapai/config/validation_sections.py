"""Sections of the schema that validation and pictures read (docs/design.md, sections 9 to 11)."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from leapai.config.section import Section, tuple_of_list
from leapai.types import BevGrid

Area = Annotated[tuple[float, float, float, float], BeforeValidator(tuple_of_list)]
"""Two ranges; also accepted as a list, as the design writes them."""
_Bands = Annotated[tuple[float, ...], Field(max_length=100)]
"""Ends of distance bands, metres."""


class DrawDynamicConfig(Section):
    """Drawing options of the dynamic task (docs/design.md, section 10)."""

    dynamic_conf: float = Field(0.3, ge=0, le=1)
    """Detections below this confidence are not drawn."""
    draw_velo: bool = True
    draw_occlusion: bool = True
    draw_trajectory: bool = True
    valid_range: Area = (-150.0, 20.0, -25.0, 25.0)
    """Along the canvas' downward axis (so 150 m ahead to 20 m behind), then lateral, metres."""
    coords: Area = (*BevGrid.x_range_m, *BevGrid.y_range_m)
    """x and y range of the canvas, metres, ego frame; derived from `bev` where it is not set."""
    label_h: int = Field(BevGrid().rows, ge=16, le=8192)
    label_w: int = Field(BevGrid().columns, ge=16, le=8192)
    """Cells of the canvas along y and x: its scale and its fine grid; derived from `coords` and
    `bev.cell_m` where they are not set."""
    max_objects: int = Field(100, ge=0, le=10_000)

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in ("valid_range", "coords"):
            first_low, first_high, second_low, second_high = getattr(self, name)
            if first_low >= first_high or second_low >= second_high:
                raise ValueError(
                    f"{name} = {getattr(self, name)} must be (low, high, low, high) with low < high"
                )
        return self


class DrawStaticConfig(Section):
    """Drawing options of the static task (docs/design.md, section 11)."""

    static_conf: float = Field(0.5, ge=0, le=1)
    """Cells and lines below this confidence are not drawn."""
    draw_cells: bool = True
    """The raster, as a tint of the canvas."""
    draw_lines: bool = True
    """The polylines, on the canvas and in the cameras."""


class TemporalVisualizationConfig(Section):
    """Drawing options of the memory (docs/design.md, section 10)."""

    show_history: bool = True
    show_velocity: bool = True
    show_occlusion: bool = True
    history_frames: int = Field(3, ge=0, le=1000)
    trajectory_length: int = Field(10, ge=0, le=1000)
    velocity_scale: float = Field(5.0, gt=0, le=1000)
    """Pixels of arrow for each m/s."""


class EvaluationConfig(Section):
    """Metrics and outputs of validation (docs/design.md, section 9)."""

    distance_bands_m: _Bands = (0.0, 3.0, 6.0, 12.0, 24.0, 60.0)
    min_score: float = Field(0.05, ge=0, le=1)
    """Detections below this confidence are not reported."""
    nms_iou: float = Field(0.2, ge=0, le=1)
    """Largest overlap (IoU on the ground) of two boxes of a class. Above it the less confident box
    is dropped."""
    max_detections: int = Field(300, gt=0, le=100_000)
    map_distance_bands_m: _Bands = (0.0, 30.0, 60.0)
    """Distance bands of the map's cells, from the ego's origin, all around."""
    map_lateral_bands_m: _Bands = (0.0, 4.0, 10.0, 22.4)
    """Bands of the map's cells to the left or right of the ego's axis: its lane, its road, what
    lies next to the road."""


class TrackingConfig(Section):
    """Rules by which detections get and keep an identity (docs/design.md, section 9)."""

    birth_score: float = Field(0.4, ge=0)
    """An object gets its id when the confidences of its detections in a row add up to this."""
    sure_score: float = Field(0.25, ge=0, le=1)
    """A detection below this confidence starts no track; it only keeps one alive."""
    gate_m: float = Field(2.0, gt=0)
    """A track takes a detection this near to where it is expected (people: 3/4 of it), ..."""
    gate_s: float = Field(0.3, ge=0)
    """... plus this many seconds of its speed."""
    max_age_s: float = Field(2.0, ge=0)
    """A track that has not been seen for longer is dead."""
