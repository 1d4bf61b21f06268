"""The ten corruptions of MultiCorrupt at three severities (Beemelmanns et al., "MultiCorrupt: A
Multi-Modal Robustness Dataset and Benchmark of LiDAR-Camera Fusion for 3D Object Detection",
IV 2024), applied to the frames of any drive as they are read.

Two quirks of the benchmark are kept. `spatialmisalignment` shifts by 2 m at every severity.
Severity 3 of `snow` has a lower rate than severity 2, but more snow in the air, since it falls more
slowly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from leapai.data.corruptions import image_corruptions, lidar_corruptions, lidar_weather
from leapai.data.corruptions.seeded_draws import Generator, generator
from leapai.data.corruptions.swapped_images import with_image
from leapai.data.log import DrivingLog, LogWrapper
from leapai.types import CameraFrame, FloatArray, Frame, ImageArray

CORRUPTIONS = (
    "pointsreducing", "beamsreducing", "missingcamera", "temporalmisalignment",
    "spatialmisalignment", "motionblur", "brightness", "dark", "fog", "snow",
)  # fmt: skip
"""Names of the benchmark, in its order."""
SEVERITIES = (1, 2, 3)
FAILING = (0.2, 0.4, 0.6)
"""Probability, by severity, that an image is missing, or that a sensor gives what is old."""
AGE_US = 500_000
"""Age of a sensor's last keyframe; old data are at least as old, where the drive allows it."""
_TOLERANCE_US = 50_000
OF_IMAGES: Mapping[str, Callable[[ImageArray, int, Generator], ImageArray]] = {
    "motionblur": image_corruptions.motion_blur,
    "brightness": image_corruptions.brightness,
    "dark": image_corruptions.dark,
    "fog": image_corruptions.fog,
    "snow": image_corruptions.snow,
}
OF_POINTS: Mapping[str, Callable[[FloatArray, int, Generator], FloatArray]] = {
    "pointsreducing": lidar_corruptions.points_reducing,
    "beamsreducing": lidar_corruptions.beams_reducing,
    "spatialmisalignment": lidar_corruptions.spatial_misalignment,
    "motionblur": lidar_corruptions.motion_blur,
    "fog": lidar_weather.fog,
    "snow": lidar_weather.snow,
}


class CorruptedLog(LogWrapper):
    """A drive under one corruption of `CORRUPTIONS` at a severity.

    What is drawn depends on the seed, the corruption, the drive, the time of the frame and the
    sensor, and not on the severity, so that what is missing at severity 1 is missing at 2 and 3,
    too. Poses, timestamps and labels stay. A sensor that has failed in a frame stays so.
    """

    def __init__(self, inner: DrivingLog, corruption: str, severity: int, seed: int) -> None:
        super().__init__(inner)
        self._corruption, self._severity, self._seed = corruption, severity, seed

    def __getitem__(self, index: int) -> Frame:
        index = range(len(self))[index]
        frame = self.inner[index]
        if self._corruption == "temporalmisalignment":
            return self._misaligned(frame, self.inner[self._earlier(index)])
        cameras = tuple(self._camera(camera, frame) for camera in frame.cameras)
        of_points, points = OF_POINTS.get(self._corruption), frame.points
        if of_points is not None and points is not None:
            points = of_points(points, self._severity, self._draws(frame, "lidar"))
        return replace(frame, cameras=cameras, points=points)

    def _camera(self, camera: CameraFrame, frame: Frame) -> CameraFrame:
        if camera.image is None:
            return camera
        rng = self._draws(frame, camera.name)
        of_image = OF_IMAGES.get(self._corruption)
        if of_image is not None:
            return replace(camera, image=of_image(camera.image, self._severity, rng))
        if self._corruption == "missingcamera" and rng.random() < FAILING[self._severity - 1]:
            return replace(camera, image=np.zeros_like(camera.image))
        return camera

    def _earlier(self, index: int) -> int:
        """Returns the index of the latest frame that is half a second old; where the drive has none
        yet, that of its first frame."""
        times = self.inner.timestamps_us
        latest = times[index] - AGE_US + _TOLERANCE_US
        return max(int(np.searchsorted(times, latest, "right")) - 1, 0)

    def _misaligned(self, frame: Frame, earlier: Frame) -> Frame:
        """Returns the frame with some sensors' data of an earlier one."""
        cameras = tuple(
            with_image(camera, earlier) if self._is_old(frame, camera.name) else camera
            for camera in frame.cameras
        )
        points = earlier.points if self._is_old(frame, "lidar") else frame.points
        return replace(frame, cameras=cameras, points=None if frame.points is None else points)

    def _is_old(self, frame: Frame, sensor: str) -> bool:
        return bool(self._draws(frame, sensor).random() < FAILING[self._severity - 1])

    def _draws(self, frame: Frame, sensor: str) -> Generator:
        return generator(self._seed, self._corruption, frame.sequence, frame.timestamp_us, sensor)
