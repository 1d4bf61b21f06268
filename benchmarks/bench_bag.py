"""Measures reading a ROS 2 bag: a drive of the embedded world, written and read back.

    python benchmarks/bench_bag.py [--frames 12] [--image-size 256 480]

Processor seconds of one thread, which hardly depend on the load of the machine; reading is the best
of three passes. Needs `pip install 'leapai[mcap]'`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from leapai.data.bags.bag_reader import open_logs as open_bags
from leapai.data.log import OpenOptions, open_logs
from leapai_world.export_rosbag import export_rosbags


def main() -> None:
    """Writes, reads and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--image-size", type=int, nargs=2, default=(256, 480))
    options = parser.parse_args()
    size_px = tuple(options.image_size)
    data = f"synthetic:seed=3,place=street,frames={options.frames}"
    with tempfile.TemporaryDirectory() as folder:
        bags = Path(folder) / "bags"
        export_rosbags(open_logs(data, image_size_px=size_px), bags)
        size_mb = sum(path.stat().st_size for path in bags.rglob("*.mcap")) / 1e6
        started_s = time.process_time()
        (log,) = open_bags(str(bags), OpenOptions(size_px))
        opening_s = time.process_time() - started_s
        passes_s = []
        for _ in range(3):
            started_s = time.process_time()
            points = [len(frame.points) for frame in (log[i] for i in range(len(log)))]
            passes_s.append(time.process_time() - started_s)
    print(f"{data}: {size_mb:.1f} MB, {sum(points) / len(points):.0f} points a frame")
    print(f"opening takes {opening_s:.2f} s, reading {min(passes_s) / len(log):.3f} s a frame")


if __name__ == "__main__":
    main()
