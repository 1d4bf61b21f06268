"""What flows through the system: five types, from a sensor to a user.

| type            | from -> to                       | form                         |
|-----------------|----------------------------------|------------------------------|
| `Frame`         | data sets -> transforms, runtime | numpy, one instant, unbatched |
| `FrameBatch`    | collate -> model                 | tensors, one frame a lane     |
| `TemporalState` | model -> model                   | tensors, the memory           |
| `Predictions`   | model -> losses, decoding        | tensors, every decoder layer  |
| `Detections`    | decoding -> everyone else        | numpy, ego frame              |

Frames and units (design, section 2): ego frame x forward, y left, z up, origin on the ground under
the rear axle; metres, radians, seconds; timestamps are int64 microseconds. Velocities are over
ground, in ego axes. Transforms are named `dst_from_src`; `ego2global` keeps the design's name and
means `global_from_ego`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]
ImageArray = npt.NDArray[np.uint8]

CLASS_NAMES = (
    "car", "truck", "bus", "person", "non_motor", "riderless_non_motor", "barrier", "pillar",
)  # fmt: skip
CLASS_GROUPS = ("MOD", "MOD", "MOD", "VRU", "VRU", "SOD", "SOD", "SOD")
"""MOD: motor vehicles. VRU: vulnerable road users. SOD: static obstacles, which never move."""
STATIC_CLASS_IDS = tuple(i for i, group in enumerate(CLASS_GROUPS) if group == "SOD")

OCCLUSION_NAMES = ("NoOccluded", "SlightlyOccluded", "PartlyOccluded", "HeavilyOccluded")
OCCLUSION_MIN_VISIBLE = (0.8, 0.6, 0.4)
"""Visible fraction from which an object is of level 0, 1, 2; below the last it is of level 3."""

CAMERA_GROUPS = ("front_narrow", "front_wide", "back", "side")
"""In the order of their backbones and necks, `stage1_backbone0` .. `stage1_backbone3`."""


def occlusion_level_of(visible_fraction: FloatArray) -> IntArray:
    """Occlusion level [N] (0..3) of visible fractions [N] in [0, 1] (design, section 2)."""
    thresholds = np.asarray(OCCLUSION_MIN_VISIBLE)
    below = np.asarray(visible_fraction)[..., None] < thresholds
    return np.asarray(below.sum(-1), np.int64)


@dataclass(frozen=True)
class CameraFrame:
    """One camera at one instant.

    `image` is None for a camera that failed in this frame. `ego_from_camera` takes a point of the
    camera (x right, y down, z forward) *at its exposure* into the ego frame *at the frame's
    timestamp*: an adapter that knows both ego poses composes them here, so nobody after it needs to
    know that exposures differ.
    """

    name: str
    group: str
    """One of `CAMERA_GROUPS`."""
    image: ImageArray | None
    """[H, W, 3] RGB, or None: the sensor failed."""
    size_px: tuple[int, int]
    """(height, width), known also when the image is missing."""
    intrinsics: FloatArray
    """[3, 3] float64."""
    distortion: FloatArray
    """[5] float64: k1, k2, p1, p2, k3 of OpenCV's lens model; zeros for a rectified image."""
    ego_from_camera: FloatArray
    """[4, 4] float64."""
    timestamp_us: int


@dataclass(frozen=True)
class Labels:
    """Truth of one frame, in the ego frame. What is not labelled is marked, never invented."""

    boxes: FloatArray
    """[N, 7] float64: x y z of the box's centre (not its bottom), length width height, yaw."""
    class_id: IntArray
    """[N] int64, index into `CLASS_NAMES`."""
    velocity_mps: FloatArray
    """[N, 3] float64, over ground in ego axes; 0 where `velocity_valid` is False."""
    velocity_valid: BoolArray
    """[N]"""
    occlusion_level: IntArray
    """[N] int64 in 0..3; -1: not labelled."""
    track_id: IntArray
    """[N] int64, unique in the sequence; -1: not labelled."""
    num_lidar_points: IntArray
    """[N] int64 points inside the box as the data set recorded them; -1: not recorded."""
    visible_fraction: FloatArray
    """[N] float64 in [0, 1] over all sensors; NaN: not labelled."""
    acceleration_mps2: FloatArray
    """[N, 3] float64 in ego axes; NaN: not labelled."""

    def __len__(self) -> int:
        return len(self.boxes)

    def select(self, index: IntArray | BoolArray) -> Labels:
        """The labels at `index` (integers [M] or mask [N])."""
        return Labels(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    @staticmethod
    def unlabelled(boxes: FloatArray, class_id: IntArray) -> Labels:
        """Boxes [N, 7] and classes [N] with every optional field marked as not labelled."""
        count = len(boxes)
        return Labels(
            boxes=np.asarray(boxes, np.float64).reshape(count, 7),
            class_id=np.asarray(class_id, np.int64).reshape(count),
            velocity_mps=np.zeros((count, 3)),
            velocity_valid=np.zeros(count, bool),
            occlusion_level=np.full(count, -1, np.int64),
            track_id=np.full(count, -1, np.int64),
            num_lidar_points=np.full(count, -1, np.int64),
            visible_fraction=np.full(count, np.nan),
            acceleration_mps2=np.full((count, 3), np.nan),
        )


@dataclass(frozen=True)
class Frame:
    """Everything the vehicle knows at one instant; what a user's own adapter must give."""

    sequence: str
    timestamp_us: int
    ego2global: FloatArray
    """[4, 4] float64, at `timestamp_us`."""
    cameras: tuple[CameraFrame, ...]
    points: FloatArray | None
    """[P, 5] float32: x y z in the ego frame at `timestamp_us` (motion compensated), intensity in
    [0, 1], dt in seconds relative to `timestamp_us`. [0, 5] is a sweep without returns; None: the
    sensor failed."""
    labels: Labels | None = None
    faults: tuple[str, ...] = ()
    """What failed, for a user: `CAM_BACK: samples/x.jpg: cannot be decoded`."""


@dataclass(frozen=True)
class MapLine:
    """One polyline of a vector map. `kind` is the publisher's own word: `DASHED_WHITE`."""

    kind: str
    layer: str
    """`lane_boundary`, `crossing`, `drivable_area`, `centreline`, ..."""
    points_m: FloatArray
    """[K, 3] float64, global frame."""


VectorMap = tuple[MapLine, ...]


@dataclass(frozen=True)
class Detections:
    """What the system says of one frame, in the ego frame: the one currency outside the network."""

    sequence: str
    timestamp_us: int
    boxes: FloatArray
    """[N, 7] float64: centre x y z, length width height, yaw."""
    velocity_mps: FloatArray
    """[N, 3] float64, over ground in ego axes."""
    score: FloatArray
    """[N] float64 in [0, 1]."""
    class_id: IntArray
    """[N] int64."""
    occlusion_level: IntArray
    """[N] int64 in 0..3."""
    track_id: IntArray
    """[N] int64; -1: no identity yet."""
    query_index: IntArray
    """[N] int64: the decoder query that said it, which links a detection to its memory slot."""

    def __len__(self) -> int:
        return len(self.boxes)

    def select(self, index: IntArray | BoolArray) -> Detections:
        """The detections at `index` (integers [M] or mask [N])."""
        shared = ("sequence", "timestamp_us")
        picked = {
            f.name: getattr(self, f.name)[index] for f in fields(self) if f.name not in shared
        }
        return replace(self, **picked)


_T = TypeVar("_T", bound="_Tensors")


class _Tensors:
    """Moves every tensor of a dataclass together; what is not a tensor stays as it is."""

    def to(self: _T, device: torch.device | str) -> _T:
        """A copy on `device`."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        return replace(self, **{k: _moved(v, device) for k, v in values.items()})  # type: ignore[type-var]


def _moved(value: object, device: torch.device | str) -> object:
    if isinstance(value, Tensor | _Tensors):
        return value.to(device)
    return value


@dataclass(frozen=True)
class FrameBatch(_Tensors):
    """One frame of each of B lanes. Letters: B lanes, N cameras, P points of all lanes together."""

    images: Tensor
    """[B, N, 3, H, W] uint8 RGB; the model normalises. Zeros where `camera_valid` is False."""
    camera_valid: Tensor
    """[B, N] bool."""
    intrinsics: Tensor
    """[B, N, 3, 3] float32, of the resized image."""
    distortion: Tensor
    """[B, N, 5] float32."""
    ego_from_camera: Tensor
    """[B, N, 4, 4] float32."""
    points: Tensor
    """[P, 5] float32: x y z intensity dt, all lanes one after another."""
    point_lane: Tensor
    """[P] int64: the lane each point belongs to."""
    lidar_valid: Tensor
    """[B] bool: False where the LiDAR failed or is absent. An empty sweep is valid."""
    timestamp_us: Tensor
    """[B] int64."""
    ego2global: Tensor
    """[B, 4, 4] float64; relative poses are formed from it before any cast."""
    is_first: Tensor
    """[B] bool: this frame starts a sequence, so the lane's memory is reset."""
    camera_groups: tuple[int, ...]
    """[N] group index of each camera, the same in all lanes."""
    frames: tuple[Frame, ...] = ()
    """What this was made of: labels and names for losses and messages; the model never reads it."""

    @property
    def lanes(self) -> int:
        """B."""
        return int(self.timestamp_us.shape[0])


@dataclass(frozen=True)
class TemporalState(_Tensors):
    """The memory: S = (queue_length - 1) x topk slots a lane, oldest frame first, in the ego frame
    of the last frame.

    A slot that is not `valid` holds nothing: it is masked wherever it could be read. Poses of the
    world are kept once a lane in float64; a slot's own pose is relative, so float32 is exact
    enough.
    """

    query: Tensor
    """[B, S, C] float32: the query feature."""
    reference_m: Tensor
    """[B, S, 3] float32: the object's centre, moved by its velocity, in the last ego frame."""
    velocity_mps: Tensor
    """[B, S, 3] float32."""
    confidence: Tensor
    """[B, S] float32 in [0, 1]."""
    class_id: Tensor
    """[B, S] int64."""
    timestamp_us: Tensor
    """[B, S] int64: when the slot was stored."""
    last_from_stored: Tensor
    """[B, S, 4, 4] float32: the ego frame in which the slot was stored, in the last one."""
    object_id: Tensor
    """[B, S] int64: track id; -1: none."""
    query_index: Tensor
    """[B, S] int64: the query that was stored; -1: none."""
    valid: Tensor
    """[B, S] bool."""
    last_ego2global: Tensor
    """[B, 4, 4] float64: ego pose of the last frame."""
    last_timestamp_us: Tensor
    """[B] int64."""
    has_last: Tensor
    """[B] bool: False before the lane's first frame."""

    def lane(self, index: int | Sequence[int]) -> TemporalState:
        """The state of one lane, or of several in the given order."""
        picked = [index] if isinstance(index, int) else list(index)
        return TemporalState(**{f.name: getattr(self, f.name)[picked] for f in fields(self)})


@dataclass(frozen=True)
class MemoryReport(_Tensors):
    """What the head tells of its memory (design, section 5). S history slots, Q queries."""

    current_query: Tensor
    """[B, Q, C] the queries before decoding."""
    history_query: Tensor
    """[B, S, C] history features after conditioning."""
    reference_m: Tensor
    """[B, S, 3] aligned to this frame's ego frame, metres, not clipped."""
    reference_clipped: Tensor
    """[B, S, 3] the same in [0, 1] of the BEV range, clipped: what the decoder sees."""
    velocity_mps: Tensor
    """[B, S, 3] rotated into this frame's ego axes; zero for static classes."""
    timestamp_us: Tensor
    """[B, S] int64."""
    current_from_stored: Tensor
    """[B, S, 4, 4] float32."""
    object_id: Tensor
    """[B, S] int64."""
    class_id: Tensor
    """[B, S] int64."""
    confidence: Tensor
    """[B, S] float32."""
    valid: Tensor
    """[B, S] bool, after the reset."""
    prev2curr: Tensor
    """[B, 4, 4] float32: this frame's ego frame from the last frame's."""
    interval_s: Tensor
    """[B] float32: time since the last frame; 0 after a reset."""
    displacement_m: Tensor
    """[B, S, 3] the motion compensation v dt, in the last frame's axes."""
    reset: Tensor
    """[B] bool: the lane's memory was dropped in this frame."""


@dataclass(frozen=True)
class Predictions(_Tensors):
    """Raw outputs. Letters: L decoder layers, B lanes, Q queries."""

    class_logits: Tensor
    """[L, B, Q, 8]"""
    regression: Tensor
    """[L, B, Q, 17]: centre logits 3, log size 3, velocity 3, a residual angle for each bin 8."""
    angle_logits: Tensor
    """[L, B, Q, 8]"""
    occlusion_score: Tensor
    """[L, B, Q, 1]"""
    occlusion_thresholds: Tensor
    """[3] increasing."""
    reference: Tensor
    """[L, B, Q, 3] in [0, 1]: each layer's refined centre."""
    boxes: Tensor
    """[B, Q, 11] last layer: centre in [0, 1], l w h in m, sin yaw, cos yaw, velocity in m/s."""
    decoder_features: Tensor
    """[L, B, Q, C]"""
    memory: MemoryReport
