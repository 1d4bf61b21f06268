"""Measures frames a second of the embedded world on one core, the time of each function, and the
memory of a worker.

    python benchmarks/bench_world.py [--frames 20] [--data synthetic:drives=5,frames=60]

Frames are taken in turn from all drives of the data: by default one of every place. Each size runs
in a process of its own, held to one core. Seconds are those of the processor, so that a busy
machine gives the same as an idle one; the rate of the wall clock is printed next to them. Every
time is also given as a multiple of a 2048 x 2048 float32 matrix product measured in the same
process. Memory is what a worker adds to the process after imports. The breakdown samples the
running function of the package every 2 ms.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from types import FrameType

import cv2
import numpy as np

from leapai.data.log import open_logs
from leapai_world.sequence import SyntheticSequence

SIZES = {
    "tiny: 7 x 128 x 240, 32 beams": ((128, 240), 32),
    "full: 7 x 512 x 960, 64 beams": ((512, 960), 64),
}
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
PACKAGE = "leapai_world"
SAMPLE_S = 0.002
SHOWN = 14


class Sampler:
    """Samples processor seconds by function of the package, while its context lasts."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._last = 0.0

    def __enter__(self) -> Sampler:
        signal.signal(signal.SIGPROF, self._sample)
        self._last = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, SAMPLE_S, SAMPLE_S)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _sample(self, _: int, frame: FrameType | None) -> None:
        # A signal waits for the end of a long call into C, so a sample weighs what has passed.
        now = time.process_time()
        while frame and PACKAGE not in frame.f_code.co_filename:
            frame = frame.f_back
        if frame:
            file = Path(frame.f_code.co_filename).name
            self.seconds[f"`{file}` {frame.f_code.co_qualname}"] += now - self._last
        self._last = now


def resident_mb(field: str) -> float:
    """Returns `VmRSS` (now) or `VmHWM` (peak) of this process, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1e3


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Returns processor and wall seconds of one call."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.process_time() - processor, time.perf_counter() - wall


def matrix_product() -> float:
    """Returns the processor seconds of a matrix product, the least of five."""
    matrix = np.random.default_rng(0).random((2048, 2048), np.float32)
    return min(seconds(lambda: matrix @ matrix)[0] for _ in range(5))


def bench(name: str, data: str, frames: int) -> None:
    """Prints the numbers of one size; runs in a process of its own."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    cv2.setNumThreads(1)
    unit_s = matrix_product()
    size_px, beams = SIZES[name]
    imported_mb = resident_mb("VmRSS")
    logs: list[SyntheticSequence] = []
    rig = seconds(lambda: logs.extend(open_logs(f"{data},beams={beams}", image_size_px=size_px)))
    opening = [seconds(lambda log=log: log.ground_truth(0))[0] for log in logs]
    first = [seconds(lambda log=log: log[0])[0] for log in logs]
    chosen = [(log, 1 + i // len(logs)) for i, log in zip(range(frames), cycle(logs), strict=False)]
    each = np.array([seconds(lambda log=log, i=i: log[i]) for log, i in chosen])
    gt = seconds(lambda: [log.ground_truth(i) for log, i in chosen])
    added_mb = resident_mb("VmHWM") - imported_mb
    with Sampler() as sampler:
        for log, i in chosen:
            log[i]
    rows = {
        "the rig, once a process": rig[0],
        "opening a drive, slowest": max(opening),
        "its first frame, slowest": max(first),
        "a frame, mean": each[:, 0].mean(),
        "a frame, slowest": each[:, 0].max(),
        "the ground truth of a frame alone": gt[0] / frames,
    }
    print(f"\n## {name}\n\n| | s | x matrix product |\n|---|---|---|")
    for row, value in rows.items():
        print(f"| {row} | {value:.4f} | {value / unit_s:.2f} |")
    print(f"\n{1 / each[:, 0].mean():.2f} frames a second of one core", end="")
    print(f" ({1 / each[:, 1].mean():.2f} by the wall clock, on a machine that others may use)")
    print(f"\nA worker adds {added_mb:.0f} MB at its peak to {imported_mb:.0f} MB of imports")
    print_shares(sampler.seconds)


def print_shares(spent: Counter[str]) -> None:
    """Prints the functions that take most of the time."""
    print("\n| where the time goes | share |\n|---|---|")
    for function, function_s in spent.most_common(SHOWN):
        print(f"| {function} | {function_s / spent.total():.1%} |")


def main() -> None:
    """Runs the benchmark, one process for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--data", default="synthetic:drives=5,frames=60")
    parser.add_argument("--size", choices=SIZES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.size:
        bench(options.size, options.data, options.frames)
        return
    print(f"{options.data}, {options.frames} frames", flush=True)
    for name in SIZES:
        command = [sys.executable, *sys.argv, "--size", name]
        subprocess.run(command, check=True, env={**os.environ, **ONE_THREAD})


if __name__ == "__main__":
    main()
