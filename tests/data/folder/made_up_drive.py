"""A drive of made-up sensor files: sweeps, images of one camera and their calibration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

START_US = 1_700_000_000_000_000
STEP_US = 100_000
SIZE_PX = (48, 64)
EGO_FROM_CAMERA = [[0, 0, 1, 1.5], [-1, 0, 0, 0], [0, -1, 0, 1.6], [0, 0, 0, 1]]
EGO_FROM_LIDAR = [[0, 1, 0, 1.0], [-1, 0, 0, 0], [0, 0, 1, 2.0], [0, 0, 0, 1]]
CAMERA = {
    "name": "front",
    "group": "front_wide",
    "size_px": list(SIZE_PX),
    "intrinsics": [[50, 0, 32], [0, 50, 24], [0, 0, 1]],
    "ego_from_camera": EGO_FROM_CAMERA,
}
CALIBRATION: dict[str, Any] = {
    "time_unit": "us",
    "lidar": {"ego_from_lidar": EGO_FROM_LIDAR, "intensity_max": 255},
    "cameras": [CAMERA],
}


def points(seed: int, count: int = 50, columns: int = 4) -> np.ndarray:
    """Points [count, columns] float32 in the LiDAR's frame, intensity in 0..255."""
    rng = np.random.default_rng(seed)
    cloud = rng.uniform(-20, 20, (count, columns))
    cloud[:, 3] = rng.uniform(0, 255, count)
    return cloud.astype(np.float32)


def write_image(path: Path, shade: int, size_px: tuple[int, int] = SIZE_PX) -> None:
    """Writes an image of one shade with a white corner."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full((*size_px, 3), shade, np.uint8)
    image[:8, :8] = 255
    Image.fromarray(image).save(path)


def write_calibration(folder: Path, **changes: Any) -> None:
    """Writes `calibration.json`; a change to None leaves that entry out."""
    content = {k: v for k, v in (CALIBRATION | changes).items() if v is not None}
    (folder / "calibration.json").write_text(json.dumps(content))


def write_drive(folder: Path, frames: int = 3) -> Path:
    """Writes a drive; each image is 20 ms older than its sweep."""
    (folder / "lidar").mkdir(parents=True)
    for index in range(frames):
        time_us = START_US + index * STEP_US
        points(index).tofile(folder / "lidar" / f"{time_us}.bin")
        write_image(folder / "front" / f"{time_us - 20_000}.png", shade=10 * index)
    write_calibration(folder)
    return folder
