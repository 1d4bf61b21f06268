"""The calibration file of a folder of sensor files: `calibration.toml` or `calibration.json`.

It is read through a schema; a mistake is one line that names file, field, value and remedy.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    model_validator,
)

from leapai.config.problems import one_line
from leapai.data.data_names import CALIBRATION_NAMES
from leapai.data.sensor_bounds import LIDAR
from leapai.geometry import poses
from leapai.types import FloatArray

DEFAULT_RATE_HZ = 10.0
DEFAULT_LIDAR_HEIGHT_M = 1.8
MAX_LEVER_ARM_M = 100.0
"""Distance of a sensor from the ego's origin; trailers and cranes included."""
_ROTATION_TOLERANCE = 1e-3
"""Rotations that were printed with four digits pass."""

_Row3 = tuple[FiniteFloat, FiniteFloat, FiniteFloat]
_Row4 = tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat]
_Lens = tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat]


def _rigid(rows: tuple[_Row4, _Row4, _Row4, _Row4]) -> tuple[_Row4, _Row4, _Row4, _Row4]:
    """Returns a pose as it is. Raises ValueError where it is no rotation and translation."""
    matrix = np.array(rows)
    rotation = matrix[:3, :3]
    if not np.array_equal(matrix[3], [0, 0, 0, 1]):
        raise ValueError("the last row of a pose must be [0, 0, 0, 1]")
    is_rotation = np.abs(rotation @ rotation.T - np.eye(3)).max() < _ROTATION_TOLERANCE
    if not is_rotation or np.linalg.det(rotation) < 0:
        raise ValueError(
            "the upper left 3 x 3 of a pose must be a rotation: right-handed, rows of length 1 at "
            "right angles"
        )
    furthest_m = float(np.abs(matrix[:3, 3]).max())
    if furthest_m > MAX_LEVER_ARM_M:
        raise ValueError(
            f"a sensor {furthest_m:.4g} m from the ego's origin is on no vehicle; give metres"
        )
    return rows


def _inside(name: str) -> str:
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or not name.isprintable():
        raise ValueError("must be a path inside the folder")
    return name


Pose = Annotated[tuple[_Row4, _Row4, _Row4, _Row4], AfterValidator(_rigid)]
_Inside = Annotated[str, AfterValidator(_inside)]
Group = Literal["front_narrow", "front_wide", "back", "side"]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _as_ego_from(forward: Pose | None, inverse: Pose | None, sensor: str) -> FloatArray | None:
    """Returns `ego_from_SENSOR` of either direction; None where neither is given."""
    if forward is not None and inverse is not None:
        raise ValueError(f"give ego_from_{sensor} or {sensor}_from_ego, not both")
    if inverse is not None:
        return poses.invert(np.array(inverse, np.float64))
    return None if forward is None else np.array(forward, np.float64)


def _camera_name(name: str) -> str:
    if not name.isprintable() or ": " in name or name == LIDAR:
        raise ValueError(
            f"must be printable, without ': ', other than '{LIDAR}', as faults are named by it"
        )
    return name


CameraName = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_camera_name)]


class CameraEntry(_Entry):
    """Lens, mount and files of one camera."""

    name: CameraName
    group: Group
    size_px: tuple[Annotated[int, Field(ge=1, le=20_000)], Annotated[int, Field(ge=1, le=20_000)]]
    """Height, width of the images as stored."""
    intrinsics: tuple[_Row3, _Row3, _Row3]
    ego_from_camera: Pose | None = None
    camera_from_ego: Pose | None = None
    """The inverse of `ego_from_camera`, where a calibration is given so."""
    distortion: _Lens = (0.0, 0.0, 0.0, 0.0, 0.0)
    """k1, k2, p1, p2, k3 of OpenCV's lens model."""
    folder: _Inside | None = None
    """Folder of the images; by default that of the camera's name."""

    @model_validator(mode="after")
    def _is_whole(self) -> CameraEntry:
        if self.pose() is None:
            raise ValueError("ego_from_camera (or camera_from_ego) is missing; give a 4 x 4 pose")
        if self.folder is None:
            _inside(self.name)
        matrix, (height, width) = np.array(self.intrinsics), self.size_px
        focal_px, centre_px = matrix[[0, 1], [0, 1]], matrix[:2, 2]
        inside = (centre_px > 0).all() and (centre_px < [width, height]).all()
        if (focal_px <= 0).any() or not inside or not np.array_equal(matrix[2], [0, 0, 1]):
            raise ValueError(
                f"intrinsics = {matrix.tolist()} must be [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] in "
                f"pixels, with the centre inside the image of size_px = [{height}, {width}] "
                "(height, width)"
            )
        return self

    def pose(self) -> FloatArray | None:
        """Returns `ego_from_camera` [4, 4], given in either direction."""
        return _as_ego_from(self.ego_from_camera, self.camera_from_ego, "camera")


class LidarEntry(_Entry):
    """Mount and files of the LiDAR."""

    folder: _Inside = "lidar"
    ego_from_lidar: Pose | None = None
    lidar_from_ego: Pose | None = None
    """The inverse of `ego_from_lidar`, where a calibration is given so."""
    columns: tuple[str, ...] | None = None
    """Names of the columns of `.bin` and `.npy`, `x`, `y` and `z` among them. `intensity` and
    `dt_s` are used, others are not."""
    intensity_max: Annotated[FiniteFloat, Field(ge=1e-3, le=1e9)] | None = None
    """Intensity that becomes 1."""

    @model_validator(mode="after")
    def _has_coordinates(self) -> LidarEntry:
        if self.columns is not None and not {"x", "y", "z"} <= set(self.columns):
            raise ValueError(f"columns = {list(self.columns)} must name x, y and z")
        self.pose()
        return self

    def pose(self) -> FloatArray:
        """Returns `ego_from_lidar` [4, 4]; by default the LiDAR looks ahead above the ego's
        origin."""
        default = np.eye(4)
        default[2, 3] = DEFAULT_LIDAR_HEIGHT_M
        given = _as_ego_from(self.ego_from_lidar, self.lidar_from_ego, "lidar")
        return default if given is None else given


class Calibration(_Entry):
    """Content of a calibration file."""

    time_unit: Literal["s", "ms", "us", "ns"] | None = None
    """Unit of the numbers at the end of file names, which are times."""
    rate_hz: Annotated[FiniteFloat, Field(ge=0.01, le=1000)] | None = None
    """Frames a second, where names carry no time: files of one name belong together."""
    max_image_age_s: Annotated[FiniteFloat, Field(ge=0, le=1e4)] = 0.1
    """An image that is older than this at the time of the frame is not used."""
    poses: _Inside | None = None
    """Table of ego poses (CSV); None: the vehicle stands still."""
    lidar: LidarEntry = LidarEntry()
    cameras: tuple[CameraEntry, ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> Calibration:
        if self.time_unit is not None and self.rate_hz is not None:
            raise ValueError("give time_unit (names are times) or rate_hz (they are not), not both")
        names = [entry.name for entry in self.cameras]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"cameras: '{twice[0]}' is the name of several; names must differ")
        return self


def find_calibration(folder: Path) -> Path | None:
    """Returns the calibration file of a folder; None where there is none. Raises ValueError where
    there are several."""
    found = [folder / name for name in CALIBRATION_NAMES if (folder / name).is_file()]
    if len(found) > 1:
        raise ValueError(f"{folder}: has {' and '.join(CALIBRATION_NAMES)}; keep one of them")
    return found[0] if found else None


def read_calibration(path: Path) -> Calibration:
    """Reads a calibration file. Raises ValueError with file, field, value and remedy."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (ValueError, RecursionError, OSError) as error:
        kind = path.suffix.removeprefix(".").upper()
        raise ValueError(f"{path}: is not valid {kind} ({error}); correct the file") from None
    try:
        return Calibration.model_validate(content, strict=False)
    except ValidationError as invalid:
        raise ValueError(f"{path}: {one_line(invalid, Calibration)}") from None
