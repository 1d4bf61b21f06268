"""Measures the index of tables at the size of nuScenes' trainval: CPU seconds and peak memory.

    python benchmarks/bench_index.py KEYFRAME [--folder FOLDER] [--scenes 850]

KEYFRAME is a nuScenes root with one sample and its annotations, such as the first of v1.0-mini. Its
rows are tiled with new tokens to 850 scenes of 40 samples: with sweeps of all sensors 2.5 million
rows of `sample_data` and of `ego_pose`, and 1.17 million annotations, 2.4 GB. They are written to
FOLDER and stay there for the next time. A process opens them twice: the first builds the index.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

SAMPLES, STEP_US = 40.175, 500_000
"""Samples of a scene in the mean: 34 149 of 850 scenes."""
BOXES = 34.15
BETWEEN = {"LIDAR_TOP": 9, "CAM": 5, "RADAR": 5}
"""Files between two keyframes, which trainval has."""
RADARS = ("FRONT", "FRONT_LEFT", "FRONT_RIGHT", "BACK_LEFT", "BACK_RIGHT")
VERSION = "v1.0-trainval"
OPEN = """
import json, resource, sys, time
from leapai.data.log import OpenOptions
from leapai.data.nuscenes.nuscenes_reader import open_logs

def peak_mb(who):
    return resource.getrusage(who).ru_maxrss / 1024

before = time.process_time(), peak_mb(resource.RUSAGE_SELF)
logs = open_logs(sys.argv[1], OpenOptions((512, 960)))
opened = time.process_time(), peak_mb(resource.RUSAGE_SELF)
frames = [log.ground_truth(index) for log in logs for index in range(0, len(log), 20)]
looked_up = time.process_time() - opened[0]
children = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({
    "frames": sum(map(len, logs)),
    "import_mb": before[1], "open_s": opened[0] - before[0], "open_mb": opened[1],
    "frame_ms": 1e3 * looked_up / len(frames),
    "build_s": children.ru_utime + children.ru_stime, "build_mb": children.ru_maxrss / 1024,
}))
"""
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("keyframe", type=Path)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "trainval")
    parser.add_argument("--scenes", type=int, default=850)
    given = parser.parse_args()
    root = given.folder / f"{given.scenes}_scenes"
    if not (root / VERSION).is_dir():
        write_tables(given.keyframe, root, given.scenes)
    cache = given.folder / "cache"
    shutil.rmtree(cache, ignore_errors=True)
    for name in ("built", "opened"):
        print(name, run_open(root, cache))
    (index,) = (cache / "tables").glob("*.arrow")
    tables = sum(path.stat().st_size for path in (root / VERSION).iterdir())
    print(f"tables {tables / 1e6:.0f} MB, index {index.stat().st_size / 1e6:.0f} MB")


def run_open(root: Path, cache: Path) -> Mapping[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", OPEN, str(root)],
        env={**os.environ, "LEAPAI_CACHE": str(cache)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return {name: round(value, 2) for name, value in json.loads(done.stdout).items()}


def write_tables(keyframe: Path, root: Path, scenes: int) -> None:
    (source,) = keyframe.glob("v1.0-*")
    tables = {path.stem: json.loads(path.read_text()) for path in source.glob("*.json")}
    add_radars(tables)
    unfinished = root.with_name(f"{root.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    folder = unfinished / VERSION
    folder.mkdir(parents=True)
    small = ("sensor", "calibrated_sensor", "category", "attribute", "visibility", "log")
    for name in small:
        (folder / f"{name}.json").write_text(json.dumps(tables[name]))
    counts = [round((i + 1) * SAMPLES) - round(i * SAMPLES) for i in range(scenes)]
    for name in ("scene", "sample", "instance", "sample_annotation", "sample_data", "ego_pose"):
        with (folder / f"{name}.json").open("w") as file:
            for number, row in enumerate(tiled(name, tables, counts)):
                file.write(",\n" if number else "[\n")
                file.write(row)
            file.write("\n]")
    unfinished.rename(root)


def add_radars(tables: dict[str, list[Row]]) -> None:
    """Adds five radars, whose rows a reader has to pass over."""
    for name in RADARS:
        tables["sensor"].append({"token": f"radar-{name}", "channel": f"RADAR_{name}"})
        mount = tables["calibrated_sensor"][0] | {"token": f"at-{name}"}
        tables["calibrated_sensor"].append(mount | {"sensor_token": f"radar-{name}"})
        file = tables["sample_data"][0] | {"token": name, "calibrated_sensor_token": f"at-{name}"}
        path = f"samples/RADAR_{name}/n015-2018-07-24-11-22-45+0800__RADAR_{name}__1532402927.pcd"
        tables["sample_data"].append(file | {"filename": path})


def tiled(name: str, tables: Mapping[str, list[Row]], counts: list[int]) -> Iterator[str]:
    """Yields the rows of a table as JSON, as often as trainval has them."""
    fill = {
        "scene": scene_rows,
        "sample": sample_rows,
        "instance": instance_rows,
        "sample_annotation": annotation_rows,
        "sample_data": lambda *given: file_rows(*given, of_poses=False),
        "ego_pose": lambda *given: file_rows(*given, of_poses=True),
    }
    first = 0
    for scene, count in enumerate(counts):
        yield from fill[name](tables, scene, range(first, first + count))
        first += count


def scene_rows(tables: Mapping[str, list[Row]], scene: int, _: range) -> Iterator[str]:
    yield json.dumps(tables["scene"][0] | {"token": token(0, scene), "name": f"scene-{scene:04d}"})


def sample_rows(tables: Mapping[str, list[Row]], scene: int, samples: range) -> Iterator[str]:
    for sample in samples:
        changed = {"token": token(1, sample), "scene_token": token(0, scene)}
        time_us = tables["sample"][0]["timestamp"] + sample * STEP_US
        yield json.dumps(tables["sample"][0] | changed | {"timestamp": time_us})


def instance_rows(tables: Mapping[str, list[Row]], scene: int, _: range) -> Iterator[str]:
    for number, row in enumerate(tables["instance"]):
        yield json.dumps(row | {"token": token(2, scene * 1000 + number)})


def annotation_rows(tables: Mapping[str, list[Row]], scene: int, samples: range) -> Iterator[str]:
    """Half of the boxes are there in the first half of a scene, the others in the second."""
    rows = tables["sample_annotation"]
    number_of = {row["token"]: number for number, row in enumerate(tables["instance"])}
    texts = [indented(row, ("token", "sample_token", "instance_token")) for row in rows]
    for sample in samples:
        late = 2 * (sample - samples.start) >= len(samples)
        count = round((sample + 1) * BOXES) - round(sample * BOXES)
        for turn in range(count):
            number = turn + late * (len(rows) - 35)
            instance = number_of[rows[number]["instance_token"]]
            yield texts[number] % {
                "token": token(3, sample * 100 + turn),
                "sample_token": token(1, sample),
                "instance_token": token(2, scene * 1000 + instance),
            }


def file_rows(
    tables: Mapping[str, list[Row]], scene: int, samples: range, *, of_poses: bool
) -> Iterator[str]:
    """Yields rows of files, or those of the poses of files: each has one of its own."""
    channels = {row["token"]: row["channel"] for row in tables["sensor"]}
    mounts = {row["token"]: channels[row["sensor_token"]] for row in tables["calibrated_sensor"]}
    pose = indented(tables["ego_pose"][0], ("token",))
    changing = ("token", "sample_token", "ego_pose_token", "prev", "timestamp", "is_key_frame")
    files = [(indented(r, changing), r, mounts[r["calibrated_sensor_token"]])
             for r in tables["sample_data"]]  # fmt: skip
    for sample in samples:
        for number, (text, row, channel) in enumerate(files):
            between = BETWEEN.get(channel) or BETWEEN[channel.split("_")[0]]
            for turn in range(between + 1):
                own = (sample * 100 + number) * 100 + turn
                if of_poses:
                    yield pose % {"token": token(5, own)}
                    continue
                earlier = own - 1 if turn else own - 10_000 + between
                yield text % {
                    "token": token(4, own),
                    "sample_token": token(1, sample),
                    "ego_pose_token": token(5, own),
                    "prev": token(4, earlier),
                    "is_key_frame": "true" if turn == between else "false",
                    "timestamp": row["timestamp"]
                    + sample * STEP_US
                    - (between - turn) * STEP_US // (between + 1),
                }


def indented(row: Row, changing: tuple[str, ...]) -> str:
    """Returns a row as the publisher writes it, with a place for each value that changes."""
    text = json.dumps(row | {name: f"%({name})s" for name in changing}, indent=0)
    for name in ("timestamp", "is_key_frame"):
        text = text.replace(f'"%({name})s"', f"%({name})s")
    return text


def token(table: int, number: int) -> str:
    return f"{table:x}{number:031x}"


if __name__ == "__main__":
    main()
