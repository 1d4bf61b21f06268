"""The motion of the vehicle in a bag, and the mounts of its sensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from leapai.data.bags.bag_poses import NoPoseError, TransformTree
from leapai.data.bags.topic_table import TopicTable
from leapai.geometry import poses
from leapai.types import BoolArray, FloatArray, IntArray


class BagMotion:
    """Poses of the ego frame of a bag over time; a vehicle without a global frame stands still."""

    def __init__(self, transforms: TransformTree, table: TopicTable, path: Path) -> None:
        self._transforms, self._path = transforms, path
        self._ego, self._global = table.ego_frame, table.global_frame
        self._last: tuple[int, FloatArray] | None = None
        """Time and pose that were asked for last: all sensors of a frame ask for its own."""

    def covers(self, time_us: IntArray) -> BoolArray:
        """Returns whether the pose is known at times [N]. Raises ValueError where the ego frame and
        the global frame are not connected."""
        if self._global is None:
            return np.ones(len(time_us), bool)
        try:
            return self._transforms.covers(self._global, self._ego, time_us)
        except NoPoseError as error:
            raise ValueError(
                f"{self._path}: {error}; correct ego_frame and global_frame, name the topic of "
                "odometry, or set global_frame to null if the vehicle stands still"
            ) from None

    def global_from_ego(self, time_us: int) -> FloatArray:
        """Returns the pose at a time [4, 4] float64. Raises NoPoseError where it is not known."""
        if self._last is None or self._last[0] != time_us:
            self._last = time_us, self.global_from_ego_at(np.array([time_us]))[0]
        return np.array(self._last[1])

    def global_from_ego_at(self, time_us: IntArray) -> FloatArray:
        """Returns the poses at times [N] as [N, 4, 4] float64. Raises NoPoseError where one is not
        known."""
        if self._global is None:
            return np.broadcast_to(np.eye(4), (len(time_us), 4, 4))
        return self._transforms.pose(self._global, self._ego, time_us)

    def ego_from_ego_at(self, dst_us: int, src_us: IntArray) -> FloatArray:
        """Returns the motion from times [N] to another [N, 4, 4] float64, exactly the identity for
        the same time. Raises NoPoseError where a pose is not known."""
        motion = poses.invert(self.global_from_ego(dst_us)) @ self.global_from_ego_at(src_us)
        motion[src_us == dst_us] = np.eye(4)
        return motion

    def mount(self, frame: str, time_us: int) -> FloatArray:
        """Returns `ego_from_sensor` of the frame of a sensor [4, 4] float64. Raises NoPoseError
        where the transforms of the bag do not have it."""
        try:
            name = frame.removeprefix("/")
            return np.array(self._transforms.pose(self._ego, name, np.array([time_us]))[0])
        except NoPoseError as error:
            raise NoPoseError(f"{error}; give ego_from_sensor, or correct frame") from None
