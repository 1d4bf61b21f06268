"""`leapai export`: a checkpoint to a folder with one graph a step and its manifest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.export import ExportedProgram

from leapai.checkpoints import Checkpoint, load_checkpoint
from leapai.config.schema import TaskConfig
from leapai.export.export_folder import Format, claim, graph_path, remove_graphs
from leapai.export.graph_export import (
    AS_CONFIGURED,
    DYNAMIC,
    OPSET,
    AskedLengths,
    exported_program,
    length_bounds,
    onnx_of,
)
from leapai.export.step_graph import StepGraph, cameras_by_group, example_inputs
from leapai.export.tensor_meanings import MEANINGS
from leapai.extras import import_extra
from leapai.io import sha256_of, whole_file
from leapai.models.build import build_model
from leapai.runtime.manifest import LAYOUT, GraphFacts, Manifest, TensorFacts, write_manifest
from leapai.types import STATIC_CLASSES
from leapai.version import __version__

RIG = (1, 1, 1, 4)
"""Cameras of each group of the design's rig."""


@dataclass(frozen=True)
class TracedStep:
    """The step of a checkpoint as a program, which is then written in any format."""

    checkpoint: Checkpoint
    cameras: tuple[int, ...]
    """How many cameras each of `CAMERA_GROUPS` has."""
    program: ExportedProgram
    inputs: dict[str, Tensor]
    """An example of each input, by name, in the order of the program."""
    outputs: dict[str, Tensor]


def export(
    checkpoint: Checkpoint,
    folder: Path,
    to: Format = "onnx",
    cameras: tuple[int, ...] = RIG,
    asked: AskedLengths = AS_CONFIGURED,
) -> Manifest:
    """Writes the step of a checkpoint as a graph for one stream, and its manifest; returns that.

    `cameras`: how many cameras each group of `CAMERA_GROUPS` has; those that a rig lacks are given
    as failed ones. `asked`: bounds of the free lengths. Raises ValueError for a network without a
    task, and for a folder whose files no
    export wrote; MissingExtraError where the extra `export` is not installed; OSError where the
    folder cannot be written.
    """
    if to == "onnx":
        import_extra("onnxscript", "export", "an ONNX graph needs onnx and onnxscript")
    _check_task(checkpoint)
    length_bounds(checkpoint.config, sum(cameras), asked)
    claim(folder)  # first, as tracing takes minutes
    return write(traced(checkpoint, cameras), folder, to, asked)


def traced(checkpoint: Checkpoint, cameras: tuple[int, ...] = RIG) -> TracedStep:
    """Returns the step of a checkpoint as a program. Raises ValueError as `export` does."""
    _check_task(checkpoint)
    model = build_model(checkpoint.config)
    load_checkpoint(checkpoint, model)
    inputs = example_inputs(model, cameras)
    graph = StepGraph(model, cameras, tuple(inputs))
    with torch.no_grad():
        outputs = graph.outputs(inputs)
    return TracedStep(checkpoint, cameras, exported_program(graph, inputs), inputs, outputs)


def write(
    step: TracedStep, folder: Path, to: Format, asked: AskedLengths = AS_CONFIGURED
) -> Manifest:
    """Writes graph and manifest into a folder, which is made, in place of those of an earlier
    export; returns the manifest. Raises ValueError and OSError as `export` does."""
    config = step.checkpoint.config
    claim(folder)
    path = graph_path(folder, to)
    with whole_file(path) as temporary:
        if to == "onnx":
            made = onnx_of(step.program, list(step.inputs), list(step.outputs))
            temporary.write_bytes(made.SerializeToString())
        else:
            with temporary.open("wb") as file:
                torch.export.save(step.program, file)
    manifest = Manifest(
        layout=LAYOUT,
        version=__version__,
        job_name=config.job_name,
        checkpoint_sha256=step.checkpoint.sha256,
        graph=GraphFacts(
            file=path.name,
            format=to,
            opset=OPSET if to == "onnx" else None,
            bytes=path.stat().st_size,
            sha256=sha256_of(path),
        ),
        inputs=_facts(step.inputs, dynamic=True),
        outputs=_facts(step.outputs),
        lengths=length_bounds(config, sum(step.cameras), asked),
        cameras=cameras_by_group(step.cameras),
        classes=config.vocabulary.names,
        map_classes=STATIC_CLASSES if config.static_task else (),
        thresholds=_thresholds(config),
        config=config.model_dump(mode="json"),
    )
    write_manifest(folder, manifest)
    remove_graphs(folder, but=path)
    return manifest


def _check_task(checkpoint: Checkpoint) -> None:
    config = checkpoint.config
    if not config.has_task:
        raise ValueError(f"{checkpoint}: {config.job_name} has no task on, and detects nothing")


def _facts(tensors: dict[str, Tensor], *, dynamic: bool = False) -> tuple[TensorFacts, ...]:
    return tuple(
        TensorFacts.model_validate(
            {
                "name": name,
                "type": str(tensor.dtype).removeprefix("torch."),
                "shape": (DYNAMIC[name], *tensor.shape[1:])
                if dynamic and name in DYNAMIC
                else tuple(tensor.shape),
                "meaning": MEANINGS[name],
            }
        )
        for name, tensor in tensors.items()
    )


def _thresholds(config: TaskConfig) -> dict[str, float]:
    sections = (("evaluation", config.evaluation), ("tracking", config.tracking))
    return {
        f"{name}.{key}": float(value)
        for name, section in sections
        for key, value in section.model_dump().items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
