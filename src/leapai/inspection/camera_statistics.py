"""Statistics of what cameras report: how they are mounted, and how bright, contrasty, colourful and
sharp their images are.

Images are measured at the width that the tiny networks take: what is finer never reaches them.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from leapai.types import CameraFrame, FloatArray, Frame, ImageArray

WIDTH_PX = 240
"""Width to which a wider image is reduced before it is measured."""


class CameraValues(NamedTuple):
    """Values of F frames with C cameras in all, I of which have an image."""

    images: FloatArray
    """[F] number of images."""
    height_m: FloatArray
    """[C] height over the ego's origin."""
    view_deg: FloatArray
    """[C] horizontal field of view, without distortion."""
    brightness: FloatArray
    """[I] mean of the grey values, in [0, 1]."""
    contrast: FloatArray
    """[I] standard deviation of the grey values."""
    saturation: FloatArray
    """[I] mean of the saturation (HSV), in [0, 1]."""
    sharpness: FloatArray
    """[I] mean absolute difference of neighbours in a row of pixels, over the contrast."""


def camera_values(frame: Frame) -> CameraValues:
    """Measures the cameras of a frame, and their images."""
    images = [camera.image for camera in frame.cameras if camera.image is not None]
    measured = np.array([image_values(image) for image in images]).reshape(-1, 4)
    return CameraValues(
        np.array([len(images)], np.float64),
        np.array([camera.ego_from_camera[2, 3] for camera in frame.cameras], np.float64),
        np.array([_view_deg(camera) for camera in frame.cameras], np.float64),
        *measured.T,
    )


def image_values(image: ImageArray) -> tuple[float, float, float, float]:
    """Returns brightness, contrast, saturation and sharpness of an RGB image [H, W, 3]."""
    height, width = image.shape[:2]
    if width > WIDTH_PX:
        size = WIDTH_PX, max(round(height * WIDTH_PX / width), 1)
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64) / 255
    saturation = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)[..., 1].mean() / 255
    contrast = float(grey.std())
    edges = float(np.abs(np.diff(grey, axis=1)).mean()) if width > 1 else 0.0
    return float(grey.mean()), contrast, float(saturation), edges / max(contrast, 1e-6)


def _view_deg(camera: CameraFrame) -> float:
    focal_px, centre_px = camera.intrinsics[0, 0], camera.intrinsics[0, 2]
    sides_px = np.array([centre_px, camera.size_px[1] - centre_px])
    return float(np.degrees(np.arctan(sides_px / focal_px)).sum())
