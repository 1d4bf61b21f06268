"""The sensor files of one drive, and the times of its frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from leapai.data.folder.folder_calibration import DEFAULT_RATE_HZ, Calibration, CameraEntry
from leapai.data.folder.timed_files import (
    IMAGE_SUFFIXES,
    POINT_SUFFIXES,
    TimedFiles,
    check_unit,
    sensor_files,
    timed_by_frame,
    timed_by_name,
    times_by_rate,
)
from leapai.types import IntArray


@dataclass(frozen=True)
class SequenceFiles:
    """Files of the sensors of a drive, each in order of time."""

    folder: Path
    sweeps: TimedFiles
    images: Mapping[str, TimedFiles]
    """Name of a camera -> its images; in the order of the calibration."""

    @property
    def has_sensors(self) -> bool:
        """Whether there is a file of any sensor."""
        return len(self.sweeps) > 0 or any(len(images) for images in self.images.values())

    @property
    def frame_us(self) -> IntArray:
        """[T] int64 times of the frames: of the sweeps, or of the images of the first camera that
        has any where there is no sweep."""
        first = next((images for images in self.images.values() if len(images)), self.sweeps)
        return self.sweeps.time_us if len(self.sweeps) else first.time_us

    def __len__(self) -> int:
        return len(self.frame_us)

    def folder_of(self, camera: CameraEntry) -> Path:
        """Returns the folder of the images of a camera."""
        return image_folder(self.folder, camera)


def image_folder(sequence: Path, camera: CameraEntry) -> Path:
    """Returns the folder of the images of a camera: as named, or that of the camera's name."""
    return sequence / (camera.folder or camera.name)


def sequence_files(
    sequence: Path, calibration: Calibration, sweep: Path | None = None
) -> SequenceFiles:
    """Finds the files of a drive; with `sweep`, that sweep and the images of its time alone.

    Raises ValueError for names that do not carry the times that the calibration announces.
    """
    folder = sequence / calibration.lidar.folder
    points = sensor_files(folder if folder.is_dir() else sequence, POINT_SUFFIXES)
    points = points if sweep is None else [sweep]
    pictures = {
        camera.name: sensor_files(image_folder(sequence, camera), IMAGE_SUFFIXES)
        for camera in calibration.cameras
    }
    unit = calibration.time_unit
    if unit is not None:
        sweeps = timed_by_name(points, unit)
        images = {name: timed_by_name(files, unit) for name, files in pictures.items()}
        for files in (sweeps, *images.values()):
            check_unit(files, unit)
    else:
        frames = points or next((files for files in pictures.values() if files), [])
        times = times_by_rate(frames, calibration.rate_hz or DEFAULT_RATE_HZ)
        sweeps = timed_by_frame(points, times)
        images = {name: timed_by_frame(files, times) for name, files in pictures.items()}
    return SequenceFiles(sequence, sweeps, images)
