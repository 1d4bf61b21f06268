"""The sweeps of a py123d log: in the log as Arrow or LAZ, or in files of the data set."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from leapai.data import columns
from leapai.data.folder.point_files import read_sweep
from leapai.data.py123d.arrow_rows import ArrowRows
from leapai.data.py123d.arrow_sweeps import unpacked
from leapai.data.py123d.py123d_rig import LidarMetadata, checked, pose_of
from leapai.data.reading import MAX_SENSOR_BYTES, SensorError
from leapai.extras import import_extra
from leapai.geometry import poses
from leapai.types import FloatArray

MAX_POINTS = 10_000_000
"""Largest sweep that is unpacked; the densest LiDARs of vehicles give a million points."""
_BEGIN, _RECORDS, _POINTS = 96, (100, 243), 247
"""Places in the header of LAS 1.4 of where the points begin, of the numbers of its records of
variable length, and of the number of points."""
_MOST_RECORDS = 100
"""py123d writes three."""
_ITEMS, _ITEM = 34, np.dtype([("type", "<u2"), ("size", "<u2"), ("version", "<u2")])
"""Parts of a point in the record of LASzip, and where they begin."""
_PANIC = "PanicException"
"""Class of what lazrs, which is written in Rust, raises where it fails; it is no Exception."""
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
    is_laz = data.startswith(_LAZ)
    laspy = import_extra("laspy", "py123d", "a LAZ sweep of py123d needs laspy") if is_laz else None
    try:
        found = _decoded(data, laspy)
    except BaseException as error:  # whatever the decoders raise for foreign bytes
        if not isinstance(error, Exception) and type(error).__name__ != _PANIC:
            raise
        raise SensorError(rows.path, f"row {number} is no whole sweep") from error
    if "intensity" in found:
        values = found["intensity"]
        scale = float(np.iinfo(values.dtype).max) if values.dtype.kind == "u" else 1.0
        found["intensity"] = values / np.float32(scale)
    return found


def _decoded(data: bytes, laspy: Any) -> dict[str, Any]:
    """Returns the columns of a sweep in LAZ, or in Arrow where there is no `laspy`."""
    found = (
        unpacked(data, MAX_POINTS, MAX_SENSOR_BYTES) if laspy is None else _from_laz(data, laspy)
    )
    _check(found)
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


def _from_laz(data: bytes, laspy: Any) -> dict[str, Any]:
    _check_laz(data)
    # The parallel backend reserves what the table of chunks claims, and its threads do not survive
    # that readers of frames are forked.
    with laspy.open(io.BytesIO(data), laz_backend=laspy.LazBackend.Lazrs) as reader:
        (packing,) = reader.header.vlrs.get("LasZipVlr")
        item_bytes = int(np.frombuffer(packing.record_data[_ITEMS:], _ITEM)["size"].sum())
        count = reader.header.point_count
        if count > MAX_POINTS or count * item_bytes > MAX_SENSOR_BYTES:
            raise ValueError(f"claims {count} points of {item_bytes} bytes")
        cloud = reader.read()
    # What has the name of a standard column of LAS is kept under another one.
    extra = {name.removeprefix("extra_"): name for name in cloud.point_format.extra_dimension_names}
    with np.errstate(all="ignore"):  # what is too large becomes infinite, and is dropped
        xyz = np.asarray(cloud.xyz, np.float32)
    known = {
        name: np.asarray(cloud[extra[name]])
        for name in ("intensity", "timestamps")
        if name in extra
    }
    return {"x": xyz[:, 0], "y": xyz[:, 1], "z": xyz[:, 2], **known}


def _check_laz(data: bytes) -> None:
    """Raises ValueError for numbers of records, of points or of chunks that cannot be, because
    laspy and lazrs look for them all, or reserve memory for them and end the process."""

    def number(start: int, size: int, *, signed: bool = False) -> int:
        if not 0 <= start <= len(data) - size:
            raise ValueError(f"ends before byte {start}")
        return int.from_bytes(data[start : start + size], "little", signed=signed)

    records = [number(place, 4) for place in _RECORDS]
    if data[24:26] != b"\x01\x04" or max(records) > _MOST_RECORDS:
        raise ValueError(f"is no LAS 1.4, or claims {records} records")
    points, begin = number(_POINTS, 8), number(_BEGIN, 4)
    table = number(begin, 8, signed=True)
    chunks = number(table + 4, 4)
    if points > MAX_POINTS or table < begin or chunks > points:
        raise ValueError(f"claims {points} points in {chunks} chunks")


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
