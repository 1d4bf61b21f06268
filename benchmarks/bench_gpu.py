"""The sections of `gpu.sh`: what is measured on a GPU, each in a process of its own.

    python benchmarks/bench_gpu.py SECTION --output FOLDER [--seconds 100] [--tiny]

Weights are random but for the trained network of the parity section; frames are made up, and the
training section renders the embedded world. On a machine without a GPU everything runs on the CPU,
and counts no synchronisations.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpu_table import Results

if TYPE_CHECKING:
    import torch

    from leapai.config import TaskConfig
    from leapai.models.perception import Perception
    from leapai.models.tensors import FrameBatch
    from leapai.training.train_step import TrainStep

NEEDED = ("torch", "numpy", "scipy", "pydantic", "safetensors", "cv2", "PIL", "pyarrow", "rich")
OPTIONAL = {
    "timm": "tests of backbones",
    "embreex": "the training section",
    "tensorboard": "curves of trainings",
    "pytest": "the tests section",
    "xdist": "parallel tests",
    "hypothesis": "some tests",
    "triton": "torch.compile",
}
"""Package -> what is left out without it."""
TESTS = ("tests/models", "tests/training/test_train_step.py", "tests/training/test_losses.py")
TINY_TESTS = ("tests/models/test_sampling.py",)
GB = 1e9
WARM_UP = 5
"""Frames until the memory is full and all kernels are chosen."""


@dataclass(frozen=True)
class Options:
    """How long a section may take, and whether sizes are tiny."""

    results: Results
    ends: float
    tiny: bool

    def left_s(self) -> float:
        """Returns the seconds that are left."""
        return self.ends - time.monotonic()


def config_of(name: str, tiny: bool) -> TaskConfig:
    """Returns the shipped configuration of a step (step1, step2_dynamic), full size or tiny."""
    from leapai.config import load_config

    return load_config(f"tiny_{name}" if tiny else f"lpperception_current_hpa_{name}")


def device_of() -> torch.device:
    """Returns the GPU, or the CPU where there is none."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def synchronise() -> None:
    """Waits for the GPU, if there is one."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


@contextmanager
def counted_waits() -> Iterator[list[str]]:
    """Yields a list that holds, after the block, the places in which the host waited for the
    GPU."""
    import torch

    places: list[str] = []
    if not torch.cuda.is_available():
        yield places
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield places
        finally:
            torch.cuda.set_sync_debug_mode("default")
    places += [
        f"{Path(w.filename).name}:{w.lineno}" for w in caught if "synchroniz" in str(w.message)
    ]


def add_waits(results: Results, name: str, places: list[str]) -> None:
    """Adds the number of waits and where most of them are."""
    import torch

    if not torch.cuda.is_available():
        return
    often = sorted(set(places), key=lambda place: -places.count(place))
    where = ", ".join(f"{place} x {places.count(place)}" for place in often[:4])
    results.add(f"{name}: host synchronisations", len(places), where)


def add_peak(results: Results, name: str) -> None:
    """Adds the most memory of the GPU that was allocated since `reset_peak`."""
    import torch

    if torch.cuda.is_available():
        peak_gb = torch.cuda.max_memory_allocated() / GB
        results.add(f"{name}: peak memory", peak_gb, "GB, weights and inputs included")


def reset_peak() -> None:
    """Frees what nobody holds, and starts the count of memory again."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def attempt(options: Options, name: str, work: Callable[[], None]) -> None:
    """Runs one part of a section; a fault becomes a row, and the next part runs."""
    if options.left_s() < 2:
        options.results.add(name, "not run: no time was left")
        return
    try:
        work()
    except Exception as error:  # whatever is wrong on that machine is a result
        lines = str(error).strip().splitlines() or [""]
        options.results.add(name, f"failed: {type(error).__name__}: {lines[0]:.200}")


# -- machine ---------------------------------------------------------------------------------------


def machine(options: Options) -> None:
    """Reports versions, the GPU, and packages that are missing."""
    add = options.results.add
    add("Python", platform.python_version())
    add("processor cores", len(os.sched_getaffinity(0)))
    for name in (*NEEDED, *OPTIONAL):
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            add(name, f"missing, without it no {OPTIONAL.get(name, 'section')}", str(error))
        else:
            add(name, str(getattr(module, "__version__", "there")))
    import torch

    if not torch.cuda.is_available():
        add("GPU", "none: everything runs on the CPU")
        return
    properties = torch.cuda.get_device_properties(0)
    add("GPU", properties.name, f"{properties.total_memory / GB:.0f} GB")
    for dtype in (torch.float32, torch.bfloat16):
        size = 8192
        matrix = torch.randn(size, size, device="cuda", dtype=dtype)
        seconds = seconds_of(lambda m=matrix: m @ m, 10)
        add(f"{size} x {size} matrix product, {dtype}", 2e-12 * size**3 / seconds, "TFLOP/s")


def seconds_of(work: Callable[[], object], times: int) -> float:
    """Returns the mean seconds of a call, after one that does not count."""
    work()
    synchronise()
    start = time.perf_counter()
    for _ in range(times):
        work()
    synchronise()
    return (time.perf_counter() - start) / times


# -- streaming and parity --------------------------------------------------------------------------


def stream_batches(config: TaskConfig, count: int) -> list[FrameBatch]:
    """Returns frames of one stream at batch 1, in pinned memory where there is a GPU."""
    from bench_network import made_up_frame
    from leapai.data.transforms import collate

    size = config.camera.image_size_px
    return [collate([made_up_frame(i, size)], [i == 0]) for i in range(count)]


def built(config: TaskConfig, device: torch.device) -> Perception:
    """Returns the network with the same random weights every time."""
    import torch

    from leapai.models.build import build_model

    torch.manual_seed(0)
    return build_model(config).eval().to(device)


def streamed(
    model: Perception,
    batches: list[FrameBatch],
    device: torch.device,
    around: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> list[Any]:
    """Returns the dynamic predictions of each frame, on the CPU."""
    import torch

    found, state = [], model.initial_state(1, device)
    with torch.inference_mode():
        for batch in batches:
            with around():
                predictions, state = model(batch.to(device), state)
            found.append(predictions.dynamic.to("cpu"))
    return found


def parity(options: Options) -> None:
    """Compares outputs: GPU against CPU in float32, and bf16 against float32 on the GPU."""
    import torch

    from leapai.checkpoints import read_checkpoint
    from leapai.models.build import build_model
    from leapai.weights import shipped_checkpoint

    device = device_of()
    torch.backends.cudnn.allow_tf32 = False
    checkpoint = read_checkpoint(shipped_checkpoint())
    trained_config = checkpoint.config.replace(use_backbone_amp=False)

    def trained(amp: bool, device: torch.device) -> Perception:
        model = build_model(trained_config.replace(use_backbone_amp=amp))
        model.load_state_dict(checkpoint.state_dict)
        return model.eval().to(device)

    def compared(name: str, ours: list[Any], theirs: list[Any]) -> None:
        for what in ("class_logits", "boxes"):
            pairs = [
                (getattr(a, what).float(), getattr(b, what).float())
                for a, b in zip(ours, theirs, strict=True)
            ]
            worst = max(float((a - b).abs().max()) for a, b in pairs)
            scale = float(torch.cat([b.flatten() for _, b in pairs]).std())
            options.results.add(
                f"{name}, {what}: largest difference", worst, f"of a spread of {scale:.3g}"
            )

    def whole_step() -> AbstractContextManager[object]:
        return torch.autocast(device.type, torch.bfloat16)

    batches = stream_batches(trained_config, 2 if options.tiny else 6)
    expected = streamed(trained(False, torch.device("cpu")), batches, torch.device("cpu"))
    on_device = streamed(trained(False, device), batches, device)
    compared(f"trained tiny network, {device.type} against CPU", on_device, expected)
    attempt(
        options,
        "bf16 backbones",
        lambda: compared(
            "trained tiny network, bf16 backbones against float32",
            streamed(trained(True, device), batches, device),
            on_device,
        ),
    )
    attempt(
        options,
        "bf16 whole step",
        lambda: compared(
            "trained tiny network, bf16 throughout against float32",
            streamed(trained(False, device), batches, device, whole_step),
            on_device,
        ),
    )
    if options.tiny:
        return
    full = config_of("step2_dynamic", tiny=False).replace(use_backbone_amp=False)
    first = stream_batches(full, 1)

    def full_size() -> None:
        cpu = streamed(built(full, torch.device("cpu")), first, torch.device("cpu"))
        gpu = streamed(built(full, device), first, device)
        compared("full size, random weights, GPU against CPU", gpu, cpu)

    attempt(options, "full size", full_size)


def streaming(options: Options) -> None:
    """Measures frames a second of the full-size network at batch 1, in each mode."""
    import torch

    config = config_of("step2_dynamic", options.tiny)
    bf16 = lambda: torch.autocast(device_of().type, torch.bfloat16)  # noqa: E731
    modes: dict[str, tuple[TaskConfig, Any, bool]] = {
        "float32": (config.replace(use_backbone_amp=False), nullcontext, False),
        "float32 with TF32": (config.replace(use_backbone_amp=False), nullcontext, True),
        "bf16 backbones": (config, nullcontext, True),
        "bf16 throughout": (config, bf16, True),
    }
    if not options.tiny:  # a compiler needs a minute on a CPU
        compiled = config.replace(compile=True)
        modes["bf16 backbones, compiled"] = (compiled, nullcontext, True)
        modes["bf16 throughout, compiled"] = (compiled, bf16, True)
    batches = stream_batches(config, 2 if options.tiny else WARM_UP)
    for name, (changed, around, tf32) in modes.items():
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        attempt(
            options,
            name,
            lambda n=name, c=changed, a=around: stream_one(options, n, (c, a), batches),
        )


def stream_one(
    options: Options, name: str, mode: tuple[TaskConfig, Any], batches: list[FrameBatch]
) -> None:
    """Measures one mode: the copy of the frame to the device and the network's step."""
    import torch

    config, around = mode
    device = device_of()
    reset_peak()
    model = built(config, device)
    state = model.initial_state(1, device)
    following = replace(batches[-1], is_first=torch.zeros(1, dtype=torch.bool))

    def step(number: int) -> None:
        nonlocal state
        time_us = following.timestamp_us + 100_000 * (number + 1)
        with around():
            _, state = model(replace(following, timestamp_us=time_us).to(device), state)

    with torch.inference_mode():
        for batch in batches:
            _, state = model(batch.to(device), state)
        numbers = iter(range(10**9))
        for _ in range(1 if options.tiny else WARM_UP):
            step(next(numbers))
        seconds = seconds_of(lambda: step(next(numbers)), 2 if options.tiny else 60)
        with counted_waits() as places:
            step(next(numbers))
    options.results.add(name, 1 / seconds, "frames/s at batch 1")
    add_peak(options.results, name)
    add_waits(options.results, name, places)


# -- training steps --------------------------------------------------------------------------------


def steps(options: Options) -> None:
    """Measures optimiser steps a second of Step 1, Step 2 and cached Step 2."""
    for name, config_name, cached in (
        ("Step 1", "step1", False),
        ("Step 2 dynamic", "step2_dynamic", False),
        ("Step 2 dynamic, cached features", "step2_dynamic", True),
    ):
        attempt(options, name, lambda n=name, c=config_name, f=cached: step_kind(options, n, c, f))


def step_kind(options: Options, name: str, config_name: str, cached: bool) -> None:
    """Measures one kind of step with the recipe's batch, or half of it as often as memory asks."""
    import torch

    config = config_of(config_name, options.tiny)
    streams = 2 if options.tiny else config.batch_sizes.train
    while True:
        try:
            measure_steps(options, f"{name}, {streams} streams", config, (streams, cached))
            return
        except torch.OutOfMemoryError:
            options.results.add(f"{name}, {streams} streams", "more memory than there is")
            streams //= 2
            if not streams:
                raise
        reset_peak()


def measure_steps(options: Options, name: str, config: TaskConfig, of: tuple[int, bool]) -> None:
    """Measures optimiser steps on made-up windows that lie on the device already."""
    import torch

    streams, cached = of
    reset_peak()
    step = train_step(config)
    windows = made_up_windows(config, streams, cached)

    def one() -> None:
        step.add(windows)

    for _ in range(1 if options.tiny else 3):
        one()
    most = 1 if options.tiny else 20
    seconds = seconds_of(one, 1)
    times = max(1, min(most, int(options.left_s() / 4 / seconds)))
    seconds = seconds_of(one, times)
    with counted_waits() as places:
        one()
    frames = streams * len(windows)
    options.results.add(name, 1 / seconds, f"steps/s, {frames / seconds:.4g} frames/s")
    add_peak(options.results, name)
    add_waits(options.results, name, places)
    loss = float(step.report.losses["total"])
    options.results.add(f"{name}: loss of the last step", loss)
    assert torch.isfinite(torch.tensor(loss)), "the loss is not finite"


def train_step(config: TaskConfig) -> TrainStep:
    """Returns the step of a training from random weights, with what is frozen from step 0 on."""
    import torch

    from leapai.distributed import Ranks
    from leapai.models.build import build_model
    from leapai.training.freezing import FreezeSchedule
    from leapai.training.progress import Progress
    from leapai.training.train_step import TrainStep

    torch.manual_seed(0)
    model = build_model(config).train()
    FreezeSchedule(model, config).advance(0)
    return TrainStep(config, model, Ranks(), Progress())


def made_up_windows(config: TaskConfig, streams: int, cached: bool) -> list[FrameBatch]:
    """Returns one window: noise with twenty labelled objects a frame, and a few lines of a map."""
    import numpy as np
    import torch

    from bench_network import made_up_frame
    from leapai.data.static_labels import with_static_labels
    from leapai.data.transforms import collate
    from leapai.types import STATIC_CLASSES, Labels, MapLine

    rng, device, window = np.random.default_rng(0), device_of(), []
    ways = [np.array([[-60.0, y, 0], [90.0, y + 3, 0]]) for y in (-6.0, 1.0)]
    lines = tuple(
        MapLine(kind, "line", way) for kind, way in zip(("Curb", "SolidLine"), ways, strict=True)
    )
    spread = np.array([60.0, 60, 1, 3, 1, 1, 6])
    count = config.streaming.frames_without_gradient + config.streaming.frames_with_gradient
    for index in range(count):
        boxes = (rng.random((20, 7)) - 0.5) * spread + np.array([10.0, 0, 0.8, 4, 2, 1.6, 0])
        labels = Labels.unlabelled(boxes, rng.integers(0, 8, 20))
        frame = replace(made_up_frame(index, config.camera.image_size_px), labels=labels)
        if config.static_task:
            frame = with_static_labels(frame, lines, config.static.region(), STATIC_CLASSES)
        batch = collate([frame] * streams, [index == 0] * streams)
        if cached:
            grid = config.bev.grid()
            shape = (streams, config.bev.channels, grid.rows, grid.columns)
            empty = batch.images[..., :0, :0]
            batch = replace(batch, images=empty, fused_bev=torch.randn(shape))
        window.append(batch.to(device))
    return window


# -- tests and training ----------------------------------------------------------------------------


def tests(options: Options) -> None:
    """Runs the tests of the network and of the training step on this machine."""
    files = TINY_TESTS if options.tiny else TESTS
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *files]
    if importlib.util.find_spec("xdist") and not options.tiny:
        command += ["-n", str(min(12, len(os.sched_getaffinity(0))))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines() or [done.stderr[-200:]]
    options.results.add(" ".join(files), lines[-1].strip("= "))
    for line in [line for line in lines if line.startswith(("FAILED", "ERROR"))][:10]:
        options.results.add("failed", line[:200])


def training(options: Options) -> None:
    """Trains the tiny recipe on the embedded world for as many steps as fit into the time."""
    with tempfile.TemporaryDirectory() as folder:
        config = training_config(options, Path(folder))
        start = time.monotonic()
        fill(config)
        options.results.add("frames rendered into the cache", time.monotonic() - start, "s")
        trial = 2 if options.tiny else 40
        start = time.monotonic()
        train(options, config, Path(folder) / "trial", trial)
        a_step_s = (time.monotonic() - start) / trial
        count = (
            2 if options.tiny else min(config.max_steps, int(0.75 * options.left_s() / a_step_s))
        )
        options.results.add("steps of the schedule that fit", count, f"of {config.max_steps}")
        train(options, config, Path(folder) / "run", count)


def training_config(options: Options, folder: Path) -> TaskConfig:
    """Returns the tiny recipe of Step 1 on data that this section can render."""
    drives, frames = (1, 3) if options.tiny else (60, 24)
    world = f"leapai_world:open_logs:drives={{}},frames={frames},rate_hz=4,split={{}}"
    workers = 0 if options.tiny else max(1, len(os.sched_getaffinity(0)) - 2)
    return config_of("step1", tiny=True).replace(
        data={
            "train": world.format(drives, "train"),
            "val": world.format(max(1, drives // 15), "val"),
        },
        cache={"folder": str(folder / "cache"), "frames_gb": 20.0},
        training={
            "workers": workers,
            "validate_every": 0,
            "loggers": (),
            "validation_frames": frames,
        },
        batch_sizes={"train": 2 if options.tiny else 8},
    )


def fill(config: TaskConfig) -> None:
    """Renders all frames with all cores."""
    from rich.console import Console

    from leapai.config.options import CacheOptions
    from leapai.distributed import Ranks
    from leapai.training.cache_filling import fill_caches

    fill_caches(config, CacheOptions(), Ranks(), Console())


def train(options: Options, config: TaskConfig, output: Path, steps: int) -> None:
    """Trains a number of steps, and adds what its log and its last validation hold."""
    from leapai.config.options import TrainingOptions
    from leapai.training.train import run_training

    name = f"tiny Step 1, {steps} steps"
    try:
        run_training(config, TrainingOptions(output, steps=steps))
    except KeyboardInterrupt as stop:
        options.results.add(name, f"stopped {stop}")
    log = output / "train.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []
    if not lines:
        return
    (options.results.folder / "train.jsonl").write_text(log.read_text())
    first, last = lines[0], lines[-1]
    add = options.results.add
    add(f"{name}: loss", last["losses"]["total"], f"after {first['losses']['total']:.4g}")
    add(f"{name}: frames", last["frames_per_s"], "a second")
    waits = last["seconds_of"].get("data", 0.0) / last["seconds_a_step"]
    add(f"{name}: share of the time that waits for frames", waits)
    if (output / "model.ckpt").is_file():
        from leapai.checkpoints import read_checkpoint

        metrics = read_checkpoint(output / "model.ckpt").metrics
        for key in sorted(metrics):
            if re.search("mAP|mean_iou", key, re.IGNORECASE):
                add(f"{name}: {key}", metrics[key])


SECTIONS: dict[str, Callable[[Options], None]] = {
    section.__name__: section for section in (machine, parity, streaming, steps, tests, training)
}


def main() -> None:
    """Runs one section."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("section", choices=list(SECTIONS))
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=100.0)
    parser.add_argument("--tiny", action="store_true")
    given = parser.parse_args()
    results = Results(given.output, given.section)
    results.write()
    SECTIONS[given.section](Options(results, time.monotonic() + 0.95 * given.seconds, given.tiny))


if __name__ == "__main__":
    main()
