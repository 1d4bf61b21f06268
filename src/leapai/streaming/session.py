"""A streaming session: frame in, detections with track ids out, as a vehicle runs it.

session = StreamSession(model, config)
for frame in log:
    result = session.step(frame)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from leapai.config.schema import TaskConfig
from leapai.data.transforms import collate, prepare
from leapai.models.dynamic.decode import decode, nothing_found
from leapai.models.perception import Perception
from leapai.models.tensors import TemporalState
from leapai.streaming.step_result import StepResult
from leapai.streaming.tracker import NO_MEMORY, Tracks, memory_readout, no_tracks, track, with_ids
from leapai.types import Frame


@dataclass(frozen=True)
class SessionState:
    """Everything that a session carries from frame to frame."""

    memory: TemporalState
    tracks: Tracks


class StreamSession:
    """Runs one stream. Its whole state is `session.state`, a value that can be saved, inspected and
    set back.

    Track ids depend on the number of their sequence: `first_sequence` is that of the first one, so
    that sessions that share the sequences of a run give the ids that one session would.
    """

    def __init__(
        self,
        model: Perception,
        config: TaskConfig,
        device: torch.device | str = "cpu",
        first_sequence: int = 0,
    ) -> None:
        self.model, self.config, self.device = model.to(device).eval(), config, device
        self.state = SessionState(model.initial_state(1, device), no_tracks(first_sequence))
        self._grid, self._region = config.bev.grid(), config.static.region()

    # Not inference_mode: what the network caches would be barred from training it afterwards.
    @torch.no_grad()
    def step(self, frame: Frame) -> StepResult:
        """Runs one frame; a frame of another sequence starts with empty memory."""
        memory, tracks = self.state.memory, self.state.tracks
        prepared = prepare(frame, self.config.camera.image_size_px, self.config.camera.groups)
        is_first = frame.sequence != tracks.sequence
        batch = collate([prepared], [is_first]).to(self.device)
        predictions, memory = self.model(batch, memory)
        dynamic = predictions.dynamic
        evaluation = self.config.evaluation
        found = decode(dynamic, batch, self._grid, evaluation) if dynamic else nothing_found(batch)
        readout = memory_readout(dynamic.memory, stream=0) if dynamic else NO_MEMORY
        detections, tracks = track(found[0], tracks, self.config.tracking, readout)
        memory = with_ids(memory, detections, stream=0)
        self.state = SessionState(memory, tracks)
        return StepResult(prepared, detections, dynamic, predictions.static, self._region, memory)
