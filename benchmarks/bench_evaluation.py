"""Measures the time of detection and tracking metrics against the official nuScenes evaluators, on
the frames whose official metrics are in `../shared/oracles`.

    python -m venv DEVKIT && DEVKIT/bin/pip install nuscenes-devkit motmetrics==1.4.0 'pandas<3'
    python -m benchmarks.bench_evaluation --devkit-python DEVKIT/bin/python

The devkit pins numpy < 2, so it needs an environment of its own; without `--devkit-python` only our
evaluation is timed. Both get their input in their own format (boxes in lists of frames) and are
timed by their own clock, in turns, because the load of a machine changes. The medians of the CPU
seconds and of the ratios of each turn are printed. Ratios can be compared between machines, seconds
cannot. The devkit's metrics must equal those of the file, where it gives any (cones have no heading
or velocity there).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tests.evaluation.oracles import DETECTION, TRACKING, WIDE, labelled_frames

from leapai.config import EvaluationConfig
from leapai.evaluation.detection.detection_metrics import detection_metrics
from leapai.evaluation.tracking.tracking_metrics import tracking_metrics

OFFICIAL = Path(__file__).with_name("official_evaluation.py")


def seconds(run: Callable[[], object], turns: int) -> float:
    """Returns the median of CPU seconds."""
    spent = []
    for _ in range(turns):
        start = time.process_time()
        run()
        spent.append(time.process_time() - start)
    return statistics.median(spent)


def official_seconds(python: str, task: str, oracle: Path) -> float:
    """Returns the CPU seconds of the devkit, in its own interpreter; its metrics are checked."""
    command = [python, str(OFFICIAL), task, str(oracle)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    answer = json.loads(printed.splitlines()[-1])
    expected = flat(json.loads(oracle.read_text())["expected"])
    metrics = flat(answer["metrics"])
    known = [name for name in expected if not np.isnan(metrics[name])]
    np.testing.assert_allclose(
        [metrics[name] for name in known], [expected[name] for name in known], atol=1e-6
    )
    return answer["seconds"]


def flat(metrics: dict, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], float]:
    """Returns {path of names: value} of all metrics that are not None."""
    result = {}
    for name, value in metrics.items():
        if isinstance(value, dict):
            result |= flat(value, (*path, name))
        elif value is not None:
            result[*path, name] = value
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devkit-python", help="an interpreter that has nuscenes-devkit")
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    tasks: dict[str, tuple[Path, Callable[[list], object]]] = {
        "detection": (DETECTION, lambda f: detection_metrics(f, WIDE, EvaluationConfig())),
        "tracking": (TRACKING, lambda f: tracking_metrics(f, WIDE)),
    }
    print(f"{'metrics':<12}{'frames':>8}{'boxes':>8}{'ours s':>9}{'official s':>12}{'ratio':>8}")
    for task, (oracle, run) in tasks.items():
        frames = labelled_frames(json.loads(oracle.read_text()))
        run(frames)  # once to warm up
        ours, theirs = [], []
        for _ in range(arguments.turns):
            ours.append(seconds(lambda r=run, f=frames: r(f), 5))
            if arguments.devkit_python:
                theirs.append(official_seconds(arguments.devkit_python, task, oracle))
        boxes = sum(len(f.labels) + len(f.detections) for f in frames)
        line = f"{task:<12}{len(frames):>8}{boxes:>8}{statistics.median(ours):>9.3f}"
        if theirs:
            ratio = statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
            line += f"{statistics.median(theirs):>12.2f}{ratio:>7.0f}x"
        print(line)


if __name__ == "__main__":
    main()
