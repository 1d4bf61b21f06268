"""Rigs by name, from a log of a real vehicle, or from the user's own file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from leapai.data import reading
from leapai.geometry import cameras, poses
from leapai.types.frames import CameraFrame
from leapai_world.sensors.lidar_sensor import LidarMount, spinning
from leapai_world.sensors.rig import (
    SEVEN,
    SIX,
    Mount,
    Rig,
    camera,
    camera_rays,
    mounted,
    mounted_cameras,
)

NAMED = {"seven": SEVEN, "six": SIX}
VARIED = "varied"
"""Name of the rigs that are drawn from the seed of a drive (`varied_rigs`)."""
BODY_M = ((-1.0, 3.8), (-0.95, 0.95), (0.0, 1.0))
"""Body of the ego up to its windows, x, y and z in the ego frame: a camera in it would see
nothing."""
_AV2_LIDAR = LidarMount((1.35, 0.0, 1.97), (-25.0, 15.0))
"""Two stacked VLP-32C on the roof of the cars of Argoverse, here as one LiDAR with the beams of the
options."""
_REMEDY = "give a rig as docs/world.md describes it"


def open_rig(name: str, image_size_px: tuple[int, int], beams: int) -> Rig:
    """Returns the rig `name` at an image size (height, width): `seven`, `six`,
    `argoverse2:LOGFOLDER`, or the path of a JSON file.

    Raises ValueError for a name that does not exist, a calibration that cannot be read, and a file
    that is not a rig; it names file, field, value and remedy.
    """
    if name in NAMED:
        return mounted(NAMED[name], LidarMount(), image_size_px, beams)
    if name.startswith("argoverse2:"):
        return _argoverse2(Path(name.removeprefix("argoverse2:")), image_size_px, beams)
    if not name.endswith(".json"):
        known = ", ".join((*NAMED, VARIED))
        raise ValueError(
            f"synthetic: there is no rig {name!r:.80}; use one of: {known}, argoverse2:LOGFOLDER, "
            "FILE.json"
        )
    return _from_file(Path(name), image_size_px, beams)


def _argoverse2(folder: Path, image_size_px: tuple[int, int], beams: int) -> Rig:
    """Returns the ring cameras of a log, resized and cut as its images would be for the model."""
    # Late, as no other rig needs what they import.
    from leapai.data.argoverse2.argoverse2_tables import AV2_FROM_EGO, CAMERA_GROUPS_OF, read_tables
    from leapai.data.transforms import prepare_camera

    made = []
    for name, calibration in read_tables(folder).cameras.items():
        frame = CameraFrame(
            name=name,
            group=CAMERA_GROUPS_OF[name],
            image=None,
            size_px=calibration.size_px,
            intrinsics=calibration.intrinsics,
            distortion=np.zeros(5),
            ego_from_camera=poses.invert(AV2_FROM_EGO) @ calibration.av2_from_camera,
            timestamp_us=0,
        )
        seen = prepare_camera(frame, image_size_px)
        lens = (seen.intrinsics, seen.distortion, seen.ego_from_camera)
        made.append(camera((name, seen.group), image_size_px, *lens))
    return Rig(tuple(made), spinning(_AV2_LIDAR, beams))


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


_Triple = tuple[FiniteFloat, FiniteFloat, FiniteFloat]
_Lens = tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat]


class _CameraEntry(_Entry):
    name: Annotated[str, Field(min_length=1)]
    group: Literal["front_narrow", "front_wide", "back", "side"]
    position_m: _Triple
    yaw_deg: Annotated[FiniteFloat, Field(ge=-180, le=180)]
    pitch_deg: Annotated[FiniteFloat, Field(ge=-80, le=80)] = 0.0
    horizontal_view_deg: Annotated[FiniteFloat, Field(ge=5, le=150)]
    distortion: _Lens = (0.0, 0.0, 0.0, 0.0, 0.0)

    @model_validator(mode="after")
    def _sees_something(self) -> _CameraEntry:
        if all(low < x < high for x, (low, high) in zip(self.position_m, BODY_M, strict=True)):
            x, y, z = (f"{low} to {high}" for low, high in BODY_M)
            raise ValueError(
                f"position_m = {list(self.position_m)} lies inside the car's body, which fills "
                f"x {x}, y {y}, z {z} m; mount it outside of it"
            )
        if self.position_m[2] <= 0:
            raise ValueError(f"position_m = {list(self.position_m)} lies below the ground (z > 0)")
        return self


class _LidarEntry(_Entry):
    position_m: _Triple
    elevation_deg: tuple[
        Annotated[FiniteFloat, Field(ge=-85, le=85)], Annotated[FiniteFloat, Field(ge=-85, le=85)]
    ]

    @model_validator(mode="after")
    def _rises(self) -> _LidarEntry:
        if not self.elevation_deg[0] < self.elevation_deg[1]:
            raise ValueError(f"elevation_deg = {list(self.elevation_deg)} must be low, then high")
        return self


class _RigFile(_Entry):
    cameras: tuple[_CameraEntry, ...]
    lidar: _LidarEntry | None = _LidarEntry(**asdict(LidarMount()))
    """None, `null` in the file: the rig has none; left out: that of the other rigs."""

    @model_validator(mode="after")
    def _has_a_sensor(self) -> _RigFile:
        if not self.cameras and self.lidar is None:
            raise ValueError("there is neither a camera nor a LiDAR; give one of them at least")
        return self

    @model_validator(mode="after")
    def _names_differ(self) -> _RigFile:
        names = [entry.name for entry in self.cameras]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"cameras: '{twice[0]}' is the name of several; names must differ")
        return self


def _from_file(path: Path, image_size_px: tuple[int, int], beams: int) -> Rig:
    content = reading.read_json(path, _REMEDY)
    try:
        rig = _RigFile.model_validate(content)
    except ValidationError as invalid:
        raise ValueError(f"{path}: {_words(invalid)}; {_REMEDY}") from None
    mounts = tuple(Mount(**entry.model_dump()) for entry in rig.cameras)
    for mount in mounts:
        _check_lens(path, mount, image_size_px)
    if rig.lidar is None:
        return Rig(mounted_cameras(mounts, image_size_px), None)
    return mounted(mounts, LidarMount(**rig.lidar.model_dump()), image_size_px, beams)


def _words(invalid: ValidationError) -> str:
    first = invalid.errors()[0]
    field = ".".join(str(part) for part in first["loc"]) or "the file"
    words = first["msg"].removeprefix("Value error, ")
    value = "" if first["type"] in ("missing", "value_error") else f" = {first['input']!r:.80}"
    return f"{field}{value}: {words}"


def _check_lens(path: Path, mount: Mount, size_px: tuple[int, int]) -> None:
    """Raises ValueError where a lens folds back inside the image."""
    made = mounted_cameras((mount,), size_px)[0]
    rays = camera_rays(made.intrinsics, made.distortion, size_px).astype(np.float64)
    pixels, _ = cameras.project(rays, made.intrinsics, made.distortion)
    height, width = size_px
    expected = np.stack([*np.meshgrid(np.arange(width), np.arange(height))], -1).reshape(-1, 2)
    if not (np.abs(pixels - expected) < 0.1).all():
        raise ValueError(
            f"{path}: distortion = {list(mount.distortion)} of camera '{mount.name}' folds the "
            "image back inside its view; take smaller coefficients or a smaller "
            "horizontal_view_deg"
        )
