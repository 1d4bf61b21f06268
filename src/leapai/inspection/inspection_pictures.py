"""The pictures of `leapai inspect`: LiDAR, recorded boxes and the map's road in every camera and
from above; with `--stats`, how what happens in the data is spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from leapai.config import DrawDynamicConfig, StaticConfig, TemporalVisualizationConfig
from leapai.data.log import DrivingLog
from leapai.data.static_labels import rasterise
from leapai.geometry.polylines import lines_in_ego
from leapai.inspection.log_inspection import frames_to_read
from leapai.inspection.statistics import Samples
from leapai.pictures.camera_overlay import draw_camera
from leapai.pictures.frame_painter import FramePainter
from leapai.pictures.statistics_charts import (
    Bars,
    Histogram,
    Panel,
    draw_charts,
)
from leapai.pictures.video import write_png
from leapai.types import (
    STATIC_CLASSES,
    CameraFrame,
    Frame,
    ImageArray,
    Map,
    MapPolyline,
    VectorMap,
)

NO_IMAGE_GREY = 24
GT_ONLY = DrawDynamicConfig(
    draw_velo=False,
    draw_occlusion=False,
    draw_trajectory=False,
    valid_range=(-200.0, 200.0, -200.0, 200.0),
)
"""Nothing but truth is drawn, so the legend explains nothing else; no box is hidden."""


def write_pictures(logs: Sequence[DrivingLog], output: Path, max_frames: int) -> int:
    """Draws at most `max_frames` frames, those with a sweep first; returns the number of pictures.

    A frame's folder `output/SEQUENCE/TIMESTAMP_US` gets `overview.png`, with the canvas, and one
    picture a camera at the size of its image.
    """
    written = 0
    for log, index in frames_to_read(logs, max_frames):
        frame = log[index]
        folder = output / log.name / str(frame.timestamp_us)
        painter = FramePainter(GT_ONLY, TemporalVisualizationConfig(show_history=False))
        vector_map = log.vector_map()
        road = _true_road(frame, vector_map)
        write_png(folder / "overview.png", painter.paint(frame, None, None, vector_map, road))
        lines = () if road is None else road.lines
        for camera in frame.cameras:
            write_png(folder / f"{camera.name}.png", _camera_picture(camera, frame, lines))
        written += 1 + len(frame.cameras)
    return written


def _true_road(frame: Frame, vector_map: VectorMap | None) -> Map | None:
    """Truth of the static task: its cells, and the lines that they are made of, at their heights in
    the map; None without a map."""
    if vector_map is None:
        return None
    region = StaticConfig().region()
    cells = rasterise(vector_map, frame.ego2global, region).planes.astype(np.float32)
    lines = lines_in_ego(vector_map, frame.ego2global, STATIC_CLASSES)
    return Map(cells, region, lines)


def _camera_picture(camera: CameraFrame, frame: Frame, lines: Sequence[MapPolyline]) -> ImageArray:
    """The camera's image with points, boxes and lines of the map; on plain grey where the image is
    missing, because the calibration can be checked all the same."""
    if camera.image is None:
        grey = np.full((*camera.size_px, 3), NO_IMAGE_GREY, np.uint8)
        camera = replace(camera, name=f"{camera.name}: no image", image=grey)
    return draw_camera(
        camera, camera.size_px, None, frame.labels, points=frame.points, map_lines=lines
    )


def write_statistics_picture(path: Path, names: Sequence[str], samples: Sequence[Samples]) -> None:
    """Draws every quantity of one or two data sets with their `names` into one PNG."""
    rows: list[list[Panel]] = []
    for row in zip(*(data.rows for data in samples), strict=True):
        panels: list[Panel] = []
        for quantity in zip(*row, strict=True):
            first = quantity[0]
            unit = f" ({first.unit})" if first.unit else ""
            values = tuple(sample.values for sample in quantity)
            panels.append(Histogram(first.name + unit, values, first.is_count))
        rows.append(panels)
    bars: list[Panel] = [
        Bars(shares[0].name, shares[0].kinds, tuple(s.share for s in shares))
        for shares in zip(*(data.shares for data in samples), strict=True)
    ]
    write_png(path, draw_charts(names, [*rows[:3], bars, *rows[3:]]))
