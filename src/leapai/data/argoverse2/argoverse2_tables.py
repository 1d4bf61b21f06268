"""Argoverse 2's tables (feather) of one log; no sensor file is read here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather

from leapai.data import columns, reading
from leapai.data.checked_table import MAX_COORDINATE_M, MAX_COUNT, CheckedTable, note
from leapai.geometry import poses
from leapai.types import CLASS_NAMES, BoolArray, FloatArray, IntArray

CAMERA_GROUPS_OF = {
    "ring_front_center": "front_narrow",
    "ring_front_left": "side",
    "ring_front_right": "side",
    "ring_side_left": "side",
    "ring_side_right": "side",
    "ring_rear_left": "back",
    "ring_rear_right": "back",
}
"""Ring cameras and their groups. The two stereo cameras look where ring_front_center does and are
not used."""

CLASS_OF = {
    "REGULAR_VEHICLE": "car",
    "LARGE_VEHICLE": "truck",  # fire trucks, motor homes, extended vans
    "BOX_TRUCK": "truck",
    "TRUCK": "truck",
    "TRUCK_CAB": "truck",
    "VEHICULAR_TRAILER": "truck",  # moves like the truck that tows it, and is as large
    "BUS": "bus",
    "SCHOOL_BUS": "bus",
    "ARTICULATED_BUS": "bus",
    "PEDESTRIAN": "person",
    "OFFICIAL_SIGNALER": "person",
    "BICYCLIST": "non_motor",  # riders and machines have classes of their own
    "MOTORCYCLIST": "non_motor",
    "WHEELED_RIDER": "non_motor",
    "BICYCLE": "riderless_non_motor",
    "MOTORCYCLE": "riderless_non_motor",
    "WHEELED_DEVICE": "riderless_non_motor",
    "BOLLARD": "pillar",
    "CONSTRUCTION_CONE": "barrier",  # put on the road, as a barrier, to close a part of it
    "CONSTRUCTION_BARREL": "barrier",
    "MOBILE_PEDESTRIAN_CROSSING_SIGN": "barrier",
    "MOBILE_PEDESTRIAN_SIGN": "barrier",  # a name of the same in some releases
    "MESSAGE_BOARD_TRAILER": "barrier",
    "TRAFFIC_LIGHT_TRAILER": "barrier",
}
NO_COUNTERPART = (
    "SIGN",  # the plate, often above all traffic
    "STOP_SIGN",
    "STROLLER",  # who pushes it has a box as a person
    "WHEELCHAIR",  # who sits in it is a WHEELED_RIDER
    "RAILED_VEHICLE",
    "DOG",
    "ANIMAL",
)

EGO_HEIGHT_M = 0.33
"""Height of Argoverse's ego origin, the centre of the rear axle, above the ground.

From the publisher: "around 33 cm above the ground" (argoverse-api issue 286). Measured on log
7fab2350: planes fitted to the LiDAR's ground returns within 8 m pass 0.335 to 0.345 m below the
origin."""
AV2_FROM_EGO = poses.from_xyz_yaw(np.array([0.0, 0.0, -EGO_HEIGHT_M]), 0.0)
"""[4, 4]: our ego frame, on the ground, seen in Argoverse's."""

MAX_GAP_S = 0.3
"""Longest time between an annotation (10 Hz) and its neighbour in the track, for a velocity: three
frames."""
MAX_POSE_AGE_S = 0.05
LOGS_IN_MEMORY = 32
"""Tables of this many logs stay in memory, about 4 MB each."""

MAX_DISTANCE_M = 500.0
"""Farthest box from the vehicle; its LiDARs reach 225 m."""
MAX_MOUNT_M = 100.0
EGO_VEHICLE = "EGO_VEHICLE"
"""Class of the vehicle's own box, which some tables hold: it is no object around the vehicle."""
_ROTATION, _POSITION = ("qw", "qx", "qy", "qz"), ("tx_m", "ty_m", "tz_m")
_REMEDY = "get this log again, or leave it out"


@dataclass(frozen=True)
class CameraCalibration:
    """Calibration of one ring camera."""

    size_px: tuple[int, int]
    """(height, width)."""
    intrinsics: FloatArray
    """[3, 3] float64."""
    av2_from_camera: FloatArray
    """[4, 4] float64."""


@dataclass(frozen=True)
class PoseTable:
    """Ego poses of a log in the city, in order of time; images and sweeps have one of their own."""

    path: Path
    time_ns: IntArray
    """[K] int64."""
    city_from_av2: FloatArray
    """[K, 4, 4] float64."""

    def has(self, time_ns: IntArray) -> BoolArray:
        """Returns which times [K] have a pose within 50 ms."""
        away_ns = np.abs(self.time_ns[nearest_index(self.time_ns, time_ns)] - time_ns)
        return np.asarray(away_ns <= MAX_POSE_AGE_S * 1e9)

    def at(self, time_ns: IntArray) -> FloatArray:
        """Returns the poses [..., 4, 4] nearest to [...] times. Raises ValueError where one is over
        50 ms away."""
        nearest = nearest_index(self.time_ns, time_ns)
        away_ns = np.abs(self.time_ns[nearest] - time_ns)
        if away_ns.max() > MAX_POSE_AGE_S * 1e9:
            at = np.ravel(time_ns)[np.ravel(away_ns).argmax()]
            raise ValueError(f"{self.path}: no pose within 50 ms of {at} ns; {_REMEDY}")
        return self.city_from_av2[nearest]


@dataclass(frozen=True)
class Annotations:
    """The boxes of a log as columns [M], in order of time."""

    frame_ns: IntArray
    """[T] int64."""
    frame_start: IntArray
    """[T + 1]: frame t has rows `frame_start[t] : frame_start[t + 1]`."""
    av2_from_box: FloatArray
    """[M, 4, 4] float64, ego frame of Argoverse at the frame's time."""
    size_lwh_m: FloatArray
    velocity_mps: FloatArray
    """[M, 3] city axes; NaN: unknown."""
    words: list[str]
    class_id: IntArray
    """[M] int64 among the design's classes; -1: no counterpart."""
    track_id: IntArray
    num_lidar_points: IntArray


@dataclass(frozen=True)
class LogTables:
    """All tables of one log, joined."""

    frame_ns: IntArray
    """[T] int64: the annotated times, or those of the sweeps where nothing is annotated."""
    poses: PoseTable
    cameras: dict[str, CameraCalibration]
    unused_cameras: tuple[str, ...]
    """Cameras that no group takes, in order."""
    annotations: Annotations | None
    notes: tuple[str, ...]
    """Rows that are left out, counted, a line for each table."""


def nearest_index(sorted_ns: IntArray, time_ns: IntArray) -> IntArray:
    """Returns the index [...] of the time in `sorted_ns` [K], K >= 1, nearest to each of [...]
    times."""
    after = np.searchsorted(sorted_ns, time_ns).clip(0, len(sorted_ns) - 1)
    before = (after - 1).clip(0)
    nearer = np.abs(time_ns - sorted_ns[before]) <= np.abs(sorted_ns[after] - time_ns)
    return np.asarray(np.where(nearer, before, after))


@lru_cache(maxsize=LOGS_IN_MEMORY)
def read_tables(folder: Path) -> LogTables:
    """Reads the tables of the log `folder`. A row that cannot be used is left out and counted.
    Without the folder `calibration` the log has no cameras. Raises ValueError where a table is
    missing, unreadable, or mostly unusable."""
    notes: list[str] = []
    pose_table = _pose_table(folder / "city_SE3_egovehicle.feather", notes)
    calibration = folder / "calibration"
    cameras, unused = _cameras(calibration, notes) if calibration.is_dir() else ({}, ())
    path = folder / "annotations.feather"
    annotations = _annotations(path, pose_table, notes) if path.is_file() else None
    if annotations is not None:
        return LogTables(
            annotations.frame_ns, pose_table, cameras, unused, annotations, tuple(notes)
        )
    sweeps = times_of_files(folder / "sensors" / "lidar", ".feather")
    sweeps = sweeps[pose_table.has(sweeps)]
    if not len(sweeps):
        raise ValueError(
            f"{path} is missing or has no row, and there is no LiDAR sweep with a pose; {_REMEDY}"
        )
    return LogTables(sweeps, pose_table, cameras, unused, None, tuple(notes))


def times_of_files(folder: Path, suffix: str) -> IntArray:
    """Returns the times [K] int64, in order, that files of sensors have for names. Other files, a
    thumbnail or one of a file system, are none of the sensor's."""
    names = (path.stem for path in folder.glob(f"*{suffix}"))
    times = [int(name) for name in names if name.isascii() and name.isdigit() and len(name) < 19]
    return np.array(sorted(times), np.int64)


def _feather(path: Path, key: str, fields: Sequence[str]) -> CheckedTable:
    """Reads columns of a feather file. Raises ValueError where one is missing, or the file."""
    try:
        content = reading.regular_bytes(path)
        table = pyarrow.feather.read_table(pa.BufferReader(content), columns=list(fields))
        table.validate(full=True)  # or a damaged text ends the process
        found = {name: table[name].to_numpy() for name in fields}
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; {_REMEDY}") from None
    except (pa.ArrowException, OSError, KeyError, ValueError, MemoryError) as error:
        words = str(error)[:200]
        raise ValueError(f"{path} cannot be read ({words}); {_REMEDY}") from error
    return CheckedTable(path, len(table), found.__getitem__, key, _REMEDY)


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
    known = table.good
    first = columns.first_of_each([*zip(time_ns.tolist(), known.tolist(), strict=True)])
    table.mark(first | ~known, "timestamp_ns", "a row before it has the same")
    kept = table.usable(notes)
    if not len(kept):
        raise ValueError(f"{path} has no row; {_REMEDY}")
    kept = kept[np.argsort(time_ns[kept])]
    table.check_unit([time_ns[kept]], "nanoseconds")
    city_from_av2 = poses.from_quaternion(rotation[kept], position_m[kept])
    return PoseTable(path, time_ns[kept], city_from_av2)


def _cameras(
    folder: Path, notes: list[str]
) -> tuple[dict[str, CameraCalibration], tuple[str, ...]]:
    """Returns the ring cameras with both intrinsics and extrinsics, in the order of
    `CAMERA_GROUPS_OF`, and the names of other cameras.

    The published images are undistorted already (argoverse-api issue 81, av2-api issue 226, user
    guide), so k1, k2, k3 of the table do not apply to them and are not read.
    """
    mounts = _mounts(folder / "egovehicle_SE3_sensor.feather", notes)
    lenses = _lenses(folder / "intrinsics.feather", notes)
    calibrated = [name for name in CAMERA_GROUPS_OF if name in lenses and name in mounts]
    lacking = [name for name in CAMERA_GROUPS_OF if name not in calibrated]
    if lacking:
        note(notes, folder, f"no calibration of {', '.join(lacking)}: not used")
    cameras = {name: CameraCalibration(*lenses[name], mounts[name]) for name in calibrated}
    return cameras, tuple(sorted(lenses.keys() - CAMERA_GROUPS_OF.keys()))


def _mounts(path: Path, notes: list[str]) -> dict[str, FloatArray]:
    table = _feather(path, "sensor_name", ("sensor_name", *_ROTATION, *_POSITION))
    names, rotation = table.keys(), table.rotations(_ROTATION)
    position_m = table.positions(_POSITION, MAX_MOUNT_M)
    av2_from_sensor = poses.from_quaternion(rotation, position_m)
    return {names[i]: av2_from_sensor[i] for i in table.usable(notes)}


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


def _annotations(path: Path, pose_table: PoseTable, notes: list[str]) -> Annotations | None:
    """Reads the boxes of a log; None: the table has no row."""
    sizes = ("length_m", "width_m", "height_m")
    fields = ("timestamp_ns", "track_uuid", "category", "num_interior_pts")
    table = _feather(path, "timestamp_ns", (*fields, *sizes, *_ROTATION, *_POSITION))
    words = [str(word) for word in table.column("category")]
    table = table.narrowed(np.array([word != EGO_VEHICLE for word in words], bool))
    if not len(table):
        note(notes, path, "no row: nothing is labelled")
        return None
    time_ns, tracks, words = _times(table), table.names("track_uuid"), table.names("category")
    size_m, rotation = table.sizes(sizes), table.upright_rotations(_ROTATION)
    position_m = table.positions(_POSITION, MAX_DISTANCE_M)
    points = table.whole("num_interior_pts", 0, MAX_COUNT)
    class_id = _class_ids(table, words)
    table.check_unit([np.unique(time_ns[table.good])], "nanoseconds")
    words_of_rule = f"no pose within {MAX_POSE_AGE_S * 1e3:g} ms in {pose_table.path.name}"
    table.mark(pose_table.has(time_ns), "timestamp_ns", words_of_rule)
    known = table.good
    pairs = [*zip(time_ns.tolist(), tracks, known.tolist(), strict=True)]
    first = columns.first_of_each(pairs) | ~known
    table.mark(first, "track_uuid", "a row before it has the same track and time")
    kept = table.usable(notes)
    kept = kept[np.argsort(time_ns[kept], kind="stable")]
    row_ns = time_ns[kept]
    frame_ns, frame_start = np.unique(row_ns, return_index=True)
    av2_from_box = poses.from_quaternion(rotation[kept], position_m[kept])
    in_city_m = (pose_table.at(row_ns) @ av2_from_box)[:, :3, 3]
    _, track_id = np.unique([tracks[i] for i in kept], return_inverse=True)
    track_id = track_id.astype(np.int64)
    return Annotations(
        frame_ns=frame_ns,
        frame_start=np.append(frame_start, len(row_ns)),
        av2_from_box=av2_from_box,
        size_lwh_m=size_m[kept],
        velocity_mps=reading.central_velocity(in_city_m, row_ns // 1000, track_id, MAX_GAP_S),
        words=[words[i] for i in kept],
        class_id=class_id[kept],
        track_id=track_id,
        num_lidar_points=points[kept],
    )


def _class_ids(table: CheckedTable, words: Sequence[str]) -> IntArray:
    """Returns our class [N] of each word; marks words that the publisher does not have."""
    ids = {word: CLASS_NAMES.index(name) for word, name in CLASS_OF.items()}
    ids |= dict.fromkeys(NO_COUNTERPART, -1)
    known = np.array([word in ids for word in words], bool)
    remark = f"unknown class; add it to CLASS_OF or NO_COUNTERPART in {__name__}"
    table.mark(known, "category", remark)
    return np.array([ids.get(word, -1) for word in words], np.int64)
