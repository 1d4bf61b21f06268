"""The sensors of the vehicle: cameras with their rays, computed once, and a LiDAR on the roof."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy.interpolate import RectBivariateSpline

from leapai.geometry import cameras, poses
from leapai.types.vocabulary import FloatArray, IntArray
from leapai_world.sensors.conditions import Conditions
from leapai_world.sensors.instants import dt_of_azimuth
from leapai_world.sensors.lidar_sensor import PACKETS, Lidar, LidarMount, spinning

EXPOSURE_S = 0.016
"""Exposure time of a camera with motion blur."""
_SPLINE_POINTS = 41
_AXES = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Ego axes of a level camera that looks ahead: its x is -y of the ego, its y -z, its z the x of the
ego."""


@dataclass(frozen=True)
class Mount:
    """Mount of one camera; angles in degrees, yaw to the left and pitch downward."""

    name: str
    group: str
    position_m: tuple[float, float, float]
    yaw_deg: float
    pitch_deg: float
    horizontal_view_deg: float
    distortion: tuple[float, float, float, float, float]


@dataclass(frozen=True)
class Camera:
    """A camera of the rig at the size that it renders."""

    name: str
    group: str
    size_px: tuple[int, int]
    intrinsics: FloatArray
    """[3, 3]"""
    distortion: FloatArray
    """[5]"""
    ego_from_camera: FloatArray
    """[4, 4] pose on a vehicle that stands."""
    dt_us: int
    """Middle of its exposure, relative to the timestamp of the frame: the LiDAR then looks its
    way."""
    rays_ego: FloatArray
    """[H * W, 3] float32 unit directions in ego axes, row by row."""
    vignette: FloatArray
    """[H * W] float32: brightness falls towards the corners."""
    view_limit: FloatArray
    """[2] the largest |x| / z and |y| / z of any pixel's ray, in the camera frame."""

    @property
    def position_ego_m(self) -> FloatArray:
        """[3] metres, position of the camera in the ego frame."""
        return np.asarray(self.ego_from_camera[:3, 3])

    @property
    def instant(self) -> IntArray:
        """[H * W] zeros: a global shutter."""
        return np.broadcast_to(np.intp(0), len(self.rays_ego))


@dataclass(frozen=True)
class Rig:
    """All sensors of the vehicle."""

    cameras: tuple[Camera, ...]
    lidar: Lidar | None
    blur: bool = False
    """Whether cameras expose for `EXPOSURE_S`, or for no time at all."""
    rolls_packets: int = 0
    """Packets by which the sweep starts later from frame to frame."""
    conditions: Conditions | None = None
    """Condition of lenses and sensors; None: clean."""

    def at(self, frame: int) -> Rig:
        """Returns the rig as it is at frame number `frame`, with its sweep rolled."""
        if self.lidar is None or not self.rolls_packets:
            return self
        return replace(self, lidar=self.lidar.rolled(frame * self.rolls_packets % PACKETS))

    @staticmethod
    def seven_cameras(image_size_px: tuple[int, int], beams: int) -> Rig:
        """Returns the rig of docs/design.md, section 3; intrinsics follow the image size (height,
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
"""Mounts as on the cars of nuScenes (https://www.nuscenes.org/nuscenes#data-collection): five views
of 70 degrees, one of 110 backward, no lens distortion."""


@cache
def mounted(
    mounts: tuple[Mount, ...], lidar: LidarMount, image_size_px: tuple[int, int], beams: int
) -> Rig:
    """Returns the rig of these mounts with a LiDAR of evenly spaced beams."""
    return Rig(mounted_cameras(mounts, image_size_px), spinning(lidar, beams))


def mounted_cameras(
    mounts: tuple[Mount, ...], image_size_px: tuple[int, int]
) -> tuple[Camera, ...]:
    """Returns the cameras of these mounts. The horizontal view of a camera stays the same at any
    image size (height, width)."""
    height, width = image_size_px
    made = []
    for mount in mounts:
        focal_px = width / 2 / np.tan(np.radians(mount.horizontal_view_deg / 2))
        intrinsics = np.array(
            [[focal_px, 0.0, (width - 1) / 2], [0.0, focal_px, (height - 1) / 2], [0.0, 0.0, 1.0]]
        )
        name_and_group, distortion = (mount.name, mount.group), np.array(mount.distortion)
        made.append(camera(name_and_group, image_size_px, intrinsics, distortion, _pose(mount)))
    return tuple(made)


def _pose(mount: Mount) -> FloatArray:
    """Returns `ego_from_camera` [4, 4] of a mount."""
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
    """Returns a camera with its rays."""
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
    """Returns unit directions [H * W, 3] float32 through every pixel centre: `cameras.pixel_rays`,
    solved at a grid of pixels and joined by quintic splines, which is exact to 1e-4 px and ten
    times faster."""
    v, u = (np.linspace(0, count - 1, _SPLINE_POINTS) for count in size_px)
    grid = np.stack([*np.meshgrid(u, v), np.ones((_SPLINE_POINTS, _SPLINE_POINTS))], -1)
    xy = cameras.undistort((grid @ np.linalg.inv(intrinsics).T)[..., :2], distortion)
    rays = np.ones((3, *size_px), np.float32)
    rows, columns = (np.arange(count) for count in size_px)
    for axis in (0, 1):
        rays[axis] = RectBivariateSpline(v, u, xy[..., axis], kx=5, ky=5)(rows, columns)
    rays /= np.sqrt((rays**2).sum(0))
    return np.ascontiguousarray(rays.reshape(3, -1).T)
