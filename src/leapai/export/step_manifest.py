"""The manifest of an exported step: what a host must know of its graphs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from leapai.config.schema import TaskConfig
from leapai.export.graph_export import DYNAMIC, OPSET, AskedLengths, length_bounds
from leapai.export.step_graph import cameras_by_group
from leapai.export.tensor_meanings import MEANINGS
from leapai.io import sha256_of
from leapai.runtime.manifest import LAYOUT, GraphFacts, Manifest, TensorFacts, WeightFacts
from leapai.types import STATIC_CLASSES
from leapai.version import __version__

if TYPE_CHECKING:
    from leapai.export.export_folder import Format
    from leapai.export.traced_step import TracedGraph, TracedStep


def graph_facts(
    graph: TracedGraph, file: str, path: Path, to: Format, weights: WeightFacts
) -> GraphFacts:
    """Returns what the manifest states of a graph, which is at a path in a format and gets the name
    `file`."""
    return GraphFacts(
        name=graph.name,
        file=file,
        format="pt2" if to == "pt2" else "onnx",
        opset=None if to == "pt2" else OPSET,
        bytes=path.stat().st_size,
        sha256=sha256_of(path),
        weights=weights,
        inputs=tuple(graph.inputs),
        outputs=tuple(graph.outputs),
    )


def manifest_of(step: TracedStep, graphs: Iterable[GraphFacts], asked: AskedLengths) -> Manifest:
    """Returns the manifest of a step, given what it states of each graph."""
    config = step.checkpoint.config
    return Manifest(
        layout=LAYOUT,
        version=__version__,
        job_name=config.job_name,
        checkpoint_sha256=step.checkpoint.sha256,
        graphs=tuple(graphs),
        inputs=_facts(step.inputs, dynamic=True),
        outputs=_facts(step.outputs),
        passed=_facts(step.passed),
        lengths=length_bounds(config, sum(step.cameras), asked),
        cameras=cameras_by_group(step.cameras),
        classes=config.vocabulary.names,
        map_classes=STATIC_CLASSES if config.static_task else (),
        thresholds=_thresholds(config),
        config=config.model_dump(mode="json"),
    )


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
