"""Compares two networks, such as an exported one with PyTorch: the same drives through both, each
in its own process.

    leapai export model.ckpt -o exported
    python benchmarks/bench_export.py model.ckpt exported \\
        [--data synthetic:split=test,drives=5,frames=40,rate_hz=10] [--threads 1]
    python benchmarks/bench_export.py exported exported_in_parts

Prints in how many frames the identities and classes are equal, the largest differences of what the
networks give, CPU seconds a frame (the median, from the frame to tracked objects), and the peak of
each process's resident set.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import leapai
from leapai.streaming.session import StreamSession
from leapai.types import Detections, Frame, NetworkStep

DRIVES = "synthetic:split=test,drives=5,frames=40,rate_hz=10"


class Recorded:
    """A network that keeps its last outputs."""

    def __init__(self, network: Any) -> None:
        self.network = network
        self.outputs: dict[str, np.ndarray] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.network, name)

    def step(self, frame: Frame, memory: Any, *, is_first: bool) -> NetworkStep:
        """Runs one frame."""
        step = self.network.step(frame, memory, is_first=is_first)
        self.outputs = dict(step.named_outputs())
        return step

    def empty_memory(self) -> Any:
        """Returns the memory before the first frame."""
        return self.network.empty_memory()

    def with_ids(self, memory: Any, detections: Detections) -> Any:
        """Returns the memory whose newest slots carry the ids of the detections."""
        return self.network.with_ids(memory, detections)


@dataclass(frozen=True)
class Side:
    """Measurements of one process."""

    frames: int
    load_s: float
    frame_s: float
    """Median."""
    peak_mb: float


def run_side(network: Path, data: str, folder: Path) -> Side:
    """Streams the drives through a checkpoint or an exported network, and writes a file a frame."""
    start = time.process_time()
    session = leapai.load(network, device="cpu").session
    load_s, seconds = time.process_time() - start, []
    recorded = Recorded(session.network)
    session = StreamSession(recorded, session.config)
    size_px = session.config.camera.image_size_px
    for log in leapai.open_logs(data, image_size_px=size_px):
        for frame in log:
            start = time.process_time()
            found = session.step(frame).detections
            seconds.append(time.process_time() - start)
            of_objects = (found.track_id, found.class_id, found.boxes)
            np.savez(
                folder / f"{len(seconds) - 1}.npz",
                **dict(zip(("track_id", "class_id", "box"), of_objects, strict=True)),
                **{f"of {name}": array for name, array in recorded.outputs.items()},
            )
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Side(len(seconds), load_s, statistics.median(seconds), peak_mb)


def compare(folders: list[Path], frames: int) -> tuple[int, dict[str, float]]:
    """Returns in how many frames ids and classes are equal, and the largest differences by name:
    those of boxes in these frames."""
    equal, largest = 0, dict[str, float]()
    for index in range(frames):
        one, two = (np.load(folder / f"{index}.npz") for folder in folders)
        same = all(np.array_equal(one[name], two[name]) for name in ("track_id", "class_id"))
        equal += same
        for name in one.files:
            if name.startswith("of ") or (name == "box" and same):
                difference = float(np.abs(one[name] - two[name]).max(initial=0.0))
                largest[name] = max(largest.get(name, 0.0), difference)
    return equal, largest


def main() -> None:
    """Runs both sides and prints what differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("one", type=Path, help="a checkpoint, or the folder of an exported network")
    parser.add_argument("other", type=Path, help="the same")
    parser.add_argument("--data", default=DRIVES)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    with tempfile.TemporaryDirectory() as temporary:
        folders, sides = [], []
        for name in ("one", "other"):
            folders.append(Path(temporary, name))
            folders[-1].mkdir()
            # A new process each: its peak memory is that of one side.
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                network = getattr(options, name)
                sides.append(pool.apply(run_side, (network, options.data, folders[-1])))
        equal, largest = compare(folders, sides[0].frames)
    print(f"frames with equal track ids and classes: {equal} of {sides[0].frames}")
    for name, difference in largest.items():
        print(f"largest difference {name}: {difference:.2g}")
    for network, side in zip((options.one, options.other), sides, strict=True):
        print(
            f"{network}: {side.frame_s:.3f} CPU s a frame, {side.load_s:.1f} s to load, "
            f"{side.peak_mb:.0f} MB at most"
        )


if __name__ == "__main__":
    main()
