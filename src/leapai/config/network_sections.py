"""Sections of the schema that shape the network (docs/design.md, sections 2 to 6 and 11).

Every size has a bound, several times what any network here was trained with: the sections stand in
checkpoints, too, and those may come from others. `size_limit.py` bounds what they need together.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from leapai.config.section import Probability, Section
from leapai.types import BevGrid

Metres = Annotated[float, Field(ge=-1000, le=1000)]
"""A place around the ego; sensors do not reach further."""
Range = tuple[Metres, Metres]
_Channels = Annotated[int, Field(gt=0, le=4096)]
_Blocks = Annotated[int, Field(gt=0, le=64)]
_Heads = Annotated[int, Field(gt=0, le=64)]
_Points = Annotated[int, Field(gt=0, le=256)]
_Affine = tuple[Annotated[float, Field(ge=0.05, le=20)], Annotated[float, Field(ge=-20, le=20)]]
"""A scale, which keeps the order of confidences, and a shift."""
_CameraName = Annotated[str, Field(max_length=200)]
_Spread = Annotated[float, Field(ge=0.001, le=1)]
_Side = Annotated[int, Field(gt=0, le=8192)]
"""Side of an image in pixels."""
_Cell = Annotated[float, Field(ge=0.01, le=100)]
"""Side of a cell in metres; 1 cm is finer than any sensor."""

BACKBONE_ARGS = {"width_factor": (0.01, 4.0), "drop_rate": (0.0, 0.9), "drop_path_rate": (0.0, 0.9)}
"""Arguments that a backbone takes, with their least and largest values. Others that timm has would
read files, call a network or make the maps unfit."""


class BevConfig(Section):
    """The BEV grid (docs/design.md, section 2). Its defaults are those of `BevGrid`."""

    x_range_m: Range = BevGrid.x_range_m
    y_range_m: Range = BevGrid.y_range_m
    z_range_m: Range = BevGrid.z_range_m
    cell_m: _Cell = BevGrid.cell_m
    channels: _Channels = 256
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

    image_size_px: tuple[_Side, _Side] = (512, 960)
    """Height, width of every image the model sees."""
    backbone: str = "resnetv2_34"
    """Plain name of any timm model that gives feature maps at strides 8, 16, 32."""
    backbone_args: dict[str, float | int | str | bool] = Field({})
    """Arguments of the model, for example `{"width_factor": 0.25}`; `BACKBONE_ARGS` lists them."""
    heights_m: tuple[Metres, ...] = Field((-0.5, 0.5, 1.5, 3.0), min_length=1, max_length=64)
    """Heights above ground at which the centre of a BEV cell is projected into the cameras."""
    heads: _Heads = 8
    points: _Points = 8
    """Sampling points a head: a whole number for each height."""
    depth_bins: int = Field(0, ge=0, le=256)
    """Bins of the depth that is predicted in every cell of a feature map, and by which inverse
    perspective mapping is weighted; 0: none is predicted, and a pixel counts at any depth."""
    bev_blocks: int = Field(0, ge=0, le=32)
    """Residual blocks on the BEV of the cameras."""
    mean: tuple[Probability, Probability, Probability] = (0.485, 0.456, 0.406)
    """Mean of red, green and blue, of 1, that images are normalised by: that of ImageNet, unless
    the weights of `training.pretrained_backbone` were trained with another."""
    std: tuple[_Spread, _Spread, _Spread] = (0.229, 0.224, 0.225)
    """Their standard deviation."""
    shared: bool = False
    """One backbone and neck serves all groups, that of the first."""
    groups: dict[_CameraName, Literal["front_narrow", "front_wide", "back", "side"]] = Field({})
    """Camera name -> group, instead of the data set's own table."""

    @field_validator("backbone")
    @classmethod
    def _check_backbone(cls, name: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name):
            raise ValueError(
                f"{name!r:.80} must be the plain name of a model, such as resnetv2_34, without a "
                "source, a folder or weights"
            )
        return name

    @field_validator("backbone_args")
    @classmethod
    def _check_backbone_args(
        cls, values: dict[str, float | int | str | bool]
    ) -> dict[str, float | int | str | bool]:
        for name, value in values.items():
            if name not in BACKBONE_ARGS:
                raise ValueError(
                    f"{name!r:.80} is no argument that a backbone takes here; it takes "
                    f"{', '.join(BACKBONE_ARGS)}"
                )
            least, most = BACKBONE_ARGS[name]
            if isinstance(value, str | bool) or not least <= value <= most:
                raise ValueError(f"{name} = {value!r} must be a number from {least:g} to {most:g}")
        return values

    @model_validator(mode="after")
    def _check(self) -> Self:
        if any(side % 8 for side in self.image_size_px):
            raise ValueError(f"image_size_px = {self.image_size_px} must be divisible by 8")
        if self.depth_bins == 1:
            raise ValueError("depth_bins = 1 distinguishes no depths: set 0, or 2 and more")
        if self.points % len(self.heights_m):
            raise ValueError(
                f"points = {self.points} must be a multiple of the {len(self.heights_m)} heights_m"
            )
        return self


class LidarConfig(Section):
    """Pillars and the LiDAR's BEV branch (docs/design.md, section 4)."""

    pillar_m: _Cell = 0.2
    max_pillars: int = Field(20_000, gt=0, le=1_000_000)
    max_points_per_pillar: int = Field(48, gt=0, le=1024)
    pillar_channels: _Channels = 64
    middle_channels: _Channels = 128
    bev_blocks: _Blocks = 2
    bev_coarser: tuple[_Channels, ...] = Field((), max_length=4)
    """Channels of further stages of the BEV backbone, each at half the resolution of the one
    before, with as many blocks; they are merged into the first."""
    intensity: Literal["reported", "ground"] = "reported"
    """`ground`: intensity is scaled by that of the ground, so that the conventions of sensors
    agree."""


class ConfidenceConfig(Section):
    """How the logits of the classes follow which sensors a frame has: a scale and a shift each.

    `leapai confidence` fits them, so that a confidence is right about as often with a sensor lost
    as with all of them.
    """

    cameras_alone: _Affine = (1.0, 0.0)
    """Scale and shift in frames without the LiDAR."""
    lidar_alone: _Affine = (1.0, 0.0)
    """Scale and shift in frames without any camera."""


class DynamicConfig(Section):
    """Neck, queries, decoder and branches of the dynamic task
    (docs/design.md, sections 4 and 6)."""

    neck_channels: _Channels = 512
    neck_blocks: _Blocks = 1
    queries: int = Field(384, gt=0, le=10_000)
    propagated: int = Field(0, ge=0, le=10_000)
    """How many of the queries go on, where memory holds any, from the most confident of the last
    frame, at the places to which they moved; at most `topk_query`."""
    embed: _Channels = 256
    layers: _Blocks = 3
    heads: _Heads = 8
    points: _Points = 20
    """Sampling points a head in the cross-attention to BEV."""
    ffn: int = Field(512, gt=0, le=16_384)
    angle_overlap: float = Field(1.0 / 36.0, ge=0, lt=0.25)
    """Fraction of pi that neighbouring angle bins share."""
    confidence: ConfidenceConfig = ConfidenceConfig()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.propagated > self.queries:
            raise ValueError(
                f"propagated = {self.propagated} exceeds queries = {self.queries}: lower it"
            )
        if self.embed % self.heads:
            raise ValueError(f"embed = {self.embed} must be divisible by heads = {self.heads}")
        return self


class StaticConfig(Section):
    """Region, neck, head and memory of the static task (docs/design.md, section 11)."""

    x_range_m: Range = (-20.8, 62.4)
    y_range_m: Range = (-22.4, 22.4)
    cell_m: _Cell = 0.2
    """Cell of labels and logits; features have cells of `bev.cell_m`."""
    channels: _Channels = 128
    neck_blocks: _Blocks = 1
    memory_frames: int = Field(40, ge=2, le=1000)
    """Past frames that are kept for each stream at most."""
    past_s: tuple[float, ...] = Field((0.7, 1.9, 3.3), min_length=1, max_length=64)
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
