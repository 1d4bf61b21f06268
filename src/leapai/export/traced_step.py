"""The step of a checkpoint as programs of torch.export, which are then written in any format."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.export import ExportedProgram

from leapai.checkpoints import Checkpoint, load_checkpoint
from leapai.export.graph_export import AS_DESIGNED, StepForm, exported_program
from leapai.export.step_graph import StepGraph, example_inputs
from leapai.export.step_parts import graph_names, part_of
from leapai.models.build import build_model
from leapai.models.perception import Perception
from leapai.runtime.manifest import GraphName


@dataclass(frozen=True)
class TracedGraph:
    """One graph of a step as a program."""

    name: GraphName
    program: ExportedProgram
    inputs: dict[str, Tensor]
    """An example of each input, by name, in the order of the program."""
    outputs: dict[str, Tensor]


@dataclass(frozen=True)
class TracedStep:
    """The step of a checkpoint as programs, in the order in which they run."""

    checkpoint: Checkpoint
    cameras: tuple[int, ...]
    """How many cameras each of `CAMERA_GROUPS` has."""
    graphs: tuple[TracedGraph, ...]

    @property
    def inputs(self) -> dict[str, Tensor]:
        """Inputs of the graphs that no other graph gives: the host does."""
        given = {name for graph in self.graphs for name in graph.outputs}
        return {n: t for g in self.graphs for n, t in g.inputs.items() if n not in given}

    @property
    def passed(self) -> dict[str, Tensor]:
        """Outputs of graphs that others take."""
        taken = {name for graph in self.graphs for name in graph.inputs}
        return {n: t for g in self.graphs for n, t in g.outputs.items() if n in taken}

    @property
    def outputs(self) -> dict[str, Tensor]:
        """Outputs of the graphs that no other graph takes: the host does."""
        taken = {name for graph in self.graphs for name in graph.inputs}
        return {n: t for g in self.graphs for n, t in g.outputs.items() if n not in taken}


def traced(checkpoint: Checkpoint, form: StepForm = AS_DESIGNED) -> TracedStep:
    """Returns the step of a checkpoint, whose network has a task, as programs."""
    model = build_model(checkpoint.config)
    load_checkpoint(checkpoint, model)
    names = graph_names(checkpoint.config, form.division)
    graphs = map(partial(_traced_graph, model, form.cameras), names)
    return TracedStep(checkpoint, form.cameras, tuple(graphs))


def _traced_graph(model: Perception, cameras: tuple[int, ...], name: GraphName) -> TracedGraph:
    part = part_of(model, name)
    inputs = example_inputs(part, cameras)
    graph = StepGraph(part, cameras, tuple(inputs))
    with torch.no_grad():
        outputs = graph.outputs(inputs)
    return TracedGraph(name, exported_program(graph, inputs), inputs, outputs)
