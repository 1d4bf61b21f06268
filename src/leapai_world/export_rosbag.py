"""Export of drives of the embedded world as ROS 2 bags in MCAP, with the table of their topics.

Every tool of ROS 2 can then be tried without a robot, and `leapai` reads them back. Points are in
the ego frame at the time of the sweep, where they come from; images are JPEG, as cameras of robots
record them. There is odometry at the time of every sensor. Labels and the map are lost: ROS has no
usual message for them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from leapai.extras import import_extra
from leapai.types.frames import CameraFrame, Frame
from leapai.types.vocabulary import FloatArray
from leapai_world.sequence import SyntheticSequence
from leapai_world.whole_folder import whole_folder

JPEG_QUALITY = 95
_EGO, _GLOBAL = "base_link", "odom"
_ODOMETRY, _LIDAR = "/odometry", "/lidar/points"
_COLUMNS = ("x", "y", "z", "intensity", "dt_s")
_FLOAT32 = 7
"""Number of the type in sensor_msgs/PointField."""
_STEP_US = 20_000
"""Odometry comes at 50 Hz, too, as wheels give it."""


def export_rosbags(
    drives: Sequence[SyntheticSequence],
    output: Path,
    say: Callable[[str], None] = lambda _: None,
) -> int:
    """Writes a bag for each drive into the new folder `output`; returns the number of frames.

    Everything is written next to `output` and moved there at the end: a run that fails leaves
    nothing. `say` is called with the name of each finished drive. Raises ValueError where `output`
    exists and where the disk is full, MissingExtraError where rosbags is not installed.
    """
    with whole_folder(output) as temporary:
        import_extra("rosbags.rosbag2", "mcap", "a ROS 2 bag needs rosbags")
        for sequence in drives:
            _Bag(sequence).write(temporary / sequence.name)
            say(sequence.name)
        (temporary / "topics.json").write_text(json.dumps(_topic_table(drives[0]), indent=2) + "\n")
    return sum(len(sequence) for sequence in drives)


def _topic_table(sequence: SyntheticSequence) -> dict[str, Any]:
    """Returns the content of `topics.json`."""
    cameras = [
        {
            "name": camera.name,
            "group": camera.group,
            "topic": f"/{camera.name}/image/compressed",
            "info": f"/{camera.name}/camera_info",
        }
        for camera in sequence.rig.cameras
    ]
    lidar = {
        "topic": _LIDAR,
        "intensity_max": 1.0,
        "time_field": "dt_s",
        "motion_compensated": True,
    }
    table = {"ego_frame": _EGO, "global_frame": _GLOBAL, "odometry": _ODOMETRY}
    return {**table, **({} if sequence.rig.lidar is None else {"lidar": lidar}), "cameras": cameras}


class _Bag:
    """Writer of the bag of one drive."""

    def __init__(self, sequence: SyntheticSequence) -> None:
        from rosbags.rosbag2 import StoragePlugin, Writer
        from rosbags.typesys import Stores, get_typestore

        self._sequence = sequence
        self._plugin, self._writer = StoragePlugin.MCAP, Writer
        self._store = get_typestore(Stores.ROS2_HUMBLE)
        self._connections: dict[str, Any] = {}
        self._bag: Any = None

    def write(self, path: Path) -> None:
        """Writes the bag as the folder `path`."""
        first_us = int(self._sequence.timestamps_us[0])
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._writer(path, version=9, storage_plugin=self._plugin) as self._bag:
            self._add_mounts(first_us)
            posed_us: set[int] = set()
            for index in range(len(self._sequence)):
                frame = self._sequence[index]
                self._add_odometry(frame, posed_us)
                for camera in frame.cameras:
                    self._add_camera(camera)
                if frame.points is not None:
                    self._add("PointCloud2", _LIDAR, frame.timestamp_us, **self._cloud(frame))

    def _type(self, name: str) -> Any:
        return self._store.types[name]

    def _add(self, kind: str, topic: str, time_us: int, frame: str = _EGO, **content: Any) -> None:
        """Adds a message with a header."""
        package = "nav_msgs" if kind == "Odometry" else "sensor_msgs"
        header = self._header(time_us, frame)
        self._write(f"{package}/msg/{kind}", topic, time_us, header=header, **content)

    def _write(self, kind: str, topic: str, time_us: int, **content: Any) -> None:
        if topic not in self._connections:
            known = {"typestore": self._store}
            self._connections[topic] = self._bag.add_connection(topic, kind, **known)
        data = self._store.serialize_cdr(self._type(kind)(**content), kind)
        self._bag.write(self._connections[topic], time_us * 1000, data)

    def _header(self, time_us: int, frame: str) -> Any:
        seconds, rest_us = divmod(time_us, 10**6)
        stamp = self._type("builtin_interfaces/msg/Time")(sec=seconds, nanosec=rest_us * 1000)
        return self._type("std_msgs/msg/Header")(stamp=stamp, frame_id=frame)

    def _parts(self, pose: FloatArray, point: str) -> tuple[Any, Any]:
        """Returns translation, as a Vector3 or Point, and rotation of a pose [4, 4]."""
        x, y, z, w = Rotation.from_matrix(pose[:3, :3]).as_quat().tolist()
        xyz = dict(zip("xyz", pose[:3, 3].tolist(), strict=True))
        rotation = self._type("geometry_msgs/msg/Quaternion")(x=x, y=y, z=z, w=w)
        return self._type(f"geometry_msgs/msg/{point}")(**xyz), rotation

    def _add_mounts(self, time_us: int) -> None:
        transforms = []
        for camera in self._sequence.rig.cameras:
            translation, rotation = self._parts(camera.ego_from_camera, "Vector3")
            parts = {"translation": translation, "rotation": rotation}
            transforms.append(
                self._type("geometry_msgs/msg/TransformStamped")(
                    header=self._header(time_us, _EGO),
                    child_frame_id=camera.name,
                    transform=self._type("geometry_msgs/msg/Transform")(**parts),
                )
            )
        self._write("tf2_msgs/msg/TFMessage", "/tf_static", time_us, transforms=transforms)

    def _add_odometry(self, frame: Frame, posed_us: set[int]) -> None:
        """Adds the poses at the times of the sensors of a frame, and between, that are not there
        yet."""
        until_us = frame.timestamp_us
        times = {until_us, *(camera.timestamp_us for camera in frame.cameras)}
        times |= set(range(until_us - 5 * _STEP_US, until_us, _STEP_US))
        for time_us in sorted(times - posed_us):
            position, orientation = self._parts(self._sequence.ego2global_at(time_us), "Point")
            pose = self._type("geometry_msgs/msg/Pose")(position=position, orientation=orientation)
            zero = self._type("geometry_msgs/msg/Vector3")(x=0.0, y=0.0, z=0.0)
            twist = self._type("geometry_msgs/msg/Twist")(linear=zero, angular=zero)
            unknown = np.zeros(36)
            unknown[0] = -1.0  # of the twist: it is not given
            self._add(
                *("Odometry", _ODOMETRY, time_us, _GLOBAL),
                child_frame_id=_EGO,
                pose=self._with_covariance("Pose", pose=pose, covariance=np.zeros(36)),
                twist=self._with_covariance("Twist", twist=twist, covariance=unknown),
            )
        posed_us |= times

    def _with_covariance(self, kind: str, **content: Any) -> Any:
        return self._type(f"geometry_msgs/msg/{kind}WithCovariance")(**content)

    def _add_camera(self, camera: CameraFrame) -> None:
        assert camera.image is not None
        place = (camera.timestamp_us, camera.name)
        bgr = cv2.cvtColor(camera.image, cv2.COLOR_RGB2BGR)
        _, encoded = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))
        image_topic = f"/{camera.name}/image/compressed"
        self._add("CompressedImage", image_topic, *place, format="jpeg", data=encoded.ravel())
        height, width = camera.size_px
        projection = np.hstack([camera.intrinsics, np.zeros((3, 1))])
        whole = {"x_offset": 0, "y_offset": 0, "height": 0, "width": 0, "do_rectify": False}
        self._add(
            *("CameraInfo", f"/{camera.name}/camera_info", *place),
            height=height,
            width=width,
            distortion_model="plumb_bob",
            d=camera.distortion,
            k=camera.intrinsics.ravel(),
            r=np.eye(3).ravel(),
            p=projection.ravel(),
            binning_x=0,
            binning_y=0,
            roi=self._type("sensor_msgs/msg/RegionOfInterest")(**whole),
        )

    def _cloud(self, frame: Frame) -> dict[str, Any]:
        assert frame.points is not None
        field = self._type("sensor_msgs/msg/PointField")
        fields = [
            field(name=name, offset=4 * i, datatype=_FLOAT32, count=1)
            for i, name in enumerate(_COLUMNS)
        ]
        points = np.ascontiguousarray(frame.points, "<f4")
        step = 4 * len(_COLUMNS)
        return {
            "height": 1,
            "width": len(points),
            "fields": fields,
            "is_bigendian": False,
            "point_step": step,
            "row_step": step * len(points),
            "data": points.view(np.uint8).ravel(),
            "is_dense": True,
        }
