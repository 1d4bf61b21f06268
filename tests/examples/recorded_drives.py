"""Drives that go into a recording, in which everything happens that ends memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from leapai.config import CameraConfig, TaskConfig
from leapai.data.log import DrivingLog
from leapai.types import DESIGN, Frame
from tests.scenes import IMAGE_SIZE_PX, joint_config, make_frame, small_config, static_config

FRAMES = 14
WITHOUT_POSE = 7
"""A frame that no stream takes."""
DRIVES = 2
RECORDED = DRIVES * (FRAMES - 1)


CAMERA = CameraConfig(
    image_size_px=IMAGE_SIZE_PX,
    backbone="resnetv2_18",
    backbone_args={"width_factor": 0.125},
    heads=2,
    shared=True,
)


def both_tasks() -> TaskConfig:
    """A network of whose objects some are not confident enough, and whose ring leaves out every
    second frame."""
    static = {"cell_m": 0.8, "channels": 8, "memory_frames": 4, "past_s": (0.2, 0.4)}
    return joint_config(camera=CAMERA, static=static, evaluation={"min_score": 0.67})


ONE_TASK = {
    "objects alone": small_config(camera=CAMERA),
    "map alone": static_config(camera=CAMERA),
    "without memory": small_config(camera=CAMERA, enable_dynamic_temporal=False),
}


class EventfulLog(DrivingLog):
    """A drive far from the origin with a camera that fails, a frame without LiDAR, one without a
    pose, and a gap."""

    vocabulary = DESIGN

    def __init__(self, name: str) -> None:
        self.name, self.frames = name, [frame_of(name, index) for index in range(FRAMES)]

    @property
    def timestamps_us(self) -> np.ndarray:
        return np.array([frame.timestamp_us for frame in self.frames])

    def __getitem__(self, index: int) -> Frame:
        return self.frames[index]


def frame_of(name: str, index: int) -> Frame:
    frame = make_frame(index, sequence=name)
    pose = frame.ego2global.copy()
    pose[:3, 3] += (450_000, -5_300_000, 50)
    late_us = 5_000_000 * (index >= 10)
    cameras = frame.cameras
    if index == 3:
        cameras = (replace(cameras[0], image=None), *cameras[1:])
    return replace(
        frame,
        timestamp_us=frame.timestamp_us + late_us,
        ego2global=pose * np.nan if index == WITHOUT_POSE else pose,
        cameras=tuple(replace(c, timestamp_us=c.timestamp_us + late_us) for c in cameras),
        points=None if index == 5 else frame.points,
    )


def open_drives(location, options):
    """A data source of such drives."""
    return [EventfulLog(f"{location} {number}") for number in range(DRIVES)]


SOURCE = f"{__name__}:open_drives:a drive"
