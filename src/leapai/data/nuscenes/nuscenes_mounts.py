"""nuScenes' tables of sensors and of their calibration, for the index."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from leapai.data import columns
from leapai.data.checked_table import json_table
from leapai.data.nuscenes.nuscenes_tables import CAMERA_GROUPS_OF, LIDAR
from leapai.types import BoolArray, FloatArray

MAX_MOUNT_M = 100.0
"""Farthest sensor from the ego's origin; a road train is 50 m long."""


class Mounts(NamedTuple):
    """The rows of `calibrated_sensor` that can be used."""

    row_of: Mapping[str, int]
    channels: list[str]
    rotation: FloatArray
    position_m: FloatArray
    intrinsics: FloatArray
    """[K, 3, 3]; NaN for a LiDAR."""

    @property
    def is_lidar(self) -> BoolArray:
        """[K + 1] whether each is the LiDAR; the last, of row -1, is not."""
        return np.array([channel == LIDAR for channel in self.channels] + [False], bool)

    def of(self, row: Mapping[str, Any]) -> str | None:
        """Returns the channel that a row of `sample_data` names; None: there is none."""
        token = row.get("calibrated_sensor_token")
        number = self.row_of.get(token) if isinstance(token, str) else None
        return None if number is None else self.channels[number]


def read_mounts(folder: Path, remedy: str, notes: list[str]) -> Mounts:
    """Reads the tables of sensors and their calibration. Rows that are left out are counted in
    `notes`. Raises ValueError where a table cannot be used."""
    sensors = json_table(folder / "sensor.json", remedy, ("channel",))
    tokens, channels = sensors.keys(), sensors.names("channel")
    sensor_of = {tokens[i]: int(i) for i in sensors.usable(notes)}
    fields = ("sensor_token", "rotation", "translation", "camera_intrinsic")
    table = json_table(folder / "calibrated_sensor.json", remedy, fields)
    names = table.keys()
    sensor = table.references("sensor_token", sensor_of, sensors.path)
    rotation, position_m = table.rotations("rotation"), table.positions("translation", MAX_MOUNT_M)
    channel = [channels[i] if i >= 0 else "" for i in sensor]
    is_camera = np.array([name in CAMERA_GROUPS_OF for name in channel], bool)
    matrix = columns.camera_matrices(table.column("camera_intrinsic"))
    words = "must be 3 rows of 3 numbers, or of 4 with zeros at their ends"
    table.mark(np.isfinite(matrix).all((1, 2)) | ~is_camera, "camera_intrinsic", words)
    untaken = sorted({c for c in channel if c.startswith("CAM") and c not in CAMERA_GROUPS_OF})
    if untaken:
        words = f"no camera group takes {', '.join(untaken)}: not used"
        notes.append(f"{table.path.name}: {words}")
    kept = table.usable(notes)
    row_of = {names[i]: number for number, i in enumerate(kept.tolist())}
    used = [channel[i] for i in kept]
    return Mounts(row_of, used, rotation[kept], position_m[kept], matrix[kept])
