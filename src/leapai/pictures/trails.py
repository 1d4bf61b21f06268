"""Where tracks have been: kept in the world, shown from the ego."""

from __future__ import annotations

from collections import deque

import numpy as np

from leapai.geometry import poses
from leapai.pictures.bev_scene import Trail
from leapai.types import Detections, FloatArray, Frame

_FORGET_US = 1_000_000


class Trails:
    """Past positions of tracks in the global frame; forgotten when the sequence changes."""

    def __init__(self, length: int) -> None:
        """`length`: points kept for each track."""
        self._length = length
        self._sequence: str | None = None
        self._points: dict[int, deque[tuple[FloatArray, int]]] = {}
        self._last_seen_us: dict[int, int] = {}

    def seen_from(self, frame: Frame) -> list[Trail]:
        """The trails before this frame, in its ego frame; float64, so exact far from the origin."""
        if frame.sequence != self._sequence:
            self._sequence = frame.sequence
            self._points.clear()
            self._last_seen_us.clear()
        ego_from_global = poses.invert(np.asarray(frame.ego2global, np.float64))
        return [
            Trail(
                track_id,
                poses.apply(ego_from_global, np.stack([position for position, _ in points])),
                np.array([level for _, level in points]),
            )
            for track_id, points in self._points.items()
            if points
        ]

    def add(self, frame: Frame, detections: Detections) -> None:
        """Remembers where the tracks of this frame are; forgets those gone for a second."""
        positions = poses.apply(np.asarray(frame.ego2global, np.float64), detections.boxes[:, :3])
        for track_id, position, level in zip(
            detections.track_id.tolist(), positions, detections.occlusion_level, strict=True
        ):
            if track_id >= 0:
                points = self._points.setdefault(track_id, deque(maxlen=self._length))
                points.append((position, int(level)))
                self._last_seen_us[track_id] = frame.timestamp_us
        for track_id, last_seen_us in list(self._last_seen_us.items()):
            if frame.timestamp_us - last_seen_us >= _FORGET_US:
                del self._points[track_id], self._last_seen_us[track_id]
