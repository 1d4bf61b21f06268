"""A streaming session: frame in, detections with track ids out, as a vehicle runs it.

session = StreamSession(model, config)
for frame in log:
    result = session.step(frame)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from leapai.config.schema import TaskConfig
from leapai.data.frame_check import FrameError, check_frame
from leapai.data.transforms import collate, fitted
from leapai.models.dynamic.decode import decode, nothing_found
from leapai.models.perception import Perception
from leapai.models.reset import US_PER_S
from leapai.models.tensors import DynamicPredictions, FrameBatch, TemporalState
from leapai.streaming.output_health import (
    RECENT_FRAMES,
    OutputStatus,
    PastFrame,
    output_health,
    past_frame,
    without_broken_map,
)
from leapai.streaming.sensor_health import health_of
from leapai.streaming.step_result import StepResult
from leapai.streaming.tracker import NO_MEMORY, Tracks, memory_readout, no_tracks, track, with_ids
from leapai.types import Detections, Frame


@dataclass(frozen=True)
class SessionState:
    """Everything that a session carries from frame to frame."""

    memory: TemporalState
    tracks: Tracks
    recent: tuple[PastFrame, ...] = ()
    """The last frames of the sequence, oldest first, against which the next one is checked."""


class StreamSession:
    """Runs one stream. Its whole state is `session.state`, a value that can be saved, inspected and
    set back.

    Track ids depend on the number of their sequence: `first_sequence` is that of the first one, so
    that sessions that share the sequences of a run give the ids that one session would.

    Raises ValueError where no task is on.
    """

    def __init__(
        self,
        model: Perception,
        config: TaskConfig,
        device: torch.device | str = "cpu",
        first_sequence: int = 0,
    ) -> None:
        if not config.has_task:
            raise ValueError(
                f"{config.job_name} has no task on, and detects nothing: its weights are a "
                "beginning for Step 1 (leapai train --ckpt)"
            )
        self.model, self.config, self.device = model.to(device).eval(), config, device
        self.state = SessionState(model.initial_state(1, device), no_tracks(first_sequence))
        self.refused: list[str] = []
        """Frames that `try_step` left out since its last result, in words."""
        self._grid, self._region = config.bev.grid(), config.static.region()

    # Not inference_mode: what the network caches would be barred from training it afterwards.
    @torch.no_grad()
    def step(self, frame: Frame) -> StepResult:
        """Runs one frame; a frame of another sequence starts with empty memory.

        Raises ValueError for a frame that does not fit its type, the network's configuration, or
        the pose before it (`data.frame_check.check_frame`); the state stays as it was.
        """
        memory, tracks = self.state.memory, self.state.tracks
        camera, past = self.config.camera, self.state.recent
        last = past[-1] if past else None
        checked = check_frame(frame, last, camera.groups)
        prepared = fitted(checked, camera.image_size_px, camera.groups)
        is_first = prepared.sequence != tracks.sequence
        batch = self.model.prepared(collate([prepared], [is_first]).to(self.device))
        predictions, memory = self.model(batch, memory)
        dynamic = predictions.dynamic
        found = self._decoded(dynamic, batch)
        readout = memory_readout(dynamic.memory, stream=0) if dynamic else NO_MEMORY
        detections, tracks = track(found[0], tracks, self.config.tracking, readout)
        memory = with_ids(memory, detections, stream=0)
        report = dynamic.memory if dynamic else None
        recent, health = self._recent(prepared), health_of(prepared, report)
        sensors_ok = not health.failing
        outputs = output_health(predictions, detections, recent, sensors_ok=sensors_ok)
        if outputs.status is OutputStatus.NOT_FINITE:
            predictions = without_broken_map(predictions)
        recent = (*recent, past_frame(detections))[-RECENT_FRAMES:]
        self.state = SessionState(memory, tracks, recent)
        return StepResult(
            frame=prepared,
            detections=detections,
            dynamic=dynamic,
            static=predictions.static,
            region=self._region,
            state=memory,
            health=replace(health, outputs=outputs),
            checked=checked,
        )

    def try_step(self, frame: Frame) -> StepResult | None:
        """Runs one frame as `step` does, but one bad frame does not end a drive: a frame that is
        refused after others were not is left out, and None returned.

        The next result names it among the faults of its frame. Raises ValueError where no frame
        came before: then all of them may be wrong, which is a fault of their source.
        """
        try:
            result = self.step(frame)
        except FrameError as error:
            if not self.state.recent:
                raise
            self.refused.append(f"frame: {error}; left out")
            return None
        if self.refused:
            faults = (*result.frame.faults, *self.refused)
            result = replace(result, frame=replace(result.frame, faults=faults))
            self.refused.clear()
        return result

    def _decoded(self, dynamic: DynamicPredictions | None, batch: FrameBatch) -> list[Detections]:
        vocabulary = self.config.vocabulary
        if dynamic is None:
            return nothing_found(batch, vocabulary)
        return decode(dynamic, batch, self._grid, self.config.evaluation, vocabulary)

    def _recent(self, frame: Frame) -> tuple[PastFrame, ...]:
        """Returns the frames before `frame` that its memory can hold: none of another sequence, and
        none from before a gap."""
        past = self.state.recent
        if not past or frame.sequence != past[-1].sequence:
            return ()
        interval_us = frame.timestamp_us - past[-1].timestamp_us
        return past if 0 <= interval_us <= self.config.max_gap_s * US_PER_S else ()
