"""A stream: frame in, detections with ids out. What a user's own program runs on the vehicle.

session = StreamSession(model, config)
for frame in drive:
    result = session.step(frame)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from leapai.config import TaskConfig
from leapai.data.transforms import collate, prepare
from leapai.models.dynamic.decode import decode, nothing_found
from leapai.models.perception import Perception
from leapai.runtime.tracks import TrackIds
from leapai.types import (
    Detections,
    Frame,
    FrameBatch,
    MemoryReport,
    Predictions,
    StaticPredictions,
    TemporalState,
)


@dataclass(frozen=True)
class StepResult:
    """What one frame gave."""

    frame: Frame
    """As the model saw it: images resized, calibration folded."""
    detections: Detections
    """None are in it where the dynamic task is off."""
    memory: MemoryReport | None
    """None: the dynamic task is off."""
    static: StaticPredictions | None
    """Logits, on the device, of one lane; None: the static task is off."""
    state: TemporalState
    """The memory after this frame."""


class StreamSession:
    """Runs one lane. The memory is `session.state`, a value: save it, inspect it, set it back.

    Track ids depend on the number of their sequence: `first_sequence` is that of the first one, so
    that sessions that share the drives of a run give the ids that one session would.
    """

    def __init__(
        self,
        model: Perception,
        config: TaskConfig,
        device: torch.device | str = "cpu",
        first_sequence: int = 0,
    ) -> None:
        self.model, self.config, self.device = model.to(device).eval(), config, device
        self.state = model.initial_state(1, device)
        self._grid = config.bev.grid()
        self._sequence: str | None = None
        self._next_sequence = first_sequence
        self._ids = TrackIds(config.tracking, first_sequence)

    # Not inference_mode: what the network caches would be barred from training it afterwards.
    @torch.no_grad()
    def step(self, frame: Frame) -> StepResult:
        """One frame; a frame of another sequence starts with empty memory."""
        is_first = frame.sequence != self._sequence
        if is_first:
            self._ids = TrackIds(self.config.tracking, self._next_sequence)
            self._sequence, self._next_sequence = frame.sequence, self._next_sequence + 1
        prepared = prepare(frame, self.config.camera.image_size_px, self.config.camera.groups)
        batch = collate([prepared], [is_first]).to(self.device)
        predictions, self.state = self.model(batch, self.state)
        detections = self._detections(predictions, batch)
        memory = predictions.dynamic.memory if predictions.dynamic else None
        return StepResult(prepared, detections, memory, predictions.static, self.state)

    def _detections(self, predictions: Predictions, batch: FrameBatch) -> Detections:
        """What was found, with ids, which the state's newest slots then carry."""
        said = predictions.dynamic
        if said is None:
            return nothing_found(batch)[0]
        found = decode(said, batch, self._grid, self.config.evaluation)[0]
        found, self.state = self._ids.update(found, said.memory, self.state, lane=0)
        return found
