"""Time and memory of each stage of a frame on this machine: `leapai bench`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING

import numpy as np

from leapai.data.log import DrivingLog
from leapai.runs.profiler import AFTER, BEFORE, GRAPH_STAGES, NETWORK, STAGES, StageCost, StageMeter
from leapai.runs.run_inputs import RunInputs
from leapai.runtime.exported_network import ExportedNetwork
from leapai.streaming.session import StreamSession

if TYPE_CHECKING:
    from leapai.models.perception import Perception

READING = "reading"
OTHER = "other parts of the network"


@dataclass(frozen=True)
class StageBenchmark:
    """Costs of some frames, measured after others that warmed up."""

    costs: dict[str, StageCost]
    """Costs by stage, in the order in which a frame passes them."""
    frame_seconds: Sequence[float]
    """Seconds of each frame from its images to its detections, without reading."""
    warm_up: int
    """Number of frames before those that were measured."""
    rate_hz: float
    """Frames a second of the data; 0: there is one frame only."""

    @property
    def frames(self) -> int:
        """Number of frames that were measured."""
        return len(self.frame_seconds)


def measure_stages(inputs: RunInputs, frames: int, warm_up: int) -> StageBenchmark:
    """Streams `warm_up` frames, then measures up to `frames` more. Each graph of an exported
    network is one stage between those of the host.

    Raises ValueError where the data has no frame left to measure.
    """
    model = inputs.model
    session = StreamSession(model, inputs.config, inputs.origin.device)
    meter, seconds = StageMeter(), []
    remaining = _positions(inputs.logs)
    for log, index in islice(remaining, warm_up):
        session.step(log[index])
    with nullcontext() if isinstance(model, ExportedNetwork) else meter.measuring(model):
        for log, index in islice(remaining, frames):
            with meter.stage(READING):
                frame = log[index]
            start = time.perf_counter()
            with _step(meter, model):
                session.step(frame)
            seconds.append(time.perf_counter() - start)
    if not seconds:
        raise ValueError(
            f"data '{inputs.origin.data}' has {sum(map(len, inputs.logs))} frames, and {warm_up} "
            "are for warm-up: name more data, or fewer frames by --warm-up"
        )
    intervals_us = np.diff(inputs.logs[0].timestamps_us)
    rate_hz = 1e6 / float(np.median(intervals_us)) if len(intervals_us) else 0.0
    return StageBenchmark(_ordered(meter.costs), seconds, warm_up, rate_hz)


def _step(meter: StageMeter, model: Perception | ExportedNetwork) -> AbstractContextManager[None]:
    if isinstance(model, ExportedNetwork):
        return meter.step_of_graph(model)
    return meter.step(model)


def _positions(logs: Sequence[DrivingLog]) -> Iterator[tuple[DrivingLog, int]]:
    return chain.from_iterable(((log, index) for index in range(len(log))) for log in logs)


def _ordered(costs: dict[str, StageCost]) -> dict[str, StageCost]:
    """Returns the stages in order; what the network does outside of them becomes one more. A
    network without stages is one itself."""
    stages = (*STAGES.values(), *GRAPH_STAGES.values())
    inner = [costs[name] for name in stages if name in costs]
    network = costs[NETWORK]
    if not inner:
        return {name: costs[name] for name in (READING, BEFORE, NETWORK, AFTER)}
    other = StageCost(
        calls=network.calls,
        seconds=max(0.0, network.seconds - sum(cost.seconds for cost in inner)),
        peak_bytes=network.peak_bytes,
    )
    names = (READING, BEFORE, *stages, OTHER, AFTER)
    return {name: cost for name in names if (cost := {**costs, OTHER: other}.get(name))}


def threads_of(model: Perception | ExportedNetwork, count: int | None) -> int:
    """Returns the number of threads that compute the network. Sets that of PyTorch, where one is
    given."""
    if isinstance(model, ExportedNetwork):
        return model.threads
    import torch  # late: an exported network runs without it

    if count is not None:
        torch.set_num_threads(count)
    return torch.get_num_threads()
