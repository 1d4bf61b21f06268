"""LiDAR sweeps of a bag: points in the ego frame at the time of the frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from leapai.data.bags.bag_file import BagFile
from leapai.data.bags.bag_index import BagIndex
from leapai.data.bags.bag_messages import cloud_of
from leapai.data.bags.bag_motion import BagMotion
from leapai.data.bags.topic_table import SECONDS_OF, LidarTopic
from leapai.data.folder.point_files import likely_intensity_max
from leapai.data.reading import SensorError
from leapai.geometry import poses
from leapai.types import FloatArray

_CLOCK_S = 1e6
"""Times of points beyond this are of the clock; others count from the stamp of the message."""
_MAX_SWEEP_S = 2.0
"""Points further from the time of their frame are of no sweep: their times are in another unit."""
_STEP_US = 100
"""Points within this share a pose: 3 mm at 30 m/s."""
_TRIED = 10
"""Sweeps that are looked at for the highest intensity: the first may be damaged or empty."""


def read_intensity_max(bag: BagFile, lidar: LidarTopic, index: BagIndex) -> float:
    """Returns the intensity that becomes 1: as given, or what the first sweep looks like."""
    if lidar.intensity_max is not None:
        return lidar.intensity_max
    for key in index.messages[lidar.topic].keys[:_TRIED]:
        try:
            message = bag.decoded(lidar.topic, bag.read([key])[key])
            columns = cloud_of(message, bag.path, _fields(lidar))
        except (ValueError, KeyError, SensorError):
            continue
        if lidar.intensity_field in columns and len(columns["x"]):
            return likely_intensity_max(columns[lidar.intensity_field])
    return 1.0


def sweep_points(
    message: Any, topic: Path, lidar: LidarTopic, at: tuple[int, float], motion: BagMotion
) -> FloatArray:
    """Returns the points [P, 5] float32 of a PointCloud2 in the ego frame; `at`: the time of the
    frame in microseconds, and the intensity that becomes 1.

    Points with times of their own are moved to where they were at the time of the frame, unless
    they are motion compensated. Points of a sensor that is the ego frame come as they are, to the
    last bit. Raises SensorError for what is not in order, NoPoseError where there is no transform.
    """
    time_us, intensity_max = at
    columns = cloud_of(message, topic, _fields(lidar))
    count = len(columns["x"])
    xyz = np.stack([columns[name] for name in "xyz"], -1)
    stamp_us = time_us - round(lidar.frame_after_stamp_s * 1e6)
    dt_s = _times_s(columns, lidar, stamp_us) - lidar.frame_after_stamp_s
    mount = lidar.mount()
    if mount is None:
        mount = motion.mount(lidar.frame or message.header.frame_id, time_us)
    points = np.zeros((count, 5), np.float32)
    with np.errstate(all="ignore"):  # what is not finite stays so, and is dropped and counted
        if lidar.time_field is not None and not lidar.motion_compensated:
            _check_times(dt_s, topic, lidar)
            points[:, :3] = _deskewed(xyz, dt_s, mount, time_us, motion)
        elif np.array_equal(mount, np.eye(4)):
            points[:, :3] = xyz
        else:
            points[:, :3] = poses.apply(mount, xyz.astype(np.float64))
        intensity = columns.get(lidar.intensity_field, np.zeros(count)) / intensity_max
        points[:, 3], points[:, 4] = np.clip(intensity, 0, 1), dt_s
    return points


def _fields(lidar: LidarTopic) -> dict[str, bool]:
    """Returns the fields of a point, and whether each must be there."""
    times = {} if lidar.time_field is None else {lidar.time_field: True}
    return {"x": True, "y": True, "z": True, lidar.intensity_field: False, **times}


def _times_s(columns: dict[str, FloatArray], lidar: LidarTopic, stamp_us: int) -> FloatArray:
    """Returns the times of the points [P] float64, seconds since the stamp of the message; zeros
    where they carry none."""
    if lidar.time_field is None:
        return np.full(len(columns["x"]), lidar.frame_after_stamp_s)
    values = columns[lidar.time_field]
    scale = SECONDS_OF[lidar.time_unit]
    if len(values) and abs(float(values[0])) * scale > _CLOCK_S:
        ticks = stamp_us / 1e6 / scale  # in the unit of the field, which keeps its digits
        return (values.astype(np.float64) - ticks) * scale
    return np.asarray(values.astype(np.float64) * scale)


def _check_times(dt_s: FloatArray, topic: Path, lidar: LidarTopic) -> None:
    """Raises SensorError for times of points that cannot be those of a sweep."""
    furthest_s = float(np.abs(dt_s).max(initial=0.0))
    if not furthest_s <= _MAX_SWEEP_S:  # true for NaN
        raise SensorError(
            topic,
            f"has points {furthest_s:.3g} s from the time of the frame; correct time_field = "
            f"'{lidar.time_field}' and time_unit = '{lidar.time_unit}'",
        )


def _deskewed(
    xyz: FloatArray, dt_s: FloatArray, mount: FloatArray, time_us: int, motion: BagMotion
) -> FloatArray:
    """Returns points [P, 3] of a moving sensor, seen `dt_s` after a frame, in its ego frame.

    Raises NoPoseError where there is no pose at the time of one."""
    bin_us = np.rint(dt_s * 1e6 / _STEP_US).astype(np.int64) * _STEP_US
    distinct_us, owner = np.unique(bin_us, return_inverse=True)
    ego_from_sensor = motion.ego_from_ego_at(time_us, time_us + distinct_us) @ mount
    at_point = ego_from_sensor[owner]
    moved = np.einsum("pij,pj->pi", at_point[:, :3, :3], xyz.astype(np.float64))
    return np.asarray(moved + at_point[:, :3, 3])
