"""A drive as an MCAP file on Foxglove's schemas: cameras, LiDAR, objects, trails, map and faults.

Needs mcap and Foxglove's schemas (`pip install 'leapai[mcap]'`), so this module is imported late.
The frame `world` is the ego frame of the first frame, as in `recording.py`. Every message stands
for itself: a viewer may begin anywhere. Chunks and the file have checksums.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from foxglove_schemas_protobuf.FrameTransforms_pb2 import FrameTransforms
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from mcap_protobuf.schema import register_schema

from leapai.geometry import poses
from leapai.io import write_text
from leapai.pictures import foxglove_messages as parts
from leapai.pictures.bev_scene import Trails
from leapai.pictures.camera_overlay import CameraView
from leapai.pictures.foxglove_layout import LAYOUT, METRICS, foxglove_layout
from leapai.pictures.mcap_file import McapFile
from leapai.pictures.recording_bounds import IMAGE_WIDTH_PX, TRAIL_POINTS
from leapai.types import (
    CameraFrame,
    Detections,
    FloatArray,
    Frame,
    MapPolyline,
    MemorySlots,
    VectorMap,
)

_METRICS_SCHEMA = {
    "type": "object",
    "properties": {name: {"type": "number"} for name in METRICS},
}
"""JSON schema of the topic `/metrics`."""


class SequenceRecording(McapFile):
    """Records the frames of one drive, in order, into a file; a context manager.

    The file is whole when the block has ended; a layout for Foxglove is written next to it.
    Detections below the confidence `confident` are left out.
    """

    def __init__(self, path: Path, vector_map: VectorMap | None, confident: float) -> None:
        super().__init__(path)
        self._path, self._map, self._confident = path, vector_map or (), confident
        self._trails = Trails(TRAIL_POINTS)
        self._world_from_global: FloatArray = np.eye(4)
        self._schemas: dict[str, int] = {}
        self._cameras: tuple[str, ...] = ()

    def add(
        self,
        frame: Frame,
        detections: Detections,
        memory: MemorySlots | None,
        map_lines: Sequence[MapPolyline] = (),
    ) -> None:
        """Records a frame; `detections` and `map_lines`, those of the predicted map, are in its ego
        frame."""
        time_us, at = frame.timestamp_us, parts.time_of(frame.timestamp_us)
        if not self._channels:
            self._begin(frame, at)
        shown = detections.select(detections.score >= self._confident)
        self._add("/tf", time_us, self._transforms(frame, at))
        self._add("/lidar", time_us, parts.cloud(frame.points, at))
        self._add("/objects", time_us, parts.objects(shown, at))
        self._add("/map", time_us, parts.map_lines(map_lines, at))
        paths, index = self._trails.paths(frame, shown, self._world_from_global)
        self._add("/trails", time_us, parts.trails(paths, shown.class_id[index].tolist(), at))
        for camera in frame.cameras:
            self._add_camera(camera, time_us, at)
        if frame.labels is not None:
            self._add("/ground_truth", time_us, parts.ground_truth(frame.labels, at))
        for words in frame.faults:
            self._add("/health", time_us, parts.fault(words, at))
        self._add_metrics(frame, shown, memory)

    def _begin(self, frame: Frame, at: Timestamp) -> None:
        """Records what holds for all frames: `world` is where the first one is."""
        self._world_from_global = poses.invert(np.asarray(frame.ego2global, np.float64))
        self._cameras = tuple(camera.name for camera in frame.cameras)
        self._add("/vehicle", frame.timestamp_us, parts.vehicle(at))
        if self._map:
            lines = [poses.apply(self._world_from_global, line.points_m) for line in self._map]
            layers = [line.layer for line in self._map]
            self._add("/map/given", frame.timestamp_us, parts.given_map(lines, layers, at))

    def _transforms(self, frame: Frame, at: Timestamp) -> FrameTransforms:
        """Returns the ego in `world`, and each camera in the ego frame at its own exposure."""
        world_from_ego = self._world_from_global @ np.asarray(frame.ego2global, np.float64)
        placed = [parts.transform(parts.WORLD, parts.EGO, world_from_ego, at)]
        placed += [
            parts.transform(parts.EGO, parts.camera_frame(camera.name), camera.ego_from_camera, at)
            for camera in frame.cameras
        ]
        return FrameTransforms(transforms=placed)

    def _add_camera(self, camera: CameraFrame, time_us: int, at: Timestamp) -> None:
        height, width = camera.size_px
        scale = min(1.0, IMAGE_WIDTH_PX / width)
        view = CameraView(camera, (round(height * scale), round(width * scale)))
        topic = f"/camera/{camera.name}"
        self._add(f"{topic}/image", time_us, parts.image(view, at))
        self._add(f"{topic}/calibration", time_us, parts.calibration(view, at))

    def _add_metrics(self, frame: Frame, shown: Detections, memory: MemorySlots | None) -> None:
        content = {
            "objects": len(shown),
            "memory_slots": 0 if memory is None else len(memory.frames_ago),
            "points": 0 if frame.points is None else len(frame.points),
            "faults": len(frame.faults),
        }
        topic = "/metrics"
        if topic not in self._channels:
            schema = self._writer.register_schema(
                "leapai.Metrics", "jsonschema", json.dumps(_METRICS_SCHEMA).encode()
            )
            self._channels[topic] = self._writer.register_channel(topic, "json", schema)
        self._write(topic, frame.timestamp_us, json.dumps(content).encode())

    def _add(self, topic: str, time_us: int, message: Message) -> None:
        """Records a protobuf message, and its schema where it is the first of its kind."""
        kind = message.DESCRIPTOR.full_name
        if topic not in self._channels:
            if kind not in self._schemas:
                self._schemas[kind] = register_schema(self._writer, type(message))
            schema = self._schemas[kind]
            self._channels[topic] = self._writer.register_channel(topic, "protobuf", schema)
        self._write(topic, time_us, message.SerializeToString())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        if kind is None:
            layout = foxglove_layout(self._cameras)
            write_text(self._path.parent / LAYOUT, json.dumps(layout, indent=2) + "\n")
