"""Augmentation of the geometry of images, drawn once a clip: enlarged, moved, mirrored.

The change is folded into the calibration, so that what is projected still lands on the pixels that
show it. A mirrored image has a negative focal length along x, which every projection takes as it
is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from leapai.config.training import ImageAugmentationConfig
from leapai.types import BoolArray, CameraFrame, FloatArray, Frame


@dataclass(frozen=True)
class ImageAugmentation:
    """One random draw for the N cameras of a clip."""

    scale: FloatArray
    """[N] by which images are enlarged about their centre."""
    shift: FloatArray
    """[N, 2] by which they are moved right and down, as a share of their width and height."""
    mirrored: BoolArray
    """[N] whether left and right are swapped."""


def draw_image_augmentation(
    config: ImageAugmentationConfig, rng: np.random.Generator, count: int
) -> ImageAugmentation:
    """Draws the augmentation of `count` cameras."""
    return ImageAugmentation(
        scale=rng.uniform(1 - config.scaling, 1 + config.scaling, count),
        shift=rng.uniform(-config.shift, config.shift, (count, 2)),
        mirrored=rng.random(count) < config.flip_probability,
    )


def changed_images(frame: Frame, augmentation: ImageAugmentation) -> Frame:
    """Returns the frame with changed images and calibration. Images keep their size: what leaves
    them is cut, and what is not known is black."""
    drawn = zip(augmentation.scale, augmentation.shift, augmentation.mirrored, strict=True)
    cameras = (
        _changed(camera, _new_from_old_px(camera.size_px, scale, shift, is_mirrored=mirrored))
        for camera, (scale, shift, mirrored) in zip(frame.cameras, drawn, strict=True)
    )
    return replace(frame, cameras=tuple(cameras))


def _new_from_old_px(
    size_px: tuple[int, int], scale: float, shift: FloatArray, *, is_mirrored: bool
) -> FloatArray:
    """Returns the affine map [3, 3] of pixels, whose centres are whole numbers."""
    height, width = size_px
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    new_from_old = np.diag([-scale if is_mirrored else scale, scale, 1.0])
    new_from_old[:2, 2] = centre + shift * [width, height] - new_from_old[:2, :2] @ centre
    return new_from_old


def _changed(camera: CameraFrame, new_from_old_px: FloatArray) -> CameraFrame:
    if np.array_equal(new_from_old_px, np.eye(3)):
        return camera
    height, width = camera.size_px
    image = camera.image
    if image is not None:
        image = cv2.warpAffine(image, new_from_old_px[:2], (width, height)).astype(np.uint8)
    return replace(camera, image=image, intrinsics=new_from_old_px @ camera.intrinsics)
