"""A drive as a recording for rerun's viewer: cameras, LiDAR, boxes, tracks, memory, and the map.

Needs rerun-sdk (`pip install 'leapai[viewer]'`), so this module is imported late.

The frame `world` of a recording is the ego frame of its first frame. The viewer calculates in
float32, whose neighbours lie 0.5 m apart at map coordinates: so all poses are made relative to that
first one in float64, and only then handed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import rerun as rr

from leapai.geometry import poses
from leapai.pictures import recording_parts as parts
from leapai.pictures.bev_scene import Trails
from leapai.pictures.camera_overlay import CameraView
from leapai.pictures.recording_blueprint import Entity, plot_styles, sequence_blueprint
from leapai.pictures.recording_bounds import TRAIL_POINTS
from leapai.types import Detections, FloatArray, Frame, Labels, MapPolyline, MemorySlots, VectorMap

_LARGE_CHUNKS = {"flush_tick": 3600.0, "flush_num_bytes": 4_000_000}
"""Rows wait for each other, up to 4 MB: a chunk a row would make the file larger and slow to
open."""


class SequenceRecording:
    """Records the frames of one drive, in order, into a file; a context manager.

    The file can be read when the block has ended. `confident` is the confidence from which a
    detection is shown; those below it are recorded, too, as an entity of their own that the viewer
    hides at first.
    """

    def __init__(self, path: Path, vector_map: VectorMap | None, confident: float) -> None:
        self._map, self._confident = vector_map or (), confident
        self._trails = Trails(TRAIL_POINTS)
        self._number = 0
        self._start_us = 0
        self._world_from_global: FloatArray = np.eye(4)
        self._log = rr.RecordingStream(
            "leapai", batcher_config=rr.ChunkBatcherConfig(**_LARGE_CHUNKS)
        )
        self._log.set_log_tick_enabled(False)
        self._log.set_log_time_enabled(False)
        self._log.save(path)

    def add(
        self,
        frame: Frame,
        detections: Detections,
        memory: MemorySlots | None,
        map_lines: Sequence[MapPolyline] = (),
    ) -> None:
        """Records a frame; `detections`, `memory` and `map_lines`, those of the predicted map, are
        in its ego frame.

        What a frame lacks is recorded as empty: the viewer shows the last it was given.
        """
        if self._number == 0:
            self._begin(frame)
        log, sure = self._log, detections.score >= self._confident
        log.set_time("frame", sequence=self._number)
        log.set_time("time", duration=np.timedelta64(frame.timestamp_us - self._start_us, "us"))
        shown = detections.select(sure)
        log.log(Entity.EGO, parts.pose(self._world_from_ego(frame)))
        log.log(Entity.LIDAR, parts.returns(frame.points))
        gt = frame.labels or parts.no_labels()
        log.log(Entity.GT, parts.gt(gt))
        log.log(Entity.PREDICTED_MAP, parts.predicted_map_lines(map_lines))
        self._log_detections(Entity.BOXES, shown)
        self._log_detections(Entity.UNSURE, detections.select(~sure))
        self._log_memory(memory or parts.no_memory())
        self._log_tracks(frame, shown)
        self._log_cameras(frame, shown, gt, map_lines)
        self._log_metrics(frame, shown, memory)
        self._number += 1

    def _begin(self, frame: Frame) -> None:
        """Records what holds for all frames: `world` is where the first one is."""
        self._world_from_global = poses.invert(np.asarray(frame.ego2global, np.float64))
        self._start_us = frame.timestamp_us
        log = self._log
        log.send_recording_name(frame.sequence)
        log.send_recording_start_time_nanos(frame.timestamp_us * 1000)
        log.send_blueprint(sequence_blueprint(frame.cameras))
        log.log(Entity.WORLD, rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
        log.log(Entity.VEHICLE, parts.vehicle(), static=True)
        for path, style in plot_styles().items():
            log.log(path, style, static=True)
        for layer in sorted({line.layer for line in self._map}):
            of_layer = [line.points_m for line in self._map if line.layer == layer]
            lines = [poses.apply(self._world_from_global, points) for points in of_layer]
            log.log(Entity.MAP.child(layer), parts.map_lines(layer, lines), static=True)

    def _world_from_ego(self, frame: Frame) -> FloatArray:
        """Returns the ego frame of `frame` in `world` [4, 4] float64."""
        pose: FloatArray = self._world_from_global @ np.asarray(frame.ego2global, np.float64)
        return pose

    def _log_detections(self, entity: Entity, detections: Detections) -> None:
        self._log.log(entity, parts.boxes(detections), parts.values(detections))
        self._log.log(f"{entity}/heading", parts.headings(detections))
        arrows = parts.arrows(detections.boxes, detections.velocity_mps, detections.class_id)
        self._log.log(f"{entity}/velocity", arrows)

    def _log_memory(self, memory: MemorySlots) -> None:
        self._log.log(Entity.MEMORY, *parts.slots(memory))
        arrows = parts.arrows(memory.position_m, memory.velocity_mps, memory.class_id)
        self._log.log(f"{Entity.MEMORY}/velocity", arrows)

    def _log_tracks(self, frame: Frame, shown: Detections) -> None:
        """Records where the tracks of the shown detections have been, up to now, in `world`."""
        paths, index = self._trails.paths(frame, shown, self._world_from_global)
        self._log.log(Entity.TRACKS, parts.paths(paths, shown.class_id[index]))

    def _log_cameras(
        self, frame: Frame, shown: Detections, gt: Labels, lines: Sequence[MapPolyline]
    ) -> None:
        for camera in frame.cameras:
            view = CameraView(camera, parts.recorded_size_px(camera))
            path = Entity.CAMERAS.child(camera.name)
            self._log.log(path, parts.pose(camera.ego_from_camera), parts.pinhole(view))
            self._log.log(f"{path}/image", parts.image(view))
            self._log.log(f"{path}/boxes", parts.projected_boxes(view, shown))
            self._log.log(f"{path}/ground_truth", parts.projected_gt(view, gt))
            self._log.log(f"{path}/road", parts.projected_map(view, lines))

    def _log_metrics(self, frame: Frame, shown: Detections, memory: MemorySlots | None) -> None:
        """Records what is plotted, and what failed."""
        metrics: dict[str, float] = {"objects/detections": len(shown)}
        if memory is not None:
            metrics["memory/slots"] = len(memory.frames_ago)
        if frame.labels is not None:
            metrics["objects/ground_truth"] = len(frame.labels)
        group = np.array(shown.vocabulary.groups)[shown.class_id]
        for name in np.unique(group):
            metrics[f"confidence/{name}"] = shown.score[group == name].mean()
        for name, value in metrics.items():
            self._log.log(f"{Entity.METRICS}/{name}", rr.Scalars(value))
        for fault in frame.faults:
            self._log.log(Entity.FAULTS, rr.TextLog(fault, level=rr.TextLogLevel.WARN))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._log.flush()
        self._log.disconnect()
