"""Step graphs to programs of torch.export, and those to ONNX."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from leapai.export.step_graph import StepGraph

OPSET = 18
"""Version of the ONNX operators: the oldest with sums in scatters, which most runtimes have."""
_OF_POINTS = ("points", "point_counts", "point_pillar")
_OF_PAIRS = ("pair_map", "pair_cell", "anchor", "anchor_seen", "depth_m")
DYNAMIC = dict.fromkeys(_OF_POINTS, "P") | dict.fromkeys(_OF_PAIRS, "M")
"""Inputs whose first axis has any length, by the letter of that length."""


def exported_program(graph: StepGraph, example: dict[str, Tensor]) -> ExportedProgram:
    """Returns the program of a step, without operators that ONNX Runtime lacks."""
    lengths = {letter: Dim(letter, min=2, max=1 << 20) for letter in DYNAMIC.values()}
    shapes = [{0: lengths[DYNAMIC[name]]} if name in DYNAMIC else None for name in example]
    with _quiet(), torch.no_grad():
        program = torch.export.export(
            graph.requires_grad_(False), (list(example.values()),), dynamic_shapes=(shapes,)
        )
        return program.run_decompositions(dict(_REPLACED))


def onnx_of(program: ExportedProgram, inputs: list[str], outputs: list[str]) -> Any:
    """Returns the ONNX model of a program, with `OPSET` and these names."""
    with _quiet():
        made = torch.onnx.export(
            program,
            dynamo=True,
            input_names=inputs,
            output_names=outputs,
            opset_version=OPSET,
            optimize=True,
            verbose=False,
        )
    assert made is not None
    return made.model_proto


def _where(condition: Tensor, chosen: Tensor, other: Tensor) -> Tensor:
    """Selects truth values by logic, as ONNX Runtime on a CPU has no `Where` of them; leaves all
    other types to the operator."""
    if chosen.dtype != torch.bool:
        return NotImplemented  # type: ignore[no-any-return]
    return (condition & chosen) | (~condition & other)


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


_REPLACED: dict[Any, Callable[..., Any]] = {torch.ops.aten.where.self: _where}
