"""Measures the reading of frames: CPU milliseconds of a real nuScenes keyframe, in one process.

    python benchmarks/bench_loading.py KEYFRAME

KEYFRAME is a nuScenes root with one sample, such as the first of v1.0-mini: six JPEGs of 1600 x 900
and a sweep. A frame is read, checked, resized and collated, as a worker of a training does it.
"Plain" decodes with Pillow and averages pixels over their area, which what is measured must stay
close to: the last column has the mean difference of pixels, in grey levels of 255. Ten sweeps are
ten times the same one.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import torch

from leapai.data import reading, transforms
from leapai.data.log import DrivingLog, open_logs
from leapai.models.tensors import FrameBatch

SIZES_PX = ((512, 960), (128, 240))
TURNS = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("keyframe", type=Path)
    root = parser.parse_args().keyframe
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    print("| images | sweeps | plain | whole images | reduced images | difference |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as made:
        of_sweeps = {1: f"nuscenes:{root}", 10: with_sweeps(root, Path(made))}
        for size_px in SIZES_PX:
            for sweeps, data in of_sweeps.items():
                print(row(data, size_px, sweeps))


def row(data: str, size_px: tuple[int, int], sweeps: int) -> str:
    (whole,) = open_logs(data, image_size_px=size_px)
    (reduced,) = open_logs(data, image_size_px=size_px, reduce_images=True)

    def plain() -> FrameBatch:
        with (
            mock.patch.object(reading, "_whole_jpeg", return_value=None),
            mock.patch.object(transforms, "_resized", area_resized),
        ):
            return batch_of(whole, size_px)

    ways = (plain, lambda: batch_of(whole, size_px), lambda: batch_of(reduced, size_px))
    images = [way().images.numpy().astype(int) for way in ways]
    times_ms = cpu_ms(ways)
    times = " | ".join(f"{t:.1f} ms ({times_ms[0] / t:.1f}x)" for t in times_ms)
    apart = ", ".join(f"{np.abs(other - images[0]).mean():.2f}" for other in images[1:])
    return f"| {size_px[0]} x {size_px[1]} | {sweeps} | {times} | {apart} |"


def batch_of(log: DrivingLog, size_px: tuple[int, int]) -> FrameBatch:
    return transforms.collate([transforms.prepare(log[0], size_px)], [True])


def area_resized(image: np.ndarray, size_px: tuple[int, int]) -> np.ndarray:
    return cv2.resize(image, size_px[::-1], interpolation=cv2.INTER_AREA)


def cpu_ms(ways: tuple[Callable[[], FrameBatch], ...]) -> list[float]:
    """Returns the median of each, taken in turns, so that another load meets all of them."""
    taken: list[list[float]] = [[] for _ in ways]
    for _ in range(TURNS):
        for way, times in zip(ways, taken, strict=True):
            start = time.process_time()
            way()
            times.append(1e3 * (time.process_time() - start))
    return [float(np.median(times)) for times in taken]


def with_sweeps(root: Path, made: Path) -> str:
    """Returns data whose keyframe has nine more sweeps, 50 ms apart, in files of their own."""
    (source,) = root.glob("v1.0-*")
    folder = made / source.name
    folder.mkdir()
    for path in source.glob("*.json"):
        (folder / path.name).write_text(path.read_text())
    (made / "samples").symlink_to((root / "samples").absolute())
    rows = json.loads((folder / "sample_data.json").read_text())
    lidar = next(row for row in rows if "LIDAR_TOP" in row["filename"])
    content = (root / lidar["filename"]).read_bytes()
    for number in range(1, 10):
        earlier = f"sweep-{number}"
        rows[-1 if number > 1 else rows.index(lidar)]["prev"] = earlier
        path = made / "sweeps" / f"{number}.pcd.bin"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        time_us = lidar["timestamp"] - number * 50_000
        changed = {"token": earlier, "is_key_frame": False, "timestamp": time_us, "prev": ""}
        rows.append(lidar | changed | {"filename": f"sweeps/{number}.pcd.bin"})
    (folder / "sample_data.json").write_text(json.dumps(rows))
    return f"nuscenes:{made},sweeps=10"


if __name__ == "__main__":
    main()
