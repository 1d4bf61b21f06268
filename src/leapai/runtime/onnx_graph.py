"""An exported graph under ONNX Runtime."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from leapai.extras import import_extra
from leapai.runtime.manifest import Manifest

PROVIDERS = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider"),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
}
"""Execution providers of ONNX Runtime by the name of a device, first the one that is asked for."""
_ERRORS_ONLY = 3
"""Severity from which ONNX Runtime logs: its warnings are of its own optimiser."""


class OnnxGraph:
    """Runs the graph of a folder on as many threads as OMP_NUM_THREADS states.

    Raises ValueError for a device that is not there, and for a graph that is not the one that its
    manifest describes.
    """

    def __init__(self, folder: Path, manifest: Manifest, device: str | None = None) -> None:
        """`device`: a name of `PROVIDERS`; None: a GPU where there is one."""
        graph = folder / manifest.graph.file
        if manifest.graph.format != "onnx":
            raise ValueError(
                f"{graph}: reading a program of torch.export runs what its pickles ask for; open "
                "it by torch.export.load in a program of your own, or export to onnx"
            )
        runtime = import_extra("onnxruntime", "runtime", "an exported graph needs onnxruntime")
        available = runtime.get_available_providers()
        self.device = device or ("cuda" if PROVIDERS["cuda"][0] in available else "cpu")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
        options.log_severity_level = _ERRORS_ONLY
        providers = _providers(self.device, available)
        try:
            self._session = runtime.InferenceSession(graph, options, providers=providers)
        except Exception as error:  # its classes have no common one of their own
            reason = str(error).splitlines()[0]
            raise ValueError(f"{graph} cannot be run: {reason:.300}; export again") from error
        self._inputs = [tensor.name for tensor in manifest.inputs]
        self._outputs = [tensor.name for tensor in manifest.outputs]
        theirs = (self._session.get_inputs(), self._session.get_outputs())
        if [[value.name for value in side] for side in theirs] != [self._inputs, self._outputs]:
            raise ValueError(f"{graph} has other inputs or outputs than its manifest; export again")

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the outputs by name; inputs that the graph does not have are left out."""
        arrays = self._session.run(self._outputs, {name: inputs[name] for name in self._inputs})
        return dict(zip(self._outputs, arrays, strict=True))


def _providers(device: str, available: Sequence[str]) -> list[str]:
    name = device.partition(":")[0]
    if name not in PROVIDERS:
        raise ValueError(f"device {device!r:.40} is none of {', '.join(PROVIDERS)}")
    if PROVIDERS[name][0] not in available:
        raise ValueError(
            f"device {name}: this onnxruntime has no {PROVIDERS[name][0]}, only "
            f"{', '.join(available)}; install onnxruntime-gpu, or take another device"
        )
    return [provider for provider in PROVIDERS[name] if provider in available]
