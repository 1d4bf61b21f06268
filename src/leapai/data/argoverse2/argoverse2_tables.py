"""Argoverse 2's tables (feather) of one log; no sensor file is read here."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather

from leapai.data import reading
from leapai.geometry import poses
from leapai.types import CLASS_NAMES, FloatArray, IntArray

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
    "MOBILE_PEDESTRIAN_SIGN": "barrier",
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

_logger = logging.getLogger(__name__)
_POSE_COLUMNS = ("qw", "qx", "qy", "qz", "tx_m", "ty_m", "tz_m")
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
    """[M] int64; -1: no counterpart."""
    track_id: IntArray
    num_lidar_points: IntArray


@dataclass(frozen=True)
class LogTables:
    """All tables of one log, joined."""

    frame_ns: IntArray
    """[T] int64: the annotated times, or those of the sweeps where nothing is annotated."""
    poses: PoseTable
    cameras: dict[str, CameraCalibration]
    annotations: Annotations | None


def nearest_index(sorted_ns: IntArray, time_ns: IntArray) -> IntArray:
    """Returns the index [...] of the time in `sorted_ns` [K], K >= 1, nearest to each of [...]
    times."""
    after = np.searchsorted(sorted_ns, time_ns).clip(0, len(sorted_ns) - 1)
    before = (after - 1).clip(0)
    nearer = np.abs(time_ns - sorted_ns[before]) <= np.abs(sorted_ns[after] - time_ns)
    return np.asarray(np.where(nearer, before, after))


@lru_cache(maxsize=LOGS_IN_MEMORY)
def read_tables(folder: Path) -> LogTables:
    """Reads the tables of the log `folder`. Raises ValueError where one is missing, broken, or not
    finite."""
    pose_table = _pose_table(folder / "city_SE3_egovehicle.feather")
    cameras = _cameras(folder / "calibration")
    annotation_path = folder / "annotations.feather"
    if annotation_path.is_file():
        annotations = _annotations(annotation_path, pose_table)
        return LogTables(annotations.frame_ns, pose_table, cameras, annotations)
    sweeps = sorted(int(path.stem) for path in folder.glob("sensors/lidar/*.feather"))
    if not sweeps:
        raise ValueError(f"{annotation_path} is missing, and there is no LiDAR sweep; {_REMEDY}")
    return LogTables(np.array(sweeps, np.int64), pose_table, cameras, None)


def _feather(path: Path, columns: Sequence[str]) -> pa.Table:
    try:
        return pyarrow.feather.read_table(path, columns=list(columns), memory_map=False)
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; {_REMEDY}") from None
    except (pa.ArrowException, OSError, KeyError) as error:
        raise ValueError(f"{path} cannot be read ({error}); {_REMEDY}") from error


def _poses(table: pa.Table, path: Path, row_names: Sequence[object]) -> FloatArray:
    columns = np.stack([table[name].to_numpy() for name in _POSE_COLUMNS], -1)
    return reading.checked_poses(columns[:, :4], columns[:, 4:], path, row_names)


def _pose_table(path: Path) -> PoseTable:
    table = _feather(path, ("timestamp_ns", *_POSE_COLUMNS)).sort_by("timestamp_ns")
    time_ns = table["timestamp_ns"].to_numpy()
    return PoseTable(path, time_ns, _poses(table, path, time_ns))


def _cameras(folder: Path) -> dict[str, CameraCalibration]:
    """Returns the ring cameras with both intrinsics and extrinsics, in the order of
    `CAMERA_GROUPS_OF`.

    The published images are undistorted already (argoverse-api issue 81, av2-api issue 226, user
    guide), so k1, k2, k3 of the table do not apply to them and are not read.
    """
    path = folder / "egovehicle_SE3_sensor.feather"
    mounts = _feather(path, ("sensor_name", *_POSE_COLUMNS))
    names = mounts["sensor_name"].to_pylist()
    av2_from_sensor = dict(zip(names, _poses(mounts, path, names), strict=True))
    columns = ("sensor_name", "fx_px", "fy_px", "cx_px", "cy_px", "height_px", "width_px")
    rows = _feather(folder / "intrinsics.feather", columns).to_pylist()
    lenses = {row["sensor_name"]: row for row in rows}
    calibrated = [name for name in CAMERA_GROUPS_OF if name in lenses and name in av2_from_sensor]
    lacking = [name for name in CAMERA_GROUPS_OF if name not in calibrated]
    if lacking:
        _logger.warning("%s: no calibration of %s: not used", folder, ", ".join(lacking))
    return {name: _camera(lenses[name], av2_from_sensor[name]) for name in calibrated}


def _camera(row: dict[str, Any], av2_from_camera: FloatArray) -> CameraCalibration:
    intrinsics = np.array(
        [[row["fx_px"], 0.0, row["cx_px"]], [0.0, row["fy_px"], row["cy_px"]], [0.0, 0.0, 1.0]]
    )
    return CameraCalibration((row["height_px"], row["width_px"]), intrinsics, av2_from_camera)


def _annotations(path: Path, pose_table: PoseTable) -> Annotations:
    columns = ("timestamp_ns", "track_uuid", "category", "num_interior_pts")
    sizes = ("length_m", "width_m", "height_m")
    table = _feather(path, (*columns, *sizes, *_POSE_COLUMNS)).sort_by("timestamp_ns")
    row_ns = table["timestamp_ns"].to_numpy()
    frame_ns, frame_start = np.unique(row_ns, return_index=True)
    av2_from_box = _poses(table, path, row_ns)
    _, track_id = np.unique(table["track_uuid"].to_numpy(), return_inverse=True)
    position_m = (pose_table.at(row_ns) @ av2_from_box)[:, :3, 3]
    words = table["category"].to_pylist()
    return Annotations(
        frame_ns=frame_ns,
        frame_start=np.append(frame_start, len(row_ns)),
        av2_from_box=av2_from_box,
        size_lwh_m=np.stack([table[name].to_numpy() for name in sizes], -1),
        velocity_mps=_velocities(position_m, row_ns, track_id),
        words=words,
        class_id=_class_ids(words, path),
        track_id=track_id.astype(np.int64),
        num_lidar_points=table["num_interior_pts"].to_numpy(),
    )


def _class_ids(words: list[str], path: Path) -> IntArray:
    ids = {word: CLASS_NAMES.index(name) for word, name in CLASS_OF.items()}
    ids |= dict.fromkeys(NO_COUNTERPART, -1)
    unknown = sorted(set(words) - set(ids))
    if unknown:
        raise ValueError(
            f"{path}: unknown class {unknown}; add it to CLASS_OF or NO_COUNTERPART in {__name__}"
        )
    return np.array([ids[word] for word in words], np.int64)


def _velocities(position_m: FloatArray, row_ns: IntArray, track_id: IntArray) -> FloatArray:
    """Returns velocities [M, 3] by central differences over the annotated neighbours in the same
    track."""
    order = np.lexsort((row_ns, track_id))
    same = np.diff(track_id[order]) == 0
    before, after = np.full(len(order), -1), np.full(len(order), -1)
    before[order[1:][same]] = order[:-1][same]
    after[order[:-1][same]] = order[1:][same]
    return reading.central_velocity(position_m, row_ns // 1000, before, after, MAX_GAP_S)
