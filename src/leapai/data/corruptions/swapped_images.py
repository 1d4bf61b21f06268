"""Frames with the images of other frames: of an earlier one, or of another drive."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from leapai.data.log import DrivingLog, LogWrapper
from leapai.types import CameraFrame, Frame, IntArray


def with_image(camera: CameraFrame, source: Frame) -> CameraFrame:
    """Returns the camera with the image that the camera of its name has in another frame; or else
    of its group; or else a black one.

    The image gets the size of the camera. Calibration and time stay. A camera without an image
    stays without one, and gets none where the other has none.
    """
    if camera.image is None:
        return camera
    others = [each for each in source.cameras if each.name == camera.name]
    others += [each for each in source.cameras if each.group == camera.group]
    if not others:
        return replace(camera, image=np.zeros_like(camera.image))
    image = others[0].image
    height, width = camera.image.shape[:2]
    if image is not None and image.shape[:2] != (height, width):
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
    return replace(camera, image=image)


class SwappedImages(LogWrapper):
    """A drive whose frame i has the images of frame `frames[i]` of another drive."""

    def __init__(self, inner: DrivingLog, other: DrivingLog, frames: IntArray) -> None:
        super().__init__(inner)
        self._other, self._frames = other, frames

    def __getitem__(self, index: int) -> Frame:
        index = range(len(self))[index]
        frame, source = self.inner[index], self._other[int(self._frames[index])]
        return replace(frame, cameras=tuple(with_image(each, source) for each in frame.cameras))
