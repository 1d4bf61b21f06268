"""The typed schema of a task configuration.

A task configuration is a Python file of plain top-level variables, or of one, `config`, that is a
`TaskConfig`. Every variable is a field of `TaskConfig` or, for those written as a dictionary, of
one of its sections. Numbers are those of the full-size system.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from leapai.config import checks
from leapai.config.data_sources import DataSource, parse_sources
from leapai.config.derived import TASKS, common_batch_sizes, derive
from leapai.config.network_sections import (
    BevConfig,
    CameraConfig,
    DynamicConfig,
    LidarConfig,
    StaticConfig,
)
from leapai.config.section import PlainName, Section, Steps, Text, tuple_of_list
from leapai.config.size_limit import check_size
from leapai.config.training import (
    AugmentationConfig,
    CacheConfig,
    LossConfig,
    OptimizerConfig,
    StreamingConfig,
    TrainingConfig,
)
from leapai.config.validation_sections import (
    DrawDynamicConfig,
    DrawStaticConfig,
    EvaluationConfig,
    TemporalVisualizationConfig,
    TrackingConfig,
)
from leapai.config.vocabulary_variable import VocabularyVariable
from leapai.types import DESIGN

_Pattern = Annotated[str, Field(max_length=64)]
"""Pattern of names of modules; the longest name has 27 letters."""


class BatchSizes(Section):
    """Streams of a batch on each GPU. Also accepted for each task:
    `{"dynamic": {"train": 16, "val": 1}}`."""

    train: int = Field(16, gt=0, le=4096)
    val: int = Field(1, ge=1, le=1)
    """Validation streams one drive at a time (docs/design.md, section 9)."""


class TemporalOptimization(Section):
    """Switches of the parts of the memory's query selection, each for an ablation
    (docs/design.md, section 5)."""

    topk_selection: bool = True
    """Keep the most confident queries; off: the first `topk_query`."""
    query_rearrangement: bool = True
    """Put the kept queries in query-index order; off: in order of confidence."""
    velocity_zeroing: bool = True
    """Static classes do not move while memory is aligned."""
    random_sampling: bool = True
    """In training, with probability 0.5, keep the best 20 and draw the rest."""


class DataConfig(Section):
    """Sources of frames; `--data` and `--val-data` on the command line override."""

    train: Text | Annotated[tuple[Text, ...], BeforeValidator(tuple_of_list)] = (
        "synthetic:split=train,drives=16"
    )
    """One source, or several that are mixed: `DATA@WEIGHT`, where the weights are the shares of the
    clips; without `@WEIGHT` the weight is 1."""
    val: Text = "synthetic:split=val,drives=2"

    @property
    def sources(self) -> tuple[DataSource, ...]:
        """The sources of the training data with their weights."""
        return parse_sources(self.train)

    @field_validator("train")
    @classmethod
    def _check_weights(cls, train: str | tuple[str, ...]) -> str | tuple[str, ...]:
        parse_sources(train)
        return train


class TaskConfig(Section):
    """The configuration of a run. Section numbers are those of docs/design.md."""

    # Launch (section 1).
    job_name: PlainName
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
    train_steps: Steps
    finetune_steps: Steps
    max_steps: Steps = Field(gt=0)
    task_loss_weights: dict[Literal["dynamic", "static"], float]
    batch_sizes: BatchSizes = BatchSizes()
    use_backbone_amp: bool = True
    compile: bool = False
    """Compile backbones and necks with `torch.compile`: the first steps take a minute longer, the
    others less. A machine that cannot compile warns and goes on without."""
    accumulate_grad_batches: int = Field(1, gt=0, le=1024)
    group_lr_scale: dict[str, float] = Field({"stage1_backbone": 1.0, "stage1_neck": 1.0})
    eval_with_visualize: bool = False
    eval_instance: bool = False
    # Memory (section 5).
    topk_query: int = Field(128, gt=0, le=10_000)
    queue_length: int = Field(4, gt=0, le=1000)
    """Frames in memory, the current one counted."""
    max_gap_s: float = Field(2.0, gt=0, le=3600)
    """Memory is dropped when this much time has passed since the last frame."""
    memory_interval_s: float = Field(0.0, ge=0, le=3600)
    """Frames in memory are at least this far apart, all but the last, so that memory reaches
    seconds back at any frame rate; 0: every frame is kept."""
    temporal_optimization: TemporalOptimization = TemporalOptimization()
    # Losses and training (sections 7 and 8).
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    streaming: StreamingConfig = StreamingConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    cache: CacheConfig = CacheConfig()
    training: TrainingConfig = TrainingConfig()
    freeze_module_schedules: dict[str, int] = Field({})
    """Module -> first frozen step. What is frozen is read from here alone."""
    freeze_modules: tuple[_Pattern, ...] = Field((), max_length=100)
    """Patterns of all modules that are frozen from step 0 on; where it is empty, their names are
    derived from the schedule."""
    trainable_modules: tuple[_Pattern, ...] = Field((), max_length=100)
    """Patterns of modules that are not; where it is empty, their names are derived as well."""
    # Validation and pictures (sections 9 and 10).
    evaluation: EvaluationConfig = EvaluationConfig()
    tracking: TrackingConfig = TrackingConfig()
    draw_dynamic_cfg: DrawDynamicConfig = DrawDynamicConfig()
    draw_static_cfg: DrawStaticConfig = DrawStaticConfig()
    temporal_visualization: TemporalVisualizationConfig = TemporalVisualizationConfig()
    # Network (sections 2 to 6 and 11) and data.
    vocabulary: VocabularyVariable = DESIGN
    """Classes of objects and of the map: `"design"`, `"nuscenes"`, `"argoverse2"`, or a dictionary
    of your own."""
    bev: BevConfig = BevConfig()
    camera: CameraConfig = CameraConfig()
    lidar: LidarConfig = LidarConfig()
    dynamic: DynamicConfig = DynamicConfig()
    static: StaticConfig = StaticConfig()
    data: DataConfig = DataConfig()

    @property
    def history_slots(self) -> int:
        """Slots of a stream's memory that the next frame can read:
        (queue_length - 1) x topk_query."""
        return (self.queue_length - 1) * self.topk_query if self.enable_dynamic_temporal else 0

    @property
    def has_task(self) -> bool:
        """Whether a task is on; without any only the pixels of the cameras are trained."""
        return self.dynamic_task or self.static_task

    def active_modules(self) -> tuple[str, ...]:
        """Returns the names of the modules that this configuration builds."""
        shared = checks.OTHER_GROUPS if self.camera.shared else ()
        return (
            *(name for name in checks.CAMERA_MODULES if name not in shared),
            *(checks.LIDAR_MODULES if self.enable_lidar else ()),
            "fuser",
            *(checks.DYNAMIC_MODULES if self.dynamic_task else ()),
            *(checks.STATIC_MODULES if self.static_task else ()),
            *(checks.STATIC_TEMPORAL_MODULES if self.enable_static_temporal else ()),
        )

    @field_validator("batch_sizes", mode="before")
    @classmethod
    def _accept_sizes_by_task(cls, sizes: object, read_so_far: ValidationInfo) -> object:
        tasks = [task for task in TASKS if read_so_far.data.get(f"{task}_task")]
        return common_batch_sizes(sizes, tasks)

    @model_validator(mode="after")
    def _check(self) -> Self:
        checks.check(self)
        check_size(self)
        derive(self)
        return self
