"""Exported graphs under ONNX Runtime: one, or those of a folder one after another."""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from leapai.extras import import_extra
from leapai.runtime.manifest import GraphFacts, GraphName, Manifest, TensorFacts
from leapai.runtime.tensorrt_options import tensorrt_options

TENSORRT = "TensorrtExecutionProvider"
PROVIDERS = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider"),
    "tensorrt": (TENSORRT, "CUDAExecutionProvider", "CPUExecutionProvider"),
}
"""Execution providers of ONNX Runtime by the name of a device, first the one that is asked for."""
_ERRORS_ONLY = 3
"""Severity from which ONNX Runtime logs: its warnings are of its own optimiser."""
_EXTERNAL = re.compile(rb"(?:\x08|\x88\x80*\x00)location")
"""The string `location` as a graph holds it, length first, in any of the length's encodings: the
key under which a tensor names the file of its values."""


Graph = Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]
"""Inputs by name -> outputs by name."""


class GraphChain:
    """Runs the graphs of a folder in the order of their manifest: each takes its inputs from those
    of the step and from the outputs of the graphs before it."""

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        device: str | None = None,
        engine_cache: Path | None = None,
    ) -> None:
        """Arguments and errors are those of `OnnxGraph`."""
        opened = [OnnxGraph(folder, manifest, g, device, engine_cache) for g in manifest.graphs]
        self.device, self.threads = opened[0].device, opened[0].threads
        self.graphs: dict[GraphName, Graph] = {g.facts.name: g for g in opened}
        """A measurement may put itself around each."""
        self._inputs = {facts.name: facts.inputs for facts in manifest.graphs}
        self._outputs = [tensor.name for tensor in manifest.outputs]

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the outputs of the step by name."""
        known = dict(inputs)
        for name, graph in self.graphs.items():
            known |= graph({each: known[each] for each in self._inputs[name]})
        return {name: known[name] for name in self._outputs}


class OnnxGraph:
    """Runs one graph of a folder on as many threads as OMP_NUM_THREADS states first.

    Raises ValueError for a device that is not there, and for a graph that is not the one that its
    manifest describes, or that reads other files.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        facts: GraphFacts,
        device: str | None = None,
        engine_cache: Path | None = None,
    ) -> None:
        """`facts`: of `manifest.graphs`. `device`: a name of `PROVIDERS`, of a GPU also with its
        number (`cuda:1`); None: a GPU where one works, else the CPU. `engine_cache`: folder in
        which TensorRT keeps its engines."""
        self.facts, graph = facts, folder / facts.file
        if facts.format != "onnx":
            raise ValueError(
                f"{graph}: reading a program of torch.export runs what its pickles ask for; open "
                "it by torch.export.load in a program of your own, or export to onnx"
            )
        _check_complete(graph)
        runtime = import_extra("onnxruntime", "runtime", "an exported graph needs onnxruntime")
        if engine_cache is not None and (device or "").partition(":")[0] != "tensorrt":
            raise ValueError(
                f"engine_cache {engine_cache} is of the device tensorrt alone; name that device, "
                "or leave it out"
            )
        self.device, self._session = _opened(runtime, folder, manifest, facts, device, engine_cache)
        self.threads = _threads() or os.cpu_count() or 1  # by itself it takes all cores
        tensors = manifest.tensors
        sides = (
            (self._session.get_inputs(), facts.inputs),
            (self._session.get_outputs(), facts.outputs),
        )
        for values, names in sides:
            if tuple(value.name for value in values) != names:
                raise ValueError(
                    f"{graph} has other inputs or outputs than its manifest; export again"
                )
            for value in values:
                _check_tensor(graph, tensors[value.name], value)

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the outputs by name."""
        arrays = self._session.run(list(self.facts.outputs), dict(inputs))
        return dict(zip(self.facts.outputs, arrays, strict=True))


def _opened(
    runtime: Any,
    folder: Path,
    manifest: Manifest,
    facts: GraphFacts,
    device: str | None,
    engine_cache: Path | None,
) -> tuple[str, Any]:
    """Returns the device on which a graph of a folder runs, and its session there."""
    graph = folder / facts.file
    available = runtime.get_available_providers()
    wanted = device or ("cuda" if PROVIDERS["cuda"][0] in available else "cpu")
    providers = _providers(wanted, available)
    if providers[0][0] == TENSORRT:
        of_tensorrt = tensorrt_options(manifest, facts, engine_cache)
        providers[0] = (TENSORRT, providers[0][1] | of_tensorrt)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = _threads()
    options.log_severity_level = _ERRORS_ONLY
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        session = runtime.InferenceSession(graph, options, providers=providers)
    except Exception as error:  # its classes have no common one of their own
        reason = str(error).splitlines()[0]
        raise ValueError(f"{graph} cannot be run: {reason:.300}; export again") from error
    started, asked = session.get_providers()[0], providers[0][0]
    if started == asked:
        return wanted, session
    if device is not None:  # ONNX Runtime goes on without a provider that does not start
        raise ValueError(
            f"device {device}: {asked} does not start here, only {started}; install the driver and "
            "the libraries that this onnxruntime needs, or take another device"
        )
    return "cpu", session


def _providers(device: str, available: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """Returns the providers of a device, each with its options."""
    name, colon, index = device.partition(":")
    if name not in PROVIDERS:
        raise ValueError(f"device {device!r:.40} is none of {', '.join(PROVIDERS)}")
    if colon and (name == "cpu" or not re.fullmatch("[0-9]{1,3}", index)):
        raise ValueError(f"device {device!r:.40}: only a GPU has a number, such as cuda:1")
    if PROVIDERS[name][0] not in available:
        raise ValueError(
            f"device {name}: this onnxruntime has no {PROVIDERS[name][0]}, only "
            f"{', '.join(available)}; install onnxruntime-gpu, or take another device"
        )
    chosen = {"device_id": index} if colon else {}
    cpu = PROVIDERS["cpu"][0]
    return [(p, {} if p == cpu else chosen) for p in PROVIDERS[name] if p in available]


def _threads() -> int:
    """Returns the number of threads for one operator; 0: ONNX Runtime chooses."""
    stated = os.environ.get("OMP_NUM_THREADS", "")
    first = stated.partition(",")[0].strip()  # the others are of nested loops
    if first and not re.fullmatch("[0-9]{1,4}", first):
        raise ValueError(
            f"OMP_NUM_THREADS={stated!r:.40} must be a whole number; set it, or unset it"
        )
    return int(first or 0)


def _check_complete(graph: Path) -> None:
    """Raises ValueError where tensors of a graph lie in other files: its digest is not theirs."""
    with graph.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if _EXTERNAL.search(content):
            raise ValueError(
                f"{graph} keeps tensors in other files, which its manifest does not vouch for; "
                "export again"
            )


def _check_tensor(graph: Path, fact: TensorFacts, value: Any) -> None:
    """Raises ValueError where a tensor of a graph has another type or shape than the manifest
    states."""
    kind = f"tensor({'float' if fact.type == 'float32' else fact.type})"
    lengths = tuple(n if isinstance(n, int) else "any" for n in value.shape)
    if value.type != kind or lengths != tuple(
        n if isinstance(n, int) else "any" for n in fact.shape
    ):
        raise ValueError(
            f"{graph}: {fact.name} is {value.type} of the shape {list(value.shape)}, and the "
            f"manifest states {fact.type} of {list(fact.shape)}; export again"
        )
