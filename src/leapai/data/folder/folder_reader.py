"""A folder of sensor files as a source: images and LiDAR sweeps with a small calibration file.

`folder:PATH`, or the bare path. PATH is a drive, a folder of drives, or one LiDAR sweep. A drive
holds `lidar/*.bin|.pcd|.npy` (or these files themselves), a folder of images for each camera, and
`calibration.toml` or `calibration.json` (`folder_calibration.py`; docs/own_data.md). A frame is a
sweep, with the newest image of each camera that is not later; without sweeps it is an image of the
first camera. There are no labels. Points stay where the files have them: the motion of the vehicle
during a sweep is not undone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np

from leapai.data.data_names import CALIBRATION_NAMES
from leapai.data.folder.folder_calibration import (
    DEFAULT_LIDAR_HEIGHT_M,
    DEFAULT_RATE_HZ,
    Calibration,
    CameraEntry,
    find_calibration,
    read_calibration,
)
from leapai.data.folder.point_files import likely_intensity_max, read_sweep
from leapai.data.folder.pose_table import PoseTable
from leapai.data.folder.sequence_files import SequenceFiles, sequence_files
from leapai.data.folder.timed_files import IMAGE_SUFFIXES, POINT_SUFFIXES, sensor_files, stem_of
from leapai.data.log import DrivingLog, OpenOptions
from leapai.data.reading import FaultLog, SensorError, read_image
from leapai.data.reduced_images import reduced_intrinsics, reduced_size, reduction
from leapai.data.remote_files import source_path
from leapai.geometry import poses
from leapai.types import CameraFrame, FloatArray, Frame, IntArray

_logger = logging.getLogger(__name__)
_LIDAR = "lidar"
_LAYOUT = (
    "a drive holds lidar/*.bin, *.pcd or *.npy, a folder of images for each camera, and "
    f"{CALIBRATION_NAMES[0]}"
)


def open_logs(location: str, options: OpenOptions) -> list[FolderLog]:
    """Opens the drives at a path; images are reduced where `options` ask for it, and there are no
    labels.

    What a drive leaves open is taken by default, which is logged as a warning. Raises ValueError
    where there is no drive, and for a calibration, a name or a pose that is wrong.
    """
    path = source_path(location).absolute()
    if path.is_file():
        if not path.name.lower().endswith(POINT_SUFFIXES):
            kinds = ", ".join(POINT_SUFFIXES)
            raise ValueError(f"folder:{location}: is no LiDAR sweep ({kinds}); {_LAYOUT}")
        return _as_asked([_opened(_home_of(path), None, sweep=path)], options)
    sequences = [path] if _is_sequence(path) else _sequences_in(path)
    if not sequences:
        raise ValueError(f"folder:{location}: {_why_no_sequence(path)}; {_LAYOUT}")
    return _as_asked([_opened(sequence, path) for sequence in sequences], options)


def _as_asked(logs: list[FolderLog], options: OpenOptions) -> list[FolderLog]:
    """Returns the drives with images and classes as the options ask; they have no labels."""
    for log in logs:
        log.least_image_px, log.vocabulary = options.least_image_px, options.vocabulary
    return logs


def _why_no_sequence(path: Path) -> str:
    """Returns what a folder without a drive lacks: images alone do not say how they were taken."""
    if not path.is_dir():
        return "there is no such folder or file"
    folders = [path, *(inner for inner in path.iterdir() if inner.is_dir())]
    if find_calibration(path) is None and any(sensor_files(f, IMAGE_SUFFIXES) for f in folders):
        return (
            f"there are images but no {CALIBRATION_NAMES[0]}, which states how the cameras are "
            "mounted; write one"
        )
    return "there is no drive"


def _home_of(sweep: Path) -> Path:
    """Returns the drive that a sweep lies in: the folder above its own where that has the
    calibration."""
    above = sweep.parent.parent
    return sweep.parent if find_calibration(above) is None else above


def _is_sequence(folder: Path, shared: Path | None = None) -> bool:
    """Returns whether a folder has sensor files, by its own calibration or a `shared` one; a
    calibration alone is that of the drives in the folder."""
    if sensor_files(folder, POINT_SUFFIXES) or sensor_files(folder / _LIDAR, POINT_SUFFIXES):
        return True
    path = find_calibration(folder) or shared
    return path is not None and sequence_files(folder, read_calibration(path)).has_sensors


def _sequences_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    shared = find_calibration(folder)
    inner = sorted(path for path in folder.iterdir() if path.is_dir())
    return [path for path in inner if _is_sequence(path, shared)]


def _opened(sequence: Path, root: Path | None, sweep: Path | None = None) -> FolderLog:
    """Opens a drive with its own calibration, or that of the folder `root` that it lies in."""
    path = find_calibration(sequence)
    if path is None and root is not None:
        path = find_calibration(root)
    calibration = Calibration() if path is None else read_calibration(path)
    files = sequence_files(sequence, calibration, sweep)
    name = _name_of(sequence) if sweep is None else stem_of(sweep)
    log = FolderLog(name, calibration, files)
    notes = " ".join(_defaults(log, path, calibration, files))
    if notes:
        _logger.warning("%s: %s", sequence if sweep is None else sweep, notes)
    return log


def _name_of(sequence: Path) -> str:
    """Returns the name of a drive: that of its folder as it was given, be it a link, so that no two
    drives of a folder share one."""
    return sequence.name if sequence.name not in ("", "..") else sequence.resolve().name or "drive"


def _defaults(
    log: FolderLog, path: Path | None, calibration: Calibration, files: SequenceFiles
) -> Iterator[str]:
    """Yields sentences on what the drive leaves open, and what is taken for it."""
    if path is None:
        yield f"there is no {' or '.join(CALIBRATION_NAMES)}, so defaults hold:"
    lidar = calibration.lidar
    if len(files.sweeps):
        if lidar.ego_from_lidar is None and lidar.lidar_from_ego is None:
            yield (
                f"the LiDAR is {DEFAULT_LIDAR_HEIGHT_M:g} m above the ground, with x ahead, y to "
                "the left and z up (lidar.ego_from_lidar);"
            )
        if lidar.intensity_max is None:
            yield f"its highest intensity is {log.intensity_max:g} (lidar.intensity_max);"
    if len(files) > 1 and calibration.time_unit is None and calibration.rate_hz is None:
        yield (
            f"the frames follow each other at {DEFAULT_RATE_HZ:g} Hz in order of their names "
            "(rate_hz, or time_unit where names are times);"
        )
    if len(files) > 1 and calibration.poses is None:
        yield (
            "the vehicle stands still (poses): where it moves, velocities and memory are wrong by "
            "its motion;"
        )
    if len(files.sweeps) > 1 and calibration.poses is not None:
        yield (
            "points stay where the files have them: the motion of the vehicle during a sweep is "
            "not undone;"
        )
    if not calibration.cameras:
        yield "there are no cameras (cameras)."


class FolderLog(DrivingLog):
    """One drive of sensor files. They are read when a frame is asked for."""

    least_image_px: tuple[int, int] | None = None
    """Height, width that reduced images have at least; None: they are not reduced."""

    def __init__(self, name: str, calibration: Calibration, files: SequenceFiles) -> None:
        """Reads the table of poses, where the calibration names one."""
        self.name = name
        self._calibration, self._files = calibration, files
        self._faults = FaultLog(files.folder)
        unit = calibration.time_unit or "s"  # with rate_hz: seconds since the first frame
        table = calibration.poses
        self._poses = None if table is None else PoseTable(files.folder / table, unit)
        if self._poses is not None:
            for time_us in self.timestamps_us.tolist():
                self._poses.at(time_us)

    @property
    def timestamps_us(self) -> IntArray:
        """[T] int64."""
        return self._files.frame_us

    @cached_property
    def intensity_max(self) -> float:
        """The intensity that becomes 1: as given, or what the first sweep that can be read looks
        like."""
        given = self._calibration.lidar.intensity_max
        if given is not None:
            return given
        for path in self._files.sweeps.paths:
            try:
                columns = read_sweep(path, self._calibration.lidar.columns)
            except SensorError:
                continue
            return likely_intensity_max(columns.get("intensity", np.zeros(0)))
        return 1.0

    def __getitem__(self, index: int) -> Frame:
        time_us = int(self.timestamps_us[index])
        faults: list[str] = []
        cameras = tuple(self._camera(entry, time_us, faults) for entry in self._calibration.cameras)
        return Frame(
            sequence=self.name,
            timestamp_us=time_us,
            ego2global=self._pose(time_us),
            cameras=cameras,
            points=self._points(index, faults),
            faults=tuple(faults),
        )

    def ground_truth(self, index: int) -> Frame:
        """Returns time and pose; there are no labels."""
        time_us = int(self.timestamps_us[index])
        return Frame(self.name, time_us, self._pose(time_us), (), None)

    def _pose(self, time_us: int) -> FloatArray:
        return np.eye(4) if self._poses is None else self._poses.at(time_us)

    def _camera(self, entry: CameraEntry, time_us: int, faults: list[str]) -> CameraFrame:
        images = self._files.images[entry.name]
        mount = entry.pose()
        assert mount is not None
        index = images.newest(time_us, self._calibration.max_image_age_s)
        image, exposed_us = None, time_us
        factor = reduction(entry.size_px, self.least_image_px)
        try:
            if index is None:
                raise SensorError(
                    self._files.folder_of(entry),
                    f"no image within {self._calibration.max_image_age_s:g} s before {time_us} us",
                )
            exposed_us = int(images.time_us[index])
            image = read_image(images.paths[index], entry.size_px, factor)
        except SensorError as fault:
            faults.append(self._faults.note(entry.name, fault))
        motion = poses.invert(self._pose(time_us)) @ self._pose(exposed_us)
        return CameraFrame(
            name=entry.name,
            group=entry.group,
            image=image,
            size_px=reduced_size(entry.size_px, factor),
            intrinsics=reduced_intrinsics(np.array(entry.intrinsics, np.float64), factor),
            distortion=np.array(entry.distortion, np.float64),
            ego_from_camera=motion @ mount,
            timestamp_us=exposed_us,
        )

    def _points(self, index: int, faults: list[str]) -> FloatArray | None:
        """Reads the points [P, 5] of a frame in the ego frame; None: there is no sweep that can be
        used."""
        if not len(self._files.sweeps):
            return None
        lidar = self._calibration.lidar
        try:
            columns = read_sweep(self._files.sweeps.paths[index], lidar.columns)
        except SensorError as fault:
            faults.append(self._faults.note(_LIDAR, fault))
            return None
        count = len(columns["x"])
        points = np.zeros((count, 5), np.float32)
        with np.errstate(all="ignore"):  # what is not finite stays so, and is dropped and counted
            xyz = np.stack([columns[name] for name in "xyz"], -1).astype(np.float64)
            intensity = columns.get("intensity", np.zeros(count)) / self.intensity_max
            points[:, :3] = poses.apply(lidar.pose(), xyz)
            points[:, 3] = np.clip(intensity, 0, 1)
            points[:, 4] = columns.get("dt_s", np.zeros(count))
        return points
