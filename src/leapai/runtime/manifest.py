"""The manifest of an exported network: everything that a runtime must know of its graphs.

A folder holds one graph or several, and `manifest.json`. All may come from anywhere, so reading is
strict: sizes are bounded, unknown names are refused, and each graph must have the digest of the
manifest.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, Field, ValidationError, model_validator

from leapai.config.checkpoint_names import MANIFEST
from leapai.config.options import WeightType
from leapai.config.problems import one_line
from leapai.config.section import PlainName, Section, Text
from leapai.io import sha256_of
from leapai.types import CAMERA_GROUPS

LAYOUT = 3
"""Number of the layout of manifest and graphs; a runtime refuses any other."""
_MOST_BYTES, _MOST_GRAPH_BYTES = 4_000_000, 2_000_000_000
MOST_LENGTH = 1 << 20
"""Largest value of a free length."""
_MOST_ELEMENTS = 1 << 28
"""Elements of a tensor at most: ten times those of the largest one of the full-size network."""

GraphName = Literal["step", "trunk", "dynamic", "static"]
"""A whole step, or its parts: sensors to BEV features, and each task from there on."""
PARTS: tuple[GraphName, ...] = get_args(GraphName)[1:]
"""Names of the graphs of a step that is several."""
_OUTPUTS: dict[GraphName, str] = {
    "trunk": "bev",
    "dynamic": "class_logits",
    "static": "map_logits",
}
"""An output by which each part is recognised."""
FreeLength = Literal["P", "M"]
"""Letters of the lengths that are free: P points, M pairs of a BEV cell and a camera."""
_Length = Annotated[int, Field(ge=0, le=1 << 31)] | FreeLength
_Count = Annotated[int, Field(ge=2, le=MOST_LENGTH)]
_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class TensorFacts(Section):
    """One tensor that goes into a graph or comes out of it."""

    name: PlainName
    type: Literal["uint8", "bool", "int32", "int64", "float16", "float32"]
    shape: tuple[_Length, ...]
    """Lengths; a letter is a free one, the same wherever it stands."""
    meaning: Text
    """Content, with unit and frame."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        fixed = [length for length in self.shape if not isinstance(length, str)]
        if math.prod(fixed) > _MOST_ELEMENTS:
            raise ValueError(f"{self.name} has the shape {self.shape}, which is too large")
        return self


class LengthBounds(Section):
    """Values that a free length takes."""

    least: _Count
    usual: _Count
    """The length for which a runtime with plans for ranges is fastest."""
    most: _Count

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.least <= self.usual <= self.most:
            raise ValueError(
                f"least {self.least}, usual {self.usual} and most {self.most} must not fall"
            )
        return self


class WeightFacts(Section):
    """Type in which a graph keeps its weights, and what calibrated it."""

    type: WeightType
    calibration: Text | None = None
    """Data source whose frames gave the ranges of int8 values; None: there are none."""
    frames: Annotated[int, Field(ge=1)] | None = None
    """How many frames of it."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.type == "int8" and self.calibration is None:
            raise ValueError("int8 needs calibration, the data source that gave its ranges")
        if self.type != "int8" and (self.calibration, self.frames) != (None, None):
            raise ValueError(f"{self.type} has no calibration and no frames; only int8 has")
        return self


class GraphFacts(Section):
    """One graph: its file, how it keeps its weights, and the names of its tensors."""

    name: GraphName
    file: PlainName
    format: Literal["onnx", "pt2"]
    opset: int | None
    """Version of the ONNX operators; None: the format has none."""
    bytes: Annotated[int, Field(ge=1, le=_MOST_GRAPH_BYTES)]
    sha256: _Digest
    weights: WeightFacts
    inputs: tuple[PlainName, ...]
    """Names in the order of the graph: inputs of the step, and outputs of graphs before this."""
    outputs: tuple[PlainName, ...]
    """Names in the order of the graph."""


class Manifest(Section):
    """Content of `manifest.json`."""

    layout: int
    version: PlainName
    """Version of the package that exported."""
    job_name: PlainName
    checkpoint_sha256: _Digest
    graphs: Annotated[tuple[GraphFacts, ...], Field(min_length=1)]
    """Graphs in the order in which they run."""
    inputs: tuple[TensorFacts, ...]
    """Tensors that the host gives in a frame."""
    outputs: tuple[TensorFacts, ...]
    """Tensors that the host takes."""
    passed: tuple[TensorFacts, ...] = ()
    """Tensors that one graph gives to others; none where the step is one graph."""
    lengths: dict[FreeLength, LengthBounds]
    """Bounds of each free length of the inputs."""
    cameras: dict[str, Annotated[int, Field(ge=0, le=64)]]
    """How many cameras of each group `images` has, one group after another."""
    classes: tuple[str, ...]
    """Names of the classes, in the order of `class_logits`."""
    map_classes: tuple[str, ...]
    """Names of the planes of `map_logits`; none where the network has no map."""
    thresholds: dict[str, float]
    """Values of `evaluation` and `tracking`, by which a host decodes and tracks."""
    config: dict[str, Any]
    """The whole task configuration."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if set(self.cameras) != set(CAMERA_GROUPS):
            raise ValueError(
                f"cameras names the groups {', '.join(self.cameras) or 'none'}; it must name each "
                f"of {', '.join(CAMERA_GROUPS)}"
            )
        shapes = [tensor.shape for tensor in self.inputs if tensor.name == "images"]
        count = sum(self.cameras.values())
        taken = (*self.inputs, *self.passed)
        free = {n for tensor in taken for n in tensor.shape if isinstance(n, str)}
        if free != set(self.lengths):
            raise ValueError(
                f"lengths bounds {', '.join(sorted(self.lengths)) or 'nothing'}; the free lengths "
                f"of the inputs are {', '.join(sorted(free)) or 'none'}"
            )
        if any(shape[:1] != (count,) for shape in shapes):
            raise ValueError(
                f"cameras adds up to {count}, and the input images has the shape "
                f"{list(shapes[0])}, whose first length is the number of cameras"
            )
        _check_graphs(self.graphs)
        _check_flow(self)
        return self

    @property
    def tensors(self) -> dict[str, TensorFacts]:
        """Every tensor by its name."""
        return {fact.name: fact for fact in (*self.inputs, *self.passed, *self.outputs)}

    @property
    def weights(self) -> WeightFacts:
        """Weights of the graph that keeps them in the smallest type, by which an export is
        named."""
        kinds = get_args(WeightType)
        return max((graph.weights for graph in self.graphs), key=lambda w: kinds.index(w.type))


def _check_graphs(graphs: tuple[GraphFacts, ...]) -> None:
    """Raises ValueError for graphs that are neither one step nor its parts, that share a file, or
    whose names are not those of what they give."""
    names, files = ([getattr(graph, key) for graph in graphs] for key in ("name", "file"))
    is_step = names == ["step"]
    if not is_step and (names[0] != "trunk" or "step" in names or len(set(names)) < len(names)):
        raise ValueError(
            f"graphs names {', '.join(names)}; it must name step alone, or trunk and then each "
            "task once"
        )
    if len(set(files)) < len(files):
        raise ValueError(f"graphs names one file twice among {', '.join(files)}")
    for graph in graphs:
        output = _OUTPUTS.get(graph.name)
        if output is not None and output not in graph.outputs:
            raise ValueError(
                f"the graph {graph.name} gives no {output}, but {', '.join(graph.outputs)}; it "
                "has the name of another graph"
            )


def _check_flow(manifest: Manifest) -> None:
    """Raises ValueError where a graph takes what nothing before it gives, where two give one
    tensor, and where a tensor is not described, given or taken exactly as stated."""
    facts = (*manifest.inputs, *manifest.passed, *manifest.outputs)
    if len(manifest.tensors) < len(facts):
        raise ValueError("inputs, passed and outputs describe one tensor twice")
    source = {fact.name: "inputs" for fact in manifest.inputs}
    for graph in manifest.graphs:
        unknown = [name for name in graph.inputs if name not in source]
        if unknown:
            raise ValueError(
                f"the graph {graph.name} takes {', '.join(unknown)}, which is neither an input nor "
                "an output of a graph before it"
            )
        for name in graph.outputs:
            if name in source:
                raise ValueError(
                    f"the graph {graph.name} gives {name}, which comes from {source[name]}, too"
                )
            source[name] = f"the graph {graph.name}"
    taken = {name for graph in manifest.graphs for name in graph.inputs}
    problems = {
        "passed and outputs do not describe": source.keys() - manifest.tensors.keys(),
        "no graph gives": manifest.tensors.keys() - source.keys(),
        "no graph takes": {fact.name for fact in (*manifest.inputs, *manifest.passed)} - taken,
    }
    for words, names in problems.items():
        if names:
            raise ValueError(f"{words} {', '.join(sorted(names))}")


class _Layout(BaseModel):
    """The part of a manifest that every layout has, as another one may have any other names."""

    layout: int
    checkpoint_sha256: _Digest


class _Listed(BaseModel):
    file: PlainName


class _Listing(_Layout):
    """The files of a manifest of this layout, and of those before it, which had one graph."""

    graphs: tuple[_Listed, ...] = ()
    graph: _Listed | None = None


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Writes a manifest into a file."""
    path.write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Reads the manifest of a folder and checks its graphs.

    Raises ValueError where any is missing, too large, of another layout or not what the manifest
    states, with the file and the remedy.
    """
    path = folder / MANIFEST
    text = _bounded(path, _MOST_BYTES).read_text(encoding="utf-8", errors="replace")
    try:
        layout = _Layout.model_validate_json(text, strict=True).layout
        if layout == LAYOUT:
            manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        raise ValueError(f"{path}: {one_line(error, Manifest)}; export again") from None
    if layout != LAYOUT:
        raise ValueError(
            f"{path} has layout {layout}, and this version reads {LAYOUT}: export again"
        )
    for facts in manifest.graphs:
        graph = _bounded(folder / facts.file, _MOST_GRAPH_BYTES)
        size = graph.stat().st_size
        if size != facts.bytes:
            raise ValueError(
                f"{graph} has {size} bytes, and {path} states {facts.bytes}; export again"
            )
        if sha256_of(graph) != facts.sha256:
            raise ValueError(f"{graph} is not the file that {path} describes; export again")
    return manifest


def graph_files(path: Path) -> tuple[str, ...]:
    """Returns the files of graphs that a manifest of any layout lists; none where the file is no
    manifest of an export."""
    try:
        text = _bounded(path, _MOST_BYTES).read_text(encoding="utf-8", errors="replace")
        found = _Listing.model_validate_json(text, strict=True)
    except ValueError:
        return ()
    return tuple(graph.file for graph in (*found.graphs, found.graph) if graph is not None)


def _bounded(path: Path, most_bytes: int) -> Path:
    """Returns the path. Raises ValueError where no such file is there, or it is too large."""
    if not path.is_file():
        raise ValueError(
            f"{path.parent} is a folder without {path.name}; name a checkpoint file in it, or a "
            "folder that leapai export wrote"
        )
    size = path.stat().st_size
    if size > most_bytes:
        raise ValueError(f"{path} has {size} bytes; at most {most_bytes} are read")
    return path
