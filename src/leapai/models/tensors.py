"""Tensors that flow through the network: batches, memory, predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from leapai.types.frames import Frame
from leapai.types.vocabulary import LANE_MARKINGS

if TYPE_CHECKING:
    from leapai.models.host_tables import HostTables
    from leapai.models.lidar import Pillars

_T = TypeVar("_T", bound="Tensors")


class Tensors:
    """Moves every tensor of a dataclass together; what is not a tensor stays as it is."""

    def to(self: _T, device: torch.device | str) -> _T:
        """Returns a copy on `device`."""
        return self.mapped(lambda tensor: moved(tensor, device))

    def pin_memory(self: _T) -> _T:
        """Returns a copy in pinned memory; loaders call it."""
        return self.mapped(lambda tensor: tensor.pin_memory())

    def mapped(self: _T, function: Callable[[Tensor], Tensor]) -> _T:
        """Returns a copy whose tensors, nested ones too, went through `function`."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        return replace(self, **{k: _mapped(v, function) for k, v in values.items()})  # type: ignore[type-var]


def moved(tensor: Tensor, device: torch.device | str) -> Tensor:
    """Returns the tensor on `device`. On its way to a GPU it goes through pinned memory, so that
    the host need not wait for what the GPU was given before."""
    to_gpu = torch.device(device).type == "cuda" and not tensor.is_cuda
    return tensor.pin_memory().to(device, non_blocking=True) if to_gpu else tensor.to(device)


def _mapped(value: object, function: Callable[[Tensor], Tensor]) -> object:
    if isinstance(value, Tensors):
        return value.mapped(function)
    return function(value) if isinstance(value, Tensor) else value


@dataclass(frozen=True)
class DenoisingQueries(Tensors):
    """Denoising queries of a training step (DN-DETR; Li et al., CVPR 2022): ground truth with
    noise.

    D of them a stream. They never see another group, and what is no denoising query never sees
    them.
    """

    reference: Tensor
    """[B, D, 3] centres with noise in [0, 1] of the BEV range."""
    class_id: Tensor
    """[B, D] int64, with noise, too; the number of classes where there is none."""
    group: Tensor
    """[D] int64."""
    target: Tensor
    """[B, D] int64: which of the stream's targets it should become; -1: none (a negative)."""
    valid: Tensor
    """[B, D] bool: False is padding, where a stream has fewer targets than another."""


@dataclass(frozen=True)
class HostValues:
    """Values of a batch that the host goes by, on the CPU: to read them on a GPU, it would wait."""

    camera_valid: Tensor
    intrinsics: Tensor
    distortion: Tensor
    ego_from_camera: Tensor
    lidar_valid: Tensor
    is_first: Tensor


@dataclass(frozen=True)
class Motion(Tensors):
    """How B streams moved since their last frames. It is formed in int64 and float64 and then
    rounded, so that what reads it has neither."""

    reset: Tensor
    """[B] bool: the memory of the stream is dropped."""
    has_pose: Tensor
    """[B] bool: the ego pose of this frame is finite."""
    prev2curr: Tensor
    """[B, 4, 4] float32: this frame's ego frame from the last frame's; identity on reset."""
    interval_s: Tensor
    """[B] float32: time since the last frame; 0 on reset."""


@dataclass(frozen=True)
class FrameBatch(Tensors):
    """One frame of each of B streams. Letters: B streams, N cameras, P points of all streams
    together."""

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
    """[P, 5] float32: x y z intensity dt, all streams one after another."""
    point_stream: Tensor
    """[P] int64: the stream each point belongs to."""
    lidar_valid: Tensor
    """[B] bool: False where the LiDAR failed or is absent. An empty sweep is valid."""
    timestamp_us: Tensor
    """[B] int64."""
    ego2global: Tensor
    """[B, 4, 4] float64; relative poses are formed from it before any cast."""
    is_first: Tensor
    """[B] bool: this frame starts a sequence, so the stream's memory is reset."""
    camera_groups: tuple[int, ...]
    """[N] group index of each camera, the same in all streams."""
    frames: tuple[Frame, ...] = ()
    """Frames that the batch was made of: labels and names for losses and messages; the model never
    reads them."""
    pixel_depth_m: Tensor | None = None
    """[B, N, H / 8, W / 8] float32 (`PixelLabels`); None: no camera has labels of its cells."""
    pixel_class: Tensor | None = None
    """[B, N, H / 8, W / 8] int64; -1: of no object."""
    denoising: DenoisingQueries | None = None
    """Denoising queries to decode along, in training only."""
    fused_bev: Tensor | None = None
    """[B, C, rows, columns]: the fuser's output where it is known already (the feature cache); the
    network then skips the trunk."""
    host: HostValues | None = None
    """Values that the host keeps where the tensors are on another device."""
    tables: HostTables | None = None
    """Made by `Perception.prepared`."""
    motion: Motion | None = None
    """Motion that the host has formed (an exported step); None: the network forms it from poses and
    times."""
    pillars: Pillars | None = None
    """Points that the host has grouped (an exported step); None: the network groups them."""

    def to(self, device: torch.device | str) -> FrameBatch:
        """Returns a copy on `device`; the host keeps what it goes by."""
        on_cpu = torch.device(device).type == "cpu"
        return replace(super().to(device), host=None if on_cpu else self.on_host())

    def on_host(self) -> HostValues:
        """Returns the values that the host goes by. It waits only for a batch that was made on
        another device."""
        names = (f.name for f in fields(HostValues))
        return self.host or HostValues(**{name: getattr(self, name).cpu() for name in names})

    @property
    def streams(self) -> int:
        """Number of streams B."""
        return int(self.timestamp_us.shape[0])


@dataclass(frozen=True)
class PixelPredictions(Tensors):
    """Logits of what single cells of M feature maps show."""

    depth: Tensor
    """[M, D, H, W] one of D bins (`pixel_head.DepthBins`)."""
    classes: Tensor
    """[M, C, H, W] each class by itself."""


@dataclass(frozen=True)
class StaticMemory(Tensors):
    """Memory of the static task: features of K past frames a stream, in no order, each with the
    pose and time at which it was seen. A slot that is not `valid` holds nothing."""

    bev: Tensor
    """[B, K, C, rows, columns] float16, in the ego frame of its own time."""
    ego2global: Tensor
    """[B, K, 4, 4] float64."""
    timestamp_us: Tensor
    """[B, K] int64."""
    valid: Tensor
    """[B, K] bool."""


@dataclass(frozen=True)
class TemporalState(Tensors):
    """The temporal memory: S = (queue_length - 1) x topk slots a stream, oldest frame first, in the
    ego frame of the last frame; and the memory of the static task.

    A slot that is not `valid` holds nothing: it is masked wherever it could be read. Poses of the
    world are kept once a stream in float64; a slot's own pose is relative, so float32 is exact
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
    track_id: Tensor
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
    """[B] bool: False before the stream's first frame."""
    static: StaticMemory | None = None
    """Memory of the static task; None: it has none."""

    def stream(self, index: int | Sequence[int]) -> TemporalState:
        """Returns the state of one stream, or of several in the given order."""
        picked = [index] if isinstance(index, int) else list(index)
        return self.mapped(lambda tensor: tensor[picked])


@dataclass(frozen=True)
class MemoryReport(Tensors):
    """Readout of the head from its memory (docs/design.md, section 5). Letters: S history slots, Q
    queries."""

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
    age_s: Tensor
    """[B, S] float32: time since the slot was stored; 0 where it is not valid."""
    current_from_stored: Tensor
    """[B, S, 4, 4] float32."""
    track_id: Tensor
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
    """[B] bool: the stream's memory was dropped in this frame."""


@dataclass(frozen=True)
class LayerOutputs(Tensors):
    """Raw predictions of the branches for queries. Letters: L decoder layers, B streams, Q
    queries."""

    class_logits: Tensor
    """[L, B, Q, C], C classes."""
    regression: Tensor
    """[L, B, Q, 17]: centre logits 3, log size 3, velocity 3, a residual angle for each bin 8."""
    angle_logits: Tensor
    """[L, B, Q, 8]"""
    occlusion_score: Tensor
    """[L, B, Q, 1]"""
    reference: Tensor
    """[L, B, Q, 3] in [0, 1]: each layer's refined centre."""


@dataclass(frozen=True)
class DynamicPredictions(LayerOutputs):
    """Raw outputs of the dynamic task for a frame."""

    occlusion_thresholds: Tensor
    """[3] increasing."""
    boxes: Tensor
    """[B, Q, 11] last layer: centre in [0, 1], l w h in m, sin yaw, cos yaw, velocity in m/s."""
    decoder_features: Tensor
    """[L, B, Q, C]"""
    memory: MemoryReport
    denoising: LayerOutputs | None = None
    """Training only: outputs of the denoising queries, [L, B, D, ...]."""
    heat_map: Tensor | None = None
    """Training only: [B, C, rows, columns] logits of the auxiliary map of object centres."""


@dataclass(frozen=True)
class StaticPredictions(Tensors):
    """Raw outputs of the static task for a frame."""

    logits: Tensor
    """[B, 14, rows, columns] of `STATIC_CLASSES`, over `StaticConfig.region()`."""

    @property
    def lane_markings(self) -> Tensor:
        """Logits of `LANE_MARKINGS` [B, 9, rows, columns]."""
        return self.logits[:, : len(LANE_MARKINGS)]

    @property
    def road_elements(self) -> Tensor:
        """Logits of `ROAD_ELEMENTS` [B, 5, rows, columns]."""
        return self.logits[:, len(LANE_MARKINGS) :]


@dataclass(frozen=True)
class AuxiliaryPredictions(Tensors):
    """Predictions of the trunk that only its losses read."""

    pixels: PixelPredictions | None
    """Predictions for the B * N images."""
    heat_maps: Tensor | None
    """[modalities, B, C, rows, columns] logits of object centres in the BEV of the cameras, then of
    the LiDAR."""


@dataclass(frozen=True)
class Predictions(Tensors):
    """Raw outputs of a frame, of each task that is on."""

    dynamic: DynamicPredictions | None = None
    static: StaticPredictions | None = None
    auxiliary: AuxiliaryPredictions | None = None
    """Predictions that only losses read: in training, where they are configured."""
