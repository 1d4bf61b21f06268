"""An exported network without a trace, each of whose outputs depends on every input: a host that
carries anything in another way gets other outputs."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from leapai.config.schema import TaskConfig
from tests.runtime.exported import with_graph, write_export

OF_TRACKER = "track_id"
"""The input that no output of a network depends on, but the one of its name."""
_PERIOD = 997
"""Whole numbers are taken modulo this one, as times have more digits than float32."""
_LENGTHS_M = slice(3, 6)
"""Columns of `boxes` with length, width and height."""


def write_mixing_export(folder: Path, config: TaskConfig) -> Path:
    """Writes the export of a network whose graph mixes all inputs; returns its folder."""
    zeros = onnx.load(write_export(folder, config) / "step.onnx")
    (folder / "mixing").mkdir()
    return with_graph(folder / "exported", folder / "mixing", mixing(zeros).SerializeToString())


def mixing(model: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a graph with the inputs and outputs of another one: each output is the sine of
    constants and of weighted means of all inputs."""
    random = np.random.default_rng(0)
    read = [value for value in model.graph.input if value.name != OF_TRACKER]
    means = [f"mean {value.name}" for value in read]
    nodes = [node for value, mean in zip(read, means, strict=True) for node in mean_of(value, mean)]
    nodes.append(helper.make_node("Concat", means, ["means"], axis=0))
    constants = {
        "period": np.array([_PERIOD]),
        "axis": np.array([0]),
        "zero": np.zeros(1, np.float32),
        "several": np.full(1, 6, np.float32),
    }
    for value in model.graph.output:
        nodes += output_of(value)
        constants |= constants_of(value, len(means), random)
    stored = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "step", model.graph.input, model.graph.output, stored)
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=9)


def mean_of(value: onnx.ValueInfoProto, name: str) -> list[onnx.NodeProto]:
    """Returns the nodes that make the sine of the mean [1] of an input."""
    given, nodes = value.name, []
    if value.type.tensor_type.elem_type == TensorProto.INT64:
        given = f"modulo {name}"
        nodes.append(helper.make_node("Mod", [value.name, "period"], [given]))
    return [
        *nodes,
        helper.make_node("Cast", [given], [f"float {name}"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", [f"float {name}"], [f"all {name}"], keepdims=0),
        helper.make_node("Sin", [f"all {name}"], [f"scalar {name}"]),
        helper.make_node("Unsqueeze", [f"scalar {name}", "axis"], [name]),
    ]


def constants_of(
    value: onnx.ValueInfoProto, inputs: int, random: np.random.Generator
) -> dict[str, np.ndarray]:
    """Returns the constants of an output by name. Phases of what goes into the next frame are near
    each other, so that their mean is far from zero."""
    shape = [length.dim_value for length in value.type.tensor_type.shape.dim]
    widest = 1.5 if value.name.startswith("next_") else 2 * math.pi
    scale, offset = np.ones(shape[-1:]), np.zeros(shape[-1:])
    if value.name == "boxes":
        scale[:3], offset[:3] = 0.5, 0.5
        scale[_LENGTHS_M], offset[_LENGTHS_M] = 30, 40  # many overlap
    arrays = {
        "weights": random.uniform(0.5, 1, inputs),
        "phase": random.uniform(0, widest, shape),
        "scale": scale,
        "offset": offset,
    }
    return {f"{name} {value.name}": array.astype(np.float32) for name, array in arrays.items()}


def output_of(value: onnx.ValueInfoProto) -> list[onnx.NodeProto]:
    """Returns the nodes that make an output of the means of all inputs."""
    name, kind = value.name, value.type.tensor_type.elem_type
    wave, last = f"wave {name}", f"shifted {name}"
    nodes = [
        helper.make_node("MatMul", ["means", f"weights {name}"], [f"mix {name}"]),
        helper.make_node("Add", [f"mix {name}", f"phase {name}"], [f"angle {name}"]),
        helper.make_node("Sin", [f"angle {name}"], [wave]),
        helper.make_node("Mul", [wave, f"scale {name}"], [f"scaled {name}"]),
        helper.make_node("Add", [f"scaled {name}", f"offset {name}"], [last]),
    ]
    if kind == TensorProto.BOOL:
        return [*nodes, helper.make_node("Greater", [last, "zero"], [name])]
    if kind == TensorProto.INT64:
        nodes += [
            helper.make_node("Mul", [last, "several"], [f"large {name}"]),
            helper.make_node("Abs", [f"large {name}"], [f"positive {name}"]),
        ]
        last = f"positive {name}"
    return [*nodes, helper.make_node("Cast", [last], [name], to=kind)]
