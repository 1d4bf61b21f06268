"""A made-up rig, frames and detections, and ways to look at pictures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from leapai.config import DrawDynamicConfig, TemporalVisualizationConfig
from leapai.geometry import poses
from leapai.pictures.bev_canvas import BevView
from leapai.pictures.frame_painter import FramePainter
from leapai.pictures.page_parts import HEADER_PX, MARGIN_PX
from leapai.pictures.palette import Colour
from leapai.types import CameraFrame, Detections, FloatArray, Frame, ImageArray, Labels

EGO_FROM_OPTICAL = np.array([[0, 0, 1.0], [-1, 0, 0], [0, -1, 0]])
"""Axes of a camera (x right, y down, z forward) that looks along +x."""
RIG = {
    "front_narrow": 0.0,
    "front_wide": 0.0,
    "front_left": 55.0,
    "front_right": -55.0,
    "back_left": 120.0,
    "back_right": -120.0,
    "back": 180.0,
}
"""Azimuth of each camera in degrees."""
FAR_AWAY = poses.from_xyz_yaw(np.array([612_345.678, 5_412_345.25, 40.0]), 1.1)
QUIET = {"draw_velo": False, "draw_occlusion": False, "draw_trajectory": False}
"""Options of `DrawDynamicConfig` that draw only boxes."""


def camera(name: str = "front", azimuth_deg: float = 0.0, **changes: Any) -> CameraFrame:
    """A pinhole camera 1.6 m above the ego origin: 120 x 240 pixels, focal length 120."""
    ego_from_camera = poses.from_xyz_yaw(np.array([0, 0, 1.6]), np.deg2rad(azimuth_deg))
    ego_from_camera[:3, :3] = ego_from_camera[:3, :3] @ EGO_FROM_OPTICAL
    plain = CameraFrame(
        name=name,
        group="side",
        image=np.full((120, 240, 3), 90, np.uint8),
        size_px=(120, 240),
        intrinsics=np.array([[120, 0, 119.5], [0, 120, 59.5], [0, 0, 1.0]]),
        distortion=np.zeros(5),
        ego_from_camera=ego_from_camera,
        timestamp_us=0,
    )
    return replace(plain, **changes)


def frame(index: int = 0, **changes: Any) -> Frame:
    """A frame without sensors at `FAR_AWAY`; frames are 0.1 s apart."""
    plain = Frame("drive", 1_700_000_000_000_000 + index * 100_000, FAR_AWAY, (), None)
    return replace(plain, **changes)


def detections(boxes: Any, **fields: Any) -> Detections:
    """Cars that stand still, in full view, of confidence 0.9, with ids from 0."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 7)
    count = len(boxes)
    plain = Detections(
        sequence="drive",
        timestamp_us=0,
        ego2global=np.eye(4),
        boxes=boxes,
        velocity_mps=np.zeros((count, 3)),
        score=np.full(count, 0.9),
        class_id=np.zeros(count, np.int64),
        occlusion_level=np.zeros(count, np.int64),
        track_id=np.arange(count),
        query_index=np.arange(count),
    )
    return replace(plain, **{name: np.asarray(value) for name, value in fields.items()})


def gt(boxes: Any, **labels: Any) -> Labels:
    """Cars without further labels, but for what is given."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 7)
    plain = Labels.unlabelled(boxes, np.zeros(len(boxes), np.int64))
    return replace(plain, **{name: np.asarray(value) for name, value in labels.items()})


def car(x: float, y: float, yaw: float = 0.0) -> list[float]:
    """A box of 4 x 2 x 1.6 m on the ground."""
    return [x, y, 0.8, 4.0, 2.0, 1.6, yaw]


def painter(draw: dict[str, Any] | None = None, **temporal: Any) -> FramePainter:
    """A painter that draws as quietly as `QUIET`, but for what is given."""
    config = DrawDynamicConfig(**{**QUIET, **(draw or {})})
    return FramePainter(config, TemporalVisualizationConfig(**temporal))


def canvas_of(picture: ImageArray, view: BevView | None = None) -> ImageArray:
    """The canvas in a composed picture."""
    height, width = (view or default_view()).size_px
    return picture[HEADER_PX : HEADER_PX + height, MARGIN_PX : MARGIN_PX + width]


def default_view() -> BevView:
    """Of the default configuration."""
    draw = DrawDynamicConfig()
    return BevView(draw.coords, draw.label_h, draw.label_w)


def at(image: ImageArray, pixel: FloatArray) -> ImageArray:
    """The colour [3] at (x, y)."""
    x, y = np.rint(pixel).astype(int)
    return image[y, x]


def close_to(pixels: ImageArray, colour: Colour, tolerance: int = 40) -> Any:
    """Whether pixels [..., 3] show `colour`, anti-aliasing allowed for."""
    return (np.abs(pixels.astype(int) - colour) <= tolerance).all(-1)


def shows(image: ImageArray, pixel: FloatArray, colour: Colour, tolerance: int = 40) -> bool:
    """Whether `colour` stands at (x, y) or right beside it: a line may fall between two pixels."""
    x, y = np.rint(pixel).astype(int)
    return bool(close_to(image[y - 1 : y + 2, x - 1 : x + 2], colour, tolerance).any())


def changed_area(a: ImageArray, b: ImageArray) -> tuple[int, int, int, int]:
    """(left, top, right, bottom), both ends included, of the pixels that differ."""
    rows, columns = np.nonzero((a != b).any(-1))
    return columns.min(), rows.min(), columns.max(), rows.max()
