"""Compares one pass of a merged network with two passes, one for each task: time and memory.

    python benchmarks/bench_merged.py [CHECKPOINT] [--frames 20]

Splits the merged checkpoint (the one that ships, if none is named) into a network for each task,
and streams the same frames through all three, frame by frame in turn, in one thread. Weights and
streaming state are counted by their bytes; the peak of the resident set is that of a process which
runs one pass, or both. Predictions that differ by a bit end the benchmark.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path

import torch
from torch import Tensor

from bench_network import made_up_frame
from leapai.checkpoints import config_of, read_checkpoint
from leapai.config import TaskConfig
from leapai.data.transforms import collate, prepare
from leapai.models.build import build_model
from leapai.models.perception import Perception
from leapai.models.tensors import FrameBatch, Predictions, TemporalState
from leapai.weights import shipped_checkpoint

TASKS = ("dynamic", "static")
MERGED = "merged"
NAMES = (MERGED, *TASKS)
UNCOUNTED = 3
MB = 1e6


@dataclass
class Stream:
    """A network and its memory."""

    model: Perception
    state: TemporalState

    def step(self, batch: FrameBatch) -> Predictions:
        """Processes the next frame."""
        predictions, self.state = self.model(batch, self.state)
        return predictions


def alone(config: TaskConfig, task: str) -> TaskConfig:
    """Returns the configuration without the other task."""
    (other,) = set(TASKS) - {task}
    values = config.model_dump() | {f"{other}_task": False, f"enable_{other}_temporal": False}
    values["task_loss_weights"] = {task: config.task_loss_weights[task]}
    modules = config.trainable_modules
    values["trainable_modules"] = tuple(name for name in modules if other not in name)
    return TaskConfig.model_validate(values)


def streams_of(checkpoint: Path, names: Iterable[str]) -> dict[str, Stream]:
    """Returns the merged network and the networks of single tasks, by name."""
    read = read_checkpoint(checkpoint)
    config, weights = read.config, read.state_dict
    made = {}
    for name in names:
        model = build_model(config if name == MERGED else alone(config, name)).eval()
        model.load_state_dict({key: weights[key] for key in model.state_dict()})
        made[name] = Stream(model, model.initial_state(1))
    return made


def batches_of(config: TaskConfig, frames: int) -> Iterator[FrameBatch]:
    """Yields successive frames like those of `bench_network`: seven images, 100 000 points."""
    size = config.camera.image_size_px
    for index in range(frames):
        prepared = prepare(made_up_frame(index, size), size, config.camera.groups)
        yield collate([prepared], [index == 0])


def byte_count(value: object) -> int:
    """Returns the bytes of all tensors in a state."""
    if isinstance(value, Tensor):
        return value.nbytes
    parts = [getattr(value, f.name) for f in fields(value)] if is_dataclass(value) else []
    return sum(map(byte_count, parts))


def weight_bytes(model: Perception) -> int:
    """Returns the bytes of parameters and buffers."""
    return sum(tensor.nbytes for tensor in model.state_dict().values())


def timed(stream: Stream, batch: FrameBatch) -> tuple[float, Predictions]:
    """Returns the CPU milliseconds of a step, and its predictions."""
    start = time.process_time()
    predictions = stream.step(batch)
    return 1e3 * (time.process_time() - start), predictions


def refuse_difference(merged: Predictions, dynamic: Predictions, static: Predictions) -> None:
    """Raises RuntimeError where the merged network predicts anything else."""
    outputs = [
        [each.dynamic.boxes, each.dynamic.class_logits, each.static.logits]
        for each in (merged, Predictions(dynamic.dynamic, static.static))
        if each.dynamic is not None and each.static is not None
    ]
    if not all(map(torch.equal, *outputs)):
        raise RuntimeError(
            "the merged network predicts something else than the network of one task"
        )


def peak_mb(names: list[str], options: argparse.Namespace) -> float:
    """Returns the peak of the resident set of a process that runs these streams on a few frames."""
    command = [sys.executable, __file__, str(options.checkpoint), "--peak-of", *names]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout)


def print_peak(options: argparse.Namespace) -> None:
    """Prints the peak of this process in MB while it runs the streams that are named."""
    streams = streams_of(options.checkpoint, options.peak_of)
    for batch in batches_of(config_of(options.checkpoint), UNCOUNTED):
        for stream in streams.values():
            stream.step(batch)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MB)


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path, nargs="?", default=shipped_checkpoint())
    parser.add_argument("--frames", type=int, default=20, help="counted ones")
    parser.add_argument("--peak-of", nargs="+", default=[], help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with torch.no_grad():
        if options.peak_of:
            print_peak(options)
            return
        measure(options)


def measure(options: argparse.Namespace) -> None:
    """Measures and prints."""
    streams = streams_of(options.checkpoint, NAMES)
    config = streams[MERGED].model.config
    times: dict[str, list[float]] = {name: [] for name in streams}
    for index, batch in enumerate(batches_of(config, options.frames + UNCOUNTED)):
        found = {name: timed(stream, batch) for name, stream in streams.items()}
        refuse_difference(*(predictions for _, predictions in found.values()))
        if index >= UNCOUNTED:
            for name, (time_ms, _) in found.items():
                times[name].append(time_ms)
    ms = {name: statistics.median(values) for name, values in times.items()}
    weights = {name: weight_bytes(stream.model) / MB for name, stream in streams.items()}
    states = {name: byte_count(stream.state) / MB for name, stream in streams.items()}
    peaks = [peak_mb(names, options) for names in ([MERGED], list(TASKS))]
    print(f"torch {torch.__version__}, one thread, load {os.getloadavg()[0]:.1f}\n")
    print("| | ms a frame | weights, MB | state, MB | peak, MB |")
    print("|---|--:|--:|--:|--:|")
    for name in streams:
        print(f"| {name} | {ms[name]:.1f} | {weights[name]:.1f} | {states[name]:.1f} | |")
    two = [sum(values[task] for task in TASKS) for values in (ms, weights, states)]
    print(f"| two passes | {two[0]:.1f} | {two[1]:.1f} | {two[2]:.1f} | {peaks[1]:.0f} |")
    print(f"| one merged pass | {ms[MERGED]:.1f} | {weights[MERGED]:.1f} | ", end="")
    print(f"{states[MERGED]:.1f} | {peaks[0]:.0f} |")
    print(f"\nOne pass takes {100 * ms[MERGED] / two[0]:.0f} % of the time of two.")


if __name__ == "__main__":
    main()
