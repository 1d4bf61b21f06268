"""Weights in float16: half the size, values rounded once, and nothing else touched."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from leapai.export.float16_weights import with_float16_weights  # noqa: E402

RNG = np.random.default_rng(3)
VALUES = {
    "kernel": RNG.normal(size=(4, 3, 3, 3)),
    "bias": RNG.normal(size=4),
    "matrix": RNG.normal(size=(4, 5)),
    "huge": np.full((5, 5), 1e5),
    "table": RNG.normal(size=(5, 5)),
    "reference": RNG.normal(size=(5, 5)),
}
ROUNDED = ("kernel", "matrix", "table")


def small_model():
    nodes = [
        helper.make_node("Conv", ["x", "kernel", "bias"], ["maps"]),
        helper.make_node("GlobalAveragePool", ["maps"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "matrix"], ["rows"]),
        helper.make_node("MatMul", ["rows", "huge"], ["large"]),
        helper.make_node("MatMul", ["table", "reference_t"], ["product"]),
        helper.make_node("Transpose", ["reference"], ["reference_t"], perm=[1, 0]),
        helper.make_node("Add", ["large", "product"], ["y"]),
    ]
    nodes[5], nodes[6] = nodes[6], nodes[5]
    floats = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", floats, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", floats, [5, 5])],
        [numpy_helper.from_array(v.astype(np.float32), name) for name, v in VALUES.items()],
    )
    opset = helper.make_opsetid("", 18)
    return helper.make_model(graph, opset_imports=[opset], ir_version=9)


def constants(model):
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


def run(model, x):
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"x": x})[0]


def test_only_weights_and_tables_become_float16():
    made = with_float16_weights(small_model(), {"table"})
    onnx.checker.check_model(made)
    kinds = {name.removesuffix("_float16"): v.dtype for name, v in constants(made).items()}
    half = {name for name, kind in kinds.items() if kind == np.float16}
    assert half == set(ROUNDED)
    assert set(kinds) == set(VALUES)


def test_values_are_those_of_weights_that_were_rounded_once():
    x = RNG.normal(size=(1, 3, 8, 8)).astype(np.float32)
    twin = small_model()
    for tensor in twin.graph.initializer:
        if tensor.name in ROUNDED:
            rounded = numpy_helper.to_array(tensor).astype(np.float16).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(rounded, tensor.name))
    found = run(with_float16_weights(small_model(), {"table"}), x)
    np.testing.assert_array_equal(found, run(twin, x))
    assert (found != run(small_model(), x)).any()


def test_the_model_that_is_given_stays_as_it_is():
    model = small_model()
    before = model.SerializeToString()
    with_float16_weights(model, {"table"})
    assert model.SerializeToString() == before
