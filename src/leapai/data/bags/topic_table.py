"""The table of a bag, `topics.json`: which topic is which sensor, and in which frames.

It is read through a schema; a mistake is one line that names file, field, value and remedy.
"""

from __future__ import annotations

from pathlib import Path
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
from leapai.data.folder.folder_calibration import CameraName, Group, Pose
from leapai.data.reading import read_json
from leapai.types import FloatArray

TOPICS = "topics.json"
TimeUnit = Literal["s", "ms", "us", "ns"]
SECONDS_OF = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


def _printable(name: str) -> str:
    if not name.isprintable():
        raise ValueError("names of topics, frames and fields have no line breaks or control codes")
    return name


_Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]
_Seconds = Annotated[FiniteFloat, Field(ge=0, le=1e4)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Sensor(_Entry):
    """Topic and mount of a sensor."""

    topic: _Name
    frame: _Name | None = None
    """Frame of its data; by default that of the header of its messages."""
    ego_from_sensor: Pose | None = None
    """Mount [4, 4] where the transforms of the bag do not have it."""

    def mount(self) -> FloatArray | None:
        """Returns `ego_from_sensor` [4, 4] float64; None: the transforms of the bag have it."""
        return None if self.ego_from_sensor is None else np.array(self.ego_from_sensor, np.float64)


class CameraTopic(_Sensor):
    """One camera: Image or CompressedImage, with its CameraInfo."""

    name: CameraName
    group: Group
    info: _Name
    """Topic of its CameraInfo."""
    rectified: bool = False
    """Whether the images are rectified: then the matrix P of the CameraInfo holds, without lens."""


class LidarTopic(_Sensor):
    """The LiDAR, whose sweeps are messages of type PointCloud2."""

    intensity_field: _Name = "intensity"
    intensity_max: Annotated[FiniteFloat, Field(ge=1e-3, le=1e9)] | None = None
    """Intensity that becomes 1; by default, what the first sweep looks like."""
    time_field: _Name | None = None
    """Field with the time of each point: since the stamp of the message, or of the clock. None: the
    points carry no time, and their motion is not undone."""
    time_unit: TimeUnit = "s"
    motion_compensated: bool = False
    """Whether the points already are where they were at the time of the frame."""
    frame_after_stamp_s: Annotated[FiniteFloat, Field(ge=-1, le=1)] = 0.0
    """Time of the frame since the stamp of the message: the duration of a sweep where the stamp is
    that of its first point."""


class TopicTable(_Entry):
    """Content of `topics.json`."""

    ego_frame: _Name = "base_link"
    """Frame of the vehicle: x ahead, y to the left, z up, its origin on the ground."""
    global_frame: _Name | None = "odom"
    """Frame in which the vehicle moves; null: it stands still."""
    odometry: _Name | None = None
    """Topic of Odometry where /tf does not have the motion of the vehicle."""
    stamps: Literal["header", "log"] = "header"
    """Times of messages: those of their headers, or when they were recorded."""
    max_image_age_s: _Seconds = 0.1
    """An image that is older than this at the time of the frame is not used."""
    max_pose_gap_s: _Seconds = 0.2
    """Poses are not interpolated over more than this."""
    max_extrapolation_s: _Seconds = 0.05
    """Before the first and after the last pose, motion goes on for at most this."""
    lidar: LidarTopic | None = None
    cameras: tuple[CameraTopic, ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> TopicTable:
        if self.lidar is None and not self.cameras:
            raise ValueError("there is neither lidar nor cameras; name the topic of a sensor")
        for field, values in (
            ("name", [camera.name for camera in self.cameras]),
            ("topic", [sensor.topic for sensor in self.sensors]),
        ):
            twice = sorted({value for value in values if values.count(value) > 1})
            if twice:
                raise ValueError(f"{field} = {twice[0]!r} is that of several sensors")
        return self

    @property
    def sensors(self) -> tuple[CameraTopic | LidarTopic, ...]:
        """All sensors: the cameras, then the LiDAR."""
        return (*self.cameras, *(() if self.lidar is None else (self.lidar,)))


def read_topic_table(path: Path) -> TopicTable:
    """Reads a table of topics. Raises ValueError with file, field, value and remedy."""
    content = read_json(path, "it maps the topics of the bag to sensors")
    try:
        return TopicTable.model_validate(content, strict=False)
    except ValidationError as invalid:
        raise ValueError(f"{path}: {one_line(invalid, TopicTable)}") from None
