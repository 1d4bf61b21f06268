"""`leapai.load`: a trained network as a stream, for a user's own program."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from leapai.streaming.session import SessionState, StreamSession
from leapai.streaming.step_result import StepResult
from leapai.streaming.streamed_detections import StreamedDetections
from leapai.types import Frame, Map
from leapai.weights import shipped_checkpoint

if TYPE_CHECKING:
    import torch


class Stream:
    """One vehicle's stream: frames in, detections out, memory in between."""

    def __init__(self, session: StreamSession) -> None:
        self.session = session
        self._stepping = Lock()
        self.last: StepResult | None = None
        """The whole result of the last frame: the frame as the model saw it, its memory report,
        its state; None: there was no frame yet."""

    def __repr__(self) -> str:
        config = self.session.config
        tasks = [name for name in ("dynamic", "static") if getattr(config, f"{name}_task")]
        last = "no frame yet" if self.last is None else f"last: {self.last.detections!r}"
        return f"Stream({config.job_name}, {' + '.join(tasks)}, {self.session.device}; {last})"

    @property
    def state(self) -> SessionState:
        """Memory and tracks as a value: it can be saved, inspected and set back."""
        return self.session.state

    @state.setter
    def state(self, state: SessionState) -> None:
        self.session.state = state

    @property
    def map(self) -> Map | None:
        """Map segmentation and map elements of the last frame, in its ego frame, made when first
        asked for; None: there is no frame yet, or the network has no static task."""
        return None if self.last is None else self.last.map

    def step(self, frame: Frame) -> StreamedDetections:
        """Detects the objects of one frame; a frame of another sequence starts with empty memory.

        Raises ValueError where the frame does not fit its type, the network's configuration or the
        pose before it, and RuntimeError where another thread is inside this very call: frames have
        an order, so a stream serves one thread at a time.
        """
        if not self._stepping.acquire(blocking=False):
            raise RuntimeError(
                f"{frame.sequence} at {frame.timestamp_us} us: another thread is stepping this "
                "stream; give each vehicle a stream of its own, and its frames in order"
            )
        try:
            result = self.last = self.session.step(frame)
        finally:
            self._stepping.release()
        return StreamedDetections(
            **vars(result.detections),
            health=result.health,
            memory=result.memory_slots,
            config=self.session.config,
        )


def load(
    checkpoint: str | Path | None = None,
    device: torch.device | str | None = None,
    engine_cache: str | Path | None = None,
) -> Stream:
    """Loads the network of `checkpoint` as a stream: of a file, or of weights on a hub, named
    `hf://OWNER/NAME@REVISION`; without one, the network that ships. The folder of an exported
    network (`leapai export`) runs without PyTorch.

    `device` None is the GPU where there is one; an exported network takes `cpu`, `cuda` or
    `tensorrt`, and keeps the engines of the last in the folder `engine_cache`: these hold code, so
    let only those write there whom you trust. A network of the static task alone detects nothing:
    its map is in `Stream.map`. Raises ValueError where the checkpoint is missing, is none, or
    holds no configuration, and where the device is not there, and OSError where a hub does not
    answer.

    Examples:
        >>> import leapai
        >>> stream = leapai.load(device="cpu")
        >>> logs = leapai.open_logs("synthetic:frames=2,rate_hz=4", image_size_px=(128, 240))
        >>> for frame in logs[0]:
        ...     detections = stream.step(frame)
        >>> detections.sequence == frame.sequence
        True
    """
    path = shipped_checkpoint() if checkpoint is None else Path(checkpoint)
    if path.is_dir():
        from leapai.runtime.exported_network import ExportedNetwork

        name = None if device is None else str(device)
        cache = None if engine_cache is None else Path(engine_cache)
        exported = ExportedNetwork(path, name, cache)
        return Stream(StreamSession(exported, exported.config))
    if engine_cache is not None:
        raise ValueError(f"{path}: engine_cache is of exported networks alone; leave it out")
    from leapai.checkpoints import load_checkpoint, read_checkpoint
    from leapai.distributed import current_ranks
    from leapai.models.build import build_model

    read = read_checkpoint(path)
    model = build_model(read.config)
    load_checkpoint(read, model)
    return Stream(StreamSession(model, read.config, device or current_ranks().device))
