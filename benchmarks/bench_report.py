"""Measures the cost of a report: reading a run folder, its metrics, its report, and its size.

python benchmarks/bench_report.py outputs/demo
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from leapai.evaluation.evaluate import evaluate
from leapai.report.page import write_report
from leapai.runs.run_folder import read_run

RUNS = 3


def seconds(work: Callable[[], object]) -> float:
    """Returns the least of a few measurements of processor time."""
    times = []
    for _ in range(RUNS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    folder = Path(sys.argv[1])
    run, _ = read_run(folder)
    detections = sum(len(each) for drive in run.sequences for each in drive.detections)
    print(f"{run.summary.frames} frames, {detections} detections in {len(run.sequences)} drives")
    with TemporaryDirectory() as place:
        path = Path(place) / "report.html"
        print(f"reading the folder  {seconds(lambda: read_run(folder)):.2f} s")
        print(f"all metrics         {seconds(lambda: evaluate(run.sequences, run.config)):.2f} s")
        print(f"report, with reading {seconds(lambda: write_report(path, [folder])):.2f} s")
        print(f"one run             {path.stat().st_size / 1e6:.2f} MB")
        write_report(path, [folder, folder])
        print(f"two runs            {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
