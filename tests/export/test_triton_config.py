"""A model for Triton: its configuration describes the graph next to it, and a client that keeps
track ids needs no other memory."""

from __future__ import annotations

import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from google.protobuf import text_format  # noqa: E402

import leapai  # noqa: E402
from leapai.runtime.manifest import read_manifest  # noqa: E402
from tests.export.triton_schema import model_config, type_name  # noqa: E402
from tests.runtime.exported import write_export  # noqa: E402
from tests.scenes import joint_config, make_frame, small_config, static_config  # noqa: E402

KINDS = {
    "uint8": "TYPE_UINT8",
    "bool": "TYPE_BOOL",
    "int32": "TYPE_INT32",
    "int64": "TYPE_INT64",
    "float16": "TYPE_FP16",
    "float32": "TYPE_FP32",
}
CONFIGS = {
    "both tasks": joint_config(),
    "objects without memory": small_config(enable_dynamic_temporal=False),
    "map": static_config(),
}


@pytest.fixture(params=CONFIGS)
def model(request, tmp_path):
    return write_export(tmp_path, CONFIGS[request.param], "triton")


def parsed(model):
    return text_format.Parse((model / "config.pbtxt").read_text(), model_config())


def of_graph(values):
    """Type and lengths of tensors of an ONNX graph, by name; -1: any length."""
    found = {}
    for value in values:
        kind = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name
        dims = value.type.tensor_type.shape.dim
        found[value.name] = (KINDS[kind], [d.dim_value if d.dim_value else -1 for d in dims])
    return found


def stated(config, tensors, name="name"):
    return {getattr(t, name): (type_name(config, t.data_type), list(t.dims)) for t in tensors}


def test_inputs_outputs_and_states_are_those_of_the_graph(model):
    config, graph = parsed(model), onnx.load(model / "1" / "model.onnx").graph
    given, found = of_graph(graph.input), of_graph(graph.output)
    states = config.sequence_batching.state
    inputs = stated(config, config.input)
    assert not set(inputs) & {state.input_name for state in states}
    assert inputs | stated(config, states, "input_name") == given
    outputs = stated(config, config.output)
    assert outputs.items() <= found.items()
    after = stated(config, states, "output_name")
    assert after.items() <= found.items()
    assert set(outputs) | set(after) == set(found)
    assert config.backend == "onnxruntime"
    assert config.max_batch_size == 0


def test_a_sequence_begins_with_zeros_and_hands_each_field_to_itself(tmp_path):
    config = parsed(write_export(tmp_path, joint_config(max_gap_s=3.5), "triton"))
    batching = config.sequence_batching
    assert batching.max_sequence_idle_microseconds == 3_500_000
    assert batching.HasField("direct")
    assert len(batching.state) == 9
    for state in batching.state:
        assert state.output_name == f"next_{state.input_name}"
        (first,) = state.initial_state
        assert first.zero_data
        assert (first.data_type, first.dims) == (state.data_type, state.dims)
    # Triton pairs inputs and outputs by their places in alphabetical order.
    pairs = sorted((state.input_name, state.output_name) for state in batching.state)
    assert [after for _, after in pairs] == sorted(state.output_name for state in batching.state)


def test_a_network_without_memory_has_no_sequences(tmp_path):
    config = parsed(write_export(tmp_path, CONFIGS["map"], "triton"))
    assert not config.HasField("sequence_batching")


def test_the_version_is_an_export_that_is_loaded_like_any_other(model):
    stream = leapai.load(model / "1", device="cpu")
    stream.step(make_frame(0))
    assert read_manifest(model / "1").graphs[0].file == "model.onnx"
