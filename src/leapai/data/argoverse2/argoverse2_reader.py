"""Argoverse 2 sensor logs, read without the av2 package (https://www.argoverse.org/av2.html).

`argoverse2:ROOT`. ROOT is one log, a folder of logs, or a folder with `train/`, `val/`, `test/` of
logs. A sequence is a log, a frame is an annotated time (10 Hz), or a LiDAR sweep where nothing is
annotated. Argoverse's ego origin is the rear axle's centre; ours is on the ground below it, so
poses, boxes, points and cameras are all shifted by `EGO_HEIGHT_M`. The global frame is the city
frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather

from leapai.data import reading
from leapai.data.argoverse2.argoverse2_classes import check_vocabulary, class_ids
from leapai.data.argoverse2.argoverse2_map import MAPPED_CLASSES, read_map
from leapai.data.argoverse2.argoverse2_tables import (
    AV2_FROM_EGO,
    CAMERA_GROUPS_OF,
    EGO_HEIGHT_M,
    Annotations,
    LogTables,
    nearest_index,
    read_tables,
    times_of_files,
)
from leapai.data.log import DrivingLog, OpenOptions
from leapai.data.reading import AnnotatedBoxes, FaultLog, SensorError
from leapai.data.reduced_images import reduced_intrinsics, reduced_size, reduction
from leapai.data.remote_files import source_path
from leapai.geometry import poses
from leapai.types import (
    DESIGN,
    CameraFrame,
    FloatArray,
    Frame,
    IntArray,
    Labels,
    VectorMap,
    Vocabulary,
)

MAX_IMAGE_AGE_S = 0.05
"""Ring cameras run at 20 Hz: the nearest image is at most 25 ms away unless one was lost."""
_SPLITS = ("train", "val", "test")
_LOG_MARKS = ("city_SE3_egovehicle.feather", "annotations.feather", "calibration", "sensors")
_EGO_FROM_AV2 = poses.invert(AV2_FROM_EGO)


def open_logs(location: str, options: OpenOptions) -> list[Argoverse2Log]:
    """Opens the logs under the folder `location`. Labels are in the vocabulary of `options`; images
    are reduced where they ask for it.

    Tables are read when a log is first used. Raises ValueError where there is no log, or
    two of one name, and, then, where a table is missing, broken, or not finite.
    """
    check_vocabulary(options.vocabulary)
    root = source_path(location)
    folders = [root, *(root / split for split in _SPLITS)]
    logs = [root] if _is_log(root) else [log for folder in folders for log in _logs_in(folder)]
    if not logs:
        raise ValueError(
            f"argoverse2:{location}: there is no log; give a log folder, a folder of logs, "
            f"or one that holds {', '.join(_SPLITS)}"
        )
    places: dict[str, Path] = {}
    for folder in logs:
        other = places.setdefault(folder.name, folder)
        if other != folder:
            raise ValueError(
                f"argoverse2:{location}: {other} and {folder} are two logs of one name, which "
                "results could not tell apart; remove one, or give the folder of one split"
            )
    return [Argoverse2Log(folder, options.vocabulary, options.least_image_px) for folder in logs]


def _is_log(folder: Path) -> bool:
    return any((folder / mark).exists() for mark in _LOG_MARKS)


def _logs_in(folder: Path) -> list[Path]:
    return sorted(log for log in folder.glob("*") if log.is_dir() and _is_log(log))


class Argoverse2Log(DrivingLog):
    """One Argoverse 2 log. Sensors are read when a frame is asked for."""

    def __init__(
        self,
        folder: Path,
        vocabulary: Vocabulary = DESIGN,
        least_image_px: tuple[int, int] | None = None,
    ) -> None:
        """With `least_image_px` (height, width) images are reduced, but never below it."""
        self._least_image_px = least_image_px
        self.name, self.vocabulary = folder.name, vocabulary
        self.static_classes = tuple(c for c in MAPPED_CLASSES if c in vocabulary.map_classes)
        self._folder = folder
        self.table_folders = (folder, folder / "calibration", folder / "map")
        self._faults = FaultLog(folder)
        self._image_times: dict[str, IntArray] = {}

    @property
    def timestamps_us(self) -> IntArray:
        """[T] int64."""
        return self._frame_ns // 1000

    @property
    def timestamps_ns(self) -> IntArray:
        """[T] int64 nanoseconds, exact: the names of the sweeps in Argoverse."""
        return self._frame_ns

    def __len__(self) -> int:
        return len(self._frame_ns)

    def __getitem__(self, index: int) -> Frame:
        tables = self._tables
        time_ns = self._frame_ns[index]
        city_from_av2 = tables.poses.at(time_ns)
        faults: list[str] = []
        cameras = tuple(self._camera(name, time_ns, faults) for name in tables.cameras)
        return Frame(
            sequence=self.name,
            timestamp_us=int(time_ns // 1000),
            ego2global=city_from_av2 @ AV2_FROM_EGO,
            cameras=cameras,
            points=self._points(index, faults),
            labels=self._labels(index, poses.invert(city_from_av2)),
            faults=tuple(faults),
        )

    def ground_truth(self, index: int) -> Frame:
        """Returns pose and labels of a frame without reading a sensor."""
        time_ns = self._frame_ns[index]
        city_from_av2 = self._tables.poses.at(time_ns)
        return Frame(
            sequence=self.name,
            timestamp_us=int(time_ns // 1000),
            ego2global=city_from_av2 @ AV2_FROM_EGO,
            cameras=(),
            points=None,
            labels=self._labels(index, poses.invert(city_from_av2)),
        )

    def vector_map(self) -> VectorMap | None:
        """Returns lane boundaries, lanes, crossings, drivable areas and their edges; None: the log
        has no map."""
        return read_map(self._folder)

    def has_sweep(self, index: int) -> bool:
        """Returns whether the LiDAR file of the frame is there (it may still turn out broken)."""
        return self._sweep_path(index).is_file()

    def annotated_boxes(self, index: int) -> AnnotatedBoxes | None:
        """Returns all boxes of a frame, mapped to our classes or not, or None where the log is not
        annotated."""
        table = self._tables.annotations(index)
        return None if table is None else _recorded(table, self.vocabulary)

    @property
    def table_notes(self) -> Sequence[str]:  # type: ignore[override]
        """Rows that were left out of the tables of the log."""
        return self._tables.notes

    @property
    def unused_cameras(self) -> Sequence[str]:  # type: ignore[override]
        """The stereo cameras, which look where `ring_front_center` does."""
        return self._tables.unused_cameras

    @cached_property
    def _frame_ns(self) -> IntArray:
        # Kept with the log, so that asking for times does not read the tables again.
        return self._tables.frame_ns

    @property
    def _tables(self) -> LogTables:
        return read_tables(self._folder)

    def _sweep_path(self, index: int) -> Path:
        return self._folder / "sensors" / "lidar" / f"{self._frame_ns[index]}.feather"

    def _labels(self, index: int, av2_from_city: FloatArray) -> Labels | None:
        table = self._tables.annotations(index)
        if table is None:
            return None
        velocity = poses.rotate(av2_from_city, table.velocity_mps)
        known = np.isfinite(velocity[:, 0])
        count, recorded = len(known), _recorded(table, self.vocabulary)
        labels = Labels(
            boxes=recorded.upright,
            class_id=recorded.class_id,
            velocity_mps=np.where(known[:, None], velocity, 0.0),
            velocity_valid=known,
            occlusion_level=np.full(count, -1, np.int64),
            track_id=table.track_id,
            num_lidar_points=table.num_lidar_points,
            visible_fraction=np.full(count, np.nan),
            acceleration_mps2=np.full((count, 3), np.nan),
            vocabulary=self.vocabulary,
        )
        return labels.select(recorded.class_id >= 0)

    def _points(self, index: int, faults: list[str]) -> FloatArray | None:
        try:
            return _read_sweep(self._sweep_path(index))
        except SensorError as fault:
            faults.append(self._faults.note("lidar", fault))
            return None

    def _camera(self, name: str, time_ns: int, faults: list[str]) -> CameraFrame:
        calibration = self._tables.cameras[name]
        image, exposure_ns = None, time_ns
        factor = reduction(calibration.size_px, self._least_image_px)
        try:
            nearest_ns = self._exposure(name, time_ns)
            path = self._camera_folder(name) / f"{nearest_ns}.jpg"
            if not self._tables.poses.has(np.array(nearest_ns)):
                raise SensorError(path, "no pose of the vehicle within 50 ms")
            exposure_ns = nearest_ns
            image = reading.read_image(path, calibration.size_px, factor)
        except SensorError as fault:
            faults.append(self._faults.note(name, fault))
        pose, pose_at_exposure = self._tables.poses.at(np.array([time_ns, exposure_ns]))
        av2_from_camera = poses.invert(pose) @ pose_at_exposure @ calibration.av2_from_camera
        return CameraFrame(
            name=name,
            group=CAMERA_GROUPS_OF[name],
            image=image,
            size_px=reduced_size(calibration.size_px, factor),
            intrinsics=reduced_intrinsics(calibration.intrinsics, factor),
            distortion=np.zeros(5),
            ego_from_camera=_EGO_FROM_AV2 @ av2_from_camera,
            timestamp_us=int(exposure_ns // 1000),
        )

    def _camera_folder(self, name: str) -> Path:
        return self._folder / "sensors" / "cameras" / name

    def _exposure(self, name: str, time_ns: int) -> int:
        """Returns the time of the image nearest to `time_ns`. Raises SensorError where none is
        near."""
        folder = self._camera_folder(name)
        if name not in self._image_times:
            if not folder.is_dir():
                raise reading.missing(folder / f"{time_ns}.jpg")
            self._image_times[name] = times_of_files(folder, ".jpg")
        times = self._image_times[name]
        if len(times):
            nearest = int(times[nearest_index(times, np.array(time_ns))])
            if abs(nearest - time_ns) <= MAX_IMAGE_AGE_S * 1e9:
                return nearest
        raise SensorError(folder, f"no image within 50 ms of {time_ns} ns")


def _recorded(table: Annotations, vocabulary: Vocabulary) -> AnnotatedBoxes:
    """Returns the boxes of a frame in the ego frame."""
    return AnnotatedBoxes(
        ego_from_box=_EGO_FROM_AV2 @ table.av2_from_box,
        size_lwh_m=table.size_lwh_m,
        words=table.words,
        class_id=class_ids(table.words, table.class_id, vocabulary),
        num_lidar_points=table.num_lidar_points,
    )


def _read_sweep(path: Path) -> FloatArray:
    """Reads the points [P, 5] of one sweep, which is motion compensated already. Raises
    SensorError."""
    content = reading.read_bytes(path)
    columns = ["x", "y", "z", "intensity", "offset_ns"]
    try:
        table = pyarrow.feather.read_table(pa.BufferReader(content), columns=columns)
        table.validate(full=True)
        with np.errstate(all="ignore"):  # of bits that are no number
            raw = [table[name].to_numpy().astype(np.float64) for name in columns]
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError, MemoryError) as error:
        raise SensorError(path, "is not a whole feather file of a sweep") from error
    points = np.stack(raw, -1)
    reading.check_range(points[:, :3], path)
    points[:, 2] += EGO_HEIGHT_M
    points[:, 3] /= 255.0
    points[:, 4] /= 1e9
    with np.errstate(over="ignore"):  # an infinite number is dropped where frames are checked
        return points.astype(np.float32)
