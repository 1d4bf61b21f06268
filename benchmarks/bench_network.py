"""Measures seconds and memory of the network by stage, on this machine: full size and tiny.

    python benchmarks/bench_network.py [--repeats 5]

Float32, batch 1, random weights, one made-up frame: seven images, 100 000 points. Every time is
also given as a multiple of a 4096 x 4096 float32 matrix product measured in the same run, so that
two machines can be compared. Memory is what a stage adds to the resident set of the process at its
peak, in a step of its own in which freed memory goes back to the system before each module.
"""

from __future__ import annotations

import argparse
import ctypes
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import torch

from leapai.config import TaskConfig, load_config
from leapai.data.transforms import collate
from leapai.models.build import build_model
from leapai.models.perception import Perception
from leapai.models.projection import Calibration, project_cells
from leapai.models.tensors import FrameBatch, TemporalState
from leapai.runs.profiler import StageMeter
from leapai.types import CameraFrame, Frame

CONFIGS = Path(__file__).parents[1] / "projects/perception/configs"
POINTS = 100_000
RIG = (
    ("front_narrow", "front_narrow", 0.0, 1.87),
    ("front_wide", "front_wide", 0.0, 0.5),
    ("back", "back", math.pi, 0.5),
    ("front_left", "side", 0.9, 0.5),
    ("front_right", "side", -0.9, 0.5),
    ("back_left", "side", 2.2, 0.5),
    ("back_right", "side", -2.2, 0.5),
)
"""Name, group, yaw of the optical axis, focal length over image width."""


def made_up_frame(index: int, size_px: tuple[int, int]) -> Frame:
    """Returns noise in seven images, and points that thin out with distance."""
    rng = np.random.default_rng(index)
    height, width = size_px
    cameras = []
    for name, group, yaw, focal in RIG:
        pose = np.eye(4)
        c, s = math.cos(yaw), math.sin(yaw)
        pose[:3] = [[s, 0, c, 1.5], [-c, 0, s, 0.0], [0, -1, 0, 1.6]]
        intrinsics = np.array(
            [[focal * width, 0, width / 2], [0, focal * width, height / 2], [0, 0, 1]]
        )
        image = rng.integers(0, 256, (height, width, 3), np.uint8)
        calibration = (intrinsics, np.zeros(5), pose)
        cameras.append(CameraFrame(name, group, image, size_px, *calibration, index * 100_000))
    radius, angle = 60 * rng.random(POINTS) ** 2, 2 * math.pi * rng.random(POINTS)
    columns = [radius * np.cos(angle), radius * np.sin(angle), 3 * rng.random(POINTS) - 1]
    points = np.column_stack([*columns, rng.random(POINTS), np.zeros(POINTS)])
    pose = np.eye(4)
    pose[0, 3] = 0.8 * index
    time_us = index * 100_000
    return Frame("bench", time_us, pose, tuple(cameras), points.astype(np.float32))


def best_seconds(work: Callable[[], object], repeats: int) -> float:
    """Returns the least of `repeats` timings after one warm-up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def bench(config: TaskConfig, repeats: int, unit_s: float) -> None:
    """Prints one configuration's parameters, stages and parts."""
    torch.manual_seed(0)
    model = build_model(config).eval()
    print(f"\n## {config.job_name}\n")
    print_parameters(model)
    batches = [collate([made_up_frame(i, config.camera.image_size_px)], [i == 0]) for i in range(4)]
    state = model.initial_state(1)
    for batch in batches:  # fills the memory, warms everything up
        _, state = model(batch, state)
    last = replace(batches[-1], timestamp_us=batches[-1].timestamp_us + 100_000)
    times = measure(model, last, state, repeats)
    with freed_memory_returned(model):
        memory = measure(model, last, state, 1)
    print("\n| stage | s | x matrix product | peak MB | added MB |\n|---|---|---|---|---|")
    for name, cost in times.costs.items():
        seconds = cost.seconds / repeats
        peak, added = memory.costs[name].peak_bytes / 1e6, memory.costs[name].added_bytes / 1e6
        cells = (f"{seconds:.4f}", f"{seconds / unit_s:.2f}", f"{peak:.0f}", f"{added:.0f}")
        print(f"| {name} | {' | '.join(cells)} |")
    print("\n| part | ms |\n|---|---|")
    for name, work in parts(model, last, state).items():
        print(f"| {name} | {1000 * best_seconds(work, repeats):.1f} |")


def measure(model: Perception, batch: FrameBatch, state: TemporalState, repeats: int) -> StageMeter:
    """Returns the costs of `repeats` steps by stage."""
    meter = StageMeter()
    with meter.measuring(model):
        for _ in range(repeats):
            with meter.stage("whole step"):
                model(batch, state)
    return meter


@contextmanager
def freed_memory_returned(model: Perception) -> Iterator[None]:
    """Gives freed memory back to the system before each module, so that what it adds shows."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", lambda _: None)  # glibc has it
    hooks = [
        module.register_forward_pre_hook(lambda *_: trim(0) and None) for module in model.children()
    ]
    trim(0)
    yield
    for hook in hooks:
        hook.remove()


def print_parameters(model: Perception) -> None:
    """Prints the millions of parameters by module."""
    print("| module | parameters, millions |\n|---|---|")
    for name, module in model.named_children():
        print(f"| {name} | {sum(p.numel() for p in module.parameters()) / 1e6:.2f} |")
    print(f"| all | {sum(p.numel() for p in model.parameters()) / 1e6:.2f} |")


def parts(
    model: Perception, batch: FrameBatch, state: TemporalState
) -> dict[str, Callable[[], object]]:
    """Returns the parts of stages that the README lists, by name."""
    config, view, encode = model.config, model.view_transfer, model.lidar_vfe
    assert encode is not None
    height, width = (side // view.stride for side in config.camera.image_size_px)
    features = torch.randn(1, height, width, 7, config.bev.channels).permute(0, 3, 4, 1, 2)
    features = features.contiguous()
    calibration, size, shifts = Calibration.of(batch.on_host()), (height, width), count()
    arguments = (view.grid, view.heights_m, calibration, size, view.stride)

    def transferred(seen_by: Calibration) -> object:
        return view(features, view.project(seen_by, size, features.device))

    def without_cache() -> object:
        fresh = replace(calibration, intrinsics=calibration.intrinsics + next(shifts))
        return transferred(fresh)

    def canvas() -> object:
        pillars = model.pillars(batch)
        return model.lidar_middle_encoder.canvas(encode(pillars), pillars.cell, streams=1)

    head = model.bev_dynamic_head
    cells = view.grid.rows * view.grid.columns
    bev = torch.randn(1, cells, config.dynamic.neck_channels)
    predictions, _ = head(bev, batch, state)
    queries = predictions.memory.current_query

    def memory() -> object:
        report = head.memory.read(state, batch, queries)
        return head.memory.push(state, report, head._new_slots(predictions), batch)

    return {
        "view transfer, projections cached": lambda: transferred(calibration),
        "view transfer, projections computed": without_cache,
        "projections alone": lambda: project_cells(*arguments),
        f"{POINTS} points to the pillar canvas": canvas,
        "decoder with memory": lambda: head(bev, batch, state),
        "memory: reset, align, condition, select, push": memory,
    }


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    matrix = torch.randn(4096, 4096)
    unit_s = best_seconds(lambda: matrix @ matrix, repeats)
    rate = 2 * 4096**3 / unit_s / 1e9
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"4096 x 4096 matrix product: {unit_s:.3f} s, {rate:.0f} GFLOP/s")
    with torch.inference_mode():
        for name in ("lpperception_current_hpa_step2_dynamic.py", "tiny_step2_dynamic.py"):
            bench(load_config(CONFIGS / name), repeats, unit_s)


if __name__ == "__main__":
    main()
