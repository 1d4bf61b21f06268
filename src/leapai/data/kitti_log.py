"""KITTI's drives: mounts, motion and labels by the formulas that both of its layouts share, and the
log that is made of them.

The ego frame has the axes of the inertial unit, its origin is on the ground below. Sensors are read
as those of a folder of sensor files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from leapai.config.problems import one_line
from leapai.data import columns
from leapai.data.folder.folder_calibration import Calibration
from leapai.data.folder.folder_reader import FolderLog
from leapai.data.kitti_tables import REMEDY, Bounds
from leapai.data.label_bounds import MAX_YAW_RAD
from leapai.data.log import LogWrapper
from leapai.data.reading import central_velocity
from leapai.data.sensor_bounds import MAX_RANGE_M
from leapai.geometry import poses
from leapai.types import CLASS_NAMES, FloatArray, Frame, IntArray, Labels

CLASS_OF = {
    "Car": "car",
    "Van": "car",
    "Truck": "truck",
    "Cyclist": "non_motor",
    "Pedestrian": "person",
    "Person_sitting": "person",
    "Person (sitting)": "person",
    "Person": "person",
}
NO_COUNTERPART = ("Tram", "Misc", "DontCare")
CAMERAS = ("image_02", "image_03")
IMU_HEIGHT_M = 0.93
"""Height of the inertial unit above the ground, by KITTI's drawing of the vehicle."""
PLACE_M = (-MAX_RANGE_M, MAX_RANGE_M)
"""Coordinates of a box: it was drawn into a sweep."""
YAW_RAD = (-MAX_YAW_RAD, MAX_YAW_RAD)
OCCLUSION = range(-1, 4)
_TILT_RAD = float(np.arccos(columns.MIN_UPRIGHT))
POSE: Mapping[str, Bounds] = {
    "latitude": (-85, 85),
    "longitude": (-180, 180),
    "altitude": (-1_000, 10_000),
    "roll": (-_TILT_RAD, _TILT_RAD),
    "pitch": (-_TILT_RAD, _TILT_RAD),
    "yaw": YAW_RAD,
}
"""Degrees, metres and radians of the vehicle. Mercator's projection ends before the poles; roads
run from the Dead Sea to passes of the Himalayas."""
_MAX_GAP_S = 0.25
_OCCLUSION = np.array([0, 2, 3, -1])
"""Levels of fully visible, partly and largely occluded, and unknown (3 and -1)."""


class KittiLog(LogWrapper):
    """One drive, without a map. Sensors are read with a frame."""

    def __init__(
        self,
        sensors: FolderLog,
        table_folders: tuple[Path, ...],
        global_from_ego: FloatArray,
        labels: Sequence[Labels] | None,
    ) -> None:
        """`global_from_ego` [T, 4, 4] and `labels` [T] are those of the frames; None: there are no
        labels."""
        super().__init__(sensors)
        self.static_classes, self.table_folders = (), table_folders
        self._global_from_ego, self._labels = global_from_ego, labels

    def __getitem__(self, index: int) -> Frame:
        return self._placed(self.inner[index], index)

    def ground_truth(self, index: int) -> Frame:
        """Returns pose and labels of a frame without reading a sensor."""
        return self._placed(self.inner.ground_truth(index), index)

    def _placed(self, frame: Frame, index: int) -> Frame:
        labels = None if self._labels is None else self._labels[index]
        return replace(frame, ego2global=self._global_from_ego[index], labels=labels)


def calibration(
    path: Path,
    rect_from_lidar: FloatArray,
    lidar_from_imu: FloatArray,
    cameras: Mapping[str, tuple[FloatArray, tuple[int, int]]],
) -> Calibration:
    """Returns the mounts of the sensors, of transforms [4, 4] and, for each camera, its projection
    [3, 4] from the rectified camera 0 (`rect`) and its height and width in pixels. Raises
    ValueError, which names `path`, where a sensor is on no vehicle."""
    ego_from_lidar = poses.invert(lidar_from_imu)
    ego_from_lidar[2, 3] += IMU_HEIGHT_M
    entries = []
    for name, (projection, size_px) in cameras.items():
        k, rect_from_camera = projection[:, :3], np.eye(4)
        rect_from_camera[:3, 3] = -np.linalg.solve(k, projection[:, 3])
        mount = (ego_from_lidar @ poses.invert(rect_from_lidar) @ rect_from_camera).tolist()
        entry = {"name": name, "group": "front_wide", "size_px": size_px}
        entries.append({**entry, "intrinsics": k.tolist(), "ego_from_camera": mount})
    lidar = {"ego_from_lidar": ego_from_lidar.tolist(), "intensity_max": 1.0}
    try:
        return Calibration.model_validate({"lidar": lidar, "cameras": entries})
    except ValidationError as error:
        raise ValueError(f"{path}: {one_line(error, Calibration)}; {REMEDY}") from None


def motion(table: FloatArray) -> FloatArray:
    """Returns `global_from_ego` [T, 4, 4] of the fields of `POSE` [T, 6]: x east, y north by
    Mercator at the first latitude, as in KITTI's development kit."""
    from scipy.spatial.transform import Rotation  # late: it takes time to import

    latitude, longitude = np.deg2rad(table[:, :2]).T
    scale_m = 6_378_137.0 * np.cos(latitude[0])
    global_from_imu = np.tile(np.eye(4), (len(table), 1, 1))
    global_from_imu[:, :3, :3] = Rotation.from_euler("xyz", table[:, 3:]).as_matrix()
    north_m = scale_m * np.arctanh(np.sin(latitude))
    global_from_imu[:, :3, 3] = np.stack([scale_m * longitude, north_m, table[:, 2]], -1)
    return global_from_imu @ poses.from_xyz_yaw(np.array([0, 0, -IMU_HEIGHT_M]), 0.0)


def check_classes(path: Path, words: Iterable[str]) -> None:
    """Raises ValueError for a word that is no class of KITTI."""
    if unknown := sorted(set(words) - set(CLASS_OF) - set(NO_COUNTERPART)):
        raise ValueError(f"{path}: {unknown[0][:60]!r} is no class of KITTI; {REMEDY}")


def labels_by_frame(
    words: Sequence[str], table: FloatArray, global_from_ego: FloatArray, time_us: IntArray
) -> list[Labels]:
    """Returns the labels of each frame [T]; velocities follow from the tracks.

    `words` are the classes of M objects, each with a counterpart, and `table` [M, 10] has their
    frame, track and occlusion as KITTI numbers them, then their box in the ego frame of its time:
    centre, length, width, height and yaw.
    """
    frame, track, occluded = table[:, :3].astype(np.int64).T
    now = global_from_ego[frame]
    position_m = poses.apply(now, table[:, None, 3:6])[:, 0]
    moved = central_velocity(position_m, time_us[frame], track, _MAX_GAP_S)
    velocity = poses.rotate(poses.invert(now), moved[:, None])[:, 0]
    known = np.isfinite(velocity[:, 0])
    class_id = np.array([CLASS_NAMES.index(CLASS_OF[word]) for word in words], np.int64)
    labels = replace(
        Labels.unlabelled(table[:, 3:], class_id),
        velocity_mps=np.where(known[:, None], velocity, 0.0),
        velocity_valid=known,
        occlusion_level=_OCCLUSION[occluded],
        track_id=track,
    )
    return [labels.select(frame == i) for i in range(len(time_us))]
