"""Training on this machine: frames a second, where the time goes, and peak memory.

    python benchmarks/bench_training.py [--steps 40] [--full-size] [--workers 1]

Runs the trainer itself, each time in a process of its own: Step 1 with both tasks and with the
objects alone, Step 2 Dynamic, and the same from cached features. Frames come from the store on
disk, which is filled first, and the first steps are not counted, so that rendering and the filling
of the feature cache are not either. Weights are random; that changes no time. Peak memory is what
the process (and its largest worker) held resident, or what the GPU held allocated. Time on a
machine that does something else means little: see that the load that is printed is low.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from bench_merged import alone
from leapai.config import TaskConfig, load_config
from leapai.config.options import TrainingOptions
from leapai.data.frame_cache import open_cached_logs
from leapai.training.train import run_training

CONFIGS = Path(__file__).parents[1] / "projects/perception/configs"
TINY = ("tiny_step1.py", "tiny_step2_dynamic.py")
FULL_SIZE = (
    "lpperception_current_hpa_step1.py",
    "lpperception_current_hpa_step2_dynamic.py",
)
DATA = "synthetic:split=train,drives=4,frames=20,rate_hz=4"
CACHE_GB = 8.0
UNCOUNTED_STEPS = 20
"""Caches, allocator and threads warm up."""


@dataclass(frozen=True)
class Trial:
    """One training that is measured."""

    name: str
    config: str
    """Name of a file in the folder of configurations."""
    cached_features: bool = False
    both_tasks: bool = False


def short_config(trial: Trial, folder: Path, batch: int | None) -> TaskConfig:
    """Returns the trial's configuration, with nothing in it that is not training."""
    config = load_config(CONFIGS / trial.config)
    values = (config if trial.both_tasks else alone(config, "dynamic")).model_dump()
    values["cache"] = {
        "folder": str(folder / "cache"),
        "frames_gb": CACHE_GB,
        "features_gb": CACHE_GB if trial.cached_features else 0.0,
    }
    values["data"]["val"] = "synthetic:split=val,drives=1,frames=1"
    values["training"] |= {"validate_every": 0, "validation_frames": 1}
    if batch:
        values["batch_sizes"]["train"] = batch
    return TaskConfig.model_validate(values)


def train(trial: Trial, options: argparse.Namespace) -> None:
    """Trains, in a process of its own; prints peak memory as the last line."""
    output = options.output / trial.name.replace(" ", "_")
    shutil.rmtree(output, ignore_errors=True)
    config = short_config(trial, options.output, options.batch)
    size = config.camera.image_size_px
    labels_m = config.bev.label_range_m
    for log in open_cached_logs(
        options.data, image_size_px=size, cache=config.cache, label_range_m=labels_m
    ):
        for index in range(len(log)):
            log[index]
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    steps = options.steps + UNCOUNTED_STEPS
    run_training(
        config,
        TrainingOptions(output, data=(options.data,), steps=steps, workers=options.workers),
    )
    resident = [
        resource.getrusage(who).ru_maxrss * 1024
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ]
    allocated = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
    result = {"resident": resident[0], "worker": resident[1], "allocated": allocated}
    print(json.dumps(result | metrics_of(output / "train.jsonl")))


def metrics_of(path: Path) -> dict[str, Any]:
    """Returns means over the counted lines of a training's log, which has one every ten steps."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    counted = [line for line in lines if line["step"] > UNCOUNTED_STEPS]
    stages: Counter[str] = Counter()
    for line in counted:
        stages.update(line["seconds_of"])
    return {
        "seconds_a_step": mean([line["seconds_a_step"] for line in counted]),
        "frames_per_s": mean([line["frames_per_s"] for line in counted]),
        "stages": {name: seconds / len(counted) for name, seconds in stages.items()},
    }


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def measured(trial: Trial, arguments: list[str]) -> dict[str, Any]:
    """Returns the measurements that a training process prints."""
    command = [sys.executable, __file__, *arguments, "--trial", json.dumps(asdict(trial))]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{trial.name} failed")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def print_results(results: dict[str, dict[str, Any]]) -> None:
    """Prints two Markdown tables."""
    print("| | s a step | frames/s | peak MB | of its largest worker, MB | GPU, MB |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, r in results.items():
        gpu = f"{r['allocated'] / 1e6:.0f}" if r["allocated"] else "-"
        memory = f"{r['resident'] / 1e6:.0f} | {r['worker'] / 1e6:.0f} | {gpu}"
        print(f"| {name} | {r['seconds_a_step']:.3f} | {r['frames_per_s']:.1f} | {memory} |")
    stages = list(dict.fromkeys(stage for r in results.values() for stage in r["stages"]))
    print(f"\n| share of a step, % | {' | '.join(stages)} |")
    print(f"|---|{'--:|' * len(stages)}")
    for name, r in results.items():
        shares = (r["stages"].get(stage, 0.0) / r["seconds_a_step"] for stage in stages)
        print(f"| {name} | {' | '.join(f'{100 * share:.0f}' for share in shares)} |")


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=40, help="counted ones")
    parser.add_argument("--full-size", action="store_true", help="instead of the tiny networks")
    parser.add_argument("--data", default=DATA)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--batch", type=int, help="streams, instead of the configuration's")
    parser.add_argument("--output", type=Path, default=Path("outputs/bench_training"))
    parser.add_argument("--trial", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.trial:
        train(Trial(**json.loads(options.trial)), options)
        return
    step1, step2 = FULL_SIZE if options.full_size else TINY
    trials = (
        Trial("Step 1", step1, both_tasks=True),
        Trial("Step 1, objects alone", step1),
        Trial("Step 2", step2),
        Trial("Step 2 cached", step2, cached_features=True),
    )
    load = os.getloadavg()[0]
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, load {load:.1f}\n")
    results = {trial.name: measured(trial, sys.argv[1:]) for trial in trials}
    print_results(results)
    seconds = {name: result["seconds_a_step"] for name, result in results.items()}
    faster = seconds["Step 2"] / seconds["Step 2 cached"]
    share = 100 * (seconds["Step 1"] / seconds["Step 1, objects alone"] - 1)
    print(f"\nA Step 2 step is {faster:.1f} times as fast from cached features.")
    print(f"The static task adds {share:.0f} % to a step of Step 1.")
    path = options.output / "results.json"
    path.write_text(json.dumps({"command": sys.argv, "results": results}, indent=2) + "\n")
    print(path)


if __name__ == "__main__":
    main()
