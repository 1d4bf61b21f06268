"""The pictures of `leapai inspect`: LiDAR, recorded boxes and the map in every camera and from
above."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from leapai.config.network_sections import StaticConfig
from leapai.config.validation_sections import DrawDynamicConfig, TemporalVisualizationConfig
from leapai.data.log import DrivingLog
from leapai.data.static_labels import rasterise
from leapai.folders import claim, file_name
from leapai.geometry.polylines import lines_in_ego
from leapai.inspection.log_inspection import frames_to_read
from leapai.pictures.camera_overlay import draw_camera
from leapai.pictures.frame_painter import FramePainter
from leapai.pictures.video import write_png
from leapai.types import STATIC_CLASSES, CameraFrame, Frame, ImageArray, Map, MapPolyline, VectorMap

NO_IMAGE_GREY = 24
OVERVIEW, STATISTICS = "overview", "statistics.html"
"""Names that stand next to those of cameras and of sequences."""
GT_ONLY = DrawDynamicConfig(
    draw_velo=False,
    draw_occlusion=False,
    draw_trajectory=False,
    valid_range=(-200.0, 200.0, -200.0, 200.0),
)
"""Options that draw nothing but ground truth, so the legend explains nothing else; no box is
hidden."""


def write_pictures(logs: Sequence[DrivingLog], output: Path, max_frames: int) -> int:
    """Draws at most `max_frames` frames, those with a sweep first; returns the number of pictures.

    The folder `output/SEQUENCE/TIMESTAMP_US` of a frame gets `overview.png`, with the canvas, and
    one picture for each camera at the size of its image. Raises ValueError where `output` holds
    files that are not of leapai.
    """
    if max_frames == 0:
        return 0
    claim(output)
    written = 0
    for log, index in frames_to_read(logs, max_frames):
        frame = log[index]
        folder = output / file_name(log.name, taken=(STATISTICS,)) / str(frame.timestamp_us)
        painter = FramePainter(GT_ONLY, TemporalVisualizationConfig(show_history=False))
        vector_map = log.vector_map()
        gt_map = _gt_map(frame, vector_map)
        write_png(folder / f"{OVERVIEW}.png", painter.paint(frame, None, None, vector_map, gt_map))
        lines = () if gt_map is None else gt_map.lines
        for camera in frame.cameras:
            name = file_name(camera.name, taken=(OVERVIEW,))
            write_png(folder / f"{name}.png", _camera_picture(camera, frame, lines))
        written += 1 + len(frame.cameras)
    return written


def _gt_map(frame: Frame, vector_map: VectorMap | None) -> Map | None:
    """Returns the ground truth of the map: its cells, and the lines that they are made of, at their
    heights in the map; None without a map."""
    if vector_map is None:
        return None
    region = StaticConfig().region()
    cells = rasterise(vector_map, frame.ego2global, region).planes.astype(np.float32)
    lines = lines_in_ego(vector_map, frame.ego2global, STATIC_CLASSES)
    return Map(cells, region, lines)


def _camera_picture(camera: CameraFrame, frame: Frame, lines: Sequence[MapPolyline]) -> ImageArray:
    """Draws points, boxes and lines of the map into the camera's image, or onto plain grey where
    the image is missing, because the calibration can be checked all the same."""
    if camera.image is None:
        grey = np.full((*camera.size_px, 3), NO_IMAGE_GREY, np.uint8)
        camera = replace(camera, name=f"{camera.name}: no image", image=grey)
    return draw_camera(
        camera, camera.size_px, None, frame.labels, points=frame.points, map_lines=lines
    )
