"""Targets of a frame: the ground truth of each stream, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from leapai.config.schema import TaskConfig
from leapai.config.training import DistanceWeights
from leapai.models.tensors import FrameBatch, Tensors, moved
from leapai.types import DESIGN, BevGrid, BoolArray, Frame, Labels

US_PER_S = 1_000_000


@dataclass(frozen=True)
class Targets(Tensors):
    """Ground truth of one stream: T objects, in the ego frame."""

    boxes: Tensor
    """[T, 7] float32: centre x y z, length width height (metres), yaw (radians)."""
    class_id: Tensor
    """[T] int64."""
    velocity_mps: Tensor
    """[T, 3] float32; 0 where it is not valid."""
    velocity_valid: Tensor
    """[T] bool."""
    occlusion_level: Tensor
    """[T] int64 in 0..3; -1: not labelled."""
    track_id: Tensor
    """[T] int64; -1: not labelled."""
    seen: Tensor
    """[T] bool: some sensor sees it in this very frame; False: it is only remembered."""
    weight: Tensor
    """[T] float32: instance weight by distance and group (docs/design.md, section 7)."""
    labelled: bool = True
    """False: this frame has no labels, so no prediction of it is wrong."""

    def __len__(self) -> int:
        return len(self.boxes)

    @staticmethod
    def joined(streams: Sequence[Targets]) -> Targets:
        """Concatenates the objects of all streams, one stream after another."""
        values: dict[str, Any] = {
            name: torch.cat([getattr(stream, name) for stream in streams]) for name in _TENSORS
        }
        return Targets(**values)


_TENSORS = tuple(f.name for f in fields(Targets) if f.name != "labelled")


class VisibleObjects(NamedTuple):
    """Objects of all streams that are seen now."""

    boxes: Tensor
    """[T, 7]"""
    class_id: Tensor
    """[T]"""
    stream: Tensor
    """[T] int64"""

    def to(self, device: torch.device | str) -> VisibleObjects:
        """Returns a copy on `device`."""
        return VisibleObjects(*(moved(values, device) for values in self))


def visible_objects(streams: Sequence[Targets]) -> VisibleObjects:
    """Returns the objects of all streams that some sensor sees in this frame."""
    of_stream = [(s.boxes[s.seen], s.class_id[s.seen]) for s in streams]
    number = [torch.full_like(class_id, i) for i, (_, class_id) in enumerate(of_stream)]
    boxes, class_id = (torch.cat(values) for values in zip(*of_stream, strict=True))
    return VisibleObjects(boxes, class_id, torch.cat(number))


def instance_weights(
    distance_m: Tensor,
    class_id: Tensor,
    weights: DistanceWeights,
    still_ids: Sequence[int] = DESIGN.still_ids,
) -> Tensor:
    """Returns the weights [T] of objects at distances [T] (docs/design.md, section 7): what moves
    in three steps, what never does (`still_ids`) static x exp(-distance / falloff)."""
    steps = torch.full_like(distance_m, weights.far)
    steps[distance_m <= weights.middle_m] = weights.middle
    steps[distance_m <= weights.near_m] = weights.near
    still = torch.isin(class_id, class_id.new_tensor(still_ids))
    return torch.where(
        still, weights.static * torch.exp(-distance_m / weights.static_falloff_m), steps
    )


def is_inside(labels: Labels, grid: BevGrid) -> BoolArray:
    """Returns which objects [N] have their centre in the BEV range."""
    (x_low, x_high), (y_low, y_high) = grid.x_range_m, grid.y_range_m
    x, y = labels.boxes[:, 0], labels.boxes[:, 1]
    return np.asarray((x >= x_low) & (x < x_high) & (y >= y_low) & (y < y_high))


@dataclass
class _SeenObjects:
    """Times at which the objects of one stream were last seen."""

    timestamp_us: int | None = None
    """Time of the last frame; None: there was none."""
    seen_us: dict[int, int] = field(default_factory=dict)
    """Track id -> time at which it was last seen."""


class _Sensors(NamedTuple):
    """Values of a batch that decide what its frame of one stream can see."""

    is_first: bool
    cameras: bool
    """Some camera came."""
    lidar: bool


def _sensors_of(batch: FrameBatch) -> list[_Sensors]:
    host = batch.on_host()
    values = (host.is_first, host.camera_valid.any(1), host.lidar_valid)
    return [_Sensors(*each) for each in zip(*(value.tolist() for value in values), strict=True)]


class TargetMaker:
    """Makes targets of labels, frame after frame.

    An object is a target when its centre is in the BEV range and a sensor that came with the frame
    (`camera_valid`, `lidar_valid` of the batch) sees it now, or has seen it there at most
    `loss.remembered_s` ago since the stream's memory was last dropped: an object that the network
    cannot have seen is not a target.
    """

    def __init__(self, config: TaskConfig) -> None:
        self.grid = config.bev.grid()
        self.weights = config.loss.distance
        self.vocabulary = config.vocabulary
        self.remembered_us = round(config.loss.remembered_s * US_PER_S)
        self.max_gap_us = round(config.max_gap_s * US_PER_S)
        self._streams: list[_SeenObjects] = []

    def make(self, batch: FrameBatch) -> list[Targets]:
        """Makes the targets of each stream on the CPU; call it once a frame, in order."""
        assert len(batch.frames) == batch.streams, "training needs the frames a batch was made of"
        while len(self._streams) < batch.streams:
            self._streams.append(_SeenObjects())
        made = []
        for stream, (frame, sensors) in enumerate(
            zip(batch.frames, _sensors_of(batch), strict=True)
        ):
            if sensors.is_first or self._is_broken(stream, frame):
                self._streams[stream] = _SeenObjects()
            self._streams[stream].timestamp_us = frame.timestamp_us
            made.append(self._of_stream(stream, frame, sensors))
        return made

    def state(self) -> list[dict[str, Any]]:
        """Returns plain data from which `restore` continues as if nothing had happened; a table of
        numbers is a list of pairs, as a checkpoint has words as keys."""
        return [
            {"timestamp_us": stream.timestamp_us, "seen_us": [*map(list, stream.seen_us.items())]}
            for stream in self._streams
        ]

    def restore(self, state: Sequence[dict[str, Any]]) -> None:
        """Continues from what `state` returned."""
        self._streams = [_SeenObjects(s["timestamp_us"], dict(s["seen_us"])) for s in state]

    def _is_broken(self, stream: int, frame: Frame) -> bool:
        """Returns whether the network drops its memory here, too (models/reset.is_reset)."""
        last_us = self._streams[stream].timestamp_us
        return last_us is not None and not 0 <= frame.timestamp_us - last_us <= self.max_gap_us

    def _of_stream(self, stream: int, frame: Frame, sensors: _Sensors) -> Targets:
        if frame.labels is None:
            nothing = Labels.unlabelled(np.zeros((0, 7)), np.zeros(0, np.int64), self.vocabulary)
            return replace(self._tensors(nothing, np.zeros(0, bool)), labelled=False)
        labels = frame.labels.select(is_inside(frame.labels, self.grid))
        seen = labels.seen_with(lidar=sensors.lidar, cameras=sensors.cameras)
        is_target = seen | self._remember(stream, labels, seen, frame.timestamp_us)
        return self._tensors(labels.select(is_target), seen[is_target])

    def _remember(self, stream: int, labels: Labels, seen: BoolArray, now_us: int) -> BoolArray:
        """Returns which objects [N] were seen recently in this stream; notes those seen now."""
        seen_us = self._streams[stream].seen_us
        for track in labels.track_id[seen & (labels.track_id >= 0)].tolist():
            seen_us[track] = now_us
        oldest_us = now_us - self.remembered_us
        for track in [t for t, when_us in seen_us.items() if when_us < oldest_us]:
            del seen_us[track]
        return np.array([track in seen_us for track in labels.track_id.tolist()], bool)

    def _tensors(self, labels: Labels, seen: BoolArray) -> Targets:
        boxes = torch.from_numpy(np.asarray(labels.boxes, np.float32))
        class_id = torch.from_numpy(np.asarray(labels.class_id, np.int64))
        return Targets(
            boxes=boxes,
            class_id=class_id,
            velocity_mps=torch.from_numpy(np.asarray(labels.velocity_mps, np.float32)),
            velocity_valid=torch.from_numpy(np.asarray(labels.velocity_valid, bool)),
            occlusion_level=torch.from_numpy(np.asarray(labels.occlusion_level, np.int64)),
            track_id=torch.from_numpy(np.asarray(labels.track_id, np.int64)),
            seen=torch.from_numpy(np.asarray(seen, bool)),
            weight=instance_weights(
                boxes[:, :2].norm(dim=1), class_id, self.weights, self.vocabulary.still_ids
            ),
        )
