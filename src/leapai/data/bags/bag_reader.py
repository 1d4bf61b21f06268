"""ROS 2 bags as a source: cameras, LiDAR and the motion of the vehicle, by a table of topics.

`rosbag:PATH[,topics=FILE]`, or the bare path: a bag (a folder with `metadata.yaml`, a `.mcap` or a
`.db3` file) or a folder of bags. The table is `topics.json` in the bag, or in the folder that it
lies in (`topic_table.py`; docs/logs.md).

A frame is a sweep, with the newest image of each camera that is not later, at the pose of its own
exposure; without a LiDAR it is an image of the first camera. Poses are interpolated. Points with
times are moved to where they were at the time of the frame. There are no labels.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from leapai.data.bags.bag_file import BagFile, MessageKey, listed
from leapai.data.bags.bag_index import BagIndex, index_bag
from leapai.data.bags.bag_messages import image_of
from leapai.data.bags.bag_motion import BagMotion
from leapai.data.bags.bag_poses import NoPoseError
from leapai.data.bags.bag_sweep import read_intensity_max, sweep_points
from leapai.data.bags.topic_table import TOPICS, CameraTopic, TopicTable, read_topic_table
from leapai.data.data_names import BAG_METADATA, BAG_SUFFIXES, bags_at
from leapai.data.log import DrivingLog, OpenOptions
from leapai.data.reading import FaultLog, SensorError
from leapai.data.reduced_images import reduced_intrinsics, reduced_size, reduction
from leapai.types import CameraFrame, FloatArray, Frame, IntArray

_logger = logging.getLogger(__name__)
_LIDAR = "lidar"
_SENSORS = ("Image", "CompressedImage", "PointCloud2")


def open_logs(location: str, options: OpenOptions) -> list[BagLog]:
    """Opens the bags at a path; each is read once to find the times of its messages.

    Raises ValueError where there is no bag or no table, and for what is wrong in either.
    """
    given, _, option = location.partition(",")
    name, _, table = option.partition("=")
    if option and name != "topics":
        raise ValueError(f"rosbag:{location}: {option!r} is no option; the one is topics=FILE")
    path = Path(given).absolute()
    bags = bags_at(path)
    if not bags:
        raise ValueError(
            f"rosbag:{location}: there is no bag of ROS 2 (a folder with {BAG_METADATA}, or a file "
            f"{' or '.join(BAG_SUFFIXES)}); convert one of ROS 1 with rosbags-convert"
        )
    _check_names(bags)
    logs = [_opened(bag, Path(table) if table else None) for bag in bags]
    for log in logs:
        log.least_image_px, log.vocabulary = options.least_image_px, options.vocabulary
    return logs


def _name_of(path: Path) -> str:
    """Returns the name of the drive in a bag."""
    return path.stem if path.is_file() else path.name


def _check_names(bags: Sequence[Path]) -> None:
    """Raises ValueError where two bags would be one drive."""
    by_name: dict[str, Path] = {}
    for bag in bags:
        other = by_name.setdefault(_name_of(bag), bag)
        if other != bag:
            raise ValueError(
                f"{other} and {bag} are both drive {_name_of(bag)!r}; name one of them, or rename "
                "or move the other"
            )


def _opened(path: Path, table: Path | None) -> BagLog:
    bag = BagFile(path)
    places = [path / TOPICS, path.parent / TOPICS] if path.is_dir() else [path.parent / TOPICS]
    found = table or next((place for place in places if place.is_file()), None)
    if found is None:
        kinds = {topic: kind.rpartition("/")[2] for topic, kind in bag.types.items()}
        sensors = [f"{topic} ({kind})" for topic, kind in kinds.items() if kind in _SENSORS]
        raise ValueError(
            f"{path}: {TOPICS} is missing, which names the topics of the sensors; write it next to "
            f"the bag, or name one by topics=FILE. Sensors of the bag: {listed(sensors)}"
        )
    log = BagLog(bag, read_topic_table(found))
    log.table_folders = (found.absolute().parent,)
    return log


class BagLog(DrivingLog):
    """One bag. Messages are read when a frame is asked for."""

    least_image_px: tuple[int, int] | None = None
    """Height, width that reduced images have at least; None: they are not reduced."""

    def __init__(self, bag: BagFile, table: TopicTable) -> None:
        """Reads the times of all messages, and all transforms. Raises ValueError where they do not
        fit the table."""
        self.name = _name_of(bag.path)
        self._bag, self._table = bag, table
        self._index: BagIndex = index_bag(bag, table)
        self._motion = BagMotion(self._index.transforms, table, bag.path)
        self._faults = FaultLog(bag.path)
        self._first = table.lidar or table.cameras[0]
        self._frames = self._known_frames()
        self._mounts = {camera.name: self._mount(camera) for camera in table.cameras}

    @property
    def timestamps_us(self) -> IntArray:
        """[T] int64."""
        return self._frame_us[self._frames]

    @cached_property
    def _frame_us(self) -> IntArray:
        """Times of all sweeps, or images of the first camera, [K] int64."""
        lidar = self._table.lidar
        after_us = 0 if lidar is None else round(lidar.frame_after_stamp_s * 1e6)
        return np.asarray(self._index.messages[self._first.topic].time_us + after_us, np.int64)

    def _known_frames(self) -> IntArray:
        """Returns the frames [T] whose pose is known; the others are counted in a warning. Raises
        ValueError where there are none."""
        times = self._frame_us
        if not len(times):
            raise ValueError(f"{self._bag.path}: {self._first.topic} has no message with a time")
        known = self._motion.covers(times)
        left_out = int((~known).sum())
        if left_out == len(times):
            raise ValueError(
                f"{self._bag.path}: no message of {self._first.topic} has a time with a pose of "
                f"{self._table.ego_frame!r} in {self._table.global_frame!r}; do their clocks "
                "differ (stamps: log)?"
            )
        if left_out:
            _logger.warning(
                "%s: %d of %d frames are left out: there is no pose at their time (max_pose_gap_s, "
                "max_extrapolation_s)",
                *(self._bag.path, left_out, len(times)),
            )
        return np.flatnonzero(known)

    def _mount(self, camera: CameraTopic) -> FloatArray:
        """Returns where a camera is mounted [4, 4]. Raises ValueError where that is not known."""
        lens, mount = self._index.lenses[camera.name], camera.mount()
        try:
            if mount is None:
                mount = self._motion.mount(camera.frame or lens.frame, int(self.timestamps_us[0]))
        except NoPoseError as error:
            raise ValueError(f"{self._bag.path}: camera {camera.name}: {error}") from None
        return np.asarray(mount @ lens.frame_from_camera)

    @cached_property
    def _intensity_max(self) -> float:
        """The intensity that becomes 1."""
        assert self._table.lidar is not None
        return read_intensity_max(self._bag, self._table.lidar, self._index)

    def __getitem__(self, index: int) -> Frame:
        time_us = int(self.timestamps_us[index])
        images = {camera.name: self._newest(camera, time_us) for camera in self._table.cameras}
        chosen = {name: key for name, (key, _) in images.items() if key is not None}
        lidar = self._table.lidar
        if lidar is not None:
            chosen[_LIDAR] = self._index.messages[lidar.topic].keys[self._frames[index]]
        try:
            contents, damage = self._bag.read(list(chosen.values())), "is not in the bag any more"
        except ValueError as error:
            contents, damage = {}, str(error)
        read = {name: contents[key] for name, key in chosen.items() if key in contents}
        faults: list[str] = []
        cameras = tuple(
            self._camera(camera, (time_us, images[camera.name][1]), read, damage, faults)
            for camera in self._table.cameras
        )
        points = self._points(time_us, read.get(_LIDAR), damage, faults)
        pose = self._motion.global_from_ego(time_us)
        return Frame(self.name, time_us, pose, cameras, points, faults=tuple(faults))

    def ground_truth(self, index: int) -> Frame:
        """Returns time and pose; there are no labels."""
        time_us = int(self.timestamps_us[index])
        return Frame(self.name, time_us, self._motion.global_from_ego(time_us), (), None)

    def _newest(self, camera: CameraTopic, time_us: int) -> tuple[MessageKey | None, int]:
        """Returns the newest image that is not later than the frame, and its time; None and -1:
        there is none."""
        times = self._index.messages[camera.topic]
        index = times.newest(time_us, self._table.max_image_age_s)
        return (None, -1) if index is None else (times.keys[index], int(times.time_us[index]))

    def _camera(
        self,
        camera: CameraTopic,
        times_us: tuple[int, int],
        read: Mapping[str, bytes],
        damage: str,
        faults: list[str],
    ) -> CameraFrame:
        """Returns a camera at the times of the frame and of its exposure."""
        frame_us, exposed_us = times_us
        lens = self._index.lenses[camera.name]
        factor = reduction(lens.size_px, self.least_image_px)
        topic, image, motion = self._path_of(camera.topic), None, np.eye(4)
        try:
            if exposed_us < 0:
                age = f"{self._table.max_image_age_s:g} s before {frame_us} us"
                raise SensorError(topic, f"no image within {age}")
            motion = self._motion.ego_from_ego_at(frame_us, np.array([exposed_us]))[0]
            message = self._message(camera.topic, read.get(camera.name), damage)
            image = image_of(message, topic, lens.size_px, factor)
        except SensorError as fault:
            faults.append(self._faults.note(camera.name, fault))
        except NoPoseError as error:
            faults.append(self._faults.note(camera.name, SensorError(topic, str(error))))
        return CameraFrame(
            name=camera.name,
            group=camera.group,
            image=image,
            size_px=reduced_size(lens.size_px, factor),
            intrinsics=reduced_intrinsics(lens.intrinsics, factor),
            distortion=lens.distortion,
            ego_from_camera=motion @ self._mounts[camera.name],
            timestamp_us=frame_us if exposed_us < 0 else exposed_us,
        )

    def _points(
        self, time_us: int, content: bytes | None, damage: str, faults: list[str]
    ) -> FloatArray | None:
        """Returns the points [P, 5] of a frame in the ego frame; None: there are none to use."""
        lidar = self._table.lidar
        if lidar is None:
            return None
        topic = self._path_of(lidar.topic)
        try:
            message = self._message(lidar.topic, content, damage)
            return sweep_points(message, topic, lidar, (time_us, self._intensity_max), self._motion)
        except SensorError as fault:
            faults.append(self._faults.note(_LIDAR, fault))
        except NoPoseError as error:
            faults.append(self._faults.note(_LIDAR, SensorError(topic, str(error))))
        return None

    def _message(self, topic: str, content: bytes | None, damage: str) -> Any:
        """Returns a decoded message. Raises SensorError where there is none, or it is damaged."""
        if content is None:
            raise SensorError(self._path_of(topic), damage)
        try:
            return self._bag.decoded(topic, content)
        except ValueError as error:
            raise SensorError(self._path_of(topic), str(error)) from error

    def _path_of(self, topic: str) -> Path:
        """Returns a topic as a path inside the bag, as faults name it."""
        return self._bag.path / topic.lstrip("/")
