"""Measures the size and the cost of a recording of `leapai val --viewer` or `--format mcap`.

    python benchmarks/bench_recording.py [--data synthetic:seed=24,place=street] [--frames 100]
        [--format rerun|mcap|rosbag]

The tiny network streams the data; only recording is timed, in processor seconds, which hardly
depend on the load of the machine. Needs `pip install 'leapai[viewer]'` or `'leapai[mcap]'`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

from leapai.checkpoints import config_of, load_checkpoint
from leapai.data.log import open_logs
from leapai.extras import RecordingFormat
from leapai.models.build import build_model
from leapai.runs.earlier_pictures import recording_of
from leapai.runs.recordings import recorder
from leapai.streaming.session import StreamSession
from leapai.weights import shipped_checkpoint

SHOWN = 12


def record(
    data: str, frames: int, folder: Path, format: RecordingFormat
) -> tuple[Path, float, int]:
    """Returns the recording, the processor seconds spent on it, and the number of detections
    shown."""
    config = config_of(shipped_checkpoint())
    model = build_model(config)
    load_checkpoint(shipped_checkpoint(), model)
    log = open_logs(data, image_size_px=config.camera.image_size_px)[0]
    session = StreamSession(model, config)
    confident = config.draw_dynamic_cfg.dynamic_conf
    spent_s, shown = 0.0, 0
    with recorder([format], confident)(folder, log) as add:
        for index in range(frames):
            frame = log[index]
            result = session.step(frame)
            started_s = time.process_time()
            add(frame, result)
            spent_s += time.process_time() - started_s
            shown += int((result.detections.score >= confident).sum())
    return recording_of(folder, log.name, format), spent_s, shown


def bytes_by_kind(path: Path) -> Counter[str]:
    """Returns the bytes of each kind of entity before compression, all cameras together."""
    kinds: Counter[str] = Counter()
    if path.suffix == ".mcap":
        from mcap.reader import make_reader

        with path.open("rb") as file:
            for _, channel, message in make_reader(file, validate_crcs=True).iter_messages():
                name = channel.topic.split("/")
                kind = f"cameras/*/{name[3]}" if name[1] == "camera" else channel.topic
                kinds[kind] += len(message.data)
        return kinds
    from rerun.chunk import RrdReader

    for chunk in RrdReader(path).stream():
        parts = chunk.entity_path.split("/")[1:]
        kind = f"cameras/*/{parts[4]}" if parts[2:3] == ["cameras"] and parts[4:] else parts[-1]
        kinds[kind] += chunk.to_record_batch().nbytes
    return kinds


def main() -> None:
    """Records and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="synthetic:seed=24,place=street")
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--format", choices=("rerun", "mcap", "rosbag"), default="rerun")
    options = parser.parse_args()
    data = f"{options.data},frames={options.frames}"
    with tempfile.TemporaryDirectory() as folder:
        path, spent_s, shown = record(data, options.frames, Path(folder), options.format)
        size_mb = path.stat().st_size / 1e6
        kinds = bytes_by_kind(path)
    print(f"{data}: {options.frames} frames, {shown / options.frames:.0f} boxes shown in each")
    print(f"{size_mb:.1f} MB, {size_mb / options.frames:.3f} MB a frame", end="; ")
    print(f"recording takes {spent_s / options.frames:.3f} s a frame of one processor")
    print("\n| entity | MB before compression |\n|---|---|")
    for kind, size in kinds.most_common(SHOWN):
        print(f"| {kind} | {size / 1e6:.2f} |")


if __name__ == "__main__":
    main()
