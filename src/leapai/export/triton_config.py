"""The configuration by which Triton Inference Server runs an exported step: `config.pbtxt`.

Triton keeps the memory of objects between the requests of a sequence (its "implicit state"). Track
ids are no part of that state, because the tracker of the client writes them.

Source: the message `ModelConfig` of Triton's model_config.proto.
"""

from __future__ import annotations

from collections.abc import Iterable

from leapai.runtime.host_memory import MEMORY_SLOTS, US_PER_S
from leapai.runtime.manifest import Manifest, TensorFacts

TRACK_ID = "track_id"
_READ_BY_CLIENT = (TRACK_ID, "query_index", "timestamp_us", "valid", "class_id")
"""Fields of the memory by which a client gives ids to slots, and reports what was read."""
_TYPES = {
    "uint8": "TYPE_UINT8",
    "bool": "TYPE_BOOL",
    "int32": "TYPE_INT32",
    "int64": "TYPE_INT64",
    "float16": "TYPE_FP16",
    "float32": "TYPE_FP32",
}


def triton_config(manifest: Manifest) -> str:
    """Returns the text of `config.pbtxt`, without a name: a model has that of its folder."""
    states = [fact for fact in manifest.inputs if fact.name in MEMORY_SLOTS]
    states = [fact for fact in states if fact.name != TRACK_ID]
    names = {fact.name for fact in states}
    only_state = {f"next_{name}" for name in names.difference(_READ_BY_CLIENT)}
    inputs = (fact for fact in manifest.inputs if fact.name not in names)
    outputs = (fact for fact in manifest.outputs if fact.name not in only_state)
    lines = [
        f"# {manifest.job_name}, by leapai {manifest.version}; 1/manifest.json has the meanings.",
        'backend: "onnxruntime"',
        "max_batch_size: 0  # one stream a request: the shapes are whole ones",
        *(f"input {{ {_tensor(fact)} }}" for fact in inputs),
        *(f"output {{ {_tensor(fact)} }}" for fact in outputs),
    ]
    if states:
        lines += _sequences(states, float(manifest.config["max_gap_s"]))
    return "\n".join(lines) + "\n"


def _sequences(states: Iterable[TensorFacts], max_gap_s: float) -> list[str]:
    """Returns the lines of the sequence batcher: each sequence of requests is a stream."""
    idle_us = round(max_gap_s * US_PER_S)  # a gap by which memory is dropped anyway
    return [
        "sequence_batching {",
        f"  max_sequence_idle_microseconds: {idle_us}",
        "  direct { }",
        *(f"  state {{ {_state(fact)} }}" for fact in states),
        "}",
    ]


def _state(fact: TensorFacts) -> str:
    kind = _kind(fact)
    empty = f'initial_state {{ name: "empty" {kind} zero_data: true }}'
    return f'input_name: "{fact.name}" output_name: "next_{fact.name}" {kind} {empty}'


def _tensor(fact: TensorFacts) -> str:
    return f'name: "{fact.name}" {_kind(fact)}'


def _kind(fact: TensorFacts) -> str:
    """Returns type and shape; -1: any length."""
    lengths = ", ".join("-1" if isinstance(n, str) else str(n) for n in fact.shape)
    return f"data_type: {_TYPES[fact.type]} dims: [ {lengths} ]"
