"""Sections of the schema that shape the network (docs/design.md, sections 2 to 6 and 11)."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, PositiveInt, model_validator

from leapai.config.section import Section
from leapai.types import BevGrid

Range = tuple[float, float]


class BevConfig(Section):
    """The BEV grid (docs/design.md, section 2). Its defaults are those of `BevGrid`."""

    x_range_m: Range = BevGrid.x_range_m
    y_range_m: Range = BevGrid.y_range_m
    z_range_m: Range = BevGrid.z_range_m
    cell_m: float = Field(BevGrid.cell_m, gt=0)
    channels: PositiveInt = 256
    """Width of camera features and of every shared BEV map."""

    @property
    def label_range_m(self) -> tuple[Range, Range]:
        """x and y range in metres, ego frame, in which a run needs labels."""
        return self.x_range_m, self.y_range_m

    def grid(self) -> BevGrid:
        """Returns the grid. Raises ValueError where a range is not a whole number of cells."""
        return BevGrid(self.x_range_m, self.y_range_m, self.z_range_m, self.cell_m)

    @model_validator(mode="after")
    def _check(self) -> Self:
        self.grid()
        return self


class CameraConfig(Section):
    """Images, backbones, necks and view transfer (docs/design.md, sections 3 and 4)."""

    image_size_px: tuple[PositiveInt, PositiveInt] = (512, 960)
    """Height, width of every image the model sees."""
    backbone: str = "resnetv2_34"
    """Any timm model that gives feature maps at strides 8, 16, 32."""
    backbone_args: dict[str, float | int | str | bool] = Field({})
    """Arguments of the model as timm names them, for example `{"width_factor": 0.25}`."""
    heights_m: tuple[float, ...] = Field((-0.5, 0.5, 1.5, 3.0), min_length=1)
    """Heights above ground at which the centre of a BEV cell is projected into the cameras."""
    heads: PositiveInt = 8
    points: PositiveInt = 8
    """Sampling points a head: a whole number for each height."""
    groups: dict[str, Literal["front_narrow", "front_wide", "back", "side"]] = Field({})
    """Camera name -> group, instead of the data set's own table."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if any(side % 8 for side in self.image_size_px):
            raise ValueError(f"image_size_px = {self.image_size_px} must be divisible by 8")
        if self.points % len(self.heights_m):
            raise ValueError(
                f"points = {self.points} must be a multiple of the {len(self.heights_m)} heights_m"
            )
        return self


class LidarConfig(Section):
    """Pillars and the LiDAR's BEV branch (docs/design.md, section 4)."""

    pillar_m: float = Field(0.2, gt=0)
    max_pillars: PositiveInt = 20_000
    max_points_per_pillar: PositiveInt = 48
    pillar_channels: PositiveInt = 64
    middle_channels: PositiveInt = 128
    bev_blocks: PositiveInt = 2


class DynamicConfig(Section):
    """Neck, queries, decoder and branches of the dynamic task
    (docs/design.md, sections 4 and 6)."""

    neck_channels: PositiveInt = 512
    neck_blocks: PositiveInt = 1
    queries: PositiveInt = 384
    embed: PositiveInt = 256
    layers: PositiveInt = 3
    heads: PositiveInt = 8
    points: PositiveInt = 20
    """Sampling points a head in the cross-attention to BEV."""
    ffn: PositiveInt = 512
    angle_overlap: float = Field(1.0 / 36.0, ge=0, lt=0.25)
    """Fraction of pi that neighbouring angle bins share."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.embed % self.heads:
            raise ValueError(f"embed = {self.embed} must be divisible by heads = {self.heads}")
        return self


class StaticConfig(Section):
    """Region, neck, head and memory of the static task (docs/design.md, section 11)."""

    x_range_m: Range = (-20.8, 62.4)
    y_range_m: Range = (-22.4, 22.4)
    cell_m: float = Field(0.2, gt=0)
    """Cell of labels and logits; features have cells of `bev.cell_m`."""
    channels: PositiveInt = 128
    neck_blocks: PositiveInt = 1
    memory_frames: int = Field(40, ge=2)
    """Past frames that are kept for each stream at most."""
    past_s: tuple[float, ...] = Field((0.7, 1.9, 3.3), min_length=1)
    """Ages of the past frames that are fused with the current one."""
    tolerance_s: float = Field(0.1, gt=0)
    """A frame has such an age when it is at most this much younger or older."""

    def region(self) -> BevGrid:
        """Returns the grid of labels and logits."""
        return BevGrid(self.x_range_m, self.y_range_m, cell_m=self.cell_m)

    @model_validator(mode="after")
    def _check(self) -> Self:
        self.region()
        if min(self.past_s) <= self.tolerance_s:
            raise ValueError(
                f"past_s = {self.past_s} must all exceed tolerance_s = {self.tolerance_s}: "
                "this frame is none of its own past"
            )
        return self
