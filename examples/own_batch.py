"""From your own frames to `predictions, state = model(batch, state)`, the one step of the network.

Training, validation, streaming and export share this step. `leapai.load().step(frame)` does all of
this for one stream; write it out where you need batches, gradients or the raw predictions.

    python examples/own_batch.py
"""

from __future__ import annotations

import numpy as np
import torch

from leapai.checkpoints import load_checkpoint, read_checkpoint
from leapai.data.transforms import collate, prepare
from leapai.models.build import build_model
from leapai.models.dynamic.decode import decode
from leapai.types import CameraFrame, Detections, Frame
from leapai.weights import shipped_checkpoint

SIZE_PX = (480, 640)  # height, width of the images as they come from the camera
EGO_FROM_CAMERA = np.array(  # camera: x right, y down, z forward; ego: x forward, y left, z up
    [[0, 0, 1, 1.6], [-1, 0, 0, 0.0], [0, -1, 0, 1.4], [0, 0, 0, 1]], np.float64
)


def own_frame(drive: str, index: int) -> Frame:
    """Returns one instant of a drive; put your own sensors in place of the random numbers."""
    random = np.random.default_rng(index)
    time_us = 1_700_000_000_000_000 + index * 100_000  # int64 microseconds
    pose = np.eye(4)  # ego2global, float64; this vehicle drives along x at 8 m/s
    pose[0, 3] = 0.8 * index
    front = CameraFrame(
        name="front",
        group="front_wide",  # or front_narrow, back, side: each group has a backbone
        image=random.integers(0, 255, (*SIZE_PX, 3), np.uint8),  # RGB; None: the camera failed
        size_px=SIZE_PX,
        intrinsics=np.array([[500.0, 0, 320], [0, 500.0, 240], [0, 0, 1]]),
        distortion=np.zeros(5),  # k1, k2, p1, p2, k3; zeros: the image is rectified
        ego_from_camera=EGO_FROM_CAMERA,
        timestamp_us=time_us,
    )
    points = np.zeros((5000, 5), np.float32)  # x y z in the ego frame, intensity 0 to 1, dt in s
    points[:, :3] = random.uniform((-30, -30, 0), (50, 30, 3), (5000, 3))
    return Frame(drive, time_us, pose, cameras=(front,), points=points)


def main(frames: int = 3) -> list[list[Detections]]:
    """Streams two drives side by side; returns the detections of each frame, one per drive."""
    checkpoint = read_checkpoint(shipped_checkpoint())
    config = checkpoint.config
    model = build_model(config)
    load_checkpoint(checkpoint, model)
    model.eval()

    drives = ("monday", "tuesday")  # B = 2 streams
    state = model.initial_state(len(drives), "cpu")  # empty memory
    results = []
    for index in range(frames):
        own = [own_frame(drive, index) for drive in drives]
        # 1. Images are resized, and the calibration follows.
        prepared = [prepare(frame, config.camera.image_size_px) for frame in own]
        # 2. Frames become tensors. A stream whose drive begins starts with empty memory.
        batch = collate(prepared, is_first=[index == 0] * len(own))
        # 3. The step: memory goes in and comes out, and stays in no module.
        with torch.no_grad():
            predictions, state = model(batch, state)
        # 4. Raw predictions of every decoder layer become objects, in metres, in the ego frame.
        assert predictions.dynamic is not None
        results.append(decode(predictions.dynamic, batch, config.bev.grid(), config.evaluation))
    return results


if __name__ == "__main__":
    for detections in main():
        print(*detections, sep="\n")
