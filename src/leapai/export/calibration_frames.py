"""Inputs of exported graphs from real frames, by which the ranges of their values are measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from leapai.data.log import DrivingLog, UnlabelledLog, open_logs
from leapai.data.transforms import read_frame
from leapai.runtime.exported_network import ExportedNetwork
from leapai.runtime.manifest import GraphName
from leapai.runtime.onnx_graph import Graph
from leapai.streaming.session import StreamSession

MOST_FRAMES = 64
"""Frames that calibrate: ranges hardly grow after the first dozens, and each takes two steps."""
_MOST_LOGS = 8


class CalibrationFrames:
    """The inputs of a graph on the frames of a data source, one after another, as a stream makes
    them: its memory comes from the frames before. ONNX Runtime reads it as a
    `CalibrationDataReader`.

    Up to 64 frames: an equal share from the beginning of up to 8 drives, which are spread over the
    source.
    """

    def __init__(self, folder: Path, source: str, name: GraphName = "step") -> None:
        """`folder`: of the step as exported in float32. `name`: of the graph. Raises ValueError as
        `open_logs` does."""
        self._network = ExportedNetwork(folder, "cpu")
        self._recorded = _Recorded(self._network.graphs[name])
        self._network.graphs[name] = self._recorded
        config = self._network.config
        logs = open_logs(source, image_size_px=config.camera.image_size_px, vocabulary=None)
        self.source, self.frames = source, 0
        """Its name, and how many frames were read so far."""
        self._inputs = self._streamed(spread(logs))

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Returns the inputs of the next frame; None: there is none. Raises ValueError for a frame
        that cannot be read, for a first frame that is refused, and where there was none at all."""
        inputs = next(self._inputs, None)
        if inputs is None and not self.frames:
            raise ValueError(f"{self.source}: has no frame to calibrate with; name other data")
        return inputs

    def _streamed(self, logs: Sequence[DrivingLog]) -> Iterator[dict[str, np.ndarray]]:
        share = MOST_FRAMES // max(len(logs), 1)
        for log in map(UnlabelledLog, logs):
            session = StreamSession(self._network, self._network.config)
            for index in range(min(len(log), share)):
                if session.try_step(read_frame(log, index)) is None:
                    continue
                self.frames += 1
                yield self._recorded.last_inputs


class _Recorded:
    """A graph that keeps the inputs of its last frame."""

    last_inputs: dict[str, np.ndarray]

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Keeps the inputs, and returns the outputs."""
        self.last_inputs = dict(inputs)
        return self._graph(inputs)


def spread(logs: Sequence[DrivingLog]) -> list[DrivingLog]:
    """Returns up to 8 logs at even distances, the first among them."""
    count = min(len(logs), _MOST_LOGS)
    return [logs[number * len(logs) // count] for number in range(count)]
