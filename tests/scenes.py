"""Small configurations, frames and batches that tests share."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from leapai.config import BevConfig, CameraConfig, DynamicConfig, LidarConfig, TaskConfig
from leapai.data.transforms import collate
from leapai.geometry import poses
from leapai.models.tensors import FrameBatch
from leapai.types import CameraFrame, Frame, MapLine

IMAGE_SIZE_PX = (64, 96)
RIG = (
    ("front_narrow", "front_narrow", 0.0, 1.9),
    ("front_wide", "front_wide", 0.0, 0.5),
    ("back", "back", np.pi, 0.5),
    ("front_left", "side", 0.9, 0.5),
    ("front_right", "side", -0.9, 0.5),
    ("back_left", "side", 2.2, 0.5),
    ("back_right", "side", -2.2, 0.5),
)
"""Name, group, yaw of the optical axis, focal length over image width."""


def small_config(**changes: Any) -> TaskConfig:
    """A Step 2 Dynamic configuration of the smallest useful size: 28 x 32 cells, 24 queries."""
    values: dict[str, Any] = {
        "job_name": "small",
        "dynamic_task": True,
        "static_task": False,
        "enable_dynamic_temporal": True,
        "train_steps": 0,
        "finetune_steps": 10,
        "max_steps": 10,
        "task_loss_weights": {"dynamic": 1.25},
        "topk_query": 8,
        "bev": BevConfig(cell_m=3.2, channels=16),
        "camera": CameraConfig(
            image_size_px=IMAGE_SIZE_PX,
            backbone="resnetv2_18",
            backbone_args={"width_factor": 0.125},
            heads=2,
        ),
        "lidar": LidarConfig(pillar_m=0.8, max_pillars=500, pillar_channels=8, middle_channels=8),
        "dynamic": DynamicConfig(neck_channels=16, queries=24, embed=16, heads=2, points=4, ffn=16),
    }
    return TaskConfig(**(values | changes))


JOINT: dict[str, Any] = {
    "static_task": True,
    "enable_static_temporal": True,
    "task_loss_weights": {"dynamic": 2.5, "static": 0.67},
    "static": {"cell_m": 0.8, "channels": 8, "memory_frames": 6, "past_s": (0.2, 0.4)},
}
"""Changes that add the static task, with memory: 14 x 26 cells of the BEV, logits of 0.8 m."""
ROAD_ALONE: dict[str, Any] = {
    **JOINT,
    "dynamic_task": False,
    "enable_dynamic_temporal": False,
    "task_loss_weights": {"static": 1.0},
}


ROAD_MAP = tuple(
    MapLine(kind, "line", np.array([[-60.0, y, 0], [90.0, y + 3, 0]]))
    for kind, y in (("SolidLine", 1.0), ("Curb", -6.0))
)
"""Two lines along the way of `make_frame`."""


def joint_config(**changes: Any) -> TaskConfig:
    """Both tasks with memory."""
    return small_config(**(JOINT | changes))


def static_config(**changes: Any) -> TaskConfig:
    """The static task alone, with memory."""
    return small_config(**(ROAD_ALONE | changes))


def camera_pose(yaw_rad: float) -> np.ndarray:
    """`ego_from_camera` of a level camera that looks along `yaw_rad`."""
    c, s = np.cos(yaw_rad), np.sin(yaw_rad)
    pose = np.eye(4)
    pose[:3, :3] = [[s, 0, c], [-c, 0, s], [0, -1, 0]]
    pose[:3, 3] = [1.5, 0.0, 1.6]
    return pose


def make_frame(index: int, *, sequence: str = "drive", seed: int = 0) -> Frame:
    """A frame with random pixels and points, of an ego that drives and turns near the origin."""
    rng = np.random.default_rng([seed, index])
    height, width = IMAGE_SIZE_PX
    time_us = 1_000_000 + index * 100_000
    cameras = tuple(
        CameraFrame(
            name=name,
            group=group,
            image=rng.integers(0, 256, (height, width, 3), np.uint8),
            size_px=IMAGE_SIZE_PX,
            intrinsics=np.array(
                [[focal * width, 0, width / 2], [0, focal * width, height / 2], [0, 0, 1.0]]
            ),
            distortion=np.array([-0.05, 0.01, 0.001, -0.001, 0.0]),
            ego_from_camera=camera_pose(yaw),
            timestamp_us=time_us,
        )
        for name, group, yaw, focal in RIG
    )
    points = np.column_stack(
        [rng.uniform(-35, 55, 600), rng.uniform(-40, 40, 600), rng.uniform(-1, 3, 600)]
    )
    extra = np.column_stack([rng.uniform(0, 1, 600), np.zeros(600)])
    return Frame(
        sequence=sequence,
        timestamp_us=time_us,
        ego2global=poses.from_xyz_yaw(np.array([0.8 * index, 0.1 * index, 0.0]), 0.02 * index),
        cameras=cameras,
        points=np.hstack([points, extra]).astype(np.float32),
    )


def make_batch(index: int, seeds: tuple[int, ...] = (0,), first: bool | None = None) -> FrameBatch:
    """Frame `index` of one drive a seed."""
    frames = [make_frame(index, seed=seed, sequence=f"drive{seed}") for seed in seeds]
    is_first = index == 0 if first is None else first
    return collate(frames, [is_first] * len(frames))


def seeded_model(config: TaskConfig) -> torch.nn.Module:
    """A network in eval mode whose every weight does something, the same in every test."""
    from leapai.models.build import build_model

    torch.manual_seed(0)
    model = build_model(config).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():  # zero-initialised layers would hide mistakes
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(noise * 0.05)
    return model
