"""Health of a frame's sensors, and the age of the memory that stands in for failed ones.

The network goes on without a sensor; a planner behind it must be informed of that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from leapai.data.sensor_bounds import DROPPED, LIDAR
from leapai.streaming.output_health import OUTPUTS_OK, OutputHealth
from leapai.types import CameraFrame, FloatArray, Frame, SlotsRead

STALE_AFTER_S = 0.1
"""A camera whose exposure, or a sweep whose nearest return, lies further than this from the frame's
time is stale: one period of a 10 Hz sensor. Rigs in order stay below 0.05 s."""


class SensorStatus(StrEnum):
    """Whether a sensor could be used in a frame."""

    OK = "ok"
    MISSING = "missing"
    """The sensor gave nothing."""
    STALE = "stale"
    """The sensor gave something of another time. The network uses it, moved by the calibration's
    poses."""
    DEGRADED = "degraded"
    """Points of the LiDAR were out of bounds and dropped. The network uses the others."""
    CORRUPT = "corrupt"
    """The data of the sensor cannot be decoded, or it or its calibration is out of bounds
    (`data/sensor_bounds.py`). The network goes on without it."""


@dataclass(frozen=True)
class SensorHealth:
    """Status of one sensor, and its reason in words; an OK sensor may have had a fault, too."""

    status: SensorStatus
    reason: str = ""


@dataclass(frozen=True)
class Health:
    """Health of the sensors, the memory and the network behind the detections of one frame."""

    sensors: Mapping[str, SensorHealth]
    """Health by name: every camera of the frame, and `lidar`."""
    newest_age_s: float | None
    """Time since the newest frame that memory held; None: memory was empty."""
    oldest_age_s: float | None
    """Time since the oldest frame that memory held; None: memory was empty."""
    memory_reset: bool
    """Memory was dropped in this frame: a new sequence, a gap, or time that ran backwards."""
    outputs: OutputHealth = OUTPUTS_OK
    """Health of the network's outputs: finite, and not far fewer than before."""

    @property
    def failing(self) -> dict[str, SensorHealth]:
        """Sensors that are not OK, by name."""
        return {name: s for name, s in self.sensors.items() if s.status is not SensorStatus.OK}


def health_of(frame: Frame, memory: SlotsRead | None) -> Health:
    """Returns the health of `frame`, as `check_frame` or `prepare` left it, and of the `memory` of
    its single stream; None: the network has no dynamic task, whose memory it is.

    A sensor that gave nothing is MISSING, or CORRUPT where `Frame.faults` names a file or a field
    that cannot be used: `SENSOR: FILE: PROBLEM`, with a problem that does not begin with `no`
    (`no such file`).
    """
    sensors = sensors_of(frame)
    if memory is None:
        return Health(sensors, None, None, memory_reset=False)
    ages_s = (frame.timestamp_us - memory.timestamp_us[memory.valid]) / 1e6
    return Health(
        sensors,
        newest_age_s=float(ages_s.min()) if len(ages_s) else None,
        oldest_age_s=float(ages_s.max()) if len(ages_s) else None,
        memory_reset=memory.reset,
    )


def sensors_of(frame: Frame) -> dict[str, SensorHealth]:
    """Returns the health of every camera of a checked frame, and of the LiDAR, by name."""
    faults = _faults_by_sensor(frame)
    sensors = {c.name: _camera_health(c, frame, faults.get(c.name, "")) for c in frame.cameras}
    sensors[LIDAR] = _lidar_health(frame.points, faults.get(LIDAR, ""))
    return sensors


def _faults_by_sensor(frame: Frame) -> dict[str, str]:
    """Returns the words of the first fault of each sensor; a LiDAR has many names."""
    cameras = {camera.name for camera in frame.cameras}
    faults: dict[str, str] = {}
    for fault in frame.faults:
        sensor, _, words = fault.partition(": ")
        is_lidar = LIDAR in sensor.lower() and sensor not in cameras
        faults.setdefault(LIDAR if is_lidar else sensor, words)
    return faults


def _camera_health(camera: CameraFrame, frame: Frame, fault: str) -> SensorHealth:
    if camera.image is None:
        return _absent(fault)
    return _timed((camera.timestamp_us - frame.timestamp_us) / 1e6, fault)


def _lidar_health(points: FloatArray | None, fault: str) -> SensorHealth:
    if points is None:
        return _absent(fault)
    offsets_s = points[:, 4]
    nearest_s = float(offsets_s[np.abs(offsets_s).argmin()]) if len(points) else 0.0
    health = _timed(nearest_s, fault)
    if health.status is SensorStatus.OK and fault.startswith(DROPPED):
        return SensorHealth(SensorStatus.DEGRADED, fault)
    return health


def _absent(fault: str) -> SensorHealth:
    _, named_a_file, problem = fault.rpartition(": ")
    broken = named_a_file and not problem.startswith("no ")
    status = SensorStatus.CORRUPT if broken else SensorStatus.MISSING
    return SensorHealth(status, fault or "no data")


def _timed(away_s: float, fault: str) -> SensorHealth:
    if abs(away_s) > STALE_AFTER_S:
        side = "after" if away_s > 0 else "before"
        return SensorHealth(SensorStatus.STALE, f"{abs(away_s):.3f} s {side} the frame")
    return SensorHealth(SensorStatus.OK, fault)
