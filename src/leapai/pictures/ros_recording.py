"""Results on a drive as a bag of ROS 2: vision_msgs/Detection3DArray, and the health of sensors.

Needs rosbags and mcap (`pip install 'leapai[mcap]'`), so this module is imported late. The clock is
that of the drive and the frame is the ego frame, so that the bag can be played next to the one with
the sensor data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from leapai.pictures.mcap_file import McapFile
from leapai.types import Detections, FloatArray, Frame, MapPolyline, MemorySlots, VectorMap

DETECTIONS, HEALTH = "/leapai/detections", "/leapai/health"
EGO_FRAME = "base_link"
_VISION_MSGS = {
    "ObjectHypothesis": "string class_id\nfloat64 score",
    "ObjectHypothesisWithPose": "vision_msgs/ObjectHypothesis hypothesis\n"
    "geometry_msgs/PoseWithCovariance pose",
    "BoundingBox3D": "geometry_msgs/Pose center\ngeometry_msgs/Vector3 size",
    "Detection3D": "std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n"
    "vision_msgs/BoundingBox3D bbox\nstring id",
    "Detection3DArray": "std_msgs/Header header\nvision_msgs/Detection3D[] detections",
}
"""Messages of vision_msgs 4, which rosbags does not bring."""


class SequenceRecording(McapFile):
    """Records the results on one drive, in order, into a file; a context manager.

    The file is whole when the block has ended. Detections below the confidence `confident` are left
    out.
    """

    def __init__(self, path: Path, _: VectorMap | None, confident: float) -> None:
        super().__init__(path, "ros2")
        self._confident = confident
        self._store = get_typestore(Stores.LATEST)
        for name, text in _VISION_MSGS.items():
            self._store.register(get_types_from_msg(text, f"vision_msgs/msg/{name}"))

    def add(
        self,
        frame: Frame,
        detections: Detections,
        memory: MemorySlots | None,
        map_lines: Sequence[MapPolyline] = (),
    ) -> None:
        """Records the detections and faults of a frame; memory and map have no usual message."""
        shown = detections.select(detections.score >= self._confident)
        header = self._header(frame.timestamp_us)
        names = shown.vocabulary.named(shown.class_id)
        found = [self._detection(shown, i, name, header) for i, name in enumerate(names)]
        array = self._made("vision_msgs/msg/Detection3DArray", header=header, detections=found)
        self._add(DETECTIONS, frame.timestamp_us, array)
        level = self._store.types["diagnostic_msgs/msg/DiagnosticStatus"].WARN
        faults = [
            self._made(
                "diagnostic_msgs/msg/DiagnosticStatus",
                level=level,
                name=words.partition(":")[0],
                message=words,
                hardware_id="",
                values=[],
            )
            for words in frame.faults
        ]
        health = self._made("diagnostic_msgs/msg/DiagnosticArray", header=header, status=faults)
        self._add(HEALTH, frame.timestamp_us, health)

    def _made(self, kind: str, **content: Any) -> Any:
        return self._store.types[kind](**content)

    def _header(self, time_us: int) -> Any:
        seconds, rest_us = divmod(time_us, 10**6)
        stamp = self._made("builtin_interfaces/msg/Time", sec=seconds, nanosec=rest_us * 1000)
        return self._made("std_msgs/msg/Header", stamp=stamp, frame_id=EGO_FRAME)

    def _detection(self, detections: Detections, index: int, name: str, header: Any) -> Any:
        """Returns one object: its class, confidence and box, and its track as `id`; "" where it
        has none."""
        box, track_id = detections.boxes[index], int(detections.track_id[index])
        pose = self._pose(box)
        score = float(detections.score[index])
        hypothesis = self._made("vision_msgs/msg/ObjectHypothesis", class_id=name, score=score)
        with_covariance = self._made(
            "geometry_msgs/msg/PoseWithCovariance", pose=pose, covariance=np.zeros(36)
        )
        result = self._made(
            "vision_msgs/msg/ObjectHypothesisWithPose", hypothesis=hypothesis, pose=with_covariance
        )
        size = self._vector("Vector3", box[3:6])
        return self._made(
            "vision_msgs/msg/Detection3D",
            header=header,
            results=[result],
            bbox=self._made("vision_msgs/msg/BoundingBox3D", center=pose, size=size),
            id=str(track_id) if track_id >= 0 else "",
        )

    def _vector(self, kind: str, xyz: FloatArray) -> Any:
        named = dict(zip("xyz", xyz.tolist(), strict=True))
        return self._made(f"geometry_msgs/msg/{kind}", **named)

    def _pose(self, box: FloatArray) -> Any:
        half_yaw = float(box[6]) / 2
        turn = {"x": 0.0, "y": 0.0, "z": math.sin(half_yaw), "w": math.cos(half_yaw)}
        orientation = self._made("geometry_msgs/msg/Quaternion", **turn)
        position = self._vector("Point", box[:3])
        return self._made("geometry_msgs/msg/Pose", position=position, orientation=orientation)

    def _add(self, topic: str, time_us: int, message: Any) -> None:
        """Records a message, and its definition where it is the first of its topic."""
        kind = message.__msgtype__
        if topic not in self._channels:
            definition, _ = self._store.generate_msgdef(kind, ros_version=2)
            schema = self._writer.register_schema(kind, "ros2msg", definition.encode())
            self._channels[topic] = self._writer.register_channel(topic, "cdr", schema)
        self._write(topic, time_us, bytes(self._store.serialize_cdr(message, kind)))
