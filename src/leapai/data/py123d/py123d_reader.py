"""Logs that py123d has converted into Arrow files, read without py123d
(https://kesai.eu/py123d).

`py123d:ROOT[,sensors=FOLDER]`. ROOT is a log (a folder with `sync.arrow`), a split, or the folder
of the splits. FOLDER holds the files of the data set that a log names where it does not have them
itself. A frame is a row of `sync.arrow`, at the time of its pose of the vehicle: points and boxes
are given for that pose, and each camera has that of its own exposure. py123d places the vehicle by
its inertial unit; our ego frame is below the rear axle on the ground.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from leapai.data import columns, reading
from leapai.data.bags.bag_poses import NoPoseError
from leapai.data.log import DrivingLog, OpenOptions
from leapai.data.py123d.py123d_points import read_points, sensor_file
from leapai.data.py123d.py123d_rig import Camera, pose_of
from leapai.data.py123d.py123d_tables import SYNC, LogTables, log_folders, read_tables
from leapai.data.reading import AnnotatedBoxes, FaultLog, SensorError
from leapai.data.reduced_images import reduced_intrinsics, reduced_size, reduction
from leapai.data.remote_files import local_path
from leapai.data.sensor_bounds import MAX_IMAGE_AGE_S
from leapai.geometry import poses
from leapai.types import CameraFrame, FloatArray, Frame, IntArray, Labels

_LIDAR = "lidar"


def open_logs(location: str, options: OpenOptions) -> list[Py123dLog]:
    """Opens the logs under a folder. Raises ValueError where there is none, two of one name,
    or an address of another machine; and, when a log is first used, for tables that cannot be
    used."""
    given, _, option = location.partition(",")
    name, _, sensors = option.partition("=")
    if option and name != "sensors":
        raise ValueError(f"py123d:{location}: {option!r} is no option; the one is sensors=FOLDER")
    folders = log_folders(given)
    if not folders:
        raise ValueError(
            f"py123d:{location}: there is no log; give the folder of one ({SYNC} in it), of a "
            "split, or of the splits, as py123d-conversion writes them"
        )
    places: dict[str, Path] = {}
    for folder in folders:
        other = places.setdefault(folder.resolve().name, folder)
        if other != folder:
            raise ValueError(
                f"py123d:{location}: {other} and {folder} are two logs of one name, which results "
                "could not tell apart; give the folder of one split"
            )
    outside = local_path(sensors, "py123d") if sensors else None
    return [Py123dLog(folder, outside, options.least_image_px) for folder in folders]


class Py123dLog(DrivingLog):
    """One log. Its tables are read when they are first asked for, sensors with a frame."""

    static_classes = ()

    def __init__(
        self, folder: Path, sensors: Path | None, least_image_px: tuple[int, int] | None
    ) -> None:
        """With `least_image_px` (height, width) images are reduced, but never below it."""
        self.name = folder.resolve().name
        self.table_folders = (folder,)
        self._folder, self._sensors = folder.absolute(), sensors
        self._least_image_px = least_image_px
        self._faults = FaultLog(self._folder)

    @property
    def timestamps_us(self) -> IntArray:
        """[T] int64."""
        return self._tables.time_us

    @property
    def version(self) -> str:  # type: ignore[override]
        """The data set, and the version of py123d that wrote the log."""
        return self._tables.version

    @property
    def table_notes(self) -> Sequence[str]:  # type: ignore[override]
        """Rows that were left out of the tables of the log, and cameras that cannot be used."""
        return self._tables.notes

    @property
    def unused_cameras(self) -> Sequence[str]:  # type: ignore[override]
        """Cameras that are no pinholes, look down, look where the front camera does, or have
        metadata that are not in order."""
        return self._tables.unused_cameras

    def __getitem__(self, index: int) -> Frame:
        faults: list[str] = []
        without_sensors = self.ground_truth(index)
        cameras = tuple(self._camera(camera, index, faults) for camera in self._tables.cameras)
        points = self._points(index, faults)
        return replace(without_sensors, cameras=cameras, points=points, faults=tuple(faults))

    def ground_truth(self, index: int) -> Frame:
        """Returns pose and labels of a frame without reading a sensor."""
        time_us = int(self.timestamps_us[index])
        pose = self._tables.global_from_ego[index]
        return Frame(self.name, time_us, pose, (), None, self._labels(index))

    def has_sweep(self, index: int) -> bool:
        """Returns whether the log has a sweep for the frame (it may still turn out broken)."""
        lidars = self._tables.lidars
        try:
            return bool([self._tables.row_of_sensor(key, index) for key in lidars])
        except SensorError:
            return False

    def annotated_boxes(self, index: int) -> AnnotatedBoxes | None:
        """Returns all boxes of a frame, mapped to our classes or not; None: it is not annotated."""
        found = self._tables.boxes(index)
        if found is None:
            return None
        table, rows = found
        global_from_box = poses.from_quaternion(table.rotation[rows], table.position_m[rows])
        return AnnotatedBoxes(
            ego_from_box=poses.invert(self._tables.global_from_ego[index]) @ global_from_box,
            size_lwh_m=table.size_lwh_m[rows],
            words=table.words[rows],
            class_id=table.class_id[rows],
            num_lidar_points=table.num_lidar_points[rows],
        )

    @property
    def _tables(self) -> LogTables:
        return read_tables(self._folder)

    def _labels(self, index: int) -> Labels | None:
        recorded, found = self.annotated_boxes(index), self._tables.boxes(index)
        if recorded is None or found is None:
            return None
        table, rows = found
        ego_from_global = poses.invert(self._tables.global_from_ego[index])
        velocity = poses.rotate(ego_from_global, table.velocity_mps[rows])
        known = np.isfinite(velocity[:, 0])
        labels = replace(
            Labels.unlabelled(recorded.upright, recorded.class_id),
            velocity_mps=np.where(known[:, None], velocity, 0.0),
            velocity_valid=known,
            track_id=table.track_id[rows],
            num_lidar_points=recorded.num_lidar_points,
        )
        return labels.select(recorded.class_id >= 0)

    def _points(self, index: int, faults: list[str]) -> FloatArray | None:
        """Returns the points [P, 5] of all LiDARs of a frame; None: there are none to use."""
        tables = self._tables
        try:
            parts = [self._sweep(key, index) for key in tables.lidars]
        except SensorError as fault:
            faults.append(self._faults.note(_LIDAR, fault))
            return None
        return np.concatenate(parts) if parts else None

    def _sweep(self, key: str, index: int) -> FloatArray:
        tables = self._tables
        rows, number = tables.row_of_sensor(key, index)
        found = read_points(rows, number, tables.dataset, self._sensors)
        xyz = np.stack([found[axis] for axis in "xyz"], -1)
        reading.check_range(xyz, rows.path)
        points = np.zeros((len(xyz), 5), np.float32)
        with np.errstate(all="ignore"):  # what is not finite is dropped where frames are checked
            is_ego = np.array_equal(tables.ego_from_imu, np.eye(4))  # then to the last bit
            points[:, :3] = xyz if is_ego else poses.apply(tables.ego_from_imu, xyz.astype(float))
            points[:, 3] = found.get("intensity", 0.0)
            if "timestamps" in found:
                points[:, 4] = (found["timestamps"] - tables.time_us[index]) / 1e6
        return points

    def _camera(self, camera: Camera, index: int, faults: list[str]) -> CameraFrame:
        tables = self._tables
        factor = reduction(camera.size_px, self._least_image_px)
        image, exposed_us = None, int(tables.time_us[index])
        global_from_camera: FloatArray = tables.imu_at(exposed_us) @ camera.imu_from_camera
        try:
            row = self._exposure(camera, index)
            global_from_camera = self._pose(camera, row)
            exposed_us = row["timestamp_us"]
            image = self._image(camera, row["data"], factor)
        except SensorError as fault:
            faults.append(self._faults.note(camera.name, fault))
        ego_from_global = poses.invert(tables.global_from_ego[index])
        return CameraFrame(
            name=camera.name,
            group=camera.group,
            image=image,
            size_px=reduced_size(camera.size_px, factor),
            intrinsics=reduced_intrinsics(camera.intrinsics, factor),
            distortion=camera.distortion,
            ego_from_camera=ego_from_global @ global_from_camera,
            timestamp_us=exposed_us,
        )

    def _exposure(self, camera: Camera, index: int) -> dict[str, Any]:
        """Returns the row of an image. Raises SensorError."""
        rows, number = self._tables.row_of_sensor(camera.key, index)
        try:
            row = rows.row(number)
        except ValueError as error:
            raise SensorError(rows.path, str(error)) from error
        if not isinstance(row.get("timestamp_us"), int) or row.get("data") is None:
            raise SensorError(rows.path, f"no image in row {number}")
        away_s = abs(row["timestamp_us"] - int(self._tables.time_us[index])) / 1e6
        if row["timestamp_us"] < 0 or away_s > MAX_IMAGE_AGE_S:
            words = f"timestamp_us = {row['timestamp_us']} is {away_s:.4g} s from the frame's"
            raise SensorError(rows.path, words)
        return row

    def _pose(self, camera: Camera, row: dict[str, Any]) -> FloatArray:
        """Returns `global_from_camera` [4, 4] of an exposure: as recorded, or by the motion of the
        vehicle. Raises SensorError."""
        path, recorded = self._tables.sensor(camera.key).path, row.get("camera_to_global_se3")
        if recorded is None:
            try:
                return self._tables.imu_at(row["timestamp_us"]) @ camera.imu_from_camera
            except NoPoseError as error:
                words = f"has no pose of its own, nor of the vehicle near {row['timestamp_us']} us"
                raise SensorError(path, words) from error
        values = columns.numbers([recorded], 7)
        if not (np.isfinite(values).all() and columns.rotations(values[:, 3:]).all()):
            raise SensorError(path, f"camera_to_global_se3 = {recorded} is no pose")
        return pose_of(values[0])

    def _image(self, camera: Camera, data: object, factor: int) -> np.ndarray:
        path = self._tables.sensor(camera.key).path
        if isinstance(data, bytes):
            return reading.decoded_image(data, path, camera.size_px, factor)
        if isinstance(data, str):
            file = sensor_file(self._sensors, data, path)
            return reading.read_image(file, camera.size_px, factor)
        raise SensorError(
            path, "keeps its images in a video; convert with camera_store_option=jpeg_binary"
        )
