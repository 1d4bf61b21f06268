"""Step graphs to programs of torch.export, and those to ONNX: the form of a step, and the bounds of
its free lengths."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from leapai.config.schema import TaskConfig
from leapai.export.step_graph import StepGraph
from leapai.export.step_parts import Division
from leapai.runtime.manifest import MOST_LENGTH, FreeLength, LengthBounds
from leapai.types import BevGrid

OPSET = 18
"""Version of the ONNX operators: the oldest with sums in scatters, which most runtimes have."""
RIG = (1, 1, 1, 4)
"""Cameras of each group of the design's rig."""
_OF_POINTS = ("points", "point_pillar")
_OF_PAIRS = ("pair_map", "pair_cell", "anchor", "anchor_seen", "depth_m")
DYNAMIC = dict.fromkeys(_OF_POINTS, "P") | dict.fromkeys(_OF_PAIRS, "M")
"""Inputs whose first axis has any length, by the letter of that length."""
_POINTS_OF_PILLAR = 4
"""Points of a pillar in an ordinary sweep."""


@dataclass(frozen=True)
class StepForm:
    """The part of a step's form that a trace fixes: the rig, and how many graphs it is."""

    cameras: tuple[int, ...] = RIG
    """How many cameras each of `CAMERA_GROUPS` has."""
    division: Division = "step"


AS_DESIGNED = StepForm()


@dataclass(frozen=True)
class AskedLengths:
    """The usual and the largest value of each free length; None: by the configuration."""

    points: tuple[int, int] | None = None
    pairs: tuple[int, int] | None = None


AS_CONFIGURED = AskedLengths()


def length_bounds(
    config: TaskConfig, cameras: int, asked: AskedLengths
) -> dict[FreeLength, LengthBounds]:
    """Returns the bounds of the free lengths of a graph with so many cameras: by default of as many
    points as the pillars take, and of all cells in all cameras, of which each cell is usually seen
    by one. Raises ValueError for points where the network reads none."""
    bev, lidar = config.bev, config.lidar
    cells = bev.grid().rows * bev.grid().columns
    bounds: dict[FreeLength, LengthBounds] = {"M": _bounds(asked.pairs, cells, cells * cameras)}
    if config.enable_lidar:
        grid = BevGrid(bev.x_range_m, bev.y_range_m, cell_m=lidar.pillar_m)
        pillars = min(lidar.max_pillars, grid.rows * grid.columns)
        usual = pillars * min(_POINTS_OF_PILLAR, lidar.max_points_per_pillar)
        most = pillars * lidar.max_points_per_pillar
        bounds["P"] = _bounds(asked.points, usual, most)
    elif asked.points is not None:
        raise ValueError(f"{config.job_name} reads no points: leave --points out")
    return bounds


def _bounds(asked: tuple[int, int] | None, usual: int, most: int) -> LengthBounds:
    if asked is not None:
        usual, most = asked
    most = max(min(most, MOST_LENGTH), 2)
    return LengthBounds(least=2, usual=max(min(usual, most), 2), most=most)


def exported_program(graph: StepGraph, example: dict[str, Tensor]) -> ExportedProgram:
    """Returns the program of a step."""
    lengths = {letter: Dim(letter, min=2, max=MOST_LENGTH) for letter in DYNAMIC.values()}
    shapes = [{0: lengths[DYNAMIC[name]]} if name in DYNAMIC else None for name in example]
    with quiet(), torch.no_grad():
        return torch.export.export(
            graph.requires_grad_(False), (list(example.values()),), dynamic_shapes=(shapes,)
        )


def onnx_of(program: ExportedProgram, inputs: list[str], outputs: list[str]) -> Any:
    """Returns the ONNX model of a program, with `OPSET` and these names."""
    with quiet():
        made = torch.onnx.export(
            program,
            dynamo=True,
            input_names=inputs,
            output_names=outputs,
            opset_version=OPSET,
            custom_translation_table={torch.ops.aten.where.self: _where},
            verbose=False,
        )
    assert made is not None
    model = made.model_proto
    _strip(model)
    return model


def _strip(model: Any) -> None:
    """Removes the exporter's records of each node: a sixth of the file, with paths of this
    machine."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


def _where(condition: Any, chosen: Any, other: Any) -> Any:
    """Translates a selection; one of booleans to logic, as ONNX Runtime on a CPU has no `Where`
    of them."""
    import onnx_ir
    from onnxscript import opset18 as op  # the operators of `OPSET`

    if chosen.dtype == onnx_ir.DataType.BOOL:
        return op.Or(op.And(condition, chosen), op.And(op.Not(condition), other))
    return op.Where(condition, chosen, other)


@contextmanager
def quiet() -> Iterator[None]:
    """Holds back an exporter's records and warnings: they are of its own insides."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)
