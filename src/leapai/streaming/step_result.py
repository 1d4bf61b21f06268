"""The result of one step of a stream."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from leapai.streaming.output_health import OutputStatus
from leapai.streaming.sensor_health import Health
from leapai.types import (
    BevGrid,
    Detections,
    FloatArray,
    Frame,
    Map,
    MapPolyline,
    MemorySlots,
    SlotsRead,
)

if TYPE_CHECKING:
    from leapai.models.tensors import DynamicPredictions


@dataclass(frozen=True, repr=False)
class StepResult:
    """Everything that one step of a session gives."""

    frame: Frame
    """The frame as the model saw it: images resized, calibration folded."""
    detections: Detections
    """Detections with track ids; empty where the dynamic task is off."""
    memory: SlotsRead | None
    """Memory slots as they were read; None: the dynamic task is off."""
    map_logits: FloatArray | None
    """[14, rows, columns] of `STATIC_CLASSES`; None: the static task is off."""
    region: BevGrid
    """The grid of the logits."""
    state: Any
    """The memory after this frame: a `TemporalState`, or that of an exported network."""
    health: Health
    """Health of the sensors, the memory and the outputs."""
    checked: Frame
    """The frame as it was given, without what `check_frame` does not let pass: with images of their
    full size, to draw on."""
    dynamic: DynamicPredictions | None = None
    """Raw predictions, on the device, of one stream; None: the dynamic task is off, or the network
    was exported."""

    def __repr__(self) -> str:
        has_map = "no static task" if self.map_logits is None else "with a map"
        return f"StepResult({self.frame!r}, {self.detections!r}, {has_map})"

    @cached_property
    def map(self) -> Map | None:
        """Map segmentation and map elements, made of `map_logits` when first asked for; None: the
        static task is off."""
        if self.map_logits is None:
            return None
        from scipy.special import expit

        from leapai.streaming.map_lines import polylines  # late: scipy's filters take long to load

        probability = expit(self.map_logits)
        return Map(probability, self.region, polylines(probability, self.region))

    @property
    def faults(self) -> tuple[str, ...]:
        """Faults of the frame's sensors, and of the network's outputs, in words."""
        outputs = self.health.outputs
        if outputs.status is OutputStatus.OK:
            return self.frame.faults
        return (*self.frame.faults, f"network: {outputs.reason}")

    @property
    def lines(self) -> tuple[MapPolyline, ...]:
        """Map elements as lines; none where the static task is off."""
        return () if self.map is None else self.map.lines

    @property
    def memory_slots(self) -> MemorySlots | None:
        """The valid memory slots of the frame; None: the dynamic task is off."""
        memory = self.memory
        if memory is None:
            return None
        valid = memory.valid
        stored_us = memory.timestamp_us[valid]
        # Frames may be unevenly spaced, so distinct times are counted, newest first.
        distinct = np.unique(stored_us)
        frames_ago = len(distinct) - np.searchsorted(distinct, stored_us)
        return MemorySlots(
            position_m=memory.reference_m[valid],
            velocity_mps=memory.velocity_mps[valid],
            class_id=memory.class_id[valid],
            frames_ago=frames_ago,
        )
