"""One picture a frame: header, canvas, cameras, legend."""

from __future__ import annotations

from collections import deque

import numpy as np

from leapai.config import DrawDynamicConfig, TemporalVisualizationConfig
from leapai.geometry import poses
from leapai.types import (
    CLASS_NAMES,
    Detections,
    FloatArray,
    Frame,
    ImageArray,
    VectorMap,
)
from leapai.visualisation import palette, strokes
from leapai.visualisation.bev import (
    BevLine,
    BevScene,
    MemoryDots,
    Trail,
    draw_bev,
    drawn_detections,
)
from leapai.visualisation.cameras import draw_camera
from leapai.visualisation.layout import arrange_cameras
from leapai.visualisation.palette import THIN, LineStyle
from leapai.visualisation.text import draw_text, elide

_GAP_PX = 16
_TILE_GAP_PX = 8
_HEADER_PX = 56
_LEGEND_PX = 128 - _GAP_PX
_CAMERAS_WIDTH_PX = 1088
"""Beside the default canvas of 784 pixels this makes 1920."""
_HEADER_TEXT_PX = 20
_LEGEND_TEXT_PX = 17


class Trails:
    """Past positions of tracks in the global frame, `length` points each; forgotten when the sequence changes."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.sequence: str | None = None
        self._points: dict[int, deque[tuple[FloatArray, int]]] = {}

    def of(self, frame: Frame) -> list[Trail]:
        """All trails in the ego frame of `frame`: moved in float64, so large coordinates do no harm."""
        if frame.sequence != self.sequence:
            self.sequence = frame.sequence
            self._points.clear()
        ego_from_global = poses.invert(np.asarray(frame.ego2global, np.float64))
        return [
            Trail(
                track_id,
                poses.apply(ego_from_global, np.stack([position for position, _ in points])),
                np.array([level for _, level in points]),
            )
            for track_id, points in self._points.items()
        ]

    def add(self, frame: Frame, detections: Detections) -> None:
        """Remembers where the tracks of this frame are; a track that is gone is forgotten."""
        if self.length == 0:
            return
        positions = poses.apply(np.asarray(frame.ego2global, np.float64), detections.boxes[:, :3])
        present = {}
        for track_id, position, level in zip(
            detections.track_id, positions, detections.occlusion_level, strict=True
        ):
            if track_id >= 0:
                points = self._points.get(int(track_id), deque(maxlen=self.length))
                points.append((position, int(level)))
                present[int(track_id)] = points
        self._points = present


class FramePainter:
    """Paints the frames of a drive in order; keeps the trails of tracks between calls.

    Trails, the frame number and the clock in the header start anew when `frame.sequence` changes.
    """

    def __init__(self, draw: DrawDynamicConfig, temporal: TemporalVisualizationConfig) -> None:
        self.draw = draw
        self.temporal = temporal
        self._trails = Trails(temporal.trajectory_length)
        self._sequence: str | None = None
        self._start_us = 0
        self._frame_number = 0

    def paint(
        self,
        frame: Frame,
        detections: Detections | None,
        memory: MemoryDots | None = None,
        vector_map: VectorMap | None = None,
    ) -> ImageArray:
        """The composed picture [H, W, 3] RGB uint8, about 1920 x 1080.

        `detections` and `memory` are in the ego frame of `frame`, `vector_map` in the global frame. What is
        shown of them is the configuration's; see `draw_bev` and `draw_camera`.
        """
        self._count(frame)
        shown = None if detections is None else drawn_detections(detections, self.draw)
        scene = BevScene(
            points=frame.points,
            truth=frame.labels,
            detections=shown,
            trails=self._trails.of(frame),
            memory=memory,
            map_lines=map_in_ego(vector_map or (), frame.ego2global),
        )
        if detections is not None:
            self._trails.add(frame, detections)
        canvas = draw_bev(scene, self.draw, self.temporal)
        header = self._header(frame, shown)
        return _compose(canvas, self._cameras(frame, shown, canvas.shape[0]), header, frame.faults)

    def _count(self, frame: Frame) -> None:
        if frame.sequence != self._sequence:
            self._sequence, self._start_us = frame.sequence, frame.timestamp_us
            self._frame_number = 0
        self._frame_number += 1

    def _header(self, frame: Frame, shown: Detections | None) -> list[tuple[str, palette.Colour]]:
        seconds = (frame.timestamp_us - self._start_us) / 1e6
        parts = [
            (frame.sequence, palette.TEXT),
            (f"frame {self._frame_number}", palette.TEXT),
            (f"{seconds:.2f} s", palette.TEXT),
            (f"{frame.timestamp_us} µs", palette.DIM_TEXT),
        ]
        if shown is not None:
            parts.append((f"{len(shown)} detections", palette.TEXT))
        if frame.labels is not None:
            parts.append((f"{len(frame.labels)} true objects", palette.DIM_TEXT))
        points = "no LiDAR" if frame.points is None else f"{len(frame.points):,} points"
        colour = palette.FAULT if frame.points is None else palette.DIM_TEXT
        return [*parts, (points, colour)]

    def _cameras(self, frame: Frame, shown: Detections | None, height_px: int) -> ImageArray:
        panel = np.full((height_px, _CAMERAS_WIDTH_PX, 3), palette.BACKGROUND, np.uint8)
        places = arrange_cameras(frame.cameras, (height_px, _CAMERAS_WIDTH_PX), _TILE_GAP_PX)
        for camera, place in zip(frame.cameras, places, strict=True):
            size_px = (place.bottom - place.top, place.right - place.left)
            panel[place.top : place.bottom, place.left : place.right] = draw_camera(
                camera, size_px, shown, frame.labels, draw_occlusion=self.draw.draw_occlusion
            )
        return panel


def map_in_ego(vector_map: VectorMap, ego2global: FloatArray) -> list[BevLine]:
    """The map's lines (global frame) in the ego frame of `ego2global`."""
    ego_from_global = poses.invert(np.asarray(ego2global, np.float64))
    return [
        BevLine(line.layer, poses.apply(ego_from_global, line.points_m)[:, :2])
        for line in vector_map
    ]


def _compose(
    canvas: ImageArray,
    cameras: ImageArray,
    header: list[tuple[str, palette.Colour]],
    faults: tuple[str, ...],
) -> ImageArray:
    height, width = canvas.shape[:2]
    total = (
        _HEADER_PX + height + _GAP_PX + _LEGEND_PX,
        width + cameras.shape[1] + 3 * _GAP_PX,
    )
    picture = np.full((*total, 3), palette.BACKGROUND, np.uint8)
    body = picture[_HEADER_PX : _HEADER_PX + height]
    body[:, _GAP_PX : _GAP_PX + width] = canvas
    body[:, -_GAP_PX - cameras.shape[1] : -_GAP_PX] = cameras
    _draw_header(picture, header, faults)
    _draw_legend(picture[_HEADER_PX + height + _GAP_PX :])
    return picture


def _draw_header(
    picture: ImageArray, header: list[tuple[str, palette.Colour]], faults: tuple[str, ...]
) -> None:
    top, left = (_HEADER_PX - _HEADER_TEXT_PX) // 2 - 4, _GAP_PX
    for text, colour in header:
        left = draw_text(picture, text, (left, top), _HEADER_TEXT_PX, colour) + 28
    if faults:
        text = f"{len(faults)} failed: " + "; ".join(faults)
        room = picture.shape[1] - left - _GAP_PX
        text = elide(text, _HEADER_TEXT_PX, room)
        draw_text(picture, text, (left, top), _HEADER_TEXT_PX, palette.FAULT)


def _draw_legend(area: ImageArray) -> None:
    """Classes in the first row; occlusion styles, truth, velocity, trail and memory in the second."""
    x = _GAP_PX
    for name, colour in zip(CLASS_NAMES, palette.CLASS_COLOURS, strict=True):
        area[8:22, x : x + 22] = colour
        x = draw_text(area, name, (x + 30, 4), _LEGEND_TEXT_PX) + 30
    x = _GAP_PX
    for word, style in zip(palette.OCCLUSION_WORDS, palette.OCCLUSION_STYLES, strict=True):
        text = "not occluded" if word == "no" else word
        x = _legend_line(area, x, text, palette.TEXT, style)
    x = _legend_line(area, x, "truth", palette.TRUTH, THIN)
    start, end = np.array([x, 54.0]), np.array([x + 40, 54.0])
    strokes.draw_arrow(area, start, end, palette.TEXT, LineStyle(2))
    x = draw_text(area, "velocity", (x + 50, 43), _LEGEND_TEXT_PX) + 30


def _legend_line(
    area: ImageArray, x: int, text: str, colour: palette.Colour, style: LineStyle
) -> int:
    line = np.array([[x, 54.0], [x + 40, 54.0]])
    strokes.draw_paths(area, [line], colour, style)
    return draw_text(area, text, (x + 50, 43), _LEGEND_TEXT_PX) + 30
