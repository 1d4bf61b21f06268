"""Checks an installed package without any of its extras: `make dist` runs it in a new environment.

It loads the network that ships and streams one frame of made-up sensors. Run it by `python -I`, so
that no checkout is on the path.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np

import leapai

HEIGHT, WIDTH = 128, 352


def made_up_frame() -> leapai.Frame:
    """Returns a frame with a camera that looks ahead, and points on the ground."""
    rng = np.random.default_rng(0)
    ego_from_camera = np.array([[0, 0, 1, 1.5], [-1, 0, 0, 0], [0, -1, 0, 1.6], [0, 0, 0, 1.0]])
    camera = leapai.CameraFrame(
        name="camera_front",
        group="front_wide",
        image=rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8),
        size_px=(HEIGHT, WIDTH),
        intrinsics=np.array([[300.0, 0, WIDTH / 2], [0, 300.0, HEIGHT / 2], [0, 0, 1]]),
        distortion=np.zeros(5),
        ego_from_camera=ego_from_camera,
        timestamp_us=1_000_000,
    )
    points = np.zeros((2000, 5), np.float32)
    points[:, :2] = rng.uniform(-20, 20, (2000, 2))
    return leapai.Frame("smoke", 1_000_000, np.eye(4), (camera,), points)


def main() -> None:
    """Raises AssertionError where the installation is not whole."""
    home = Path(leapai.__file__).resolve()
    assert home.is_relative_to(Path(sys.prefix).resolve()), f"{home} is not the installed package"
    assert leapai.__version__ == version("leapai") != "0+unknown"
    stream = leapai.load(device="cpu")
    detections = stream.step(made_up_frame())
    failing = {name: state.status for name, state in detections.health.failing.items()}
    assert "lidar" not in failing, failing
    assert "camera_front" not in failing, failing
    assert stream.map is not None
    assert detections.to_table().num_rows == len(detections)
    assert detections.plot().ndim == 3
    sys.stdout.write(f"leapai {leapai.__version__} streamed a frame: {detections!r}\n")


if __name__ == "__main__":
    main()
