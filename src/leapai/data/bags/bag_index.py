"""One pass over a bag: the times of all sensor messages, calibrations and transforms."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from leapai.data.bags.bag_file import NS_OF_US, BagFile, MessageKey, listed, stamp_us
from leapai.data.bags.bag_messages import Lens, lens_of, transform_of
from leapai.data.bags.bag_poses import PoseTrack, TransformTree
from leapai.data.bags.topic_table import CameraTopic, TopicTable
from leapai.data.folder.timed_files import newest_index
from leapai.types import FloatArray, IntArray

_logger = logging.getLogger(__name__)
_TF, _TF_STATIC = "/tf", "/tf_static"
_TYPES = {
    "camera": ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"),
    "info": ("sensor_msgs/msg/CameraInfo",),
    "lidar": ("sensor_msgs/msg/PointCloud2",),
    "odometry": ("nav_msgs/msg/Odometry",),
}
_Edges = dict[str, tuple[str, dict[int, FloatArray]]]
"""Child frame -> its parent, and poses by time."""


@dataclass(frozen=True)
class TopicTimes:
    """Messages of one topic in order of time."""

    time_us: IntArray
    """[K] int64, strictly increasing: times of exposures and of sweeps."""
    keys: tuple[MessageKey, ...]
    """[K]"""

    def newest(self, time_us: int, max_age_s: float) -> int | None:
        """Returns the index of the newest message not later than `time_us`; None where that is
        older than `max_age_s`, or there is none."""
        return newest_index(self.time_us, time_us, max_age_s)


@dataclass(frozen=True)
class BagIndex:
    """Times of messages, calibrations and transforms of a bag, as one pass finds them."""

    messages: Mapping[str, TopicTimes]
    """Topic of a sensor -> its messages."""
    lenses: Mapping[str, Lens]
    """Name of a camera -> its calibration."""
    transforms: TransformTree


def check_topics(bag: BagFile, table: TopicTable) -> None:
    """Raises ValueError where the table names a topic that the bag does not have, or of another
    type."""
    named = [("cameras.topic", "camera", camera.topic) for camera in table.cameras]
    named += [("cameras.info", "info", camera.info) for camera in table.cameras]
    if table.lidar is not None:
        named.append(("lidar.topic", "lidar", table.lidar.topic))
    if table.odometry is not None:
        named.append(("odometry", "odometry", table.odometry))
    for field, role, topic in named:
        types = _TYPES[role]
        if bag.types.get(topic) not in types:
            there = topic in bag.types
            kind = f"is of type {listed([bag.types[topic]])}" if there else "is not in the bag"
            fitting = [name for name, found in bag.types.items() if found in types]
            raise ValueError(
                f"{bag.path}: {field} = {topic!r} {kind}; topics of type {' or '.join(types)}: "
                f"{listed(fitting)}"
            )


def index_bag(bag: BagFile, table: TopicTable) -> BagIndex:
    """Reads the bag once, without decoding what sensors gave.

    Messages without a time, and transforms that are none, are left out and counted in a warning for
    each topic. Raises ValueError for a table that does not fit the bag, and for calibrations that
    cannot be.
    """
    check_topics(bag, table)
    times: dict[str, dict[int, MessageKey]] = {sensor.topic: {} for sensor in table.sensors}
    infos: dict[str, Lens] = {}
    transforms = _Transforms(bag, table)
    cameras: Mapping[str, list[CameraTopic]] = _by_info(table)
    topics = {*times, *cameras, *transforms.topics}
    unstamped: Counter[str] = Counter()
    for key, content in bag.messages(topics):
        if key.topic in times:
            time_us = _time_of(key, content, table)
            if time_us is None:
                unstamped[key.topic] += 1
            else:
                times[key.topic].setdefault(time_us, key)
        elif key.topic in transforms.topics:
            transforms.add(key, content)
        else:
            for camera in cameras[key.topic]:
                if camera.name not in infos:
                    message = _decoded(bag, key, content)
                    infos[camera.name] = lens_of(message, camera.rectified, _place(bag, key))
    _warn(bag, unstamped, "messages have no time in their header and are left out (stamps: log)")
    _warn(
        *(bag, transforms.unusable),
        "transforms cannot be decoded, or are no pose (a rotation of zeros, NaN), and are left "
        "out; correct the node that sends them",
    )
    for camera in table.cameras:
        if camera.name not in infos:
            raise ValueError(f"{bag.path}: {camera.info} has no message; record it, too")
    messages = {topic: _in_order(found) for topic, found in times.items()}
    return BagIndex(messages, infos, transforms.tree())


def _warn(bag: BagFile, left_out: Counter[str], words: str) -> None:
    for topic, count in left_out.items():
        _logger.warning("%s: %s: %d %s", bag.path, topic, count, words)


def _by_info(table: TopicTable) -> Mapping[str, list[CameraTopic]]:
    """Returns the cameras by the topic of their CameraInfo."""
    found: dict[str, list[CameraTopic]] = defaultdict(list)
    for camera in table.cameras:
        found[camera.info].append(camera)
    return found


def _time_of(key: MessageKey, content: bytes, table: TopicTable) -> int | None:
    """Returns the time of a message; None: its header has none."""
    if table.stamps == "log":
        return key.log_ns // NS_OF_US
    try:
        return stamp_us(content) or None
    except ValueError:
        return None


def _in_order(found: Mapping[int, MessageKey]) -> TopicTimes:
    ordered = sorted(found)
    return TopicTimes(np.array(ordered, np.int64), tuple(found[time] for time in ordered))


def _place(bag: BagFile, key: MessageKey) -> str:
    return f"{bag.path}: {key.topic} at {key.log_ns / 1e9:.3f} s"


def _decoded(bag: BagFile, key: MessageKey, content: bytes) -> Any:
    try:
        return bag.decoded(key.topic, content)
    except ValueError as error:
        raise ValueError(f"{_place(bag, key)}: {error}; record the bag again") from None


class _Transforms:
    """Collects the transforms of a bag."""

    def __init__(self, bag: BagFile, table: TopicTable) -> None:
        self._bag, self._table = bag, table
        moving = {table.odometry} if table.odometry is not None else set()
        self.topics = {_TF, _TF_STATIC, *moving} & set(bag.types)
        self._static: _Edges = {}
        self._moving: _Edges = {}
        self._odometry: _Edges = {}
        self.unusable: Counter[str] = Counter()
        """Topic -> transforms that were left out: the rules on gaps between poses hold for them."""

    def add(self, key: MessageKey, content: bytes) -> None:
        """Adds the transforms of a message, without those that are none."""
        try:
            message = self._bag.decoded(key.topic, content)
        except ValueError:
            self.unusable[key.topic] += 1
            return
        if key.topic == self._table.odometry:
            pose = message.pose.pose
            self._add(key, self._odometry, message, (pose.orientation, pose.position))
            return
        edges = self._static if key.topic == _TF_STATIC else self._moving
        for each in message.transforms:
            given = (each.transform.rotation, each.transform.translation)
            self._add(key, edges, each, given)

    def _add(
        self, key: MessageKey, edges: _Edges, stamped: Any, rotation_translation: tuple[Any, Any]
    ) -> None:
        """Adds the pose of a child in its parent, which `stamped` names."""
        pose = transform_of(*rotation_translation)
        if pose is None:
            self.unusable[key.topic] += 1
            return
        frames = (stamped.header.frame_id, stamped.child_frame_id)
        _add(edges, frames, self._time(stamped.header, key), pose)

    def tree(self) -> TransformTree:
        """Returns all of them; odometry stands for what /tf has of its frame."""
        return TransformTree(dict(self._tracks()))

    def _tracks(self) -> Iterator[tuple[str, tuple[str, PoseTrack]]]:
        limits = (self._table.max_pose_gap_s, self._table.max_extrapolation_s)
        for edges in (self._static, self._moving, self._odometry):
            for child, (parent, by_time) in edges.items():
                ordered = sorted(by_time)
                time_us = np.array(ordered, np.int64)
                of_times = np.stack([by_time[time] for time in ordered])
                fixed = edges is self._static
                yield child, (parent, PoseTrack(time_us, of_times, *limits, fixed=fixed))

    def _time(self, header: Any, key: MessageKey) -> int:
        if self._table.stamps == "log":
            return key.log_ns // NS_OF_US
        return int(header.stamp.sec) * 10**6 + int(header.stamp.nanosec) // NS_OF_US


def _add(edges: _Edges, frames: tuple[str, str], time_us: int, pose: FloatArray) -> None:
    """Adds a pose of a child in its parent; names of frames may begin with a slash, as in ROS 1."""
    parent, child = (frame.removeprefix("/") for frame in frames)
    known = edges.get(child)
    if known is None or known[0] != parent:  # the last parent holds
        known = edges[child] = (parent, {})
    known[1][time_us] = pose
