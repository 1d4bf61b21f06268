"""`leapai export`: a checkpoint to a folder with one graph a step and its manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.export import ExportedProgram

from leapai.checkpoints import Checkpoint, load_checkpoint
from leapai.config.schema import TaskConfig
from leapai.export.graph_export import DYNAMIC, OPSET, exported_program, onnx_of
from leapai.export.step_graph import StepGraph, cameras_by_group, example_inputs
from leapai.export.tensor_meanings import MEANINGS
from leapai.extras import import_extra
from leapai.io import whole_file
from leapai.models.build import build_model
from leapai.runtime.manifest import (
    LAYOUT,
    GraphFacts,
    Manifest,
    TensorFacts,
    digest_of,
    write_manifest,
)
from leapai.types import STATIC_CLASSES
from leapai.version import __version__

Format = Literal["onnx", "pt2"]
RIG = (1, 1, 1, 4)
"""Cameras of each group of the design's rig."""


def export(
    checkpoint: Checkpoint, folder: Path, to: Format = "onnx", cameras: tuple[int, ...] = RIG
) -> Manifest:
    """Writes the step of a checkpoint as a graph for one stream, and its manifest; returns that.

    `cameras`: how many cameras each group of `CAMERA_GROUPS` has; those that a rig lacks are given
    as failed ones. Raises ValueError for a network without a task, and MissingExtraError where the
    extra `export` is not installed.
    """
    if to == "onnx":
        import_extra("onnxscript", "export", "an ONNX graph needs onnx and onnxscript")
    config = checkpoint.config
    if not config.has_task:
        raise ValueError(f"{checkpoint}: {config.job_name} has no task on, and detects nothing")
    model = build_model(config)
    load_checkpoint(checkpoint, model)
    example = example_inputs(model, cameras)
    graph = StepGraph(model, cameras, tuple(example))
    with torch.no_grad():
        outputs = graph.outputs(example)
    program = exported_program(graph, example)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step.{to}"
    with whole_file(path) as temporary:
        _write(program, temporary, to, (list(example), list(outputs)))
    manifest = Manifest(
        layout=LAYOUT,
        version=__version__,
        job_name=config.job_name,
        checkpoint_sha256=checkpoint.sha256,
        graph=GraphFacts(
            file=path.name,
            format=to,
            opset=OPSET if to == "onnx" else None,
            bytes=path.stat().st_size,
            sha256=digest_of(path),
        ),
        inputs=_facts(example, dynamic=True),
        outputs=_facts(outputs),
        cameras=cameras_by_group(cameras),
        classes=config.vocabulary.names,
        map_classes=STATIC_CLASSES if config.static_task else (),
        thresholds=_thresholds(config),
        config=config.model_dump(mode="json"),
    )
    write_manifest(folder, manifest)
    return manifest


def _write(
    program: ExportedProgram, path: Path, to: Format, names: tuple[list[str], list[str]]
) -> None:
    if to == "onnx":
        path.write_bytes(onnx_of(program, *names).SerializeToString())
        return
    with path.open("wb") as file:
        torch.export.save(program, file)


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
