"""Sections of the schema that only training reads (docs/design.md, sections 7 and 8)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from leapai.config.section import Probability, Section, Text


class DistanceWeights(Section):
    """Instance weight of the losses by distance and group (docs/design.md, section 7)."""

    near_m: float = 6.0
    middle_m: float = 12.0
    near: float = 4.0
    middle: float = 2.0
    far: float = 1.0
    static: float = 1.0
    static_falloff_m: float = 30.0
    """SOD: weight static x exp(-distance / falloff), so that it falls with distance."""


class MatchingCosts(Section):
    """Costs of pairing queries with objects (Carion et al., ECCV 2020, eq. 1)."""

    classes: NonNegativeFloat = 2.0
    """Weight of the focal classification cost."""
    box: NonNegativeFloat = 0.25
    """Weight of the L1 distance of centres (metres) and log sizes."""


class StaticLossConfig(Section):
    """Losses of the static task (docs/design.md, section 11)."""

    cross_entropy_weight: NonNegativeFloat = 3.0
    dice_weight: NonNegativeFloat = 3.0
    steadiness_weight: NonNegativeFloat = 0.0
    """Weight of the temporal consistency loss; 0: it is not computed."""
    min_cells: PositiveInt = 200
    """The cross-entropy of a class is divided by the number of its cells in a batch, and its
    temporal consistency loss by the number of predicted ones, but at least by this."""


class LossConfig(Section):
    """Losses (docs/design.md, section 7)."""

    focal_alpha: float = Field(0.25, ge=0, le=1)
    focal_gamma: NonNegativeFloat = 2.0
    class_weight: NonNegativeFloat = 2.0
    box_weight: NonNegativeFloat = 0.25
    velocity_weight: NonNegativeFloat = 0.2
    angle_bin_weight: NonNegativeFloat = 0.2
    occlusion_weight: NonNegativeFloat = 0.5
    dense_weight: NonNegativeFloat = 0.0
    """Weight of heat maps of object centres in the BEV of the cameras and of the LiDAR, each by
    itself, so that each learns although the other explains an object already; 0: none."""
    depth_weight: NonNegativeFloat = 1.0
    """Weight of the depth of the cells of the cameras' feature maps (`camera.depth_bins`)."""
    pixel_class_weight: NonNegativeFloat = 1.0
    """Weight of their classes."""
    heat_map_weight: NonNegativeFloat = 1.0
    """Weight of the auxiliary heat map of object centres; 0: it is not computed."""
    velocity_by_occlusion: tuple[float, float, float, float] = (1.0, 0.8, 0.6, 0.3)
    """Weight of the velocity at each occlusion level: the more occluded, the less."""
    occlusion_by_level: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    """Weight of the occlusion of objects of each level: rare levels need more."""
    distance: DistanceWeights = DistanceWeights()
    matching: MatchingCosts = MatchingCosts()
    denoising_groups: int = Field(5, ge=0, le=100)
    """Groups of denoising queries, each a copy of the ground truth with its own noise; 0: none."""
    remembered_s: NonNegativeFloat = 0.0
    """An object that no sensor sees now is still a target for this long after it was seen."""
    static: StaticLossConfig = StaticLossConfig()


class OptimizerConfig(Section):
    """AdamW and its schedule (docs/design.md, section 8)."""

    learning_rate: float = Field(2e-4, gt=0)
    """Learning rate for 8 GPUs; scaled by sqrt(GPUs / 8)."""
    weight_decay: NonNegativeFloat = 0.01
    warmup_steps: NonNegativeInt = 500
    schedule: Literal["milestones", "cosine"] = "milestones"
    """How the rate falls: by `decay` at each milestone, or along half a cosine."""
    milestones: tuple[float, ...] = (0.65, 0.9)
    """Fractions of `max_steps` at which the rate is multiplied by `decay`."""
    decay: float = Field(0.1, gt=0, le=1)
    cosine_floor: Probability = 0.0
    """Share of the rate at which the cosine ends."""
    backbone_layer_decay: float = Field(1.0, gt=0, le=1)
    """Each layer of a backbone has the rate of the layer after it times this; the last has all of
    it."""
    clip_gradient_norm: float = Field(35.0, gt=0)


class StreamingConfig(Section):
    """Path of the streams through drives in training (docs/design.md, section 8)."""

    clip_frames: int = Field(1, gt=0, le=100_000)
    """Frames of a drive that follow each other before a stream goes elsewhere; 1: single frames in
    random order."""
    frames_without_gradient: int = Field(0, ge=0, le=1000)
    """First frames of each optimiser step, which only fill the memory."""
    frames_with_gradient: int = Field(1, gt=0, le=1000)
    """Frames of each optimiser step after those."""
    gap_probability: Probability = 0.0
    """Probability that frames are skipped before the next one."""
    max_gap_frames: int = Field(2, gt=0, le=1000)
    """Most frames that are skipped at once."""
    reset_probability: Probability = 0.0
    """Probability that a stream loses its memory before a frame, so that beginnings are learnt,
    too."""
    class_balance: Probability = 0.0
    """Share of the clips that are drawn so that every class comes equally often: clips of sequences
    with rare classes are repeated, others left out. The rest is drawn evenly; 0: each clip comes
    once in an epoch."""


class LidarAugmentationConfig(Section):
    """Augmentations of LiDAR points, drawn once a clip; the defaults change nothing."""

    log_gain: NonNegativeFloat = 0.0
    """Standard deviation of the logarithm of a gain on intensity."""
    log_gamma: NonNegativeFloat = 0.0
    """Standard deviation of the logarithm of an exponent on intensity."""
    blind_probability: Probability = 0.0
    """Probability that every intensity is 0."""
    thinning_probability: Probability = 0.0
    """Probability that every second band of beams is lost."""
    sparse_probability: Probability = 0.0
    """Probability that only a share of the points, 30 % to all, is kept."""
    tilt_deg: NonNegativeFloat = 0.0
    """Standard deviation of an error in the pitch and roll of the LiDAR."""


class GroundAugmentationConfig(Section):
    """Ground that is uneven and of several materials, and darker walls and plants, drawn once a
    clip; the defaults change nothing."""

    relief_m: NonNegativeFloat = 0.0
    """Scale of the heights of kerbs and low walls, and of undulation."""
    log_gain: NonNegativeFloat = 0.0
    """Standard deviation of the logarithm of a gain on the intensity of patches of the ground."""
    background_darker: NonNegativeFloat = 0.0
    """Scale of how much darker, as a logarithm, patches of what has no label become in the LiDAR:
    walls, plants, poles."""


class ImageAugmentationConfig(Section):
    """Augmentations of the geometry of images, drawn once a clip for each camera and folded into
    its calibration; the defaults change nothing."""

    scaling: float = Field(0.0, ge=0, lt=1)
    """An image is enlarged or reduced by up to this share, about its centre."""
    shift: float = Field(0.0, ge=0, lt=1)
    """It is moved by up to this share of its width and of its height."""
    flip_probability: Probability = 0.0
    """Probability that its left and right are swapped."""


class PasteConfig(Section):
    """Objects of other frames that are pasted into the LiDAR of a clip."""

    objects: int = Field(0, ge=0, le=100)
    """Most objects that a clip gets; 0: none."""
    min_points: PositiveInt = 10
    """LiDAR points that an object has at least where it is taken from."""
    until: Probability = 0.8
    """Share of the training with such objects; the last part has the data as it is."""


class AugmentationConfig(Section):
    """Augmentations of training, drawn once a clip; geometry is folded into the calibration."""

    rotation_deg: NonNegativeFloat = 22.5
    """The BEV turns by up to this much."""
    mirror_probability: Probability = 0.5
    photometric: Probability = 0.3
    """Strength of changes in brightness, contrast and colour; 0: none."""
    calibration_deg: NonNegativeFloat = 0.3
    """Standard deviation of the error in a camera's rotation."""
    calibration_m: NonNegativeFloat = 0.02
    """Standard deviation of the error in a camera's position."""
    lidar_dropout: Probability = 0.1
    cameras_dropout: Probability = 0.1
    """Probability that all cameras are lost at once; never together with the LiDAR."""
    camera_dropout: Probability = 0.05
    """Probability of each camera to be lost alone."""
    height_m: NonNegativeFloat = 0.0
    """Standard deviation of a shift of the ego frame along z: the ground lies higher or lower."""
    scaling: float = Field(0.0, ge=0, lt=1)
    """The world, with all that moves in it, becomes larger or smaller by up to this share."""
    lidar: LidarAugmentationConfig = LidarAugmentationConfig()
    ground: GroundAugmentationConfig = GroundAugmentationConfig()
    images: ImageAugmentationConfig = ImageAugmentationConfig()
    paste: PasteConfig = PasteConfig()


class CacheConfig(Section):
    """Caches on disk of what is expensive to compute again."""

    folder: Text = "outputs/cache"
    frames_gb: NonNegativeFloat = 0.0
    """Size of the cache of frames as prepared for the network; 0: none are kept."""
    features_gb: NonNegativeFloat = 0.0
    """Size of the cache of the frozen trunk's output; 0: it is computed each time. Needs a trunk
    that is frozen from step 0."""
    feature_variants: int = Field(1, gt=0, le=1000)
    """Cached variants of each frame: the first as it is, every other one under an augmentation
    drawn once for the drive. A clip draws which it walks through."""


class TrainingConfig(Section):
    """Settings of the training run itself."""

    seed: NonNegativeInt = 0
    workers: int | None = Field(None, ge=0, le=256)
    """Processes that read frames, in addition to the one that trains; None: one for each other core
    that this rank has of its machine."""
    prefetch: int = Field(2, ge=1, le=100)
    """Windows that each of these processes reads ahead. All of them are in memory: workers x
    prefetch x frames of a window x streams x the size of a frame's images and points."""
    checkpoint_every: PositiveInt = 500
    validate_every: NonNegativeInt = 0
    """Steps between validations on `data.val`; 0: only at the end."""
    loggers: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = ("tensorboard",)
    """Services that get losses, metrics and pictures in addition to `train.jsonl`."""
    validation_frames: PositiveInt = 40
    """Frames of each drive that a validation during training streams at most."""
    keep_every: NonNegativeInt = 0
    """Steps between checkpoints of weights that are kept as `step_000500.ckpt`; 0: none."""
    keep_count: PositiveInt = 5
    """Number of these that are kept, the newest."""
    best_metric: Annotated[str, Field(max_length=64)] = ""
    """Metric of a validation during training, such as `mAP` or `IoU_lane_markings`, by which the
    best weights are kept as `best.ckpt`; empty: none are."""
    pretrained_backbone: Text = ""
    """File of timm with the weights that all backbones begin with, or the name of a model in the
    local cache of the Hugging Face hub, such as `timm/resnetv2_34.ra4_e3600_r224_in1k`; empty: they
    begin at random. It is read when a training begins without a checkpoint, and never elsewhere."""
    frozen_backbone_norm: bool = False
    """Batch norm of the backbones keeps the statistics, scales and shifts that it begins with."""
    recompute_backbones: bool = False
    """Stages of the backbones are computed again in the backward pass, which saves their memory."""
    synced_batch_norm: bool = True
    """Batch norm takes its statistics over all processes; off: over the images of its own."""
    ema_decay: float = Field(0.0, ge=0, lt=1)
    """Decay of the exponential moving average of the weights, which is then validated and shipped
    in their place; 0: no average is kept."""
    mixed_precision: bool = False
    """Train the whole network in 16 bits, and not only its backbones (`use_backbone_amp`).
    Reference points, position encodings, attention logits, memory and losses stay in float32."""
