"""Measures which share of the limit of matrix products a training step reaches: Step 1 of the tiny
network, on frames of the embedded world.

    python benchmarks/bench_step_limit.py [--config tiny_step1] [--turns 5] [--threads 1]

The limit is the time that the convolutions and matrix products of the step, forward and backward,
would take at the rate of one large float32 product. They are counted by
`torch.utils.flop_counter`; sampling, which is none of them, is not. Steps and large products take
turns, so that what else the machine does slows both. Times are CPU seconds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from gpu_training import train_step
from leapai.config import load_config
from leapai.data.log import open_logs
from leapai.data.samplers import StreamingDataset
from leapai.training.freed_memory import keep_freed_memory

SIDE = 2048
"""Rows and columns of the large product."""


def cpu_seconds(run: Callable[[], object]) -> float:
    """Returns the CPU seconds of a call, over all threads."""
    start = time.process_time()
    run()
    return time.process_time() - start


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, default=Path("tiny_step1"))
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    config = load_config(options.config)
    streams = config.batch_sizes.train
    source = f"synthetic:split=train,drives={streams},frames=1,rate_hz=4"
    logs = open_logs(source, image_size_px=config.camera.image_size_px)
    window = StreamingDataset(logs, config).window(0)
    step, matrix = train_step(config), torch.randn(SIDE, SIDE)
    step.add(window)
    with FlopCounterMode(display=False) as counter:
        step.add(window)
    operations = counter.get_total_flops()
    turns = [
        (cpu_seconds(lambda: step.add(window)), cpu_seconds(lambda: matrix @ matrix))
        for _ in range(options.turns)
    ]
    a_step_s, product_s = (statistics.median(side) for side in zip(*turns, strict=True))
    share = statistics.median(operations / (2 * SIDE**3) * unit / spent for spent, unit in turns)
    print(f"{streams} streams of {config.job_name}, {options.threads} threads")
    print(f"{operations / 1e9:.0f} GFLOP a step, {a_step_s:.2f} CPU s")
    print(f"matrix product: {2 * SIDE**3 / product_s / 1e9:.0f} GFLOP a CPU s")
    print(f"share of the limit: {100 * share:.0f} %")


if __name__ == "__main__":
    main()
