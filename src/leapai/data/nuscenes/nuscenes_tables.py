"""nuScenes' tables as readers use them: rows are looked up in their index (`nuscenes_index.py`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from leapai.data.table_index import TableIndex, TableSource, open_index
from leapai.geometry import poses
from leapai.types import FloatArray, IntArray

LIDAR = "LIDAR_TOP"
CAMERA_GROUPS_OF = {
    "CAM_FRONT": "front_wide",
    "CAM_FRONT_LEFT": "side",
    "CAM_FRONT_RIGHT": "side",
    "CAM_BACK": "back",
    "CAM_BACK_LEFT": "side",
    "CAM_BACK_RIGHT": "side",
}
"""CAM_FRONT sees 70 degrees, so it goes with the wide front cameras; nuScenes has no narrow one."""

_TABLES = (
    *("scene", "sample", "sample_data", "ego_pose", "calibrated_sensor", "sensor", "log"),
    *("sample_annotation", "instance", "category", "attribute", "visibility"),
)


class Calibration(NamedTuple):
    """One row of the table `calibrated_sensor`."""

    channel: str
    ego_from_sensor: FloatArray
    """[4, 4] float64."""
    intrinsics: FloatArray
    """[3, 3] float64; NaN for a LiDAR."""


@dataclass(frozen=True, slots=True)
class SensorFile:
    """A row of `sample_data`, with its pose and calibration looked up."""

    path: Path
    timestamp_us: int
    size_px: tuple[int, int]
    """(height, width); unused for a LiDAR."""
    global_from_ego: FloatArray
    """[4, 4] float64, at `timestamp_us`."""
    calibration: Calibration
    previous: int
    """Row of the LiDAR file before it; -1: there is none."""


@dataclass(frozen=True)
class Annotations:
    """Annotations of one sample as columns [M]."""

    global_from_box: FloatArray
    """[M, 4, 4] float64."""
    size_lwh_m: FloatArray
    velocity_mps: FloatArray
    """[M, 3] global axes; NaN: unknown."""
    words: tuple[str, ...]
    """The publisher's classes."""
    class_id: IntArray
    """[M] int64; -1: no counterpart."""
    track_id: IntArray
    """[M] int64, number of the object in its scene, in order of appearance."""
    occlusion_level: IntArray
    num_lidar_points: IntArray
    num_radar_points: IntArray


class Tables:
    """Tables of one version of the data set. Samples and files are rows: whole numbers."""

    def __init__(self, root: Path, version: str) -> None:
        """Opens the index of `root/version`, which is built the first time. Raises ValueError where
        a table cannot be used."""
        folder = root / version
        files = [folder / f"{name}.json" for name in _TABLES]
        # Maps decide whether the table of logs is read.
        files.append(root / "maps" / "expansion")
        build = "leapai.data.nuscenes.nuscenes_index:index_content"
        index = open_index(TableSource(folder, files, build, (str(root), version)))
        self._root, self._index = root, index
        start = index["scene.start"].tolist()
        self.scenes = {
            name: range(start[i], start[i + 1]) for i, name in enumerate(index.texts("scene.name"))
        }
        """Name of a scene -> its samples, in order of time."""
        self.maps = {
            name: root / "maps" / "expansion" / f"{place}.json"
            for name, place in index.facts["place_of"].items()
        }
        """Name of a scene -> file of its place's map, which may be missing."""
        self.notes = tuple(index.notes)
        """Rows that are left out, counted, a line for each table."""
        self.is_annotated = "box.class_id" in index
        """False: this version has no annotations, as the test set."""
        self._words = index.texts("words") if self.is_annotated else []
        mount_from = poses.from_quaternion(index["mount.rotation"], index["mount.position_m"])
        channels, matrices = index.texts("mount.channel"), index["mount.intrinsics"]
        self._mounts = [
            Calibration(*row) for row in zip(channels, mount_from, matrices, strict=True)
        ]

    def tokens(self, samples: range) -> list[str]:
        """Returns the tokens of the samples of a scene."""
        return self._index.texts("sample.token", samples.start, samples.stop)

    def times_us(self, samples: range) -> IntArray:
        """Returns the times [T] of the samples of a scene: those of their references."""
        times: IntArray = self._index["file.time_us"][self._references(samples)]
        return times

    def positions_m(self, samples: range) -> FloatArray:
        """Returns the positions [T, 3] of the vehicle in the global frame."""
        positions: FloatArray = self._index["file.position_m"][self._references(samples)]
        return positions

    def reference(self, sample: int) -> SensorFile:
        """Returns the file whose time and pose the frame has, of the LiDAR or else a camera."""
        return self.file(int(self._index["sample.reference"][sample]))

    def keyframes(self, sample: int) -> dict[str, SensorFile]:
        """Returns the files of a sample by channel."""
        start, stop = self._index["sample.start"][sample], self._index["sample.stop"][sample]
        files = [self.file(row) for row in range(start, stop)]
        return {file.calibration.channel: file for file in files}

    def rig(self, samples: range) -> dict[str, SensorFile]:
        """Returns the last file of each channel in a scene."""
        starts, stops = (self._index[f"sample.{end}"] for end in ("start", "stop"))
        rows = np.concatenate([np.arange(starts[i], stops[i]) for i in samples])
        last = {self._mounts[m].channel: row for row, m in self._mounts_of(rows)}
        return {channel: self.file(row) for channel, row in last.items()}

    def file(self, row: int) -> SensorFile:
        """Returns a row of `sample_data`."""
        index = self._index
        height, width = index["file.size_px"][row].tolist()
        return SensorFile(
            path=self._root / index.text("file.path", row),
            timestamp_us=int(index["file.time_us"][row]),
            size_px=(height, width),
            global_from_ego=_pose(index, "file", row),
            calibration=self._mounts[index["file.mount"][row]],
            previous=int(index["file.previous"][row]),
        )

    def annotations(self, sample: int) -> Annotations | None:
        """Returns the annotations of a sample; None: the version has none."""
        if not self.is_annotated:
            return None
        index = self._index
        rows = slice(*index["sample.first_box"][sample : sample + 2].tolist())

        def column(name: str) -> IntArray:
            return np.asarray(index[f"box.{name}"][rows].astype(np.int64))

        return Annotations(
            global_from_box=_pose(index, "box", rows),
            size_lwh_m=index["box.size_lwh_m"][rows],
            velocity_mps=index["box.velocity_mps"][rows],
            words=tuple(self._words[i] for i in column("word")),
            class_id=column("class_id"),
            track_id=column("track_id"),
            occlusion_level=column("occlusion_level"),
            num_lidar_points=column("num_lidar_points"),
            num_radar_points=column("num_radar_points"),
        )

    def _references(self, samples: range) -> IntArray:
        rows: IntArray = self._index["sample.reference"][samples.start : samples.stop]
        return rows

    def _mounts_of(self, rows: IntArray) -> list[tuple[int, int]]:
        return [*zip(rows.tolist(), self._index["file.mount"][rows].tolist(), strict=True)]


def _pose(index: TableIndex, table: str, rows: int | slice) -> FloatArray:
    """Returns poses [..., 4, 4] of rows of a table."""
    return poses.from_quaternion(
        index[f"{table}.rotation"][rows], index[f"{table}.position_m"][rows]
    )
