"""Argoverse 2's tables of one log as readers use them: rows are looked up in their index
(`argoverse2_index.py`); no sensor file is read here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from leapai.data.table_index import TableIndex, TableSource, open_index
from leapai.geometry import poses
from leapai.types import BoolArray, FloatArray, IntArray

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

MAX_POSE_AGE_S = 0.05
LOGS_IN_MEMORY = 32
"""Indexes of this many logs stay open."""
REMEDY = "get this log again, or leave it out"
POSES, BOXES = "city_SE3_egovehicle.feather", "annotations.feather"
CALIBRATION = "calibration"
MOUNTS, LENSES = "egovehicle_SE3_sensor.feather", "intrinsics.feather"
_BUILD = "leapai.data.argoverse2.argoverse2_index:index_content"


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
    rotation: FloatArray
    """[K, 4] float64 quaternions w x y z of `city_from_av2`."""
    position_m: FloatArray
    """[K, 3] float64."""

    def has(self, time_ns: IntArray) -> BoolArray:
        """Returns which times [K] have a pose within 50 ms."""
        away_ns = np.abs(self.time_ns[nearest_index(self.time_ns, time_ns)] - time_ns)
        return np.asarray(away_ns <= MAX_POSE_AGE_S * 1e9)

    def at(self, time_ns: IntArray) -> FloatArray:
        """Returns the poses `city_from_av2` [..., 4, 4] nearest to [...] times. Raises ValueError
        where one is over 50 ms away."""
        nearest = nearest_index(self.time_ns, time_ns)
        away_ns = np.abs(self.time_ns[nearest] - time_ns)
        if away_ns.max() > MAX_POSE_AGE_S * 1e9:
            at = np.ravel(time_ns)[np.ravel(away_ns).argmax()]
            raise ValueError(f"{self.path}: no pose within 50 ms of {at} ns; {REMEDY}")
        return poses.from_quaternion(self.rotation[nearest], self.position_m[nearest])


@dataclass(frozen=True)
class Annotations:
    """Boxes as columns [M]: those of one frame."""

    av2_from_box: FloatArray
    """[M, 4, 4] float64, ego frame of Argoverse at the frame's time."""
    size_lwh_m: FloatArray
    velocity_mps: FloatArray
    """[M, 3] city axes; NaN: unknown."""
    words: tuple[str, ...]
    class_id: IntArray
    """[M] int64 among the design's classes; -1: no counterpart."""
    track_id: IntArray
    num_lidar_points: IntArray


class LogTables:
    """All tables of one log, joined."""

    def __init__(self, folder: Path, index: TableIndex) -> None:
        """Raises ValueError where there is no frame."""
        self._index = index
        self.notes = tuple(index.notes)
        """Rows that are left out, counted, a line for each table."""
        self.poses = PoseTable(
            folder / POSES, index["pose.time_ns"], index["pose.rotation"], index["pose.position_m"]
        )
        self.cameras = _cameras(index)
        self.unused_cameras: tuple[str, ...] = tuple(index.facts["unused_cameras"])
        """Cameras that no group takes, in order."""
        self.is_annotated = "frame.time_ns" in index
        self._words = index.texts("words") if self.is_annotated else []
        self.frame_ns = index["frame.time_ns"] if self.is_annotated else self._sweeps(folder)
        """[T] int64: the annotated times, or those of the sweeps where nothing is annotated."""

    def annotations(self, frame: int) -> Annotations | None:
        """Returns the boxes of a frame; None: nothing of the log is annotated."""
        if not self.is_annotated:
            return None
        index = self._index
        frame = range(len(self.frame_ns))[frame]
        rows = slice(*index["frame.start"][frame : frame + 2].tolist())
        return Annotations(
            av2_from_box=poses.from_quaternion(
                index["box.rotation"][rows], index["box.position_m"][rows]
            ),
            size_lwh_m=index["box.size_lwh_m"][rows],
            velocity_mps=index["box.velocity_mps"][rows],
            words=tuple(self._words[i] for i in index["box.word"][rows]),
            class_id=index["box.class_id"][rows].astype(np.int64),
            track_id=index["box.track_id"][rows].astype(np.int64),
            num_lidar_points=index["box.num_lidar_points"][rows].astype(np.int64),
        )

    def _sweeps(self, folder: Path) -> IntArray:
        """Returns the times [T] of the sweeps that have a pose."""
        sweeps = times_of_files(folder / "sensors" / "lidar", ".feather")
        sweeps = sweeps[self.poses.has(sweeps)]
        if not len(sweeps):
            raise ValueError(
                f"{folder / BOXES} is missing or has no row, and there is no LiDAR sweep with a "
                f"pose; {REMEDY}"
            )
        return sweeps


def nearest_index(sorted_ns: IntArray, time_ns: IntArray) -> IntArray:
    """Returns the index [...] of the time in `sorted_ns` [K], K >= 1, nearest to each of [...]
    times."""
    after = np.searchsorted(sorted_ns, time_ns).clip(0, len(sorted_ns) - 1)
    before = (after - 1).clip(0)
    nearer = np.abs(time_ns - sorted_ns[before]) <= np.abs(sorted_ns[after] - time_ns)
    return np.asarray(np.where(nearer, before, after))


@lru_cache(maxsize=LOGS_IN_MEMORY)
def read_tables(folder: Path) -> LogTables:
    """Opens the index of the tables of the log `folder`, which is built the first time. A row that
    cannot be used is left out and counted. Without the folder `calibration` the log has no cameras.
    Raises ValueError where a table is missing, unreadable, or mostly unusable."""
    calibration = folder / CALIBRATION
    names = (folder / POSES, folder / BOXES, calibration / MOUNTS, calibration / LENSES)
    return LogTables(
        folder, open_index(TableSource(folder, (calibration, *names), _BUILD, (str(folder),)))
    )


def times_of_files(folder: Path, suffix: str) -> IntArray:
    """Returns the times [K] int64, in order, that files of sensors have for names. Other files, a
    thumbnail or one of a file system, are none of the sensor's."""
    names = (path.stem for path in folder.glob(f"*{suffix}"))
    times = [int(name) for name in names if name.isascii() and name.isdigit() and len(name) < 19]
    return np.array(sorted(times), np.int64)


def _cameras(index: TableIndex) -> dict[str, CameraCalibration]:
    """Returns the calibrated ring cameras in the order of `CAMERA_GROUPS_OF`."""
    mounts = poses.from_quaternion(index["camera.rotation"], index["camera.position_m"])
    return {
        name: CameraCalibration((height, width), index["camera.intrinsics"][i], mounts[i])
        for i, (name, (height, width)) in enumerate(
            zip(index.texts("camera.name"), index["camera.size_px"].tolist(), strict=True)
        )
    }
