"""Simulation of all sensors for one frame: images, points, and the visible fraction of each
actor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leapai.geometry import boxes as box_geometry
from leapai.geometry import poses
from leapai.types.vocabulary import FloatArray, ImageArray
from leapai_world.sensors import conditions, footprints, lidar_returns, render, shadows
from leapai_world.sensors.instants import SAMPLES_S, Instants
from leapai_world.sensors.lidar_sensor import Lidar
from leapai_world.sensors.ray_casting import Hits, Scene, cast_rays
from leapai_world.sensors.rig import EXPOSURE_S, Camera, Rig

_SUB_EXPOSURES = 5
_LIDAR_STREAM = 100


@dataclass(frozen=True)
class Observation:
    """Observation of one frame by the sensors of a rig."""

    images: tuple[ImageArray, ...]
    """RGB [H, W, 3], in the order of the rig's cameras."""
    ego_from_camera: FloatArray
    """[C, 4, 4] pose of each camera at its exposure, in the ego frame at the frame's timestamp."""
    points: FloatArray | None
    """[P, 5] float32 in the ego frame (`Frame.points`); None: the rig has no LiDAR."""
    visible_fraction: FloatArray
    """[N] in [0, 1]; 0 for an actor that no sensor would see even if it were unoccluded."""


def sense(rig: Rig, scene: Scene, *noise_stream: int) -> Observation:
    """Casts all rays of a rig.

    The visible fraction of an actor is the number of rays, over all cameras and the LiDAR, that
    meet it first, divided by the number that would meet it if it were unoccluded; each ray at its
    own time.
    """
    images, counts = [], []
    for number, camera in enumerate(rig.cameras):
        image, count = _image_and_counts(camera, scene, rig.blur, *noise_stream, number)
        if rig.conditions is not None:
            image = conditions.degraded(image, rig.conditions, number, *noise_stream)
        images.append(image)
        counts.append(count)
    points = None
    if rig.lidar is not None:
        hits = _sweep(rig.lidar, scene)
        counts.append(_count(hits))
        stream = (*noise_stream, _LIDAR_STREAM)
        raw, packet = lidar_returns.raw_returns(rig.lidar, hits, scene, *stream)
        points = lidar_returns.compensated(raw, packet, hits.instants)
    visible, unoccluded = np.sum(counts, 0)
    return Observation(
        tuple(images), camera_poses(rig, scene), points, visible / np.maximum(unoccluded, 1)
    )


def camera_poses(rig: Rig, scene: Scene) -> FloatArray:
    """Returns the pose [C, 4, 4] of each camera at its exposure, in the ego frame at the timestamp
    of the frame."""
    at = scene.paths.at(np.array([0.0, *(camera.dt_us * 1e-6 for camera in rig.cameras)]))
    ego_from_then = poses.invert(at.window_from_ego[0]) @ at.window_from_ego[1:]
    mounts = [camera.ego_from_camera for camera in rig.cameras]
    return np.asarray(ego_from_then @ np.array(mounts).reshape(-1, 4, 4))


def raw_sweep(lidar: Lidar, scene: Scene, *noise_stream: int) -> FloatArray:
    """Returns the points [P, 5] of the LiDAR of `sense`, each in the ego frame at its own time."""
    hits = _sweep(lidar, scene)
    return lidar_returns.raw_returns(lidar, hits, scene, *noise_stream, _LIDAR_STREAM)[0]


def visibility(rig: Rig, scene: Scene) -> FloatArray:
    """Returns the visible fraction [N, C] in each camera; 0 where it would not see the actor even
    if it were unoccluded."""
    counts = [
        _count(_view(camera, scene, scene.paths.at(np.array(camera.dt_us * 1e-6))))
        for camera in rig.cameras
    ]
    per_camera = np.array(counts, np.int64).reshape(-1, 2, len(scene.shape))
    visible, unoccluded = per_camera.transpose(1, 2, 0)
    return np.asarray(visible / np.maximum(unoccluded, 1))


def _image_and_counts(
    camera: Camera, scene: Scene, blur: bool, *noise_stream: int
) -> tuple[ImageArray, FloatArray]:
    """Returns the image of a camera, and the rays [2, N] that meet each actor first and that would
    meet it unoccluded, in the middle of the exposure. Blur is the mean of a few moments of the
    exposure."""
    steps = (np.arange(_SUB_EXPOSURES) - _SUB_EXPOSURES // 2) / _SUB_EXPOSURES if blur else [0.0]
    light, views = np.zeros((3, len(camera.rays_ego)), np.float32), []
    for step in steps:
        instants = scene.paths.at(np.array(camera.dt_us * 1e-6 + step * EXPOSURE_S))
        views.append(_view(camera, scene, instants))
        throwers = shadows.occluders_of_movers(camera, scene, instants, _in_ego(instants, 0))
        light += render.sensor_light(camera, views[-1], scene, throwers)
    light /= len(steps)
    return render.image_from_light(camera, light, *noise_stream), _count(views[len(steps) // 2])


def _view(camera: Camera, scene: Scene, instants: Instants) -> Hits:
    boxes = _in_ego(instants, 0)
    return cast_rays(scene, instants, camera, footprints.of_camera(camera, boxes))


def _sweep(lidar: Lidar, scene: Scene) -> Hits:
    samples = scene.paths.at(np.array(SAMPLES_S))
    boxes = np.stack([_in_ego(samples, k) for k in range(len(SAMPLES_S))])
    return cast_rays(scene, scene.paths.at(lidar.dt_s), lidar, footprints.of_lidar(lidar, boxes))


def _in_ego(instants: Instants, k: int) -> FloatArray:
    """Returns boxes [N, 7] in the ego frame at instant k."""
    return box_geometry.transform(instants.boxes[k], poses.invert(instants.window_from_ego[k]))


def _count(hits: Hits) -> FloatArray:
    """Returns the number of rays [2, N] that meet each actor first, and that would meet it
    unoccluded."""
    return np.stack([hits.first, hits.unoccluded])
