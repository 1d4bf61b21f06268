"""What runs an exported graph: ONNX Runtime, or PyTorch where the graph is a program of
torch.export."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from leapai.extras import import_extra
from leapai.runtime.manifest import Manifest

PROVIDERS = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider"),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
}
"""Execution providers of ONNX Runtime by the name of a device, first the one that is asked for."""


class GraphRunner(Protocol):
    """Runs a graph on arrays."""

    device: str

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the outputs by name; inputs that the graph does not have are left out."""
        ...


def runner_of(folder: Path, manifest: Manifest, device: str | None) -> GraphRunner:
    """Returns what runs the graph of a folder on a device; None: a GPU where its format can use
    one. Raises ValueError for a device that is not there."""
    graph = folder / manifest.graph.file
    if manifest.graph.format == "onnx":
        return OnnxRunner(graph, device)
    outputs = [tensor.name for tensor in manifest.outputs]
    return ProgramRunner(graph, [tensor.name for tensor in manifest.inputs], outputs, device)


class OnnxRunner:
    """Runs a graph with ONNX Runtime, on as many threads as OMP_NUM_THREADS states."""

    def __init__(self, graph: Path, device: str | None = None) -> None:
        runtime = import_extra("onnxruntime", "runtime", "an exported graph needs onnxruntime")
        self.device = device or _best_device(runtime.get_available_providers())
        options = runtime.SessionOptions()
        options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
        providers = _providers(self.device, runtime.get_available_providers())
        self.session = runtime.InferenceSession(graph, options, providers=list(providers))
        self.inputs = [value.name for value in self.session.get_inputs()]
        self.outputs = [value.name for value in self.session.get_outputs()]

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the outputs by name."""
        arrays = self.session.run(self.outputs, {name: inputs[name] for name in self.inputs})
        return dict(zip(self.outputs, arrays, strict=True))


class ProgramRunner:
    """Runs a program of torch.export with PyTorch, on the CPU, for which it was traced."""

    def __init__(
        self, graph: Path, inputs: Sequence[str], outputs: Sequence[str], device: str | None = None
    ) -> None:
        if device not in (None, "cpu"):
            raise ValueError(f"{graph} runs on the CPU only, not on {device}: export to onnx")
        torch: Any = import_extra("torch", "export", "a graph of the format pt2 needs PyTorch")
        self.device, self.inputs, self.outputs = "cpu", inputs, outputs
        self._torch, self._module = torch, torch.export.load(graph).module()

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the outputs by name."""
        tensors = [self._torch.from_numpy(inputs[name]) for name in self.inputs]
        with self._torch.no_grad():
            outputs = self._module(tensors)
        return {n: tensor.numpy() for n, tensor in zip(self.outputs, outputs, strict=True)}


def _best_device(available: Sequence[str]) -> str:
    return "cuda" if PROVIDERS["cuda"][0] in available else "cpu"


def _providers(device: str, available: Sequence[str]) -> tuple[str, ...]:
    name = device.partition(":")[0]
    if name not in PROVIDERS:
        raise ValueError(f"device {device!r:.40} is none of {', '.join(PROVIDERS)}")
    if PROVIDERS[name][0] not in available:
        raise ValueError(
            f"device {name}: this onnxruntime has no {PROVIDERS[name][0]}, only "
            f"{', '.join(available)}; install onnxruntime-gpu, or take another device"
        )
    return tuple(provider for provider in PROVIDERS[name] if provider in available)
