"""Small trainings for tests: drives without a renderer, and runs in processes of their own."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from leapai.checkpoints import read_checkpoint
from leapai.config import TaskConfig
from leapai.data.log import DrivingLog
from leapai.types import Frame, Labels, MapLine, VectorMap
from tests.scenes import make_frame, small_config

PATIENCE_S = 120
NO_AUGMENTATION = {
    "rotation_deg": 0.0,
    "mirror_probability": 0.0,
    "photometric": 0.0,
    "calibration_deg": 0.0,
    "calibration_m": 0.0,
    "lidar_dropout": 0.0,
    "cameras_dropout": 0.0,
    "camera_dropout": 0.0,
}


def training_config(**changes: Any) -> TaskConfig:
    """Ten steps of two streams with memory; one frame without and one with gradient a step."""
    values: dict[str, Any] = {
        # More are remembered than are always picked, so that chance has a part.
        "topk_query": 22,
        "batch_sizes": {"train": 2, "val": 1},
        "streaming": {"clip_frames": 6, "frames_without_gradient": 1, "reset_probability": 0.1},
        "optimizer": {"warmup_steps": 2},
        "augmentation": {"lidar_dropout": 0.2, "camera_dropout": 0.2},
        "training": {"workers": 0, "checkpoint_every": 4},
    }
    return small_config(**(values | changes))


def labels_of(seed: int, index: int) -> Labels:
    """Seven objects, some of them occluded, one without velocity."""
    rng = np.random.default_rng([7, seed, index])
    boxes = np.column_stack(
        [
            rng.uniform(-30, 50, 7),
            rng.uniform(-35, 35, 7),
            rng.uniform(0, 1, 7),
            rng.uniform(1, 4, (7, 3)),
            rng.uniform(-3, 3, 7),
        ]
    )
    return replace(
        Labels.unlabelled(boxes, rng.integers(0, 8, 7)),
        velocity_mps=rng.normal(0, 2, (7, 3)),
        velocity_valid=np.arange(7) > 0,
        occlusion_level=rng.integers(-1, 4, 7),
        track_id=np.arange(7),
    )


class StubLog(DrivingLog):
    """A drive of random pixels, points and labels. `change` may spoil a frame."""

    def __init__(
        self,
        seed: int = 0,
        frames: int = 8,
        change: Callable[[int, Frame], Frame] = lambda index, frame: frame,
    ) -> None:
        self.name, self.seed, self.frames, self.change = f"drive{seed}", seed, frames, change

    @property
    def timestamps_us(self) -> np.ndarray:
        return 1_000_000 + np.arange(self.frames) * 100_000

    def __getitem__(self, index: int) -> Frame:
        frame = make_frame(index, sequence=self.name, seed=self.seed)
        return self.change(index, replace(frame, labels=labels_of(self.seed, index)))

    def vector_map(self) -> VectorMap | None:
        """Two lines and an area; every other drive has no map."""
        if self.seed % 2:
            return None
        kerb, stream = ([[-60.0, y, 0], [90.0, y + 3, 0]] for y in (-6.0, 1.0))
        bump = [[8.0, -4, 0], [16, -4, 0], [16, 4, 0], [8, 4, 0], [8, -4, 0]]
        kinds = {"Curb": kerb, "DashedLine": stream, "SpeedBump": bump}
        return tuple(MapLine(kind, "line", np.array(at)) for kind, at in kinds.items())


def stub_logs(data: str, *, label_range_m: Any, **_: Any) -> list[StubLog]:
    """In the place of `open_cached_logs`: `stub` or `stub:SEED` for two drives."""
    assert label_range_m == training_config().bev.label_range_m, "labels over the BEV range"
    first = int(data.partition(":")[2] or 0) if data.startswith("stub") else 5
    return [StubLog(first), StubLog(first + 1, frames=5)]


def weights(path: Path) -> dict[str, torch.Tensor]:
    """Of a checkpoint."""
    return dict(read_checkpoint(path).state_dict)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def as_rank(rank: int, count: int, port: int) -> None:
    """Sets the environment that torchrun gives a process."""
    os.environ.update(
        {
            "TORCHELASTIC_RUN_ID": "test",
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(count),
            "LOCAL_WORLD_SIZE": str(count),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
    )
    torch.set_num_threads(1)


def quick_context() -> multiprocessing.context.BaseContext:
    """Returns how processes start: forked from a server that has only imported the modules.

    A process that has computed gradients beside a GPU, or has compiled a network, may not be
    forked itself: the children could compute no gradients.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["leapai.training.train", "tests.training.runs"])
    return context


def in_processes(target: Callable[..., None], arguments: list[tuple[Any, ...]]) -> list[int]:
    """Runs `target(*arguments[i])` in processes of their own side by side; their exit statuses."""
    context = quick_context()
    processes = [context.Process(target=target, args=given) for given in arguments]
    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE_S)
        process.kill()  # ranks that wait for each other for ever fail the test, not the suite
        process.join()
    return [int(process.exitcode or 0) for process in processes]
