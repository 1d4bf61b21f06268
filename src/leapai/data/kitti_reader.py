"""The KITTI tracking benchmark (https://www.cvlibs.net/datasets/kitti/eval_tracking.php).

`kitti:ROOT`. ROOT holds `training/` and `testing/`, or is one of them: `calib/`, `oxts/`,
`velodyne/`, `image_02/`, `image_03/` and, for training, `label_02/`. Sensors are read as those of a
folder of sensor files. The ego frame has the axes of the inertial unit, its origin is on the ground
below. Frames have no times: they are 0.1 s apart, as they were recorded.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from pydantic import ValidationError

from leapai.config.problems import one_line
from leapai.data import columns
from leapai.data.data_names import local_tables
from leapai.data.folder.folder_calibration import Calibration
from leapai.data.folder.folder_reader import FolderLog
from leapai.data.folder.sequence_files import SequenceFiles
from leapai.data.folder.timed_files import TimedFiles
from leapai.data.log import LogWrapper, OpenOptions
from leapai.data.reading import central_velocity, regular_bytes
from leapai.data.sensor_bounds import rigid_problem
from leapai.geometry import poses
from leapai.types import CLASS_NAMES, FloatArray, Frame, IntArray, Labels

CLASS_OF = {
    "Car": "car",
    "Van": "car",
    "Truck": "truck",
    "Cyclist": "non_motor",
    "Pedestrian": "person",
    "Person_sitting": "person",
    "Person": "person",
}
NO_COUNTERPART = ("Tram", "Misc", "DontCare")
IMU_HEIGHT_M = 0.93
"""Height of the inertial unit above the ground, by KITTI's drawing of the vehicle."""
_STEP_US, _MAX_GAP_S, _MAX_TRACK = 100_000, 0.25, 1_000_000
_CAMERAS = {"image_02": "P2", "image_03": "P3"}
_SIZE_PX = (375, 1242)
"""Height, width of most images, where the first cannot tell."""
_OCCLUSION = np.array([0, 2, 3, -1])
"""Levels of fully visible, partly and largely occluded, and unknown (3 and -1)."""
_REMEDY = "get the file again"


def open_logs(location: str, options: OpenOptions) -> list[KittiLog]:
    """Opens the sequences under a folder. Raises ValueError where there is none, for an address
    of another machine, and for tables that are missing or damaged."""
    paths = [path.absolute() for path in local_tables(location, "kitti")]
    if not paths:
        raise ValueError(
            f"kitti:{location}: there is no sequence of the tracking benchmark; give the folder "
            "with training/ and testing/, each with calib/, oxts/, velodyne/ and image_02/"
        )
    return [KittiLog(path.parents[1], path.stem, options) for path in paths]


class KittiLog(LogWrapper):
    """One sequence, without a map. Sensors are read with a frame."""

    def __init__(self, split: Path, number: str, options: OpenOptions) -> None:
        self._global_from_ego = _motion(split / "oxts" / f"{number}.txt")
        times = np.arange(len(self._global_from_ego), dtype=np.int64) * _STEP_US

        def files(folder: str, suffix: str) -> TimedFiles:
            names = [split / folder / number / f"{i:06}{suffix}" for i in range(len(times))]
            return TimedFiles(names, times)

        images = {
            name: files(name, ".png") for name in _CAMERAS if (split / name / number).is_dir()
        }
        calibration, ego_from_rect = _calibration(split / "calib" / f"{number}.txt", images)
        sensors = SequenceFiles(split, files("velodyne", ".bin"), images)
        log = FolderLog(f"{split.name}-{number}", calibration, sensors)
        log.least_image_px, log.static_classes = options.least_image_px, ()
        log.table_folders = tuple(split / folder for folder in ("calib", "oxts", "label_02"))
        super().__init__(log)
        path = split / "label_02" / f"{number}.txt"
        is_labelled = path.parent.is_dir()
        self._labels = self._read_labels(path, ego_from_rect) if is_labelled else None

    def __getitem__(self, index: int) -> Frame:
        return self._placed(self.inner[index], index)

    def ground_truth(self, index: int) -> Frame:
        """Returns pose and labels of a frame without reading a sensor."""
        return self._placed(self.inner.ground_truth(index), index)

    def _placed(self, frame: Frame, index: int) -> Frame:
        labels = None if self._labels is None else self._labels[index]
        return replace(frame, ego2global=self._global_from_ego[index], labels=labels)

    def _read_labels(self, path: Path, ego_from_rect: FloatArray) -> list[Labels]:
        """Returns the labels of each frame. Raises ValueError."""
        rows = _rows(path)
        words = [" ".join(row[2:3]) for row in rows]
        if unknown := sorted(set(words) - set(CLASS_OF) - set(NO_COUNTERPART)):
            raise ValueError(f"{path}: {unknown[0]!r} is no class of KITTI; {_REMEDY}")
        used = [i for i, word in enumerate(words) if word in CLASS_OF]
        table = _numbers(path, [rows[i][:2] + rows[i][4:5] + rows[i][10:17] for i in used], 10)
        frame = _whole(path, "frame", table[:, 0], (0, len(self) - 1))
        track = _whole(path, "track", table[:, 1], (-1, _MAX_TRACK))
        occluded = _whole(path, "occluded", table[:, 2], (-1, 3))
        size_hwl_m, on_ground, turn = table[:, 3:6], table[:, 6:9], table[:, 9]
        # In the axes of a camera y is down; the turn is about it, from x.
        centre = poses.apply(ego_from_rect, on_ground - size_hwl_m[:, :1] / 2 * [0, 1, 0])
        ahead = np.stack([np.cos(turn), 0 * turn, -np.sin(turn)], -1) @ ego_from_rect[:3, :3].T
        global_from_ego = self._global_from_ego[frame]
        position_m = poses.apply(global_from_ego, centre[:, None])[:, 0]
        moved = central_velocity(position_m, frame * _STEP_US, track, _MAX_GAP_S)
        velocity = poses.rotate(poses.invert(global_from_ego), moved[:, None])[:, 0]
        known, yaw = np.isfinite(velocity[:, 0]), np.arctan2(ahead[:, 1], ahead[:, 0])
        class_id = np.array([CLASS_NAMES.index(CLASS_OF[words[i]]) for i in used])
        labels = replace(
            Labels.unlabelled(np.column_stack([centre, size_hwl_m[:, [2, 1, 0]], yaw]), class_id),
            velocity_mps=np.where(known[:, None], velocity, 0.0),
            velocity_valid=known,
            occlusion_level=_OCCLUSION[occluded],
            track_id=track,
        )
        return [labels.select(frame == i) for i in range(len(self))]


def _calibration(path: Path, images: dict[str, TimedFiles]) -> tuple[Calibration, FloatArray]:
    """Returns the mounts of the sensors, and `ego_from_rect` [4, 4] of the rectified camera 0, in
    which labels are. Raises ValueError."""
    given = {row[0].rstrip(":"): row[1:] for row in _rows(path)}

    def matrix(width: int, *names: str) -> FloatArray:
        found = np.eye(4)
        row = next((given[name] for name in names if name in given), [])
        found[:3, :width] = _numbers(path, [row], 3 * width, names[0]).reshape(3, width)
        return found

    def rigid(width: int, *names: str) -> FloatArray:
        found = matrix(width, *names)
        if problem := rigid_problem(found):
            raise ValueError(f"{path}: {names[0]} {problem}; {_REMEDY}")
        return found

    rect_from_lidar = rigid(3, "R_rect", "R0_rect") @ rigid(4, "Tr_velo_cam", "Tr_velo_to_cam")
    ego_from_lidar = poses.invert(rigid(4, "Tr_imu_velo", "Tr_imu_to_velo"))
    ego_from_lidar[2, 3] += IMU_HEIGHT_M
    ego_from_rect = ego_from_lidar @ poses.invert(rect_from_lidar)
    cameras = []
    for name, files in images.items():
        projection, rect_from_camera = matrix(4, _CAMERAS[name]), np.eye(4)
        k = projection[:3, :3]
        if not (k[0, 0] > 0 and k[1, 1] > 0 and k[2, 2] == 1):
            raise ValueError(f"{path}: {_CAMERAS[name]} is no projection of a camera; {_REMEDY}")
        rect_from_camera[:3, 3] = -np.linalg.solve(k, projection[:3, 3])
        mount = (ego_from_rect @ rect_from_camera).tolist()
        camera = {"name": name, "group": "front_wide", "size_px": _size_px(files.paths[0])}
        cameras.append({**camera, "intrinsics": k.tolist(), "ego_from_camera": mount})
    lidar = {"ego_from_lidar": ego_from_lidar.tolist(), "intensity_max": 1.0}
    try:
        found = Calibration.model_validate({"lidar": lidar, "cameras": cameras})
    except ValidationError as error:
        raise ValueError(f"{path}: {one_line(error, Calibration)}; {_REMEDY}") from None
    return found, ego_from_rect


def _motion(path: Path) -> FloatArray:
    """Returns `global_from_ego` [T, 4, 4]: x east, y north by Mercator at the first latitude, as in
    KITTI's development kit. Raises ValueError."""
    from scipy.spatial.transform import Rotation  # late: it takes time to import

    table = _numbers(path, [row[:6] for row in _rows(path)], 6)
    latitude, longitude = np.deg2rad(table[:, :2]).T
    if not len(table) or np.abs(latitude).max() > 1.5:
        raise ValueError(f"{path}: latitude is missing, or not in degrees; {_REMEDY}")
    scale_m = 6_378_137.0 * np.cos(latitude[0])
    global_from_imu = np.tile(np.eye(4), (len(table), 1, 1))
    global_from_imu[:, :3, :3] = Rotation.from_euler("xyz", table[:, 3:]).as_matrix()
    north_m = scale_m * np.arctanh(np.sin(latitude))
    global_from_imu[:, :3, 3] = np.stack([scale_m * longitude, north_m, table[:, 2]], -1)
    return global_from_imu @ poses.from_xyz_yaw(np.array([0, 0, -IMU_HEIGHT_M]), 0.0)


def _size_px(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path, formats=("PNG",)) as image:
            return image.height, image.width
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return _SIZE_PX


def _rows(path: Path) -> list[list[str]]:
    try:
        lines = regular_bytes(path).decode("ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        words = getattr(error, "strerror", None) or "is no text"
        raise ValueError(f"{path}: cannot be read ({words}); {_REMEDY}") from None
    return [row for row in map(str.split, lines) if row]


def _whole(path: Path, name: str, values: FloatArray, bounds: tuple[int, int]) -> IntArray:
    """Returns whole numbers [N] within bounds. Raises ValueError that names the first other."""
    found, good = columns.whole_numbers(values, *bounds)
    if not good.all():
        low, high = bounds
        raise ValueError(
            f"{path}: {name} = {values[~good][0]:.10g} is no whole number from {low} to {high}; "
            f"{_REMEDY}"
        )
    return found


def _numbers(path: Path, rows: list[list[str]], width: int, name: str = "row") -> FloatArray:
    """Returns rows of so many finite numbers [N, width]. Raises ValueError."""
    for i, row in enumerate(rows, start=1):
        try:
            values = np.array(row, np.float64)
        except ValueError:
            values = np.zeros(0)
        if len(values) != width or not (np.abs(values) < 1e12).all():
            place = name if name != "row" else f"row {i}"
            raise ValueError(
                f"{path}: {place} = {' '.join(row)[:60]!r} lacks {width} finite numbers; {_REMEDY}"
            )
    return np.array(rows, np.float64).reshape(len(rows), width)
