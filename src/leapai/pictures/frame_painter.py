"""One picture a frame: header, canvas next to the cameras, legend."""

from __future__ import annotations

import numpy as np

from leapai.config.schema import TaskConfig
from leapai.config.validation_sections import (
    DrawDynamicConfig,
    DrawStaticConfig,
    TemporalVisualizationConfig,
)
from leapai.geometry import poses
from leapai.pictures import palette
from leapai.pictures.bev_canvas import draw_bev
from leapai.pictures.bev_scene import (
    BevLine,
    BevScene,
    Trails,
    shown_detections,
    shown_labels,
    shown_map,
    shown_memory,
)
from leapai.pictures.camera_overlay import draw_camera
from leapai.pictures.page_parts import (
    HEADER_PX,
    LEGEND_PX,
    MARGIN_PX,
    Explained,
    arrange_cameras,
    draw_header,
    draw_legend,
    draw_notice,
    header_parts,
)
from leapai.types import (
    CLASS_NAMES,
    Detections,
    FloatArray,
    Frame,
    ImageArray,
    Map,
    MemorySlots,
    VectorMap,
)

_TILE_GAP_PX = 8
_CAMERAS_WIDTH_PX = 1088
"""With the default canvas of 784 pixels this makes 1920."""


class FramePainter:
    """Paints the frames of a drive in order; keeps the trails of tracks between calls.

    Trails, the frame number and the clock in the header start anew when `frame.sequence` changes.
    """

    def __init__(
        self,
        draw: DrawDynamicConfig,
        temporal: TemporalVisualizationConfig,
        static: DrawStaticConfig | None = None,
    ) -> None:
        """Takes what to draw of objects, of memory and of the map (`static`; None: by default)."""
        self._draw = draw
        self._temporal = temporal
        self._static = static or DrawStaticConfig()
        self._trails = Trails(temporal.trajectory_length)
        self._sequence: str | None = None
        self._start_us = 0
        self._number = 0

    def paint(
        self,
        frame: Frame,
        detections: Detections | None,
        memory: MemorySlots | None = None,
        vector_map: VectorMap | None = None,
        bev_map: Map | None = None,
    ) -> ImageArray:
        """Returns the composed picture [H, W, 3] RGB uint8, 1080 x 1920 with the default canvas.

        `detections`, `memory` and `bev_map` are in the ego frame of `frame`, `vector_map` in the
        global frame. The configuration selects what is shown of them; `draw_bev` and `draw_camera`
        describe how.
        """
        self._count(frame)
        shown = None if detections is None else shown_detections(detections, self._draw)
        bev_map = None if bev_map is None else shown_map(bev_map, self._static)
        gt = None if frame.labels is None else shown_labels(frame.labels, self._draw)
        scene = BevScene(
            points=frame.points,
            gt=gt,
            detections=shown,
            trails=self._trails.seen_from(frame),
            memory=None if memory is None else shown_memory(memory, self._draw, self._temporal),
            map_lines=map_in_ego(vector_map or (), frame.ego2global),
            map=bev_map,
        )
        if detections is not None:
            self._trails.add(frame, detections)
        canvas = draw_bev(scene, self._draw, self._temporal)
        picture, cameras = _page(canvas)
        if frame.cameras:
            _draw_cameras(cameras, frame, scene, self._draw.draw_occlusion)
        else:
            draw_notice(cameras, "the source has no cameras")
        seconds = (frame.timestamp_us - self._start_us) / 1e6
        draw_header(picture[:HEADER_PX], header_parts(frame, self._number, seconds, shown))
        explained = Explained(
            gt=gt is not None,
            map=bev_map is not None,
            given_map=bool(scene.map_lines),
            classes=_class_names(frame, detections),
        )
        draw_legend(picture[-LEGEND_PX:], self._draw, self._temporal, explained)
        return picture

    def follow(self, frame: Frame, detections: Detections) -> None:
        """Counts a frame that is not painted: trails and numbers go on as if it had been."""
        self._count(frame)
        self._trails.seen_from(frame)
        self._trails.add(frame, detections)

    def _count(self, frame: Frame) -> None:
        if frame.sequence != self._sequence:
            self._sequence, self._start_us, self._number = frame.sequence, frame.timestamp_us, 0
        self._number += 1


def map_in_ego(vector_map: VectorMap, ego2global: FloatArray) -> list[BevLine]:
    """Moves the lines of a given map (global frame) to the ego frame of `ego2global`; formed in
    float64."""
    ego_from_global = poses.invert(np.asarray(ego2global, np.float64))
    return [
        BevLine(line.layer, poses.apply(ego_from_global, line.points_m)[:, :2])
        for line in vector_map
    ]


def _page(canvas: ImageArray) -> tuple[ImageArray, ImageArray]:
    """Returns a page with the canvas on it, and the view of the page that is left for the
    cameras."""
    height, width = canvas.shape[:2]
    page_height = HEADER_PX + height + MARGIN_PX + LEGEND_PX
    page_width = width + _CAMERAS_WIDTH_PX + 3 * MARGIN_PX
    row = np.tile(np.array(palette.BACKGROUND, np.uint8), page_width)
    picture = np.tile(row, page_height).reshape(page_height, page_width, 3)
    body = picture[HEADER_PX : HEADER_PX + height]
    body[:, MARGIN_PX : MARGIN_PX + width] = canvas
    return picture, body[:, -MARGIN_PX - _CAMERAS_WIDTH_PX : -MARGIN_PX]


def _draw_cameras(area: ImageArray, frame: Frame, scene: BevScene, draw_occlusion: bool) -> None:
    places = arrange_cameras(frame.cameras, area.shape[:2], _TILE_GAP_PX)
    lines = () if scene.map is None else scene.map.lines
    for camera, place in zip(frame.cameras, places, strict=True):
        size_px = (place.bottom - place.top, place.right - place.left)
        area[place.top : place.bottom, place.left : place.right] = draw_camera(
            camera,
            size_px,
            scene.detections,
            scene.gt,
            map_lines=lines,
            draw_occlusion=draw_occlusion,
        )


def _class_names(frame: Frame, detections: Detections | None) -> tuple[str, ...]:
    """Returns the names of the classes of the objects of a picture."""
    found = detections if detections is not None else frame.labels
    return CLASS_NAMES if found is None else found.vocabulary.names


def painter_of(config: TaskConfig) -> FramePainter:
    """Returns the painter that draws what the configuration selects."""
    return FramePainter(
        config.draw_dynamic_cfg, config.temporal_visualization, config.draw_static_cfg
    )
