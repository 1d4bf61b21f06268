"""`leapai export`: a checkpoint to a folder with one graph a step and its manifest."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.export import ExportedProgram

from leapai.checkpoints import Checkpoint, load_checkpoint
from leapai.export.export_folder import TRITON_CONFIG, Format, claim, graph_path, remove_others
from leapai.export.float16_weights import with_float16_weights
from leapai.export.graph_export import (
    AS_CONFIGURED,
    AskedLengths,
    exported_program,
    length_bounds,
    onnx_of,
)
from leapai.export.int8_weights import write_int8
from leapai.export.step_graph import StepGraph, example_inputs
from leapai.export.step_manifest import manifest_of
from leapai.export.triton_config import triton_config
from leapai.extras import import_extra
from leapai.io import whole_file, write_text
from leapai.models.build import build_model
from leapai.runtime.manifest import Manifest, WeightFacts, write_manifest

RIG = (1, 1, 1, 4)
"""Cameras of each group of the design's rig."""
FLOAT32 = WeightFacts(type="float32")


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
    weights: WeightFacts = FLOAT32,
    asked: AskedLengths = AS_CONFIGURED,
) -> Manifest:
    """Writes the step of a checkpoint as a graph for one stream, and its manifest; returns that.

    `cameras`: how many cameras each group of `CAMERA_GROUPS` has; those that a rig lacks are given
    as failed ones. `weights`: type in which an ONNX graph keeps them, and the data source that
    calibrates int8. `asked`: bounds of the free lengths. Raises ValueError for a network without a
    task, for a folder whose files no export wrote, for a program of torch.export with other weights
    than float32, and for a source that cannot be read; MissingExtraError where an extra is not
    installed; OSError where the folder cannot be written.
    """
    _check_weights(to, weights)
    if to != "pt2":
        import_extra("onnxscript", "export", "an ONNX graph needs onnx and onnxscript")
    if weights.type == "int8":
        import_extra("onnxruntime", "runtime", "int8 weights need onnxruntime")
    _check_task(checkpoint)
    length_bounds(checkpoint.config, sum(cameras), asked)
    claim(folder, to)  # first, as tracing takes minutes
    return write(traced(checkpoint, cameras), folder, to, weights, asked)


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
    step: TracedStep,
    folder: Path,
    to: Format,
    weights: WeightFacts = FLOAT32,
    asked: AskedLengths = AS_CONFIGURED,
) -> Manifest:
    """Writes graph and manifest into a folder, which is made, in place of those of an earlier
    export; returns the manifest. Raises ValueError and OSError as `export` does."""
    _check_weights(to, weights)
    claim(folder, to)
    path = graph_path(folder, to)
    with whole_file(path) as temporary:
        weights = _write_graph(step, temporary, to, weights)
    manifest = manifest_of(step, path, to, weights, asked)
    write_manifest(path.parent, manifest)
    if to == "triton":
        write_text(folder / TRITON_CONFIG, triton_config(manifest))
    remove_others(folder, to)
    return manifest


def _write_graph(step: TracedStep, path: Path, to: Format, weights: WeightFacts) -> WeightFacts:
    """Writes the graph; returns how it keeps its weights."""
    if to == "pt2":
        with path.open("wb") as file:
            torch.export.save(step.program, file)
        return weights
    if weights.calibration is not None:  # int8
        with tempfile.TemporaryDirectory() as folder:  # of the step that is calibrated
            write(step, Path(folder), "onnx")
            return write_int8(Path(folder), path, weights.calibration)
    model = onnx_of(step.program, list(step.inputs), list(step.outputs))
    if weights.type == "float16":
        model = with_float16_weights(model, _tables(step))
    path.write_bytes(model.SerializeToString())
    return weights


def _tables(step: TracedStep) -> set[str]:
    """Returns the names that a graph has for learned tables of features: weights of the network
    with two axes, without its reference points, which are places."""
    return {
        f"model.{name}"
        for name, tensor in step.checkpoint.state_dict.items()
        if tensor.ndim == 2 and not name.endswith("reference")
    }


def _check_weights(to: Format, weights: WeightFacts) -> None:
    if to == "pt2" and weights.type != "float32":
        raise ValueError(
            f"weights in {weights.type} are of the formats onnx and triton; leave them out for pt2"
        )


def _check_task(checkpoint: Checkpoint) -> None:
    config = checkpoint.config
    if not config.has_task:
        raise ValueError(f"{checkpoint}: {config.job_name} has no task on, and detects nothing")
