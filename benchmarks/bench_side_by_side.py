"""Compares parts of LeapAI with other ways to do the same: in turns, in one process.

    python benchmarks/bench_side_by_side.py [--turns 5] [--threads 1] [--part nms pillars ...]

Both sides get the same input, and their answers are compared before they are timed; a decoder and a
view transfer of another design (`network_twins.py`) have answers of their own. Times are
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
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench_network import CONFIGS, POINTS, made_up_frame
from leapai.config import TaskConfig, load_config
from leapai.data.transforms import collate
from leapai.geometry.overlap import nms_bev
from leapai.models.blocks import FpnNeck
from leapai.models.camera import build_backbones
from leapai.models.compilation import compile_encoders, why_not
from leapai.models.dynamic.dynamic_head import DynamicHead
from leapai.models.dynamic.query_memory import empty_state
from leapai.models.lidar import MAX_LOGIT, Pillars, PillarVfe, pillar_grid
from leapai.models.projection import Calibration
from leapai.models.view_transfer import ViewTransfer
from network_twins import (
    CHANNELS,
    MOTION,
    STREAM_PETR,
    DecoderSizes,
    SeenCells,
    SpatialCrossAttention,
    StreamPetrDecoder,
    TimmWithFpn,
    check_same_attention,
    with_our_weights,
)
from nms_scenes import IOU_THRESHOLD, nms_shapely, scenes

FULL_SIZE, TINY = "lpperception_current_hpa_step2_dynamic.py", "tiny_step2_dynamic.py"
IMAGES, CAMERAS = 4, 7
"""Images a call of a backbone, those of the side cameras; and of the rig."""


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


def encoder_rows() -> Iterator[Row]:
    """Yields backbone and neck of one camera, full size, as `compile = True` runs them, against
    timm's backbone and torchvision's FPN after torch.compile, and against themselves without."""
    if reason := why_not("cpu"):
        print(f"left out: compiled backbone and neck ({reason})")
        return
    config = load_config(CONFIGS / FULL_SIZE)
    (backbone,) = build_backbones(config.camera, 1)
    neck = FpnNeck(backbone.channels, config.bev.channels)
    ours = nn.ModuleDict({"stage1_backbone0": backbone, "stage1_neck0": neck}).eval()
    twin = torch.compile(TimmWithFpn(backbone, neck, config.camera).eval())
    eager = deepcopy(ours)
    compile_encoders(ours)
    images = torch.randint(0, 256, (1, 3, *config.camera.image_size_px), dtype=torch.uint8)

    def features(modules: nn.ModuleDict) -> Tensor:
        maps: Tensor = modules["stage1_neck0"](modules["stage1_backbone0"](images))
        return maps

    for other in (twin(images), features(eager)):
        torch.testing.assert_close(features(ours), other, rtol=1e-3, atol=1e-3)
    part = (
        f"full-size backbone and FPN, compiled, 1 image of {' x '.join(map(str, images.shape[2:]))}"
    )
    yield Row(part, "timm and torchvision, compiled", lambda: features(ours), lambda: twin(images))
    yield Row(part, "the same, not compiled", lambda: features(ours), lambda: features(eager))


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


def decoder_rows() -> Iterator[Row]:
    """Yields our decoder against that of StreamPETR, which attends to the tokens of all images at
    stride 16: both in our sizes, both in its published ones, and each in its own."""
    config = load_config(CONFIGS / FULL_SIZE)
    dynamic, kept = config.dynamic, config.topk_query
    own = DecoderSizes(dynamic.queries, config.history_slots, dynamic.layers, dynamic.ffn, kept)
    published = config.replace(
        topk_query=STREAM_PETR.kept,
        dynamic={
            "queries": STREAM_PETR.queries,
            "propagated": STREAM_PETR.kept,
            "layers": STREAM_PETR.layers,
            "ffn": STREAM_PETR.ffn,
        },
    )
    ours = {"own": our_decoder(config), "published": our_decoder(published)}
    theirs = {"own": stream_petr(own, config), "published": stream_petr(STREAM_PETR, config)}
    for mine, other in (("own", "own"), ("published", "published"), ("own", "published")):
        sizes = {"own": own, "published": STREAM_PETR}
        yield Row(
            f"decoder with memory, {sizes[mine].queries} queries, {sizes[mine].layers} layers",
            f"StreamPETR's, {sizes[other].queries} queries, {sizes[other].layers} layers",
            ours[mine],
            theirs[other],
        )


def our_decoder(config: TaskConfig) -> Callable[[], object]:
    """Returns the call of our head whose memory is full."""
    head, state = DynamicHead(config).eval(), empty_state(1, config.history_slots, CHANNELS)
    bev = torch.randn(
        1, config.bev.grid().rows * config.bev.grid().columns, config.dynamic.neck_channels
    )
    for i in range(config.queue_length):
        batch = collate([made_up_frame(i, (8, 8))], [i == 0])
        _, state = head(bev, batch, state)
    assert bool(state.valid.all())
    last = replace(batch, timestamp_us=batch.timestamp_us + 100_000)
    return lambda: head(bev, last, state)


def stream_petr(sizes: DecoderSizes, config: TaskConfig) -> Callable[[], object]:
    """Returns the call of StreamPETR's decoder on the images of a configuration at stride 16."""
    height, width = (side // 16 for side in config.camera.image_size_px)
    image = torch.randn(4, 1, CAMERAS * height * width, CHANNELS).unbind()
    slots = sizes.kept + sizes.slots
    memory = (
        torch.randn(1, slots, CHANNELS),
        torch.rand(1, slots, 3),
        torch.rand(1, slots, MOTION),
    )
    decoder = StreamPetrDecoder(sizes).eval()
    return lambda: decoder(image, memory)


def view_rows() -> Iterator[Row]:
    """Yields our view transfer, inverse perspective mapping and attention, against one layer of the
    spatial cross-attention of BEVFormer: on the same map, and on its four levels."""
    config = load_config(CONFIGS / FULL_SIZE)
    view = ViewTransfer(config.camera, config.bev).eval()
    nn.init.normal_(view.logits.weight, std=0.05)
    height, width = size = tuple(side // view.stride for side in config.camera.image_size_px)
    features = torch.randn(CAMERAS, CHANNELS, height, width)
    batch = collate([made_up_frame(0, config.camera.image_size_px)], [True])
    projection = view.project(Calibration.of(batch.on_host()), size, features.device)
    seen = SeenCells.of(projection, CAMERAS, size)
    query = torch.randn(len(view.cell_embedding), CHANNELS)
    twin = with_our_weights(view)
    check_same_attention(view, twin, features, projection, seen)
    coarser = [F.avg_pool2d(features, 2**level) for level in range(4)]
    published = SpatialCrossAttention(config.camera.points, levels=4).eval()
    part = (
        f"view transfer, {CAMERAS} x {height} x {width} to {view.grid.rows} x {view.grid.columns}"
    )
    others = {"the same map": (twin, [features]), "four levels": (published, coarser)}
    for name, (attend, maps) in others.items():
        yield Row(
            part,
            f"BEVFormer's spatial cross-attention, one layer, {name}",
            lambda: view(features[None], projection),
            lambda attend=attend, maps=maps: attend(query, maps, seen),
        )


def cpu_ms(run: Callable[[], object]) -> float:
    """Returns the CPU milliseconds of a call, over all threads."""
    start = time.process_time()
    run()
    return 1e3 * (time.process_time() - start)


def main() -> None:
    """Runs the comparisons and prints a Markdown table."""
    parts = {
        "nms": nms_rows,
        "pillars": pillar_rows,
        "backbone": backbone_rows,
        "encoder": encoder_rows,
        "decoder": decoder_rows,
        "view": view_rows,
    }
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
