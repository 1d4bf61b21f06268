"""Measures whether a stream that does not end grows: memory, and time a frame, over 10 000 frames.

    python -m benchmarks.measure_long_stream [--frames 10000]

A tiny network with random weights streams random frames of one sequence. What is printed: resident
memory after the first thousand frames and after the last, and the processor time of a step in both
thousands, as the tenth percentile, which other processes disturb least.
"""

from __future__ import annotations

import argparse
import gc
import resource
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tests.scenes import joint_config, make_frame, seeded_model

from leapai.config import TaskConfig
from leapai.geometry import poses
from leapai.streaming.session import StreamSession
from leapai.streaming.stream import Stream
from leapai.types import Frame

KEPT_FRAMES = 8
PAGE_BYTES = resource.getpagesize()


def resident_mb() -> float:
    """Returns the memory of this process that is in RAM, in MB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * PAGE_BYTES / 1e6


def tiny_config() -> TaskConfig:
    """Returns both tasks with memory at the smallest useful size; every query is a detection, so
    that tracks are born and die."""
    return joint_config(evaluation={"min_score": 0.0}, tracking={"birth_score": 0.0})


def frames(count: int) -> list[Frame]:
    """Returns a few frames, to be shown in turn as `count` frames."""
    return [make_frame(i) for i in range(min(count, KEPT_FRAMES))]


def moved(frame: Frame, index: int) -> Frame:
    """Returns the frame as number `index` of an endless straight drive at 8 m/s and 10 Hz."""
    time_us = 1_000_000 + index * 100_000
    pose = poses.from_xyz_yaw(np.array([0.8 * index, 0.0, 0.0]), 0.0)
    cameras = tuple(replace(camera, timestamp_us=time_us) for camera in frame.cameras)
    return replace(frame, timestamp_us=time_us, ego2global=pose, cameras=cameras)


def main() -> None:
    """Streams, and prints the first and the last thousand frames side by side."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--frames", type=int, default=10_000)
    count = parser.parse_args().frames
    part = max(count // 10, 1)
    torch.set_num_threads(1)
    config = tiny_config()
    stream = Stream(StreamSession(seeded_model(config), config))
    shown, seconds, memory_mb, ids = frames(count), [], {}, 0
    for index in range(count):
        frame = moved(shown[index % len(shown)], index)
        start = time.process_time()
        detections = stream.step(frame)
        seconds.append(time.process_time() - start)
        ids = max(ids, int(detections.track_id.max(initial=-1)) + 1)
        if index + 1 in (part, count):
            gc.collect()
            memory_mb[index + 1] = resident_mb()
    first, last = (np.percentile(some, 10) for some in (seconds[:part], seconds[-part:]))
    print(f"frames {count}, track ids given {ids}, tracks alive {len(stream.state.tracks)}")
    print(f"memory after {part} frames {memory_mb[part]:.1f} MB, after all {memory_mb[count]:.1f}")
    print(f"a step, first {part}: {first * 1e3:.2f} ms, last {part}: {last * 1e3:.2f} ms")


if __name__ == "__main__":
    main()
