"""A streaming session: frame in, detections with track ids out, as a vehicle runs it.

session = StreamSession(model, config)
for frame in log:
    result = session.step(frame)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from leapai.config.schema import TaskConfig
from leapai.data.frame_check import FrameError, check_frame
from leapai.data.transforms import fitted
from leapai.models.dynamic.decode import decode_objects, nothing_found
from leapai.streaming.output_health import (
    RECENT_FRAMES,
    OutputStatus,
    PastFrame,
    output_health,
    past_frame,
    without_broken_cells,
)
from leapai.streaming.sensor_health import health_of
from leapai.streaming.step_result import StepResult
from leapai.streaming.tracker import NO_MEMORY, Tracks, memory_readout, no_tracks, track
from leapai.types import Detections, Frame, NetworkStep

if TYPE_CHECKING:
    import torch

    from leapai.models.perception import Perception


@runtime_checkable
class Network(Protocol):
    """A network as a session needs it: that of PyTorch (`EagerNetwork`), or an exported one."""

    @property
    def device(self) -> torch.device | str:
        """Returns where it runs."""
        ...

    def empty_memory(self) -> Any:
        """Returns the memory before the first frame."""
        ...

    def step(self, frame: Frame, memory: Any, *, is_first: bool) -> NetworkStep:
        """Runs one frame, which `fitted` has prepared; `is_first`: its sequence begins."""
        ...

    def with_ids(self, memory: Any, detections: Detections) -> Any:
        """Returns the memory whose newest slots carry the ids of the detections."""
        ...


@dataclass(frozen=True)
class SessionState:
    """Everything that a session carries from frame to frame."""

    memory: Any
    """A `TemporalState`, or the memory of an exported network."""
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
        model: Perception | Network,
        config: TaskConfig,
        device: torch.device | str = "cpu",
        first_sequence: int = 0,
    ) -> None:
        if not config.has_task:
            raise ValueError(
                f"{config.job_name} has no task on, and detects nothing: its weights are a "
                "beginning for Step 1 (leapai train --ckpt)"
            )
        self.model, self.config = model, config
        self.network = _network(model, device)
        self.device = self.network.device
        self.state = SessionState(self.network.empty_memory(), no_tracks(first_sequence))
        self.refused: list[str] = []
        """Frames that `try_step` left out since its last result, in words."""
        self._grid, self._region = config.bev.grid(), config.static.region()

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
        step = self.network.step(prepared, memory, is_first=is_first)
        readout = memory_readout(step.slots) if step.slots else NO_MEMORY
        found = self._decoded(step, prepared)
        detections, tracks = track(found, tracks, self.config.tracking, readout)
        memory = self.network.with_ids(step.memory, detections)
        recent, health = self._recent(prepared), health_of(prepared, step.slots)
        outputs = output_health(step, detections, recent, sensors_ok=not health.failing)
        is_broken = outputs.status is OutputStatus.NOT_FINITE
        map_logits = without_broken_cells(step.map_logits) if is_broken else step.map_logits
        recent = (*recent, past_frame(detections))[-RECENT_FRAMES:]
        self.state = SessionState(memory, tracks, recent)
        return StepResult(
            frame=prepared,
            detections=detections,
            memory=step.slots,
            map_logits=map_logits,
            region=self._region,
            state=memory,
            health=replace(health, outputs=outputs),
            checked=checked,
            dynamic=step.predictions.dynamic if step.predictions else None,
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

    def _decoded(self, step: NetworkStep, frame: Frame) -> Detections:
        pose, vocabulary = frame.ego2global, self.config.vocabulary
        nothing = nothing_found(frame.sequence, frame.timestamp_us, pose, vocabulary)
        if step.objects is None:
            return nothing
        return decode_objects(step.objects, nothing, self._grid, self.config.evaluation)

    def _recent(self, frame: Frame) -> tuple[PastFrame, ...]:
        """Returns the frames before `frame` that its memory can hold: none of another sequence, and
        none from before a gap."""
        past = self.state.recent
        if not past or frame.sequence != past[-1].sequence:
            return ()
        interval_us = frame.timestamp_us - past[-1].timestamp_us
        return past if 0 <= interval_us <= self.config.max_gap_s * 1e6 else ()


def _network(model: Perception | Network, device: torch.device | str) -> Network:
    if isinstance(model, Network):
        return model
    from leapai.streaming.eager_network import EagerNetwork  # late: an exported one needs no torch

    return EagerNetwork(model, device)
