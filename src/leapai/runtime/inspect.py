"""The pictures of `leapai inspect`: LiDAR and recorded boxes in every camera and from above."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from leapai.config import DrawDynamicConfig, TemporalVisualizationConfig
from leapai.data.inspection import frames_to_read
from leapai.data.logs import DrivingLog
from leapai.types import CameraFrame, Frame, ImageArray
from leapai.visualisation.cameras import draw_camera
from leapai.visualisation.compose import FramePainter
from leapai.visualisation.video import write_png

NO_IMAGE_GREY = 24
TRUTH_ONLY = DrawDynamicConfig(
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
        painter = FramePainter(TRUTH_ONLY, TemporalVisualizationConfig(show_history=False))
        write_png(folder / "overview.png", painter.paint(frame, None, None, log.vector_map()))
        for camera in frame.cameras:
            write_png(folder / f"{camera.name}.png", _camera_picture(camera, frame))
        written += 1 + len(frame.cameras)
    return written


def _camera_picture(camera: CameraFrame, frame: Frame) -> ImageArray:
    """The camera's image with points and boxes; on plain grey where the image is missing, because
    the calibration can be checked all the same."""
    if camera.image is None:
        grey = np.full((*camera.size_px, 3), NO_IMAGE_GREY, np.uint8)
        camera = replace(camera, name=f"{camera.name}: no image", image=grey)
    return draw_camera(camera, camera.size_px, None, frame.labels, points=frame.points)
