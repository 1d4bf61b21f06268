"""`leapai.load`: a trained network as a stream, in two lines of a user's own program."""

from __future__ import annotations

from pathlib import Path

import torch

from leapai.checkpoints import config_of, load_checkpoint
from leapai.distributed import current_ranks
from leapai.models.build import build_model
from leapai.streaming.sensor_health import health_of
from leapai.streaming.session import SessionState, StepResult, StreamSession, memory_slots_of
from leapai.streaming.streamed_detections import StreamedDetections
from leapai.types import Frame, Map
from leapai.weights import shipped_checkpoint


class Stream:
    """One vehicle's stream: frames in, detections out, memory in between."""

    def __init__(self, session: StreamSession) -> None:
        self.session = session
        self.last: StepResult | None = None
        """All of the last frame: as the model saw it, its memory report, its state."""

    @property
    def state(self) -> SessionState:
        """Memory and tracks, a value: save it, look at it, set it back."""
        return self.session.state

    @state.setter
    def state(self, state: SessionState) -> None:
        self.session.state = state

    @property
    def road(self) -> Map | None:
        """Of the last frame, in its ego frame; it is made when first asked for. None: there is no
        frame yet, or the network has no static task."""
        return None if self.last is None else self.last.road

    def step(self, frame: Frame) -> StreamedDetections:
        """One frame; a frame of another sequence starts with empty memory.

        Raises ValueError where the frame does not fit the network's configuration.
        """
        self.last = self.session.step(frame)
        return StreamedDetections(
            **vars(self.last.detections),
            health=health_of(frame, self.last.memory),
            memory=memory_slots_of(self.last),
            config=self.session.config,
        )


def load(checkpoint: str | Path | None = None, device: torch.device | str | None = None) -> Stream:
    """The network of `checkpoint` as a stream; without one the network that ships.

    `device` None is the GPU where there is one. A network of the static task alone detects nothing:
    what it says of the road is in `Stream.road`. Raises ValueError where the checkpoint is
    missing, is none, or holds no configuration.
    """
    path = shipped_checkpoint() if checkpoint is None else Path(checkpoint)
    config = config_of(path)
    model = build_model(config)
    load_checkpoint(path, model)
    return Stream(StreamSession(model, config, device or current_ranks().device))
