"""The tables of a py123d log: its frames, the motion of the vehicle, boxes, calibrated cameras."""

from __future__ import annotations

from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from leapai.data.bags.bag_poses import PoseTrack
from leapai.data.checked_table import MAX_COORDINATE_M, CheckedTable
from leapai.data.columns import Column
from leapai.data.data_names import local_tables
from leapai.data.py123d.arrow_rows import REMEDY, ArrowRows, numbers_of
from leapai.data.py123d.py123d_boxes import BoxTable, read_boxes
from leapai.data.py123d.py123d_rig import (
    Camera,
    LogMetadata,
    checked,
    read_cameras,
    read_imu_from_ego,
)
from leapai.data.reading import SensorError
from leapai.geometry import poses
from leapai.types import FloatArray, IntArray

SYNC, EGO, BOXES = "sync.arrow", "ego_state_se3.arrow", "box_detections_se3.arrow"
_MERGED = "lidar.lidar_merged"
_MAX_GAP_S, _MAX_EXTRAPOLATION_S = 0.6, 0.05
"""Bounds of the interpolation of poses, for cameras whose poses are not in the log."""
_LOGS_IN_MEMORY = 32


class LogTables:
    """Tables of one log. A frame is a row of `sync.arrow` with a pose of the vehicle."""

    def __init__(self, folder: Path) -> None:
        """Raises ValueError for tables that are missing, damaged, or mostly not usable."""
        self.folder = folder
        self._files: dict[str, ArrowRows] = {}
        self._indices: dict[str, IntArray] = {}
        self.notes: list[str] = []
        """Rows that were left out, counted, and cameras that cannot be used."""
        sync, ego = ArrowRows(folder / SYNC), ArrowRows(folder / EGO)
        origin = checked(LogMetadata, sync.metadata, sync.path)
        self.dataset, self.version = origin.dataset, f"{origin.dataset}, py123d {origin.version}"
        imu_from_ego = read_imu_from_ego(ego)
        self.ego_from_imu = poses.invert(imu_from_ego)
        """[4, 4]"""
        self.cameras: tuple[Camera, ...]
        self.cameras, self.unused_cameras = read_cameras(folder, self.notes)
        lidars = [path.name.removesuffix(".arrow") for path in sorted(folder.glob("lidar.*.arrow"))]
        self.lidars = [_MERGED] if _MERGED in lidars else lidars
        """Names of the files with sweeps that make up a frame."""
        global_from_imu, kept = _read_motion(ego, self.notes)
        self._track = PoseTrack(
            ego.time_us[kept], global_from_imu, _MAX_GAP_S, _MAX_EXTRAPOLATION_S
        )
        row_of = np.full(len(ego) + 1, -1)  # the last, of row -1, is none
        row_of[kept] = np.arange(len(kept))
        pose = row_of[_references(sync, ego.key, len(ego))]
        placed = np.flatnonzero(pose >= 0)
        if not len(placed):
            raise ValueError(f"{sync.path}: no row has a pose of {EGO}; {REMEDY}")
        self._sync = sync
        self._rows = placed[np.unique(pose[placed], return_index=True)[1]]
        left_out = len(pose) - len(self._rows)
        if left_out:
            self.notes.append(f"{SYNC}: {left_out} of {len(pose)} rows have no pose of their own")
        pose = pose[self._rows]
        self.time_us: IntArray = self._track.time_us[pose]
        """[T] int64 times of the frames: those of the poses, in which points and boxes are."""
        self.global_from_ego = global_from_imu[pose] @ imu_from_ego
        """[T, 4, 4] float64."""

    def rows_of(self, key: str) -> IntArray:
        """Returns the row [T] of a sensor's file in each frame; -1: it has none. Raises
        ValueError."""
        if key not in self._indices:
            count = len(self.sensor(key))
            self._indices[key] = _references(self._sync, key, count)[self._rows]
        return self._indices[key]

    def row_of_sensor(self, key: str, frame: int) -> tuple[ArrowRows, int]:
        """Returns the file of a sensor, and its row in a frame. Raises SensorError where the sensor
        has none, or its file is missing or damaged."""
        try:
            rows, number = self.sensor(key), int(self.rows_of(key)[frame])
        except ValueError as error:
            path = self.folder / f"{key}.arrow"
            words = str(error).removeprefix(str(path)).lstrip(": ")
            raise SensorError(path, words) from error
        if number < 0:
            raise SensorError(rows.path, f"no row at {self.time_us[frame]} us")
        return rows, number

    def sensor(self, key: str) -> ArrowRows:
        """Returns the file of a sensor. Raises ValueError where there is none."""
        if key not in self._files:
            self._files[key] = ArrowRows(self.folder / f"{key}.arrow")
        return self._files[key]

    def imu_at(self, time_us: int) -> FloatArray:
        """Returns `global_from_imu` [4, 4]. Raises NoPoseError where no pose is near."""
        return np.asarray(self._track.at(np.array([time_us]))[0])

    def boxes(self, frame: int) -> tuple[BoxTable, slice] | None:
        """Returns all boxes, and which are those of a frame; None: it is not annotated."""
        table = self._boxes
        row = -1 if table is None else int(self.rows_of(BOXES.removesuffix(".arrow"))[frame])
        return None if table is None or row < 0 else (table, table.of_row(row))

    @cached_property
    def _boxes(self) -> BoxTable | None:
        key = BOXES.removesuffix(".arrow")
        return read_boxes(self.sensor(key), self.notes) if (self.folder / BOXES).exists() else None


def log_folders(location: str) -> list[Path]:
    """Returns the folders of the logs at a location: that of one, of a split, of the splits, or of
    what holds those. Raises ValueError for an address of another machine."""
    return sorted({path.parent for path in local_tables(location, "py123d")})


@lru_cache(maxsize=_LOGS_IN_MEMORY)
def read_tables(folder: Path) -> LogTables:
    """Reads the tables of a log once a process."""
    return LogTables(folder)


def _read_motion(ego: ArrowRows, notes: list[str]) -> tuple[FloatArray, IntArray]:
    """Returns `global_from_imu` [K, 4, 4] and the rows [K] of the poses that can be used, in order
    of time. Raises ValueError."""
    values = numbers_of(ego.column(f"{ego.key}.imu_se3", pa.list_(pa.float64(), 7)), 7)
    found: dict[str, Column] = {
        "timestamp_us": ego.time_us,
        "x y z": values[:, :3],
        "qw qx qy qz": values[:, 3:],
    }
    table = CheckedTable(ego.path, len(values), found.__getitem__, "timestamp_us", REMEDY)
    time_us, rotation = table.times("timestamp_us"), table.upright_rotations("qw qx qy qz")
    position_m = table.positions("x y z", MAX_COORDINATE_M)
    kept = table.usable(notes)
    kept = kept[np.unique(time_us[kept], return_index=True)[1]]
    table.check_unit([time_us[kept]], "microseconds")
    return poses.from_quaternion(rotation[kept], position_m[kept]), kept


def _references(sync: ArrowRows, key: str, count: int) -> IntArray:
    """Returns the row of a file that each row of `sync.arrow` names; -1: none. Raises
    ValueError."""
    if key not in sync.fields:
        raise ValueError(f"{sync.path}: column '{key}' is missing, for {key}.arrow; {REMEDY}")
    found = sync.whole_numbers(key)
    if ((found < -1) | (found >= count)).any():
        wrong = int(found[(found < -1) | (found >= count)][0])
        raise ValueError(
            f"{sync.path}: column '{key}': {wrong} is no row of {key}.arrow, which has {count}; "
            f"{REMEDY}"
        )
    return found
