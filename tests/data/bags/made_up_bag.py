"""Writes small ROS 2 bags with any content."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from leapai.data.bags.bag_reader import open_logs
from leapai.data.log import OpenOptions

STORE = get_typestore(Stores.ROS2_HUMBLE)
SIZE_PX = (6, 10)
SPEED_MPS = 10.0
START_US = 1_000_000_000
TABLE: dict[str, Any] = {
    "odometry": "/odom",
    "lidar": {"topic": "/points", "intensity_max": 100.0},
    "cameras": [{"name": "front", "group": "front_wide", "topic": "/image", "info": "/info"}],
}


def made(kind: str, /, **content: Any) -> Any:
    return STORE.types[kind](**content)


def header(time_us: int, frame: str) -> Any:
    stamp = made(
        "builtin_interfaces/msg/Time", sec=time_us // 10**6, nanosec=time_us % 10**6 * 1000
    )
    return made("std_msgs/msg/Header", stamp=stamp, frame_id=frame)


class MadeUpBag:
    """A vehicle that drives ahead at `SPEED_MPS`, with a LiDAR 2 m up and a camera at 1 m.

    `change` is given topic and content of every message, and returns the content to write.
    """

    def __init__(
        self,
        folder: Path,
        plugin: StoragePlugin = StoragePlugin.MCAP,
        change: Callable[[str, bytes], bytes] = lambda _, content: content,
    ) -> None:
        self.path, self._change = folder / "drive", change
        self._bag = Writer(self.path, version=9, storage_plugin=plugin)
        self._connections: dict[str, Any] = {}

    def __enter__(self) -> MadeUpBag:
        self._bag.open()
        self.mount("camera", [0, 0, 1], [-0.5, 0.5, -0.5, 0.5])
        self.mount("lidar", [0, 0, 2], [0, 0, 0, 1])
        return self

    def __exit__(self, *_: Any) -> None:
        self._bag.close()

    def add(self, kind: str, topic: str, time_us: int, **content: Any) -> None:
        if topic not in self._connections:
            self._connections[topic] = self._bag.add_connection(topic, kind, typestore=STORE)
        data = self._change(topic, bytes(STORE.serialize_cdr(made(kind, **content), kind)))
        self._bag.write(self._connections[topic], time_us * 1000, data)

    def raw(self, topic: str, time_us: int, data: bytes) -> None:
        self._bag.write(self._connections[topic], time_us * 1000, data)

    def mount(self, frame: str, xyz: Any, xyzw: Any) -> None:
        self.place("/tf_static", START_US, ("base_link", frame), xyz, xyzw)

    def place(
        self, topic: str, time_us: int, frames: tuple[str, str], xyz: Any, xyzw: Any = (0, 0, 0, 1)
    ) -> None:
        """Adds a transform; `frames`: the parent and the child."""
        transform = made(
            "geometry_msgs/msg/TransformStamped",
            header=header(time_us, frames[0]),
            child_frame_id=frames[1],
            transform=made(
                "geometry_msgs/msg/Transform",
                translation=self._vector("Vector3", xyz),
                rotation=self._quaternion(xyzw),
            ),
        )
        self.add("tf2_msgs/msg/TFMessage", topic, time_us, transforms=[transform])

    def pose(self, time_us: int, x_m: float | None = None) -> None:
        ahead_m = (time_us - START_US) / 1e6 * SPEED_MPS if x_m is None else x_m
        pose = made(
            "geometry_msgs/msg/Pose",
            position=self._vector("Point", [ahead_m, 0, 0]),
            orientation=self._quaternion([0, 0, 0, 1]),
        )
        still = self._vector("Vector3", [0, 0, 0])
        twist = made("geometry_msgs/msg/Twist", linear=still, angular=still)
        covariance = {"covariance": np.zeros(36)}
        self.add(
            *("nav_msgs/msg/Odometry", "/odom", time_us),
            header=header(time_us, "odom"),
            child_frame_id="base_link",
            pose=made("geometry_msgs/msg/PoseWithCovariance", pose=pose, **covariance),
            twist=made("geometry_msgs/msg/TwistWithCovariance", twist=twist, **covariance),
        )

    def image(self, time_us: int, value: int, encoding: str = "rgb8", **changes: Any) -> None:
        height, width = SIZE_PX
        content = {
            "header": header(time_us, "camera"),
            "height": height,
            "width": width,
            "encoding": encoding,
            "is_bigendian": 0,
            "step": 3 * width,
            "data": np.full(height * width * 3, value, np.uint8),
        }
        self.add("sensor_msgs/msg/Image", "/image", time_us, **(content | changes))

    def info(self, time_us: int, **changes: Any) -> None:
        height, width = SIZE_PX
        roi = {"x_offset": 0, "y_offset": 0, "height": 0, "width": 0, "do_rectify": False}
        content = {
            "header": header(time_us, "camera"),
            "height": height,
            "width": width,
            "distortion_model": "plumb_bob",
            "d": np.array([0.1, 0.0, 0.0, 0.0, 0.0]),
            "k": np.array([8.0, 0, 5, 0, 8, 3, 0, 0, 1]),
            "r": np.eye(3).ravel(),
            "p": np.array([7.0, 0, 5, 0, 0, 7, 3, 0, 0, 0, 1, 0]),
            "binning_x": 0,
            "binning_y": 0,
            "roi": made("sensor_msgs/msg/RegionOfInterest", **roi),
        }
        self.add("sensor_msgs/msg/CameraInfo", "/info", time_us, **(content | changes))

    def sweep(self, time_us: int, table: np.ndarray, **changes: Any) -> None:
        """Adds points, a structured array [P]."""
        kinds = {"f4": 7, "f8": 8, "u4": 6}
        assert table.dtype.fields is not None
        fields = [
            made(
                "sensor_msgs/msg/PointField",
                name=name,
                offset=offset,
                datatype=kinds[kind.str[1:]],
                count=1,
            )
            for name, (kind, offset) in table.dtype.fields.items()
        ]
        step = table.dtype.itemsize
        content = {
            "header": header(time_us, "lidar"),
            "height": 1,
            "width": len(table),
            "fields": fields,
            "is_bigendian": False,
            "point_step": step,
            "row_step": step * len(table),
            "data": np.frombuffer(table.tobytes(), np.uint8),
            "is_dense": False,
        }
        self.add("sensor_msgs/msg/PointCloud2", "/points", time_us, **(content | changes))

    @staticmethod
    def _vector(kind: str, xyz: Any) -> Any:
        return made(f"geometry_msgs/msg/{kind}", **dict(zip("xyz", map(float, xyz), strict=True)))

    @staticmethod
    def _quaternion(xyzw: Any) -> Any:
        content = dict(zip("xyzw", map(float, xyzw), strict=True))
        return made("geometry_msgs/msg/Quaternion", **content)


def points(xyz: Any, **columns: Any) -> np.ndarray:
    """Returns a structured array of points [P, 3] with more columns: name=(type, values)."""
    xyz = np.asarray(xyz, np.float32).reshape(-1, 3)
    layout = [(axis, "<f4") for axis in "xyz"] + [(n, kind) for n, (kind, _) in columns.items()]
    table = np.zeros(len(xyz), layout)
    for axis, values in zip("xyz", xyz.T, strict=True):
        table[axis] = values
    for name, (_, values) in columns.items():
        table[name] = values
    return table


def opened(path: Path, table: dict[str, Any] | None = None, **changes: Any) -> Any:
    """Writes the table of topics next to a bag and opens it."""
    (path.parent / "topics.json").write_text(json.dumps((table or TABLE) | changes))
    return open_logs(str(path), OpenOptions((6, 10)))[0]
