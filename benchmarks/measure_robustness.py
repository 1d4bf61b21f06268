"""Measures the cost of failed sensors, wrong calibration and missing frames: mAP over clean mAP.

    python benchmarks/measure_robustness.py [--step2 outputs/tiny_step2_dynamic/model.ckpt]

Streams the same validation drives again and again, each time with one fault from the first frame to
the last. Without `--step2` it measures the checkpoint that ships.

Frame gaps have a table of their own, on the same drives at 10 Hz where they are of the embedded
world: every k-th frame is streamed, from each of the k first frames on, so that the very same
frames are evaluated at every gap. The share of frames without any memory grows with k and is part
of the cost. Prints Markdown tables and writes the metrics as JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from scipy.spatial.transform import Rotation

from leapai.data.log import DrivingLog, LogWrapper
from leapai.data.perturbation import (
    PerturbedLog,
    pose_noise,
    with_camera_errors,
    without_cameras,
    without_lidar,
)
from leapai.types import Frame, IntArray
from leapai.weights import shipped_checkpoint
from measure_memory import (
    Row,
    load,
    measure,
    metres,
    metrics_of,
    options_of,
    parser,
    percent,
    print_table,
    write_json,
)

GAPS_S = (0.1, 0.2, 0.5, 1.0)
RATE_HZ = 10
"""Frame rate of the embedded world for the gaps."""
POSE_NOISES = ((0.05, 0.2), (0.2, 1.0))
"""Standard deviations of each frame's ego pose along and about each axis, m and degrees."""
SEED = 0
HEADER = ("", "mAP %", "relative to the first, %", "velocity error m/s")


class EveryKth(LogWrapper):
    """Some frames of a drive, as a drive of its own."""

    def __init__(self, inner: DrivingLog, indices: range) -> None:
        super().__init__(inner)
        self.name = f"{inner.name}+{indices.start}"
        self._indices = indices

    @property
    def timestamps_us(self) -> IntArray:
        """Timestamps [T] int64 of the frames that are kept."""
        return self.inner.timestamps_us[list(self._indices)]

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> Frame:
        return replace(self.inner[self._indices[index]], sequence=self.name)

    def ground_truth(self, index: int) -> Frame:
        """Returns the frame without cameras and points."""
        return DrivingLog.ground_truth(self, index)


def with_gaps(logs: Sequence[DrivingLog], step: int, max_frames: int | None) -> list[DrivingLog]:
    """Returns the first frames of each drive, divided into drives of every `step`-th frame."""
    lengths = [min(len(log), max_frames or len(log)) for log in logs]
    return [
        EveryKth(log, range(first, length, step))
        for log, length in zip(logs, lengths, strict=True)
        for first in range(min(step, length))
    ]


def at_high_rate(data: str) -> str:
    """Returns the same drives of the embedded world, of the same duration, at `RATE_HZ`; other data
    as they are."""
    source, _, location = data.partition(":")
    if source != "synthetic":
        return data
    options = dict(part.split("=", 1) for part in location.split(",") if part)
    duration_s = int(options.get("frames", 40)) / float(options.get("rate_hz", RATE_HZ))
    options |= {"rate_hz": str(RATE_HZ), "frames": str(round(duration_s * RATE_HZ))}
    return f"{source}:{','.join(f'{name}={value}' for name, value in options.items())}"


def steps_of_gaps(logs: Sequence[DrivingLog]) -> dict[int, float]:
    """Returns {frames from one to the next: seconds} for each gap that the data allow."""
    interval_s = float(np.median(np.diff(logs[0].timestamps_us))) / 1e6
    steps = (max(round(gap_s / interval_s), 1) for gap_s in GAPS_S)
    return {step: step * interval_s for step in steps}


def trials(cameras: Sequence[str]) -> dict[str, Callable[[Frame], Frame]]:
    """Returns the faults, each applied to every frame, by name."""
    lost = {"LiDAR lost": without_lidar, "all cameras lost": without_cameras}
    lost |= {
        f"`{name}` lost": lambda frame, name=name: without_cameras(frame, [name])
        for name in cameras
    }
    wrong: dict[str, Callable[[Frame], Frame]] = {
        "calibration off by 1 degree": lambda frame: calibration_off(frame, 1.0, 0.0),
        "calibration off by 10 cm": lambda frame: calibration_off(frame, 0.0, 0.1),
        "calibration off by both": lambda frame: calibration_off(frame, 1.0, 0.1),
    }
    wrong |= {
        f"pose noise, std {noise_m:g} m and {noise_deg:g} degrees an axis": partial(
            with_pose_noise, noise_m=noise_m, noise_deg=noise_deg
        )
        for noise_m, noise_deg in POSE_NOISES
    }
    return lost | wrong


def calibration_off(frame: Frame, rotation_deg: float, translation_m: float) -> Frame:
    """Rotates every camera by exactly this angle, about an axis of its own, and moves it by exactly
    this distance: the same in all frames of a drive."""
    rng = np.random.default_rng([SEED, *frame.sequence.encode()])
    directions = rng.normal(size=(2, len(frame.cameras), 3))
    turn, shift = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    errors = np.tile(np.eye(4), (len(frame.cameras), 1, 1))
    errors[:, :3, :3] = Rotation.from_rotvec(rotation_deg * turn, degrees=True).as_matrix()
    errors[:, :3, 3] = translation_m * shift
    return with_camera_errors(frame, errors)


def with_pose_noise(frame: Frame, noise_m: float, noise_deg: float) -> Frame:
    """Adds noise to the ego pose, another draw in each frame."""
    rng = np.random.default_rng([SEED, frame.timestamp_us])
    return pose_noise(frame, noise_deg, noise_m, rng)


def cells(row: Row, clean: float | None) -> list[str]:
    """Returns the columns of `HEADER`."""
    mean_ap, velocity = row.metrics.mean_ap, row.metrics.errors.velocity_mps
    relative = mean_ap / clean if mean_ap is not None and clean else None
    return [row.name, percent(mean_ap), percent(relative), metres(velocity)]


def main() -> None:
    """Measures and prints."""
    given = parser(__doc__, "measure_robustness.json").parse_args()
    network = load(given.step2 or shipped_checkpoint())
    options = options_of(given, network.config)
    logs = options.open(network.config)
    rows = [measure("clean", network, logs, options)]
    for name, spoil in trials([camera.name for camera in logs[0][0].cameras]).items():
        spoilt = [PerturbedLog(log, spoil) for log in logs]
        rows.append(measure(name, network, spoilt, options))
    show("Sensors, calibration, poses", rows)
    fast = replace(options, data=at_high_rate(options.data)).open(network.config)
    gaps = []
    for step, gap_s in steps_of_gaps(fast).items():
        thinned = with_gaps(fast, step, options.max_frames)
        gaps.append(measure(f"{gap_s:g} s between frames", network, thinned, options))
    show("Frame gaps", gaps)
    write_json(metrics_of(rows + gaps), logs, options)


def show(title: str, rows: Sequence[Row]) -> None:
    """Prints a table, relative to its first row."""
    print(f"\n### {title}\n")
    print_table(HEADER, [cells(row, rows[0].metrics.mean_ap) for row in rows])


if __name__ == "__main__":
    main()
