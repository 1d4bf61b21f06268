"""Results of a network for one frame of one stream, as arrays on the host: the same whatever runs
it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from leapai.types.vocabulary import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class ObjectOutputs:
    """Raw outputs of the last decoder layer. Letters: Q queries, C classes."""

    class_logits: FloatArray
    """[Q, C]"""
    boxes: FloatArray
    """[Q, 11] centre in [0, 1] of the BEV range, l w h in m, sin yaw, cos yaw, velocity in m/s."""
    occlusion_score: FloatArray
    """[Q, 1]"""
    occlusion_thresholds: FloatArray
    """[3] increasing."""


@dataclass(frozen=True)
class SlotsRead:
    """Memory slots as the network read them in a frame, oldest frame first. S slots."""

    valid: BoolArray
    """[S] False: the slot holds nothing."""
    track_id: IntArray
    """[S]; -1: none."""
    class_id: IntArray
    """[S]"""
    timestamp_us: IntArray
    """[S] when the slot was stored."""
    reference_m: FloatArray
    """[S, 3] centre, moved to this frame, in its ego frame."""
    velocity_mps: FloatArray
    """[S, 3] over ground, in the ego axes of this frame."""
    reset: bool
    """Memory was dropped in this frame."""


@dataclass(frozen=True)
class NetworkStep:
    """Outputs of one step, and the next memory."""

    objects: ObjectOutputs | None
    """None: the dynamic task is off."""
    slots: SlotsRead | None
    """None: the dynamic task is off."""
    map_logits: FloatArray | None
    """[14, rows, columns] of `STATIC_CLASSES`; None: the static task is off."""
    memory: Any
    """The next memory, in the form of the network that made it."""
    predictions: Any = None
    """`Predictions` of PyTorch; None: the network was exported."""

    def named_outputs(self) -> Iterator[tuple[str, FloatArray]]:
        """Yields what detections and map are made of, by name."""
        if self.objects is not None:
            yield "class logits", self.objects.class_logits
            yield "boxes", self.objects.boxes
        if self.map_logits is not None:
            yield "map logits", self.map_logits
