"""Sections of `gpu.sh` that train: optimiser steps a second, and the tiny recipe.

Steps are measured on made-up windows from random weights; the recipe renders the embedded world.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import gpu_section
from gpu_section import Options

if TYPE_CHECKING:
    from leapai.config import TaskConfig
    from leapai.models.tensors import FrameBatch
    from leapai.training.train_step import TrainStep


def steps(options: Options) -> None:
    """Measures optimiser steps a second of Step 1, Step 2 and cached Step 2."""
    for name, config_name, cached in (
        ("Step 1", "step1", False),
        ("Step 2 dynamic", "step2_dynamic", False),
        ("Step 2 dynamic, cached features", "step2_dynamic", True),
    ):
        gpu_section.attempt(
            options, name, lambda n=name, c=config_name, f=cached: step_kind(options, n, c, f)
        )


def step_kind(options: Options, name: str, config_name: str, cached: bool) -> None:
    """Measures one kind of step with the recipe's batch, or half of it as often as memory asks."""
    import torch

    config = gpu_section.config_of(config_name, options.tiny)
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
        gpu_section.reset_peak()


def measure_steps(options: Options, name: str, config: TaskConfig, of: tuple[int, bool]) -> None:
    """Measures optimiser steps on made-up windows that lie on the device already."""
    import torch

    streams, cached = of
    gpu_section.reset_peak()
    step = train_step(config)
    windows = made_up_windows(config, streams, cached)

    def one() -> None:
        step.add(windows)

    for _ in range(1 if options.tiny else 3):
        one()
    most = 1 if options.tiny else 20
    seconds = gpu_section.seconds_of(one, 1)
    times = max(1, min(most, int(options.left_s() / 4 / seconds)))
    seconds = gpu_section.seconds_of(one, times)
    with gpu_section.counted_waits() as places:
        one()
    frames = streams * len(windows)
    options.results.add(name, 1 / seconds, f"steps/s, {frames / seconds:.4g} frames/s")
    gpu_section.add_peak(options.results, name)
    gpu_section.add_waits(options.results, name, places)
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

    rng, device, window = np.random.default_rng(0), gpu_section.device_of(), []
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
    return gpu_section.config_of("step1", tiny=True).replace(
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
