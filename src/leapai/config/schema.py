"""The typed schema of a task configuration.

A task configuration is a Python file of plain top-level variables. Every variable is a field of
`TaskConfig` or, for those written as a dictionary, of one of its sections. Numbers are those of the
full-size system.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, PositiveInt, model_validator

from leapai.config import checks
from leapai.config.section import Section
from leapai.config.training import (
    AugmentationConfig,
    CacheConfig,
    LossConfig,
    OptimizerConfig,
    StreamingConfig,
    TrainingConfig,
)
from leapai.types import BevGrid

Range = tuple[float, float]


class BatchSizes(Section):
    """Lanes a step on each GPU."""

    train: PositiveInt = 16
    val: int = Field(1, ge=1, le=1)
    """Validation streams one drive at a time (docs/design.md, section 9)."""


class TemporalOptimization(Section):
    """Each switches one part of the memory's query selection off for an ablation
    (docs/design.md, section 5)."""

    topk_selection: bool = True
    """Remember the most confident queries; off: the first `topk_query`."""
    query_rearrangement: bool = True
    """Put the remembered queries in query-index order; off: in order of confidence."""
    velocity_zeroing: bool = True
    """Static classes do not move while memory is aligned."""
    random_sampling: bool = True
    """In training, with probability 0.5, keep the best 20 and draw the rest."""


class DrawDynamicConfig(Section):
    """What is drawn of the dynamic task (docs/design.md, section 10)."""

    dynamic_conf: float = Field(0.3, ge=0, le=1)
    """Detections below this confidence are not drawn."""
    draw_velo: bool = True
    draw_occlusion: bool = True
    draw_trajectory: bool = True
    valid_range: tuple[float, float, float, float] = (-150.0, 20.0, -25.0, 25.0)
    """Along the canvas' downward axis (so 150 m ahead to 20 m behind), then lateral, metres."""
    coords: tuple[float, float, float, float] = (-40.0, 62.4, -44.8, 44.8)
    """x and y range of the canvas, metres, ego frame."""
    label_h: int = Field(112, ge=16)
    label_w: int = Field(128, ge=16)
    """Cells of the canvas along y and x: its scale and its fine grid."""
    max_objects: int = Field(100, ge=0)

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
    """What is drawn of the static task (docs/design.md, section 11)."""

    static_conf: float = Field(0.5, ge=0, le=1)
    """Cells and lines below this confidence are not drawn."""
    draw_cells: bool = True
    """The raster, as a tint of the canvas."""
    draw_lines: bool = True
    """The polylines, on the canvas and in the cameras."""


class TemporalVisualizationConfig(Section):
    """What is drawn of the memory (docs/design.md, section 10)."""

    show_history: bool = True
    show_velocity: bool = True
    show_occlusion: bool = True
    history_frames: int = Field(3, ge=0)
    trajectory_length: int = Field(10, ge=0)
    velocity_scale: float = Field(5.0, gt=0)
    """Pixels of arrow for each m/s."""


class EvaluationConfig(Section):
    """Figures and outputs of validation (docs/design.md, section 9)."""

    distance_bands_m: tuple[float, ...] = (0.0, 3.0, 6.0, 12.0, 24.0, 60.0)
    min_score: float = Field(0.05, ge=0, le=1)
    """Detections below this confidence are not reported."""
    nms_iou: float = Field(0.2, ge=0, le=1)
    """Of two boxes of a class that overlap more than this on the ground, the less confident
    goes."""
    max_detections: PositiveInt = 300
    map_distance_bands_m: tuple[float, ...] = (0.0, 30.0, 60.0)
    """Of the map's cells, from the ego's origin, all around."""
    map_lateral_bands_m: tuple[float, ...] = (0.0, 4.0, 10.0, 22.4)
    """To the left or right of the ego's axis: its lane, its road, what lies beside."""


class TrackingConfig(Section):
    """When a detection gets an identity, and how long it keeps it (docs/design.md, section 9)."""

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


class BevConfig(Section):
    """The BEV grid (docs/design.md, section 2)."""

    x_range_m: Range = (-40.0, 62.4)
    y_range_m: Range = (-44.8, 44.8)
    z_range_m: Range = (-3.0, 5.0)
    cell_m: float = Field(0.8, gt=0)
    channels: PositiveInt = 256
    """Width of camera features and of every shared BEV map."""

    def grid(self) -> BevGrid:
        """The grid itself; raises ValueError where a range is not a whole number of cells."""
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
    """Passed to timm, for example `{"width_factor": 0.25}`."""
    heights_m: tuple[float, ...] = Field((-0.5, 0.5, 1.5, 3.0), min_length=1)
    """Heights above ground at which the centre of a BEV cell is projected into the cameras."""
    heads: PositiveInt = 8
    points: PositiveInt = 8
    """Sampling points a head: a whole number for each height."""
    groups: dict[str, Literal["front_narrow", "front_wide", "back", "side"]] = Field({})
    """Camera name -> group, where the data set's own table is not wanted."""

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
    """Of pi: what neighbouring angle bins share."""

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
    """Of labels and logits; features have cells of `bev.cell_m`."""
    channels: PositiveInt = 128
    neck_blocks: PositiveInt = 1
    memory_frames: int = Field(40, ge=2)
    """Past frames that are kept at most, a lane."""
    past_s: tuple[float, ...] = Field((0.7, 1.9, 3.3), min_length=1)
    """Ages of the frames that are fused with this one."""
    tolerance_s: float = Field(0.1, gt=0)
    """A frame is of such an age when it is at most this much younger or older."""

    def region(self) -> BevGrid:
        """Grid of labels and logits."""
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


class DataConfig(Section):
    """Where frames come from; `--data` on the command line overrides."""

    train: str = "synthetic:split=train,drives=16"
    val: str = "synthetic:split=val,drives=2"


class TaskConfig(Section):
    """Everything a run needs to know. Section numbers are those of the design."""

    # Launch (section 1).
    job_name: str
    enable_lidar: bool = True
    use_dynamic_outputs: bool = True
    """Decode the dynamic task to detections wherever it runs."""
    dynamic_task: bool
    static_task: bool
    occ_task: bool = False
    attr_task: bool = False
    enable_dynamic_temporal: bool = False
    enable_static_temporal: bool = False
    enable_occ_temporal: bool = False
    train_steps: int = Field(ge=0)
    finetune_steps: int = Field(ge=0)
    max_steps: PositiveInt
    task_loss_weights: dict[Literal["dynamic", "static"], float]
    batch_sizes: BatchSizes = BatchSizes()
    use_backbone_amp: bool = True
    accumulate_grad_batches: PositiveInt = 1
    group_lr_scale: dict[str, float] = Field({"stage1_backbone": 1.0, "stage1_neck": 1.0})
    eval_with_visualize: bool = False
    eval_instance: bool = False
    # Memory (section 5).
    topk_query: PositiveInt = 128
    queue_length: PositiveInt = 4
    """Frames in memory, the current one counted."""
    max_gap_s: float = Field(2.0, gt=0)
    """Memory is dropped when this much time has passed since the last frame."""
    temporal_optimization: TemporalOptimization = TemporalOptimization()
    # Losses and training (sections 7 and 8).
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    streaming: StreamingConfig = StreamingConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    cache: CacheConfig = CacheConfig()
    training: TrainingConfig = TrainingConfig()
    freeze_module_schedules: dict[str, int] = Field({})
    """Module -> first frozen step."""
    freeze_modules: tuple[str, ...] = ()
    trainable_modules: tuple[str, ...] = ()
    # Validation and pictures (sections 9 and 10).
    evaluation: EvaluationConfig = EvaluationConfig()
    tracking: TrackingConfig = TrackingConfig()
    draw_dynamic_cfg: DrawDynamicConfig = DrawDynamicConfig()
    draw_static_cfg: DrawStaticConfig = DrawStaticConfig()
    temporal_visualization: TemporalVisualizationConfig = TemporalVisualizationConfig()
    # Network (sections 2 to 6 and 11) and data.
    bev: BevConfig = BevConfig()
    camera: CameraConfig = CameraConfig()
    lidar: LidarConfig = LidarConfig()
    dynamic: DynamicConfig = DynamicConfig()
    static: StaticConfig = StaticConfig()
    data: DataConfig = DataConfig()

    @property
    def history_slots(self) -> int:
        """Memory slots a lane that the next frame can read: (queue_length - 1) x topk_query."""
        return (self.queue_length - 1) * self.topk_query if self.enable_dynamic_temporal else 0

    def active_modules(self) -> tuple[str, ...]:
        """Names of the modules this configuration builds."""
        return (
            *checks.CAMERA_MODULES,
            *(checks.LIDAR_MODULES if self.enable_lidar else ()),
            "fuser",
            *(checks.DYNAMIC_MODULES if self.dynamic_task else ()),
            *(checks.STATIC_MODULES if self.static_task else ()),
            *(checks.STATIC_TEMPORAL_MODULES if self.enable_static_temporal else ()),
        )

    @model_validator(mode="after")
    def _check(self) -> Self:
        checks.check(self)
        return self
