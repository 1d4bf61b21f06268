"""The index of Argoverse 2's tables (feather) of one log: all of them checked and joined, once; no
sensor file is read here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather

from leapai.data import columns, reading
from leapai.data.argoverse2.argoverse2_tables import (
    BOXES,
    CALIBRATION,
    CAMERA_GROUPS_OF,
    CLASS_OF,
    LENSES,
    MAX_POSE_AGE_S,
    MOUNTS,
    NO_COUNTERPART,
    POSES,
    REMEDY,
    PoseTable,
)
from leapai.data.checked_table import MAX_COORDINATE_M, MAX_COUNT, CheckedTable
from leapai.data.remote_files import source_path
from leapai.data.table_index import IndexContent
from leapai.geometry import poses
from leapai.types import CLASS_NAMES, FloatArray, IntArray

MAX_GAP_S = 0.3
"""Longest time between an annotation (10 Hz) and its neighbour in the track, for a velocity: three
frames."""
MAX_DISTANCE_M = 500.0
"""Farthest box from the vehicle; its LiDARs reach 225 m."""
MAX_MOUNT_M = 100.0
EGO_VEHICLE = "EGO_VEHICLE"
"""Class of the vehicle's own box, which some tables hold: it is no object around the vehicle."""
_ROTATION, _POSITION = ("qw", "qx", "qy", "qz"), ("tx_m", "ty_m", "tz_m")
Arrays = dict[str, Any]


def index_content(log: str) -> IndexContent:
    """Reads the tables of the folder of a log, as `argoverse2_tables.read_tables` documents; the
    arrays are those that `LogTables` looks rows up in."""
    folder = source_path(log)
    notes: list[str] = []
    pose_table = _pose_table(folder / POSES, notes)
    arrays = {
        "pose.time_ns": pose_table.time_ns,
        "pose.rotation": pose_table.rotation,
        "pose.position_m": pose_table.position_m,
    }
    cameras, unused = _cameras(folder / CALIBRATION, notes)
    arrays |= cameras
    if (folder / BOXES).is_file():
        arrays |= _annotations(folder / BOXES, pose_table, notes)
    return IndexContent(arrays, notes, {"unused_cameras": unused})


def _feather(path: Path, key: str, fields: Sequence[str]) -> CheckedTable:
    """Reads columns of a feather file. Raises ValueError where one is missing, or the file."""
    try:
        content = reading.regular_bytes(path)
        table = pyarrow.feather.read_table(pa.BufferReader(content), columns=list(fields))
        table.validate(full=True)  # or a damaged text ends the process
        found = {name: table[name].to_numpy() for name in fields}
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; {REMEDY}") from None
    except (pa.ArrowException, OSError, KeyError, ValueError, MemoryError) as error:
        words = str(error)[:200]
        raise ValueError(f"{path} cannot be read ({words}); {REMEDY}") from error
    return CheckedTable(path, len(table), found.__getitem__, key, REMEDY)


def _times(table: CheckedTable) -> IntArray:
    """Returns the times [N] of a table. Raises ValueError where they are floats."""
    if len(table) and np.asarray(table.column("timestamp_ns")).dtype.kind == "f":
        raise ValueError(
            f"{table.path}: timestamp_ns holds floats, which cannot tell nanoseconds apart; write "
            "them as int64"
        )
    return table.times("timestamp_ns")


def _pose_table(path: Path, notes: list[str]) -> PoseTable:
    table = _feather(path, "timestamp_ns", ("timestamp_ns", *_ROTATION, *_POSITION))
    time_ns, rotation = _times(table), table.upright_rotations(_ROTATION)
    position_m = table.positions(_POSITION, MAX_COORDINATE_M)
    first = columns.first_of_pairs(time_ns, np.zeros_like(time_ns), table.good)
    table.mark(first, "timestamp_ns", "a row before it has the same")
    kept = table.usable(notes)
    if not len(kept):
        raise ValueError(f"{path} has no row; {REMEDY}")
    kept = kept[np.argsort(time_ns[kept])]
    table.check_unit([time_ns[kept]], "nanoseconds")
    return PoseTable(path, time_ns[kept], rotation[kept], position_m[kept])


def _cameras(folder: Path, notes: list[str]) -> tuple[Arrays, list[str]]:
    """Returns the ring cameras with both intrinsics and extrinsics, in the order of
    `CAMERA_GROUPS_OF`, and the names of other cameras.

    The published images are undistorted already (argoverse-api issue 81, av2-api issue 226, user
    guide), so k1, k2, k3 of the table do not apply to them and are not read.
    """
    has_cameras = folder.is_dir()
    mounts = _mounts(folder / MOUNTS, notes) if has_cameras else {}
    lenses = _lenses(folder / LENSES, notes) if has_cameras else {}
    calibrated = [name for name in CAMERA_GROUPS_OF if name in lenses and name in mounts]
    lacking = [name for name in CAMERA_GROUPS_OF if name not in calibrated]
    if lacking and has_cameras:
        notes.append(f"{folder.name}: no calibration of {', '.join(lacking)}: not used")
    arrays = {
        "camera.name": calibrated,
        "camera.size_px": np.array([lenses[n][0] for n in calibrated], np.int64).reshape(-1, 2),
        "camera.intrinsics": np.array([lenses[n][1] for n in calibrated]).reshape(-1, 3, 3),
        "camera.rotation": np.array([mounts[n][0] for n in calibrated]).reshape(-1, 4),
        "camera.position_m": np.array([mounts[n][1] for n in calibrated]).reshape(-1, 3),
    }
    return arrays, sorted(lenses.keys() - CAMERA_GROUPS_OF.keys())


def _mounts(path: Path, notes: list[str]) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Returns rotation [4] and position [3] of each sensor in Argoverse's ego frame."""
    table = _feather(path, "sensor_name", ("sensor_name", *_ROTATION, *_POSITION))
    names, rotation = table.keys(), table.rotations(_ROTATION)
    position_m = table.positions(_POSITION, MAX_MOUNT_M)
    return {names[i]: (rotation[i], position_m[i]) for i in table.usable(notes)}


def _lenses(path: Path, notes: list[str]) -> dict[str, tuple[tuple[int, int], FloatArray]]:
    """Returns image size (height, width) and intrinsics [3, 3] of each camera."""
    numbers = ("fx_px", "fy_px", "cx_px", "cy_px")
    table = _feather(path, "sensor_name", ("sensor_name", *numbers, "height_px", "width_px"))
    names, values = table.keys(), table.numbers(numbers, 4)
    sides = [table.whole(side, 1, columns.MAX_SIDE_PX) for side in ("height_px", "width_px")]
    size_px = np.stack(sides, -1).reshape(len(table), 2)
    matrix = np.tile(np.eye(3), (len(table), 1, 1))
    matrix[:, 0, 0], matrix[:, 1, 1] = values[:, 0], values[:, 1]
    matrix[:, :2, 2] = values[:, 2:]
    words = "must be those of a pinhole camera with images of this size"
    table.mark(columns.intrinsics(matrix, size_px), ", ".join(numbers), words)
    return {
        names[i]: ((int(size_px[i, 0]), int(size_px[i, 1])), matrix[i]) for i in table.usable(notes)
    }


def _annotations(path: Path, pose_table: PoseTable, notes: list[str]) -> Arrays:
    """Reads the boxes of a log; nothing where the table has no row."""
    sizes = ("length_m", "width_m", "height_m")
    fields = ("timestamp_ns", "track_uuid", "category", "num_interior_pts")
    table = _feather(path, "timestamp_ns", (*fields, *sizes, *_ROTATION, *_POSITION))
    words = [str(word) for word in table.column("category")]
    table = table.narrowed(np.array([word != EGO_VEHICLE for word in words], bool))
    if not len(table):
        notes.append(f"{path.name}: no row: nothing is labelled")
        return {}
    time_ns, tracks, words = _times(table), table.names("track_uuid"), table.names("category")
    size_m, rotation = table.sizes(sizes), table.upright_rotations(_ROTATION)
    position_m = table.positions(_POSITION, MAX_DISTANCE_M)
    points = table.whole("num_interior_pts", 0, MAX_COUNT)
    class_id = _class_ids(table, words)
    table.check_unit([np.unique(time_ns[table.good])], "nanoseconds")
    words_of_rule = f"no pose within {MAX_POSE_AGE_S * 1e3:g} ms in {pose_table.path.name}"
    table.mark(pose_table.has(time_ns), "timestamp_ns", words_of_rule)
    _, track = np.unique(tracks, return_inverse=True)
    first = columns.first_of_pairs(time_ns, track, table.good)
    table.mark(first, "track_uuid", "a row before it has the same track and time")
    kept = table.usable(notes)
    kept = kept[np.argsort(time_ns[kept], kind="stable")]
    row_ns = time_ns[kept]
    frame_ns, frame_start = np.unique(row_ns, return_index=True)
    av2_from_box = poses.from_quaternion(rotation[kept], position_m[kept])
    in_city_m = (pose_table.at(row_ns) @ av2_from_box)[:, :3, 3]
    _, track_id = np.unique(track[kept], return_inverse=True)
    known_words, word = np.unique([words[i] for i in kept], return_inverse=True)
    return {
        "frame.time_ns": frame_ns,
        "frame.start": np.append(frame_start, len(row_ns)),
        "box.rotation": rotation[kept],
        "box.position_m": position_m[kept],
        "box.size_lwh_m": size_m[kept],
        "box.velocity_mps": reading.central_velocity(
            in_city_m, row_ns // 1000, track_id.astype(np.int64), MAX_GAP_S
        ),
        "box.word": word.astype(np.int16),
        "box.class_id": class_id[kept].astype(np.int8),
        "box.track_id": track_id.astype(np.int32),
        "box.num_lidar_points": points[kept].astype(np.int32),
        "words": known_words.tolist(),
    }


def _class_ids(table: CheckedTable, words: Sequence[str]) -> IntArray:
    """Returns our class [N] of each word; marks words that the publisher does not have."""
    ids = {word: CLASS_NAMES.index(name) for word, name in CLASS_OF.items()}
    ids |= dict.fromkeys(NO_COUNTERPART, -1)
    known = np.array([word in ids for word in words], bool)
    remark = f"unknown class; add it to CLASS_OF or NO_COUNTERPART in {__name__}"
    table.mark(known, "category", remark)
    return np.array([ids.get(word, -1) for word in words], np.int64)
