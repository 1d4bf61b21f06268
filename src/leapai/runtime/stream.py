"""`leapai.load`: a trained network as a stream, in two lines of a user's own program."""

from __future__ import annotations

from pathlib import Path

import torch

from leapai.models.build import build_model
from leapai.runtime.checkpoints import config_of, load_checkpoint
from leapai.runtime.health import health_of
from leapai.runtime.pictures import memory_dots
from leapai.runtime.ranks import local_device
from leapai.runtime.result import StreamedDetections
from leapai.runtime.session import SessionState, StepResult, StreamSession
from leapai.runtime.shipped import shipped_checkpoint
from leapai.types import Frame


class Stream:
    """One vehicle's stream: frames in, detections out, memory in between."""

    def __init__(self, session: StreamSession) -> None:
        self.session = session
        self.last: StepResult | None = None
        """All of the last frame: as the model saw it, its memory report, the road, its state."""

    @property
    def state(self) -> SessionState:
        """Memory and tracks, a value: save it, look at it, set it back."""
        return self.session.state

    @state.setter
    def state(self, state: SessionState) -> None:
        self.session.state = state

    def step(self, frame: Frame) -> StreamedDetections:
        """One frame; a frame of another sequence starts with empty memory.

        Raises ValueError where the frame does not fit the network's configuration.
        """
        self.last = self.session.step(frame)
        return StreamedDetections(
            **vars(self.last.detections),
            health=health_of(frame, self.last.memory),
            memory=memory_dots(self.last),
            config=self.session.config,
        )


def load(checkpoint: str | Path | None = None, device: torch.device | str | None = None) -> Stream:
    """The network of `checkpoint` as a stream; without one the network that ships.

    `device` None is the GPU where there is one. A network of the static task alone detects nothing:
    what it says of the road is in `Stream.last.static`. Raises ValueError where the checkpoint is
    missing, is none, or holds no configuration.
    """
    path = shipped_checkpoint() if checkpoint is None else Path(checkpoint)
    config = config_of(path)
    model = build_model(config)
    load_checkpoint(path, model)
    return Stream(StreamSession(model, config, device or local_device()))
