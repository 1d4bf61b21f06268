"""Convolutions of exported graphs in int8, by ONNX Runtime's static quantisation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from leapai.export.calibration_frames import CalibrationFrames
from leapai.export.export_folder import graph_path
from leapai.export.graph_export import quiet
from leapai.extras import import_extra
from leapai.publishing.card_text import public_data
from leapai.runtime.manifest import GraphName, WeightFacts

_FEWEST_CHANNELS = 4
"""A convolution of fewer, which reads images, is slower in int8: it gathers single bytes."""


def write_int8(folder: Path, name: GraphName, path: Path, weights: WeightFacts) -> WeightFacts:
    """Writes a graph of `folder`, which holds a step in float32, with its convolutions in int8;
    returns what calibrated them, without the folders above its data.

    Weights have a scale for each output channel, values in between one for each tensor, from their
    least to their largest in the frames that calibrate. The first convolutions, attention, the
    decoder and the memory stay float32. Raises ValueError where the source cannot be read, or has
    no frame.
    """
    quantization = import_extra(
        "onnxruntime.quantization", "runtime", "int8 weights need onnxruntime"
    )
    import onnx

    assert weights.calibration is not None
    frames = CalibrationFrames(folder, weights.calibration, name)
    model = onnx.load(graph_path(folder, "onnx", name))
    with quiet():
        quantization.quantize_static(
            model,
            path,
            frames,
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,  # with int8 weights, as VNNI multiplies
            weight_type=quantization.QuantType.QInt8,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=_of_images(model.graph),
        )
    return WeightFacts(
        type="int8", calibration=public_data(weights.calibration), frames=frames.frames
    )


def _of_images(graph: Any) -> list[str]:
    """Returns the convolutions of a graph that read images."""
    channels = {tensor.name: tensor.dims[1] for tensor in graph.initializer if len(tensor.dims) > 2}
    return [
        node.name
        for node in graph.node
        if node.op_type == "Conv" and channels.get(node.input[1], 0) < _FEWEST_CHANNELS
    ]
