"""The vehicle's sensors: seven cameras and a LiDAR on the roof, with the rays of each, formed
once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leapai.geometry import cameras, poses
from leapai.types import FloatArray

MAX_RANGE_M = 120.0
AZIMUTH_STEPS = 1080
"""A third of a degree."""
LIDAR_POSITION_M = (0.95, 0.0, 1.90)
_ELEVATION_DEG = (-26.0, 9.0)
_AXES = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Ego axes of a level camera that looks ahead: its x is the ego's -y, its y the ego's -z, its z the
ego's x."""


@dataclass(frozen=True)
class Mount:
    """One camera as it is bolted on; angles in degrees, yaw to the left and pitch downward."""

    name: str
    group: str
    position_m: tuple[float, float, float]
    yaw_deg: float
    pitch_deg: float
    horizontal_view_deg: float
    distortion: tuple[float, float, float, float, float]


_WIDE = (-0.050, 0.0060, 0.0002, -0.0003, -0.0003)
_SIDE = (-0.045, 0.0050, -0.0002, 0.0002, -0.0002)
MOUNTS = (
    Mount("front_narrow", "front_narrow", (1.72, 0.06, 1.48), 0.0, 0.5, 30.0,
          (-0.120, 0.060, 0.0003, 0.0002, 0.0)),
    Mount("front_wide", "front_wide", (1.75, -0.06, 1.47), 0.0, 3.0, 110.0, _WIDE),
    Mount("back", "back", (-0.95, 0.0, 1.20), 180.0, 4.0, 100.0, _WIDE),
    Mount("front_left", "side", (1.45, 0.62, 1.52), 55.0, 4.0, 95.0, _SIDE),
    Mount("front_right", "side", (1.45, -0.62, 1.52), -55.0, 4.0, 95.0, _SIDE),
    Mount("back_left", "side", (1.05, 0.66, 1.50), 125.0, 4.0, 95.0, _SIDE),
    Mount("back_right", "side", (1.05, -0.66, 1.50), -125.0, 4.0, 95.0, _SIDE),
)  # fmt: skip


@dataclass(frozen=True)
class Camera:
    """A camera of the rig at the size it renders."""

    mount: Mount
    size_px: tuple[int, int]
    intrinsics: FloatArray
    """[3, 3]"""
    distortion: FloatArray
    """[5]"""
    ego_from_camera: FloatArray
    """[4, 4]"""
    rays_ego: FloatArray
    """[H * W, 3] float32 unit directions in ego axes, row by row."""
    vignette: FloatArray
    """[H * W] float32: brightness falls towards the corners."""
    view_limit: FloatArray
    """[2] the largest |x| / z and |y| / z of any pixel's ray, in the camera frame."""


@dataclass(frozen=True)
class Lidar:
    """A spinning LiDAR: `beams` rings of `AZIMUTH_STEPS` rays, all cast at one instant."""

    beams: int
    position_ego_m: FloatArray
    """[3]"""
    rays_ego: FloatArray
    """[beams * AZIMUTH_STEPS, 3] float32, ring by ring, azimuth from -pi upward."""


@dataclass(frozen=True)
class Rig:
    """All sensors."""

    cameras: tuple[Camera, ...]
    lidar: Lidar

    @staticmethod
    def seven_cameras(image_size_px: tuple[int, int], beams: int) -> Rig:
        """The rig of the design, section 3; intrinsics follow the image size (height, width)."""
        return Rig(tuple(_camera(mount, image_size_px) for mount in MOUNTS), _lidar(beams))


def _camera(mount: Mount, size_px: tuple[int, int]) -> Camera:
    height, width = size_px
    focal_px = width / 2 / np.tan(np.radians(mount.horizontal_view_deg / 2))
    intrinsics = np.array(
        [[focal_px, 0.0, (width - 1) / 2], [0.0, focal_px, (height - 1) / 2], [0.0, 0.0, 1.0]]
    )
    pitch = np.radians(mount.pitch_deg)
    c, s = np.cos(pitch), np.sin(pitch)
    level_from_pitched = np.array([[1, 0, 0], [0, c, s], [0, -s, c]])
    ego_from_camera = poses.from_xyz_yaw(np.array(mount.position_m), np.radians(mount.yaw_deg))
    ego_from_camera[:3, :3] = ego_from_camera[:3, :3] @ _AXES @ level_from_pitched
    distortion = np.array(mount.distortion)
    rays = cameras.pixel_rays(intrinsics, distortion, size_px).reshape(-1, 3)
    return Camera(
        mount=mount,
        size_px=size_px,
        intrinsics=intrinsics,
        distortion=distortion,
        ego_from_camera=ego_from_camera,
        rays_ego=poses.rotate(ego_from_camera, rays).astype(np.float32),
        vignette=(0.80 + 0.20 * rays[:, 2]).astype(np.float32),
        view_limit=np.abs(rays[:, :2] / rays[:, 2:]).max(0),
    )


def _lidar(beams: int) -> Lidar:
    low, high = np.radians(_ELEVATION_DEG)
    elevation = np.linspace(low, high, beams)[:, None]
    azimuth = (np.arange(AZIMUTH_STEPS) + 0.5) * (2 * np.pi / AZIMUTH_STEPS) - np.pi
    rays = np.stack(
        np.broadcast_arrays(
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
        ),
        -1,
    )
    return Lidar(beams, np.array(LIDAR_POSITION_M), rays.reshape(-1, 3).astype(np.float32))
