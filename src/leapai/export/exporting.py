"""`leapai export`: a checkpoint to a folder with one graph a step, or its parts, and a manifest."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path

import torch

from leapai.checkpoints import Checkpoint
from leapai.config.checkpoint_names import MANIFEST
from leapai.export.export_folder import (
    TRITON_CONFIG,
    Format,
    claim,
    files_of_export,
    graph_path,
    remove_others,
)
from leapai.export.float16_weights import with_float16_weights
from leapai.export.graph_export import (
    AS_CONFIGURED,
    AS_DESIGNED,
    AskedLengths,
    StepForm,
    length_bounds,
    onnx_of,
)
from leapai.export.int8_weights import write_int8
from leapai.export.step_manifest import graph_facts, manifest_of
from leapai.export.traced_step import TracedGraph, TracedStep, traced
from leapai.export.triton_config import triton_config
from leapai.extras import import_extra
from leapai.io import whole_files
from leapai.runtime.manifest import Manifest, WeightFacts, write_manifest

FLOAT32 = WeightFacts(type="float32")


def export(
    checkpoint: Checkpoint,
    folder: Path,
    to: Format = "onnx",
    form: StepForm = AS_DESIGNED,
    weights: WeightFacts = FLOAT32,
    asked: AskedLengths = AS_CONFIGURED,
) -> Manifest:
    """Writes the step of a checkpoint as graphs for one stream, and their manifest; returns that.

    `form`: the cameras, of which those that a rig lacks are given as failed ones, and whether the
    step is one graph. `weights`: type in which ONNX graphs keep them, and the data source that
    calibrates int8. `asked`: bounds of the free lengths. Raises ValueError for a network without a
    task, for a folder whose files no export wrote, for a program of torch.export with other weights
    than float32, for parts of a step as a model for Triton, and for a source that cannot be read;
    MissingExtraError where an extra is not installed; OSError where the folder cannot be written.
    """
    _check_format(to, weights, is_whole=form.division == "step")
    if to != "pt2":
        import_extra("onnxscript", "export", "an ONNX graph needs onnx and onnxscript")
    if weights.type == "int8":
        import_extra("onnxruntime", "runtime", "int8 weights need onnxruntime")
    _check_task(checkpoint)
    length_bounds(checkpoint.config, sum(form.cameras), asked)
    claim(folder, to)  # first, as tracing takes minutes
    return write(traced(checkpoint, form), folder, to, weights, asked)


def write(
    step: TracedStep,
    folder: Path,
    to: Format,
    weights: WeightFacts = FLOAT32,
    asked: AskedLengths = AS_CONFIGURED,
) -> Manifest:
    """Writes graphs and manifest into a folder, which is made; returns the manifest.

    An earlier export stays as it was until all files are written, and is then replaced at once.
    Raises ValueError for a folder whose files no export wrote, and for a source that cannot be
    read; OSError where the folder cannot be written.
    """
    claim(folder, to)
    paths = [graph_path(folder, to, graph.name) for graph in step.graphs]
    texts = [folder / TRITON_CONFIG] * (to == "triton") + [paths[0].parent / MANIFEST]
    facts = []
    with whole_files([*paths, *texts]) as temporaries:
        with _to_calibrate(step, weights) as in_float32:
            for graph, path, temporary in zip(step.graphs, paths, temporaries, strict=False):
                if in_float32 is None:
                    _write_graph(step, graph, temporary, to, weights)
                    kept = weights
                else:
                    kept = write_int8(in_float32, graph.name, temporary, weights)
                facts.append(graph_facts(graph, path.name, temporary, to, kept))
        manifest = manifest_of(step, facts, asked)
        write_manifest(temporaries[-1], manifest)
        if to == "triton":
            temporaries[-2].write_text(triton_config(manifest), encoding="utf-8")
        before = files_of_export(folder)
    remove_others(before, [*paths, *texts])
    return manifest


@contextmanager
def _to_calibrate(step: TracedStep, weights: WeightFacts) -> Iterator[Path | None]:
    """Yields a folder of the step in float32, for as long as it is needed; None: not for these
    weights."""
    if weights.calibration is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        write(step, Path(folder), "onnx")
        yield Path(folder)


def _write_graph(
    step: TracedStep, graph: TracedGraph, path: Path, to: Format, weights: WeightFacts
) -> None:
    """Writes a graph with weights in float32 or float16."""
    if to == "pt2":
        program = copy(graph.program)
        program.example_inputs = None  # they are larger than the weights
        with path.open("wb") as file:
            torch.export.save(program, file)
        return
    model = onnx_of(graph.program, list(graph.inputs), list(graph.outputs))
    if weights.type == "float16":
        model = with_float16_weights(model, _tables(step))
    path.write_bytes(model.SerializeToString())


def _tables(step: TracedStep) -> set[str]:
    """Returns the names that a graph has for learned tables of features: weights of the network
    with two axes, without its reference points, which are places."""
    return {
        f"model.{name}"
        for name, tensor in step.checkpoint.state_dict.items()
        if tensor.ndim == 2 and not name.endswith("reference")
    }


def _check_format(to: Format, weights: WeightFacts, *, is_whole: bool) -> None:
    if to == "pt2" and weights.type != "float32":
        raise ValueError(
            f"weights in {weights.type} are of the formats onnx and triton; leave them out for pt2"
        )
    if to == "triton" and not is_whole:
        raise ValueError(
            "a model for Triton is one graph, whose memory the server keeps: leave the parts out, "
            "or write them as onnx"
        )


def _check_task(checkpoint: Checkpoint) -> None:
    """Raises ValueError for a network without a task, which has no step to export."""
    config = checkpoint.config
    if not config.has_task:
        raise ValueError(f"{checkpoint}: {config.job_name} has no task on, and detects nothing")
