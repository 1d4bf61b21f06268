"""Exported folders without a trace, which takes long: a graph with the tensors of a network's step
that gives zeros."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import onnx
import torch
from onnx import TensorProto, helper

from leapai.checkpoints import read_checkpoint, save_checkpoint
from leapai.config.schema import TaskConfig
from leapai.export import exporting
from leapai.export.export_folder import Format
from leapai.export.graph_export import AS_CONFIGURED, DYNAMIC, AskedLengths
from leapai.export.step_graph import StepGraph, example_inputs
from leapai.export.step_parts import Division, graph_names, part_of
from leapai.export.traced_step import TracedGraph, TracedStep
from leapai.models.perception import Perception
from leapai.runtime.manifest import GraphName
from tests.scenes import seeded_model

CAMERAS = (1, 1, 1, 4)
WITHOUT_PYTORCH = """
import sys

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "timm", "torchvision"):
            raise ImportError(f"{name} must not be imported")

sys.meta_path.insert(0, Refusing())
"""
"""The beginning of a program that must not import PyTorch."""


def write_export(
    folder: Path,
    config: TaskConfig,
    to: Format = "onnx",
    asked: AskedLengths = AS_CONFIGURED,
    division: Division = "step",
) -> Path:
    """Writes the export of a network with random weights; returns its folder."""
    network = seeded_model(config)
    save_checkpoint(folder / "model.ckpt", network, config)
    checkpoint = read_checkpoint(folder / "model.ckpt")
    graphs = [_traced(part_of(network, name), name) for name in graph_names(config, division)]
    step = TracedStep(checkpoint, CAMERAS, tuple(graphs))
    made = [zeros_graph(graph.inputs, graph.outputs) for graph in graphs]
    with mock.patch.object(exporting, "onnx_of", side_effect=made):
        exporting.write(step, folder / "exported", to, asked=asked)
    return folder / "exported"


def _traced(part: Perception, name: GraphName) -> TracedGraph:
    inputs = example_inputs(part, CAMERAS)
    with torch.no_grad():
        outputs = StepGraph(part, CAMERAS, tuple(inputs)).outputs(inputs)
    return TracedGraph(name, None, inputs, outputs)


def zeros_graph(
    inputs: dict[str, torch.Tensor], outputs: dict[str, torch.Tensor]
) -> onnx.ModelProto:
    """Returns a graph that takes `inputs` and gives zeros of the shapes of `outputs`."""
    given = [_value(name, tensor, DYNAMIC.get(name)) for name, tensor in inputs.items()]
    nodes, shapes = [], []
    for name, tensor in outputs.items():
        zero = helper.make_tensor("zero", _kind(tensor), [1], [0])
        shapes.append(
            helper.make_tensor(f"{name}_shape", TensorProto.INT64, [tensor.ndim], tensor.shape)
        )
        nodes.append(helper.make_node("ConstantOfShape", [f"{name}_shape"], [name], value=zero))
    found = [_value(name, tensor) for name, tensor in outputs.items()]
    graph = helper.make_graph(nodes, "step", given, found, shapes)
    opset = helper.make_opsetid("", 18)
    return helper.make_model(graph, opset_imports=[opset], ir_version=9)


def edited(exported: Path, folder: Path, change: Callable[[dict], object]) -> Path:
    """Copies an export, with `change` called on the content of its manifest."""
    content = json.loads((exported / "manifest.json").read_text())
    change(content)
    (folder / "manifest.json").write_text(json.dumps(content))
    for graph in exported.glob("*.onnx"):
        (folder / graph.name).write_bytes(graph.read_bytes())
    return folder


def with_graph(exported: Path, folder: Path, graph: bytes) -> Path:
    """Copies an export, with another graph that its manifest vouches for."""

    def vouch(content: dict) -> None:
        content["graphs"][0] |= {"sha256": hashlib.sha256(graph).hexdigest(), "bytes": len(graph)}

    edited(exported, folder, vouch)
    (folder / "step.onnx").write_bytes(graph)
    return folder


def _kind(tensor: torch.Tensor) -> int:
    return helper.np_dtype_to_tensor_dtype(tensor.numpy().dtype)


def _value(name: str, tensor: torch.Tensor, letter: str | None = None) -> onnx.ValueInfoProto:
    shape = [letter, *tensor.shape[1:]] if letter else list(tensor.shape)
    return helper.make_tensor_value_info(name, _kind(tensor), shape)
