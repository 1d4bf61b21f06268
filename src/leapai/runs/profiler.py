"""Time and peak memory of each stage of the network, measured from outside by module hooks."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leapai.runtime.manifest import PARTS

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from leapai.runtime.exported_network import ExportedNetwork
    from leapai.runtime.onnx_graph import Graph

STAGES = {
    "stage1_backbone": "backbones",
    "stage1_neck": "necks",
    "view_transfer": "view transfer",
    "lidar_vfe": "LiDAR pillars",
    "lidar_middle_encoder": "LiDAR middle encoder",
    "lidar_bev_backbone": "LiDAR BEV backbone",
    "fuser": "fuser",
    "bev_dynamic_neck": "dynamic neck",
    "bev_dynamic_head": "dynamic head",
    "bev_static_neck": "static neck",
    "bev_static_temporal_fusion": "static memory",
    "bev_static_head": "static head",
}
"""Prefix of a module's name -> the stage it counts for."""
GRAPH_STAGES: dict[str, str] = {name: f"{name} graph" for name in PARTS}
"""Graph of an exported network -> its stage, where the network is several."""
BEFORE, NETWORK, AFTER = "preparing the frame", "network", "decoding and tracking"
"""Stages of one step of a session: before, in and after the network."""
WHOLE_STEP = "whole step"
"""Stage around the network, decoding and tracking of one frame; those of `STAGES` lie inside."""
_STATUS, _CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass
class StageCost:
    """Time and memory that one stage took over a run."""

    calls: int = 0
    seconds: float = 0.0
    peak_bytes: int = 0
    """Highest memory of the process (CPU) or of the device (GPU) while the stage ran."""
    added_bytes: int = 0
    """Highest amount by which that peak exceeded what was in use when the stage began. On a CPU,
    what the allocator had kept of memory freed before is in use, so reusing it adds nothing."""


def merged_costs(costs: Iterable[dict[str, StageCost]]) -> dict[str, StageCost]:
    """Returns the costs of several processes together: sums of calls and seconds, and the memory of
    the process that took most."""
    merged: dict[str, StageCost] = {}
    for of_process in costs:
        for name, cost in of_process.items():
            total = merged.setdefault(name, StageCost())
            total.calls += cost.calls
            total.seconds += cost.seconds
            total.peak_bytes = max(total.peak_bytes, cost.peak_bytes)
            total.added_bytes = max(total.added_bytes, cost.added_bytes)
    return merged


class StageMeter:
    """Measures the stages of a network while `measuring(model)` is open; stages may nest.

    On a CPU the peak is the resident set of the process as Linux counts it; elsewhere it stays 0.
    """

    def __init__(self) -> None:
        self.costs: dict[str, StageCost] = defaultdict(StageCost)
        self._open: list[_Probe] = []

    @contextmanager
    def measuring(self, model: nn.Module) -> Iterator[StageMeter]:
        """Hooks every stage of `model` for the time of the context."""
        hooks = []
        for name, module in model.named_children():
            stage = next((s for prefix, s in STAGES.items() if name.startswith(prefix)), None)
            if stage is not None:
                hooks.append(module.register_forward_pre_hook(partial(self._begin, stage)))
                hooks.append(module.register_forward_hook(self._end))
        try:
            yield self
        finally:
            for hook in hooks:
                hook.remove()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measures a block of code as a stage of its own, inside those that are open."""
        self._begin(name)
        try:
            yield
        finally:
            self._end()

    @contextmanager
    def step(self, model: nn.Module) -> Iterator[None]:
        """Measures a block that runs `model` once as three stages: `BEFORE`, `NETWORK`, `AFTER`."""
        hooks = (
            model.register_forward_pre_hook(lambda *_: self._change_to(NETWORK)),
            model.register_forward_hook(lambda *_: self._change_to(AFTER)),
        )
        self._begin(BEFORE)
        try:
            yield
        finally:
            self._end()
            for hook in hooks:
                hook.remove()

    @contextmanager
    def step_of_graph(self, network: ExportedNetwork) -> Iterator[None]:
        """Measures a block that runs an exported network once, as the three stages of `step`; the
        graphs of a network that has several are stages of their own in it."""
        graph, graphs = network.graph, dict(network.graphs)

        def measured(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            self._change_to(NETWORK)
            outputs = graph(inputs)
            self._change_to(AFTER)
            return outputs

        network.graph = measured
        network.graphs |= {n: self._of_graph(n, g) for n, g in graphs.items() if n in GRAPH_STAGES}
        self._begin(BEFORE)
        try:
            yield
        finally:
            self._end()
            network.graph = graph
            network.graphs |= graphs

    def _of_graph(self, name: str, graph: Graph) -> Graph:
        def measured(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            with self.stage(GRAPH_STAGES[name]):
                return graph(inputs)

        return measured

    def _change_to(self, stage: str) -> None:
        self._end()
        self._begin(stage)

    def _begin(self, stage: str, *_: Any) -> None:
        _synchronise()
        self._fold_peak()
        base = _reset_peak()
        self._open.append(_Probe(stage, time.perf_counter(), base, base))

    def _end(self, *_: Any) -> None:
        _synchronise()
        self._fold_peak()
        probe = self._open.pop()
        cost = self.costs[probe.stage]
        cost.calls += 1
        cost.seconds += time.perf_counter() - probe.start_s
        cost.peak_bytes = max(cost.peak_bytes, probe.peak_bytes)
        cost.added_bytes = max(cost.added_bytes, probe.peak_bytes - probe.base_bytes)

    def _fold_peak(self) -> None:
        """Notes the peak so far in every open stage, before an inner stage resets it."""
        if self._open:
            peak = _peak()
            for probe in self._open:
                probe.peak_bytes = max(probe.peak_bytes, peak)


@dataclass
class _Probe:
    """A stage that is running: its start, and its memory so far."""

    stage: str
    start_s: float
    base_bytes: int
    peak_bytes: int


def _cuda() -> Any:
    """Returns `torch.cuda` where it has a GPU, else None. Nothing is imported: without PyTorch
    nothing runs on its GPU."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch and torch.cuda.is_available() else None


def _synchronise() -> None:
    cuda = _cuda()
    if cuda:
        cuda.synchronize()


def _reset_peak() -> int:
    """Starts a new peak; returns the bytes in use now."""
    cuda = _cuda()
    if cuda:
        cuda.reset_peak_memory_stats()
        return int(cuda.memory_allocated())
    try:
        _CLEAR_REFS.write_text("5")  # proc(5): resets VmHWM to the present resident set
    except OSError:
        return 0
    return _status_bytes("VmRSS")


def _peak() -> int:
    cuda = _cuda()
    if cuda:
        return int(cuda.max_memory_allocated())
    return _status_bytes("VmHWM")


def _status_bytes(field: str) -> int:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(field)), 0)
