"""Records a drive for the C++ sample: what a host gives to an exported network, and what comes out.

    leapai export -o exported
    python examples/cpp/record_drive.py exported synthetic:frames=40,rate_hz=10 recorded

The folder then holds these files, which a program reads without a library:

* `settings.txt`: a line for each value of `manifest.json` that a host needs, its path and the
  value, or values, with spaces between; and `frames`, the number of frames. It is written last.
* `frames.txt`: a line for each frame, in order: its folder, its time in microseconds, and the name
  of its sequence, which may be empty, with one space between.
* `FRAME/inputs/NAME.npy`: an input of the graph, for those that come from the sensors alone. One
  that is missing is the same as in the frame before.
* `FRAME/ego2global.npy`: the pose, [4, 4] float64.
* `FRAME/expected/objects.npy`: what Python detects, [N, 14] float64, the most confident first.
  The columns are those of `COLUMNS`.
* `FRAME/expected/map_logits.npy`: the logits of the map.

What comes from earlier frames is not recorded: motion, memory, the ring of map features. The
program that reads this makes it itself.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

import leapai
from leapai.runtime.manifest import read_manifest

Arrays = Mapping[str, np.ndarray]

FROM_EARLIER_FRAMES = {
    *("now_us", "reset", "has_pose", "prev2curr", "interval_s"),
    *("past_bev", "past_from_now", "past_found"),
}
"""Inputs that the host makes of times and poses; those of the memory have a `next_` output."""
SETTINGS = (
    "classes",
    *(f"config.bev.{axis}_range_m" for axis in "xyz"),
    *(f"config.evaluation.{name}" for name in ("min_score", "nms_iou", "max_detections")),
    "config.max_gap_s",
    *(f"config.static.{name}" for name in ("past_s", "tolerance_s", "memory_frames")),
)
"""Paths of values in `manifest.json`."""
COLUMNS = (
    *("query_index", "class_id", "occlusion_level"),
    *("x_m", "y_m", "z_m", "length_m", "width_m", "height_m", "yaw_rad"),
    *("vx_mps", "vy_mps", "vz_mps", "score"),
)
"""Columns of `objects.npy`. Centres are those of the boxes, in the ego frame."""


class GraphWithNotes:
    """Runs the graph of an exported network, and keeps the inputs that come from the sensors."""

    def __init__(self, graph: Callable[[Arrays], dict[str, np.ndarray]]) -> None:
        self.graph = graph
        self.sensors: dict[str, np.ndarray] = {}

    def __call__(self, inputs: Arrays) -> dict[str, np.ndarray]:
        """Returns the outputs by name."""
        outputs = self.graph(inputs)
        self.sensors = {
            name: array
            for name, array in inputs.items()
            if name not in FROM_EARLIER_FRAMES and f"next_{name}" not in outputs
        }
        return outputs


def record(exported: Path, source: str, folder: Path) -> int:
    """Streams all drives of a source and writes the recording; returns the number of its frames. A
    frame that a stream leaves out, as `leapai predict` does, is not in it.

    Raises OSError where `folder` exists, and ValueError where `exported` is no export of one graph,
    for a source that the network does not take or that has no frame, and for a name of a sequence
    that has several lines.
    """
    settings = [*settings_of(exported)]
    if folder.exists():
        raise FileExistsError(f"{folder} exists; name a new folder")
    session = leapai.load(exported, device="cpu").session
    session.network.graph = graph = GraphWithNotes(session.network.graph)
    logs = leapai.open_logs(source, image_size_px=session.config.camera.image_size_px)
    lines: list[str] = []
    written: dict[str, np.ndarray] = {}
    for result in filter(None, (session.try_step(frame) for log in logs for frame in log)):
        frame = result.frame  # as the network saw it
        if "\n" in frame.sequence:
            raise ValueError(f"{frame.sequence!r}: frames.txt takes a name of one line")
        expected = {"objects": objects_of(result.detections)}
        if result.map_logits is not None:
            expected["map_logits"] = result.map_logits
        changed = {n: a for n, a in graph.sensors.items() if not is_same(a, written.get(n))}
        written |= changed
        place = folder / f"{len(lines):06d}"
        write_arrays(place / "inputs", changed)
        write_arrays(place / "expected", expected)
        write_arrays(place, {"ego2global": np.asarray(frame.ego2global, np.float64)})
        lines.append(f"{place.name} {frame.timestamp_us} {frame.sequence}")
    if not lines:
        raise ValueError(f"{source}: has no frame that the network takes")
    (folder / "frames.txt").write_text("\n".join(lines) + "\n")
    (folder / "settings.txt").write_text("\n".join([*settings, f"frames {len(lines)}"]) + "\n")
    return len(lines)


def settings_of(exported: Path) -> Iterator[str]:
    """Yields the lines of `settings.txt` that are values of the manifest. Raises ValueError where
    the folder is no export, or one of several graphs."""
    manifest = read_manifest(exported)
    names = [graph.name for graph in manifest.graphs]
    if names != ["step"]:
        raise ValueError(
            f"{exported}: holds the graphs {', '.join(names)}, and the C++ sample runs one; export "
            "with --graphs step"
        )
    values = manifest.model_dump(mode="json")
    for path in SETTINGS:
        value = values
        for name in path.split("."):
            value = value[name]
        yield " ".join([path, *map(str, value if isinstance(value, list) else [value])])


def objects_of(found: leapai.Detections) -> np.ndarray:
    """Returns detections as the table of `objects.npy`."""
    numbers = np.column_stack([found.query_index, found.class_id, found.occlusion_level])
    return np.column_stack([numbers, found.boxes, found.velocity_mps, found.score])


def is_same(array: np.ndarray, before: np.ndarray | None) -> bool:
    """Reports whether an input is the one that was written before."""
    return before is not None and np.array_equal(array, before)


def write_arrays(folder: Path, arrays: Arrays) -> None:
    """Writes each array into a file of its name, in the order of C and little-endian."""
    folder.mkdir(exist_ok=True, parents=True)
    for name, array in arrays.items():
        order = array.dtype.newbyteorder("<")
        np.save(folder / f"{name}.npy", np.ascontiguousarray(array, order), allow_pickle=False)


def main(arguments: list[str] | None = None) -> None:
    """Records what the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("exported", type=Path, help="folder that leapai export wrote")
    parser.add_argument("source", help="data to stream, as leapai predict takes it")
    parser.add_argument("recorded", type=Path, help="folder to write; it must not exist")
    options = parser.parse_args(arguments)
    try:
        frames = record(options.exported, options.source, options.recorded)
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from error
    print(f"{options.recorded}: {frames} frames")


if __name__ == "__main__":
    main()
