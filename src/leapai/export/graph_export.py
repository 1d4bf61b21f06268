"""Step graphs to programs of torch.export, and those to ONNX."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from leapai.export.step_graph import StepGraph
from leapai.runtime.manifest import MOST_LENGTH

OPSET = 18
"""Version of the ONNX operators: the oldest with sums in scatters, which most runtimes have."""
_OF_POINTS = ("points", "point_pillar")
_OF_PAIRS = ("pair_map", "pair_cell", "anchor", "anchor_seen", "depth_m")
DYNAMIC = dict.fromkeys(_OF_POINTS, "P") | dict.fromkeys(_OF_PAIRS, "M")
"""Inputs whose first axis has any length, by the letter of that length."""


def exported_program(graph: StepGraph, example: dict[str, Tensor]) -> ExportedProgram:
    """Returns the program of a step."""
    lengths = {letter: Dim(letter, min=2, max=MOST_LENGTH) for letter in DYNAMIC.values()}
    shapes = [{0: lengths[DYNAMIC[name]]} if name in DYNAMIC else None for name in example]
    with _quiet(), torch.no_grad():
        return torch.export.export(
            graph.requires_grad_(False), (list(example.values()),), dynamic_shapes=(shapes,)
        )


def onnx_of(program: ExportedProgram, inputs: list[str], outputs: list[str]) -> Any:
    """Returns the ONNX model of a program, with `OPSET` and these names."""
    with _quiet():
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
    return made.model_proto


def _where(condition: Any, chosen: Any, other: Any) -> Any:
    """Translates a selection; one of booleans to logic, as ONNX Runtime on a CPU has no `Where`
    of them."""
    import onnx_ir
    from onnxscript import opset18 as op  # the operators of `OPSET`

    if chosen.dtype == onnx_ir.DataType.BOOL:
        return op.Or(op.And(condition, chosen), op.And(op.Not(condition), other))
    return op.Where(condition, chosen, other)


@contextmanager
def _quiet() -> Iterator[None]:
    """Holds back the exporter's records and warnings: they are of its own insides."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)
