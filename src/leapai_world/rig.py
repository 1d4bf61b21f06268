"""The vehicle's sensors: cameras and a LiDAR on the roof, with the rays of each, formed once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.interpolate import RectBivariateSpline

from leapai.geometry import cameras, poses
from leapai.types import FloatArray, IntArray
from leapai_world.instants import SWEEP_S, dt_of_azimuth

MAX_RANGE_M = 120.0
AZIMUTH_STEPS = 1080
"""A third of a degree."""
PACKETS = 72
"""The LiDAR fires 15 columns at a time: so many times a turn, 1.4 ms apart."""
EXPOSURE_S = 0.016
"""How long a shutter is open where motion blur is asked for."""
_KNOTS = 41
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


@dataclass(frozen=True)
class LidarMount:
    """The LiDAR: where it is, and the elevation of its lowest and highest beam."""

    position_m: tuple[float, float, float] = (0.95, 0.0, 1.90)
    elevation_deg: tuple[float, float] = (-26.0, 9.0)


@dataclass(frozen=True)
class Camera:
    """A camera of the rig at the size it renders."""

    name: str
    group: str
    size_px: tuple[int, int]
    intrinsics: FloatArray
    """[3, 3]"""
    distortion: FloatArray
    """[5]"""
    ego_from_camera: FloatArray
    """[4, 4] of a vehicle that stands."""
    dt_us: int
    """The middle of its exposure, relative to the frame's timestamp: the LiDAR then looks its
    way."""
    rays_ego: FloatArray
    """[H * W, 3] float32 unit directions in ego axes, row by row."""
    vignette: FloatArray
    """[H * W] float32: brightness falls towards the corners."""
    view_limit: FloatArray
    """[2] the largest |x| / z and |y| / z of any pixel's ray, in the camera frame."""

    @property
    def position_ego_m(self) -> FloatArray:
        """[3]"""
        return np.asarray(self.ego_from_camera[:3, 3])

    @property
    def instant(self) -> IntArray:
        """[H * W] zeros: a global shutter."""
        return np.broadcast_to(np.intp(0), len(self.rays_ego))


@dataclass(frozen=True)
class Lidar:
    """A spinning LiDAR: `beams` rings of `AZIMUTH_STEPS` rays, fired in `PACKETS`."""

    beams: int
    position_ego_m: FloatArray
    """[3]"""
    rays_ego: FloatArray
    """[beams * AZIMUTH_STEPS, 3] float32, ring by ring, azimuth from -pi upward."""
    instant: IntArray
    """[beams * AZIMUTH_STEPS] packet of each ray."""
    dt_s: FloatArray
    """[PACKETS] when each is fired; the last at the frame's timestamp."""


@dataclass(frozen=True)
class Rig:
    """All sensors."""

    cameras: tuple[Camera, ...]
    lidar: Lidar
    blur: bool = False
    """Whether cameras expose for `EXPOSURE_S`, or for no time at all."""

    @staticmethod
    def seven_cameras(image_size_px: tuple[int, int], beams: int) -> Rig:
        """The rig of docs/design.md, section 3; intrinsics follow the image size (height,
        width)."""
        return mounted(SEVEN, LidarMount(), image_size_px, beams)


_WIDE = (-0.050, 0.0060, 0.0002, -0.0003, -0.0003)
_SIDE = (-0.045, 0.0050, -0.0002, 0.0002, -0.0002)
_NARROW = (-0.120, 0.060, 0.0003, 0.0002, 0.0)
SEVEN = (
    Mount("front_narrow", "front_narrow", (1.72, 0.06, 1.48), 0.0, 0.5, 30.0, _NARROW),
    Mount("front_wide", "front_wide", (1.75, -0.06, 1.47), 0.0, 3.0, 110.0, _WIDE),
    Mount("back", "back", (-0.95, 0.0, 1.20), 180.0, 4.0, 100.0, _WIDE),
    Mount("front_left", "side", (1.45, 0.62, 1.52), 55.0, 4.0, 95.0, _SIDE),
    Mount("front_right", "side", (1.45, -0.62, 1.52), -55.0, 4.0, 95.0, _SIDE),
    Mount("back_left", "side", (1.05, 0.66, 1.50), 125.0, 4.0, 95.0, _SIDE),
    Mount("back_right", "side", (1.05, -0.66, 1.50), -125.0, 4.0, 95.0, _SIDE),
)
_NONE = (0.0, 0.0, 0.0, 0.0, 0.0)
SIX = (
    Mount("CAM_FRONT", "front_wide", (1.70, 0.0, 1.51), 0.0, 0.5, 70.0, _NONE),
    Mount("CAM_FRONT_RIGHT", "side", (1.55, -0.49, 1.50), -55.0, 0.5, 70.0, _NONE),
    Mount("CAM_FRONT_LEFT", "side", (1.52, 0.49, 1.51), 55.0, 0.5, 70.0, _NONE),
    Mount("CAM_BACK", "back", (0.03, 0.0, 1.57), 180.0, 0.5, 110.0, _NONE),
    Mount("CAM_BACK_LEFT", "side", (1.04, 0.48, 1.56), 110.0, 0.5, 70.0, _NONE),
    Mount("CAM_BACK_RIGHT", "side", (1.01, -0.48, 1.56), -110.0, 0.5, 70.0, _NONE),
)
"""As on the cars of nuScenes (https://www.nuscenes.org/nuscenes#data-collection): five views of 70
degrees, one of 110 backward, no lens distortion."""


@cache
def mounted(
    mounts: tuple[Mount, ...], lidar: LidarMount, image_size_px: tuple[int, int], beams: int
) -> Rig:
    """The rig of these mounts. A camera's horizontal view stays what it is at any image size
    (height, width)."""
    made = []
    for mount in mounts:
        focal_px = image_size_px[1] / 2 / np.tan(np.radians(mount.horizontal_view_deg / 2))
        height, width = image_size_px
        intrinsics = np.array(
            [[focal_px, 0.0, (width - 1) / 2], [0.0, focal_px, (height - 1) / 2], [0.0, 0.0, 1.0]]
        )
        made.append(
            camera(
                (mount.name, mount.group),
                image_size_px,
                intrinsics,
                np.array(mount.distortion),
                _pose(mount),
            )
        )
    return Rig(tuple(made), spinning(lidar, beams))


def _pose(mount: Mount) -> FloatArray:
    """`ego_from_camera` [4, 4]."""
    pitch = np.radians(mount.pitch_deg)
    c, s = np.cos(pitch), np.sin(pitch)
    level_from_pitched = np.array([[1, 0, 0], [0, c, s], [0, -s, c]])
    ego_from_camera = poses.from_xyz_yaw(np.array(mount.position_m), np.radians(mount.yaw_deg))
    ego_from_camera[:3, :3] = ego_from_camera[:3, :3] @ _AXES @ level_from_pitched
    return ego_from_camera


def camera(
    name_and_group: tuple[str, str],
    size_px: tuple[int, int],
    intrinsics: FloatArray,
    distortion: FloatArray,
    ego_from_camera: FloatArray,
) -> Camera:
    """A camera with its rays."""
    rays = camera_rays(intrinsics, distortion, size_px)
    ahead = ego_from_camera[:3, 2]
    return Camera(
        name=name_and_group[0],
        group=name_and_group[1],
        size_px=size_px,
        intrinsics=intrinsics,
        distortion=distortion,
        ego_from_camera=ego_from_camera,
        dt_us=round(1e6 * float(dt_of_azimuth(np.arctan2(ahead[1], ahead[0])))),
        rays_ego=rays @ ego_from_camera[:3, :3].T.astype(np.float32),
        vignette=0.80 + np.float32(0.20) * rays[:, 2],
        view_limit=np.abs(rays[:, :2] / rays[:, 2:]).max(0).astype(np.float64),
    )


def camera_rays(
    intrinsics: FloatArray, distortion: FloatArray, size_px: tuple[int, int]
) -> FloatArray:
    """Unit directions [H * W, 3] float32 through every pixel centre: `cameras.pixel_rays`, solved
    at a grid of pixels and joined by quintic splines, which is exact to 1e-4 px and ten times
    faster."""
    v, u = (np.linspace(0, count - 1, _KNOTS) for count in size_px)
    grid = np.stack([*np.meshgrid(u, v), np.ones((_KNOTS, _KNOTS))], -1)
    xy = cameras.undistort((grid @ np.linalg.inv(intrinsics).T)[..., :2], distortion)
    rays = np.ones((3, *size_px), np.float32)
    rows, columns = (np.arange(count) for count in size_px)
    for axis in (0, 1):
        rays[axis] = RectBivariateSpline(v, u, xy[..., axis], kx=5, ky=5)(rows, columns)
    rays /= np.sqrt((rays**2).sum(0))
    return np.ascontiguousarray(rays.reshape(3, -1).T)


def spinning(mount: LidarMount, beams: int) -> Lidar:
    """A LiDAR with its rays."""
    low, high = np.radians(mount.elevation_deg)
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
    packet = np.arange(AZIMUTH_STEPS) * PACKETS // AZIMUTH_STEPS
    return Lidar(
        beams=beams,
        position_ego_m=np.array(mount.position_m),
        rays_ego=rays.reshape(-1, 3).astype(np.float32),
        instant=np.tile(packet, beams),
        dt_s=(np.arange(PACKETS) + 1 - PACKETS) * (SWEEP_S / PACKETS),
    )
