"""The sweeps of a py123d log: in the log as Arrow or LAZ, or in files of the data set."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from leapai.data import columns
from leapai.data.folder.point_files import read_sweep
from leapai.data.py123d.arrow_rows import ArrowRows
from leapai.data.py123d.py123d_rig import LidarMetadata, checked, pose_of
from leapai.data.reading import SensorError
from leapai.extras import import_extra
from leapai.geometry import poses
from leapai.types import FloatArray

MAX_POINTS = 10_000_000
"""Largest sweep that is unpacked; the densest LiDARs of vehicles give a million points."""
_RECORDS, _MOST_RECORDS = (slice(100, 104), slice(243, 247)), 100
"""Places in the header of LAS 1.4 of the numbers of its records of variable length, of which py123d
writes three."""
_ARROW, _LAZ, _DRACO = b"\xff\xff\xff\xff", b"LASF", b"DRACO"


class _Outside(NamedTuple):
    """Files of a data set that keep its sweeps."""

    intensity_max: float
    of_sensor: bool
    """Whether points are in the frame of the sensor, not in that of the vehicle."""


_OUTSIDE = {
    "kitti360": _Outside(1.0, of_sensor=True),
    "nuplan": _Outside(255.0, of_sensor=False),
    "nuscenes": _Outside(255.0, of_sensor=True),
}


def sensor_file(root: Path | None, name: str, log_file: Path) -> Path:
    """Returns the path of a file of the data set that a log names. Raises SensorError where its
    folder is not known, or the name leads out of it."""
    if root is None:
        raise SensorError(
            log_file, "its files are outside of the log: name their folder, ROOT,sensors=FOLDER"
        )
    if not columns.paths([name])[1].all():
        raise SensorError(log_file, f"{ascii(name)[:80]} is no file inside the folder of sensors")
    return root / name


def read_points(
    rows: ArrowRows, number: int, dataset: str, sensors: Path | None
) -> dict[str, FloatArray]:
    """Reads a sweep; returns x y z [P] in the frame of the inertial unit, `intensity` of 0 to 1 and
    `timestamps` in microseconds where it has them. Raises SensorError."""
    try:
        data = rows.row(number).get("data")
    except ValueError as error:
        raise SensorError(rows.path, str(error)) from error
    if isinstance(data, str):
        return _outside(sensor_file(sensors, data, rows.path), rows, dataset)
    if not isinstance(data, bytes):
        raise SensorError(rows.path, "no sweep in this row")
    if data.startswith(_DRACO):
        raise SensorError(rows.path, "is packed by Draco; convert with lidar_codec=laz or ipc_zstd")
    if not data.startswith((_ARROW, _LAZ)):
        raise SensorError(rows.path, "is packed in a way that is not known; use lidar_codec=laz")
    laspy: Any = None
    if data.startswith(_LAZ):
        laspy = import_extra("laspy", "py123d", "a LAZ sweep of py123d needs laspy")
    try:
        found = _from_arrow(data) if laspy is None else _from_laz(data, laspy)
        _check(found)
    except Exception as error:  # whatever the decoders raise for foreign bytes
        raise SensorError(rows.path, f"row {number} is no whole sweep") from error
    if "intensity" in found:
        values = found["intensity"]
        scale = float(np.iinfo(values.dtype).max) if values.dtype.kind == "u" else 1.0
        found["intensity"] = values / np.float32(scale)
    return found


def _check(found: Mapping[str, Any]) -> None:
    """Raises ValueError or KeyError for columns that are no sweep."""
    shape = found["x"].shape
    names = [name for name in ("x", "y", "z", "intensity", "timestamps") if name in found]
    if len(shape) != 1 or any(
        found[n].shape != shape or found[n].dtype.kind not in "fiu" for n in names
    ):
        raise ValueError("columns of different lengths, or no numbers")
    if not {"x", "y", "z"} <= set(names):
        raise KeyError("z")


def _from_arrow(data: bytes) -> dict[str, Any]:
    with pa.ipc.open_stream(pa.BufferReader(data)) as reader:
        batch = reader.read_next_batch()
    batch.validate(full=True)
    return {
        name: batch.column(i).to_numpy(zero_copy_only=False)
        for i, name in enumerate(batch.schema.names)
    }


def _from_laz(data: bytes, laspy: Any) -> dict[str, Any]:
    records = [int.from_bytes(data[field], "little") for field in _RECORDS]
    if data[24:26] != b"\x01\x04" or max(records) > _MOST_RECORDS:
        raise ValueError(f"is no LAS 1.4, or claims {records} records")  # laspy looks for them all
    with laspy.open(io.BytesIO(data)) as reader:
        if reader.header.point_count > MAX_POINTS:
            raise ValueError(f"claims {reader.header.point_count} points")
        cloud = reader.read()
    # What has the name of a standard column of LAS is kept under another one.
    extra = {name.removeprefix("extra_"): name for name in cloud.point_format.extra_dimension_names}
    xyz = np.asarray(cloud.xyz, np.float32)
    known = {
        name: np.asarray(cloud[extra[name]])
        for name in ("intensity", "timestamps")
        if name in extra
    }
    return {"x": xyz[:, 0], "y": xyz[:, 1], "z": xyz[:, 2], **known}


def _outside(path: Path, rows: ArrowRows, dataset: str) -> dict[str, FloatArray]:
    """Reads a sweep from a file of the data set."""
    kind = _OUTSIDE.get(dataset)
    if kind is None:
        raise SensorError(
            rows.path,
            f"keeps its sweeps in files of {dataset!r}, which are read for "
            f"{', '.join(_OUTSIDE)} alone; convert with lidar_store_option=binary",
        )
    found = read_sweep(path, None)
    if kind.of_sensor:
        xyz = np.stack([found[axis] for axis in "xyz"], -1).astype(np.float64)
        moved = poses.apply(_mount(rows), xyz).astype(np.float32)
        found = {**found, **dict(zip("xyz", moved.T, strict=True))}
    if "intensity" in found:
        found["intensity"] = found["intensity"] / np.float32(kind.intensity_max)
    return {name: found[name] for name in ("x", "y", "z", "intensity") if name in found}


def _mount(rows: ArrowRows) -> FloatArray:
    """Returns `imu_from_lidar` [4, 4] of the only LiDAR in a file. Raises SensorError."""
    content = rows.metadata
    if "lidar_to_imu_se3" not in content and len(content) == 1:
        content = next(iter(content.values()))
    try:
        return pose_of(checked(LidarMetadata, content, rows.path).lidar_to_imu_se3)
    except ValueError as error:
        raise SensorError(rows.path, str(error)) from error
