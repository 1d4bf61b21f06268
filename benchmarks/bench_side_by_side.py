"""Compares parts of LeapAI with other ways to get the same answer: in turns, in one process.

    python benchmarks/bench_side_by_side.py [--turns 5] [--threads 1] [--part nms pillars backbone]

Both sides get the same input, and their answers are compared before they are timed. Times are
medians of CPU seconds, the ratio is the median of the ratios of each turn. Ratios can be compared
between machines, milliseconds cannot. What the other side needs is installed by
`pip install shapely onnx onnxruntime onnxscript`; torch.compile needs a C++ compiler. Rows whose
other side is missing are left out, and named. The official nuScenes evaluation needs an older NumPy
and so an environment of its own: `bench_evaluation.py`.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import timm
import torch
from torch import Tensor, nn

from bench_network import CONFIGS, POINTS, made_up_frame
from leapai.config import load_config
from leapai.geometry.overlap import nms_bev
from leapai.models.camera import build_backbones
from leapai.models.lidar import MAX_LOGIT, Pillars, PillarVfe, pillar_grid
from nms_scenes import IOU_THRESHOLD, nms_shapely, scenes

FULL_SIZE, TINY = "lpperception_current_hpa_step2_dynamic.py", "tiny_step2_dynamic.py"
IMAGES = 4
"""Images a call of a backbone: those of the side cameras."""


@dataclass(frozen=True)
class Row:
    """Two ways to the same answer."""

    part: str
    other: str
    ours: Callable[[], object]
    theirs: Callable[[], object]


def nms_rows() -> Iterator[Row]:
    """Yields rotated NMS against shapely over all pairs."""
    for name, (boxes, score, class_id) in scenes().items():
        arguments = (boxes, score, class_id)
        assert np.array_equal(nms_bev(*arguments, IOU_THRESHOLD), nms_shapely(*arguments))
        yield Row(
            f"rotated NMS of 384 boxes, {name}",
            "shapely, all pairs",
            lambda a=arguments: nms_bev(*a, IOU_THRESHOLD),
            lambda a=arguments: nms_shapely(*a),
        )


def padded_features(encode: PillarVfe, pillars: Pillars, max_points: int) -> Tensor:
    """Returns the features [V, C] of `PillarVfe` by the textbook: a tensor [V, max_points, C] in
    which most places are empty, and a softmax over each row."""
    inputs, pillar = encode._features(pillars)[pillars.counts], pillars.pillar[pillars.counts]
    places = (torch.arange(len(pillars.points)) - pillars.offsets[pillars.pillar])[pillars.counts]
    dense = inputs.new_zeros(len(pillars.cell), max_points, inputs.shape[1])
    dense[pillar, places] = inputs
    filled = torch.zeros(dense.shape[:2], dtype=torch.bool)
    filled[pillar, places] = True
    filled[:, 0] = True  # an empty pillar is one point of zeros
    points = torch.relu(encode.point_norm(encode.point_mlp(dense)))
    logits = MAX_LOGIT * torch.tanh(encode.attention(points)[..., 0] / MAX_LOGIT)
    weight = logits.masked_fill(~filled, -torch.inf).softmax(1)
    return torch.relu(encode.pillar_mlp((weight[..., None] * points).sum(1)))


def pillar_rows() -> Iterator[Row]:
    """Yields pillar features of a flat list of points against those of a padded tensor."""
    config = load_config(CONFIGS / FULL_SIZE)
    lidar, grid = config.lidar, pillar_grid(config.lidar, config.bev.grid())
    points = torch.from_numpy(made_up_frame(0, (8, 8)).points)
    stream = torch.zeros(len(points), dtype=torch.int64)
    most, encode = lidar.max_points_per_pillar, PillarVfe(lidar, grid).eval()
    pillars = encode.group(points, stream, 1)
    filled = pillars.offsets.diff() > 0
    ours, theirs = encode(pillars), padded_features(encode, pillars, most)
    torch.testing.assert_close(ours[filled], theirs[filled])
    yield Row(
        f"pillar features of {POINTS} points",
        f"PyTorch, padded to {most} points a pillar",
        lambda: encode(pillars),
        lambda: padded_features(encode, pillars, most),
    )


def backbone_rows() -> Iterator[Row]:
    """Yields our backbones as they run against timm's, torch.compile and ONNX Runtime."""
    for name, file in (("tiny", TINY), ("full-size", FULL_SIZE)):
        camera = load_config(CONFIGS / file).camera
        (backbone,) = build_backbones(camera, 1)
        net = backbone.net.eval()
        images = torch.randn(IMAGES, 3, *camera.image_size_px)
        images = images.contiguous(memory_format=torch.channels_last)
        twin = timm.create_model(
            camera.backbone, features_only=True, out_indices=(2, 3, 4), **camera.backbone_args
        )
        twin.load_state_dict(net.state_dict())
        twin = twin.to(memory_format=torch.channels_last).eval()
        others = {
            "timm": lambda twin=twin, images=images: twin(images),
            "torch.compile": compiled(net, images),
            "ONNX Runtime": in_onnx_runtime(net, images),
        }
        part = f"{name} backbone, {IMAGES} images of {' x '.join(map(str, camera.image_size_px))}"
        for other, run in others.items():
            if run is not None:
                for ours, theirs in zip(net(images), run(), strict=True):
                    torch.testing.assert_close(ours, torch.as_tensor(theirs), rtol=1e-3, atol=1e-3)
                yield Row(part, other, lambda n=net, i=images: n(i), run)


def compiled(net: nn.Module, images: Tensor) -> Callable[[], object] | None:
    """Returns the call of the network after torch.compile; None: it cannot compile here."""
    fast = torch.compile(net)
    try:
        fast(images)
    except Exception as error:  # what is missing differs by platform, and is printed
        print(f"left out: torch.compile ({str(error).splitlines()[0]})")
        return None
    return lambda: fast(images)


def in_onnx_runtime(net: nn.Module, images: Tensor) -> Callable[[], object] | None:
    """Returns the call of the exported network; None: ONNX Runtime is not installed."""
    missing = [
        name for name in ("onnx", "onnxscript", "onnxruntime") if not importlib.util.find_spec(name)
    ]
    if missing:
        print(f"left out: ONNX Runtime (pip install {' '.join(missing)})")
        return None
    import onnxruntime

    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, (images,), file, verbose=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=providers)
    inputs = {session.get_inputs()[0].name: images.contiguous().numpy()}
    return lambda: session.run(None, inputs)


def cpu_ms(run: Callable[[], object]) -> float:
    """Returns the CPU milliseconds of a call, over all threads."""
    start = time.process_time()
    run()
    return 1e3 * (time.process_time() - start)


def main() -> None:
    """Runs the comparisons and prints a Markdown table."""
    parts = {"nms": nms_rows, "pillars": pillar_rows, "backbone": backbone_rows}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--part", nargs="+", choices=list(parts), default=list(parts))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    print(f"{platform.machine()}, torch {torch.__version__}, {options.threads} threads", end="")
    print(f", load {os.getloadavg()[0]:.1f}\n")
    print("| part | ours, ms | other | other, ms | other / ours |")
    print("|---|--:|---|--:|--:|")
    with torch.inference_mode():
        for row in (row for part in options.part for row in parts[part]()):
            turns = [(cpu_ms(row.ours), cpu_ms(row.theirs)) for _ in range(options.turns + 1)][1:]
            ours, theirs = (statistics.median(side) for side in zip(*turns, strict=True))
            ratio = statistics.median(b / a for a, b in turns)
            print(f"| {row.part} | {ours:.1f} | {row.other} | {theirs:.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
