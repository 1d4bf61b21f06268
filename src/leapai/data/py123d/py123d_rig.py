"""The vehicle and its cameras, as the metadata of a py123d log have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from leapai.config.problems import one_line
from leapai.data import columns
from leapai.data.py123d.arrow_rows import REMEDY, ArrowRows
from leapai.geometry import poses
from leapai.types import FloatArray

MAX_MOUNT_M = 100.0
"""Farthest sensor from the vehicle's inertial unit."""
_STEREO, _FRONT, _DOWN = ("pcam_stereo_l", "pcam_stereo_r"), "pcam_f0", "pcam_d0"
_PINHOLE = ("pinhole", 0)
_NARROW_DEG = 60.0
"""Horizontal field of view below which a front camera is a narrow one: that of Argoverse 2 sees 49
degrees, Waymo's 50, that of nuPlan 64, that of nuScenes 65."""
_AHEAD_DEG, _BEHIND_DEG = 30.0, 135.0
"""Headings to either side up to which a camera looks ahead, and from which it looks back."""


def _mount(values: tuple[float, ...]) -> tuple[float, ...]:
    row = np.array(values)[None]
    fits = columns.positions(row[:, :3], MAX_MOUNT_M) & columns.rotations(row[:, 3:])
    if not fits.all():
        raise ValueError("must be x y z in metres, and a quaternion w x y z of length 1")
    return values


_Five = Annotated[tuple[FiniteFloat, ...], Field(min_length=5, max_length=5)]
_Mount = Annotated[
    tuple[FiniteFloat, ...], Field(min_length=7, max_length=7), AfterValidator(_mount)
]
_Side = Annotated[int, Field(ge=1, le=columns.MAX_SIDE_PX)]


class _Metadata(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class LogMetadata(_Metadata):
    """The data set that a log comes from, as `sync.arrow` names it."""

    dataset: Annotated[str, Field(max_length=columns.MAX_NAME)]
    version: Annotated[str, Field(max_length=columns.MAX_NAME)] = "of unknown version"
    """Version of py123d that wrote it."""


class _EgoMetadata(_Metadata):
    height: Annotated[FiniteFloat, Field(ge=0, le=10)]
    center_to_imu_se3: _Mount
    rear_axle_to_imu_se3: _Mount


class _CameraMetadata(_Metadata):
    width: _Side
    height: _Side
    intrinsics: _Five
    """fx, fy, cx, cy, skew."""
    distortion: _Five | None = None
    """k1, k2, p1, p2, k3 of OpenCV."""
    camera_to_imu_se3: _Mount
    is_undistorted: bool = False


class LidarMetadata(_Metadata):
    """The mount of one LiDAR on the vehicle."""

    lidar_to_imu_se3: _Mount


class LabelMetadata(_Metadata):
    """The labels that the boxes of a log have."""

    box_detection_label_class: Annotated[str, Field(max_length=columns.MAX_NAME)]


@dataclass(frozen=True)
class Camera:
    """A pinhole camera of the log."""

    name: str
    """py123d's own, which is the same for all data sets: `pcam_f0`."""
    group: str
    size_px: tuple[int, int]
    """Height, width."""
    intrinsics: FloatArray
    """[3, 3]"""
    distortion: FloatArray
    """[5]"""
    imu_from_camera: FloatArray
    """[4, 4]"""

    @property
    def key(self) -> str:
        """Name of its file without the suffix."""
        return f"camera.{self.name}"


Model = TypeVar("Model", bound=_Metadata)


def checked(model: type[Model], content: object, path: Path) -> Model:
    """Returns metadata of a file. Raises ValueError with file, field, value and remedy."""
    try:
        return model.model_validate(content)
    except ValidationError as invalid:
        raise ValueError(f"{path}: metadata: {one_line(invalid, model)}; {REMEDY}") from None


def pose_of(values: Sequence[float] | FloatArray) -> FloatArray:
    """Returns poses [..., 4, 4] float64 of rows x y z qw qx qy qz [..., 7]."""
    row = np.asarray(values, np.float64)
    return poses.from_quaternion(row[..., 3:], row[..., :3])


def read_imu_from_ego(ego: ArrowRows) -> FloatArray:
    """Returns [4, 4]: our ego frame, below the rear axle, in that of the inertial unit. The ground
    is where the vehicle's box ends."""
    vehicle = checked(_EgoMetadata, ego.metadata, ego.path)
    imu_from_ego = pose_of(vehicle.rear_axle_to_imu_se3)
    imu_from_ego[2, 3] = vehicle.center_to_imu_se3[2] - vehicle.height / 2
    return imu_from_ego


def read_cameras(folder: Path, notes: list[str]) -> tuple[tuple[Camera, ...], tuple[str, ...]]:
    """Returns the cameras of a log that are used, and the names of others: those that are no
    pinholes, that look down, of a stereo pair that looks where the front camera does, and those
    with metadata that are not in order, which are added to `notes`.
    """
    files = {path.name.split(".")[1]: path for path in sorted(folder.glob("camera.*.arrow"))}
    used, unused = [], []
    for name, path in files.items():
        twice = name in _STEREO and _FRONT in files
        try:
            content = ArrowRows(path).metadata
            if twice or name == _DOWN or content.get("camera_model") not in _PINHOLE:
                unused.append(name)
            else:
                used.append(_camera(name, checked(_CameraMetadata, content, path), path))
        except ValueError as error:
            unused.append(name)
            notes.append(f"{error}; frames go on without {name}")
    return tuple(used), tuple(unused)


def _camera(name: str, given: _CameraMetadata, path: Path) -> Camera:
    fx, fy, cx, cy, skew = given.intrinsics
    intrinsics = np.array([[fx, skew, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
    size_px = (given.height, given.width)
    if not columns.intrinsics(intrinsics[None], np.array([size_px])).all():
        raise ValueError(
            f"{path}: metadata: intrinsics = {list(given.intrinsics)} (fx fy cx cy skew) are not "
            f"those of a pinhole camera with images of {given.width} x {given.height}; {REMEDY}"
        )
    is_ideal = given.is_undistorted or given.distortion is None
    imu_from_camera = pose_of(given.camera_to_imu_se3)
    view_deg = float(np.rad2deg(2 * np.arctan(given.width / (2 * fx))))
    return Camera(
        name=name,
        group=_group(imu_from_camera, view_deg),
        size_px=size_px,
        intrinsics=intrinsics,
        distortion=np.zeros(5) if is_ideal else np.array(given.distortion),
        imu_from_camera=imu_from_camera,
    )


def _group(imu_from_camera: FloatArray, view_deg: float) -> str:
    """Returns the group of a camera by the heading of its optical axis and its field of view."""
    away_deg = abs(float(np.rad2deg(np.arctan2(imu_from_camera[1, 2], imu_from_camera[0, 2]))))
    if away_deg <= _AHEAD_DEG:
        return "front_narrow" if view_deg < _NARROW_DEG else "front_wide"
    return "back" if away_deg >= _BEHIND_DEG else "side"
