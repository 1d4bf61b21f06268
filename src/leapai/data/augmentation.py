"""Augmentation of training frames, the same through a clip (`AugmentationConfig`).

The world is scaled about the ego: points, labels, motion and the places of cameras all grow alike,
and with the places of its cameras a rig sees the same images in a world of any scale.

The ego frame itself is turned, and mirrored, about its z axis: points, labels, calibration and pose
all move with it, so images stay as they are and every relation between sensors, ground truth and
motion still holds. A mirrored `ego_from_camera` or `ego2global` has determinant -1, which does no
harm, since only their inverses (transposes) and products are used, and in a relative pose of two
frames of the clip the mirror occurs twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from leapai.config.training import AugmentationConfig
from leapai.data.ground_augmentation import (
    GroundAugmentation,
    draw_ground_augmentation,
    with_ground,
)
from leapai.data.image_augmentation import (
    ImageAugmentation,
    changed_images,
    draw_image_augmentation,
)
from leapai.data.lidar_augmentation import (
    LidarAugmentation,
    augmented_points,
    draw_lidar_augmentation,
)
from leapai.data.perturbation import (
    small_motion,
    with_camera_errors,
    without_cameras,
    without_lidar,
)
from leapai.data.pixel_labels import with_pixel_labels
from leapai.geometry import boxes, poses
from leapai.types import CameraFrame, FloatArray, Frame, Labels, VectorMap

_LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of red, green, blue in brightness (ITU-R BT.601)."""
_MIDDLE = 127.5


@dataclass(frozen=True)
class Augmentation:
    """One random draw for N cameras."""

    new_from_ego: FloatArray
    """[4, 4] transform into the turned, perhaps mirrored, ego frame."""
    calibration_error: FloatArray
    """[N, 4, 4] wrong calibration (`perturbation.with_camera_errors`)."""
    colour: FloatArray
    """[N, 3, 4] affine map of RGB."""
    lost_cameras: tuple[str, ...]
    lidar_lost: bool
    lidar: LidarAugmentation
    images: ImageAugmentation
    scale: float
    """Size of the new world over that of the old one."""
    ground: GroundAugmentation


def draw_augmentation(
    config: AugmentationConfig, rng: np.random.Generator, camera_names: Sequence[str]
) -> Augmentation:
    """Draws the augmentation of a vehicle with these cameras."""
    count = len(camera_names)
    turn = np.deg2rad(rng.uniform(-config.rotation_deg, config.rotation_deg))
    mirror = np.diag([1.0, -1.0 if rng.random() < config.mirror_probability else 1.0, 1.0, 1.0])
    shift = np.array([0.0, 0.0, rng.normal(0.0, config.height_m)])
    draw = rng.random()
    lidar_lost = bool(draw < config.lidar_dropout)
    all_lost = not lidar_lost and draw < config.lidar_dropout + config.cameras_dropout
    lost = (rng.random(count) < config.camera_dropout) | all_lost
    return Augmentation(
        new_from_ego=poses.from_xyz_yaw(shift, turn) @ mirror,
        calibration_error=small_motion(config.calibration_deg, config.calibration_m, rng, count),
        colour=_draw_colour(config.photometric, rng, count),
        lost_cameras=tuple(n for n, is_lost in zip(camera_names, lost, strict=True) if is_lost),
        lidar_lost=lidar_lost,
        lidar=draw_lidar_augmentation(config.lidar, rng),
        images=draw_image_augmentation(config.images, rng, count),
        scale=float(rng.uniform(1 - config.scaling, 1 + config.scaling)),
        ground=draw_ground_augmentation(config.ground, rng),
    )


def apply(frame: Frame, augmentation: Augmentation, *, label_pixels: bool = False) -> Frame:
    """Returns the augmented frame, with labels of its pixels where `label_pixels`. Its last working
    sensor is never taken from it."""
    frame = changed_images(frame, augmentation.images)
    if label_pixels:  # from points as they came, before they are changed or lost
        frame = with_pixel_labels(frame)
    frame = _with_losses(frame, augmentation)
    cameras = zip(frame.cameras, augmentation.colour, strict=True)
    frame = replace(frame, cameras=tuple(_coloured(camera, colour) for camera, colour in cameras))
    frame = with_camera_errors(frame, augmentation.calibration_error)
    frame = with_ground(frame, augmentation.ground)
    if frame.points is not None:
        points = augmented_points(frame.points, augmentation.lidar, frame.timestamp_us)
        frame = replace(frame, points=points)
    return change_ego(scale_world(frame, augmentation.scale), augmentation.new_from_ego)


def scale_world(frame: Frame, scale: float) -> Frame:
    """Returns the frame in a world that is `scale` times as large, about the origins of the ego and
    of the global frame alike. Images stay as they are."""
    if scale == 1.0:
        return frame
    points, labels = frame.points, frame.labels
    if points is not None:
        points = points * np.array([scale, scale, scale, 1, 1], np.float32)
    return replace(
        frame,
        ego2global=_farther(frame.ego2global, scale),
        cameras=tuple(_scaled_camera(camera, scale) for camera in frame.cameras),
        points=points,
        labels=None if labels is None else _scaled_labels(labels, scale),
    )


def scaled_map(vector_map: VectorMap | None, scale: float) -> VectorMap | None:
    """Returns the map of a world of `scale_world`."""
    if vector_map is None or scale == 1.0:
        return vector_map
    return tuple(replace(line, points_m=line.points_m * scale) for line in vector_map)


def _farther(transform: FloatArray, scale: float) -> FloatArray:
    """Returns a rigid transform [4, 4] with its translation scaled."""
    scaled = transform.copy()
    scaled[:3, 3] *= scale
    return scaled


def _scaled_camera(camera: CameraFrame, scale: float) -> CameraFrame:
    labels = camera.pixel_labels
    if labels is not None:
        labels = replace(labels, depth_m=labels.depth_m * np.float32(scale))
    pose = _farther(camera.ego_from_camera, scale)
    return replace(camera, ego_from_camera=pose, pixel_labels=labels)


def _scaled_labels(labels: Labels, scale: float) -> Labels:
    return replace(
        labels,
        boxes=labels.boxes * [*(scale,) * 6, 1.0],
        velocity_mps=labels.velocity_mps * scale,
        acceleration_mps2=labels.acceleration_mps2 * scale,
    )


def change_ego(frame: Frame, new_from_ego: FloatArray) -> Frame:
    """Returns the frame seen from another ego frame; `new_from_ego` [4, 4] is orthogonal, perhaps a
    mirror, and z stays up."""
    cameras = (replace(c, ego_from_camera=new_from_ego @ c.ego_from_camera) for c in frame.cameras)
    points = frame.points
    if points is not None:
        points = points.copy()
        points[:, :3] = poses.apply(new_from_ego.astype(np.float32), points[:, :3])
    return replace(
        frame,
        ego2global=frame.ego2global @ poses.invert(new_from_ego),
        cameras=tuple(cameras),
        points=points,
        labels=None if frame.labels is None else _moved(frame.labels, new_from_ego),
    )


def _moved(labels: Labels, new_from_ego: FloatArray) -> Labels:
    return replace(
        labels,
        boxes=boxes.transform(labels.boxes, new_from_ego),
        velocity_mps=poses.rotate(new_from_ego, labels.velocity_mps),
        acceleration_mps2=poses.rotate(new_from_ego, labels.acceleration_mps2),
    )


def _with_losses(frame: Frame, augmentation: Augmentation) -> Frame:
    lost = augmentation.lost_cameras
    lidar_stays = frame.points is not None and not augmentation.lidar_lost
    working = {c.name for c in frame.cameras if c.image is not None}
    if lost and (lidar_stays or working - set(lost)):
        frame = without_cameras(frame, lost)
        working -= set(lost)
    if augmentation.lidar_lost and frame.points is not None and working:
        frame = without_lidar(frame)
    return frame


def _draw_colour(strength: float, rng: np.random.Generator, count: int) -> FloatArray:
    """Draws affine maps [count, 3, 4]: brightness, contrast, saturation and the gains of the three
    channels are each drawn within 1 +- strength, the gains within a third of it."""
    colour = np.zeros((count, 3, 4))
    grey = np.tile(_LUMA, (3, 1))
    for i in range(count):
        brightness, contrast, saturation = rng.uniform(1 - strength, 1 + strength, 3)
        gains = rng.uniform(1 - strength / 3, 1 + strength / 3, 3)
        linear = saturation * np.eye(3) + (1 - saturation) * grey
        colour[i, :, :3] = brightness * contrast * gains[:, None] * linear
        colour[i, :, 3] = brightness * gains * (1 - contrast) * _MIDDLE
    return colour


def _coloured(camera: CameraFrame, colour: FloatArray) -> CameraFrame:
    if camera.image is None:
        return camera
    return replace(camera, image=cv2.transform(camera.image, colour))
