"""Detections of a run in the formats of public benchmarks (`leapai val --format`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from leapai.data.argoverse2.argoverse2_submission import sweep_times_ns, write_argoverse2
from leapai.data.log import DrivingLog
from leapai.data.nuscenes.nuscenes_submission import sample_tokens, write_nuscenes
from leapai.types import Detections

SubmissionFormat = Literal["nuscenes", "argoverse2"]


def check_submission(format: SubmissionFormat, logs: Sequence[DrivingLog]) -> None:
    """Raises ValueError where `logs` are not of the data set of `format`: checked before a
    run, not after its hours."""
    if format == "nuscenes":
        sample_tokens(logs)
    else:
        sweep_times_ns(logs)


def write_submission(
    format: SubmissionFormat,
    detections: Iterable[Detections],
    logs: Sequence[DrivingLog],
    output: Path,
    *,
    use_lidar: bool = True,
) -> list[Path]:
    """Writes the detections of `logs` into `output`; returns the paths of the files.

    `use_lidar`: whether the network used the LiDAR, which nuScenes asks for. Raises ValueError
    as `check_submission` does.
    """
    if format == "nuscenes":
        return write_nuscenes(detections, logs, output, use_lidar=use_lidar)
    return write_argoverse2(detections, logs, output)
