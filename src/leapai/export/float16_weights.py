"""Weights of an ONNX graph kept as float16: half the size, while all computation stays float32."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

_LARGEST = 65504.0
"""Largest value of float16."""
_MULTIPLIED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operators of which an input that is a constant holds weights."""


def with_float16_weights(model: Any, tables: Collection[str]) -> Any:
    """Returns an ONNX model that keeps the weights of its convolutions and matrix products, and the
    `tables` by name, as float16 and casts them to float32 where they are read.

    Runtimes cast once, when they load it. Reference points, norms, biases and coordinates stay
    float32, and so does a weight with a value that float16 does not have.
    """
    import onnx

    kept = onnx.ModelProto()
    kept.CopyFrom(model)
    graph = kept.graph
    names = _weights(graph) | set(tables)
    casts = []
    for tensor in graph.initializer:
        if tensor.name not in names or tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        values = onnx.numpy_helper.to_array(tensor)
        if not np.abs(values).max(initial=0) <= _LARGEST:  # of NaN, too
            continue
        name, half = tensor.name, f"{tensor.name}_float16"
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), half))
        casts.append(
            onnx.helper.make_node("Cast", [half], [name], f"{name}_cast", to=onnx.TensorProto.FLOAT)
        )
    nodes = list(graph.node)  # in an order in which each is known before it is read
    del graph.node[:]
    graph.node.extend([*casts, *nodes])
    return kept


def _weights(graph: Any) -> set[str]:
    """Returns the weights of those operators of a graph that multiply by them."""
    return {node.input[1] for node in graph.node if node.op_type in _MULTIPLIED}
