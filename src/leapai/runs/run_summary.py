"""What a run of validation did: counted, merged over processes, told."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from rich.table import Table

from leapai import __version__
from leapai.evaluation.sequence_result import SequenceResult
from leapai.runs.profiler import StageCost

WHOLE_STEP = "whole step"
"""The stage that holds all stages of the network, decoding and tracking."""


def installed_versions() -> dict[str, str]:
    """Of Python, the libraries that compute, and the machine."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
    }


@dataclass
class SensorFailures:
    """In how many frames of a run a sensor failed, and what the first fault was."""

    first: str
    frames: int = 0


@dataclass
class RunSummary:
    """What a run did; `run.json` holds it."""

    job_name: str
    data: str
    weights: str
    device: str
    data_version: str | None
    """As the data names it; None: it names none."""
    config_sha256: str
    """Of the configuration in full, as `config.json` holds it."""
    checkpoint_sha256: str | None
    """Of the file; None: the weights are random."""
    seed: int
    """Of the weights: that of their training, or that they were drawn with."""
    max_frames: int | None
    """Of each drive; None: drives are streamed to their end."""
    finished_utc: str = ""
    """As 2025-01-31T12:00:00+00:00."""
    version: str = __version__
    versions: dict[str, str] = field(default_factory=installed_versions)
    """Of what figures and times depend on."""
    processes: int = 1
    frames: int = 0
    labelled_frames: int = 0
    detections: int = 0
    tracks: int = 0
    frames_by_sequence: dict[str, int] = field(default_factory=dict)
    faults: dict[str, SensorFailures] = field(default_factory=dict)
    """By sensor."""
    stages: dict[str, StageCost] = field(default_factory=dict)
    """Over all processes: their times add up, of their memory it is the highest."""

    @property
    def seconds_per_frame(self) -> float | None:
        """Of the whole step, on one process, without reading and painting."""
        step = self.stages.get(WHOLE_STEP)
        return step.seconds / self.frames if step and self.frames else None

    def count(self, drives: Sequence[SequenceResult]) -> None:
        """Counts what the drives of the run gave, in their order."""
        tracks: set[int] = set()
        for drive in drives:
            self.labelled_frames += len(drive.labelled())
            for said, faults in zip(drive.detections, drive.faults, strict=True):
                self.frames += 1
                before = self.frames_by_sequence.get(said.sequence, 0)
                self.frames_by_sequence[said.sequence] = before + 1
                self.detections += len(said)
                tracks.update(int(i) for i in said.track_id if i >= 0)
                for fault in faults:
                    sensor, _, reason = fault.partition(": ")
                    self.faults.setdefault(sensor, SensorFailures(reason)).frames += 1
        self.tracks = len(tracks)


def merged_costs(costs: Iterable[dict[str, StageCost]]) -> dict[str, StageCost]:
    """Of several processes: calls and seconds together, memory of the one that took most."""
    merged: dict[str, StageCost] = {}
    for of_process in costs:
        for name, cost in of_process.items():
            total = merged.setdefault(name, StageCost())
            total.calls += cost.calls
            total.seconds += cost.seconds
            total.peak_bytes = max(total.peak_bytes, cost.peak_bytes)
            total.added_bytes = max(total.added_bytes, cost.added_bytes)
    return merged


def stage_table(summary: RunSummary) -> Table:
    """Seconds a frame and memory of each stage."""
    table = Table(title=f"{summary.frames} frames on {summary.device}")
    table.add_column("stage")
    for title in ("s / frame", "peak MB", "added MB"):
        table.add_column(title, justify="right")
    for name, cost in summary.stages.items():
        table.add_row(
            name,
            f"{cost.seconds / max(summary.frames, 1):.4f}",
            f"{cost.peak_bytes / 1e6:.0f}",
            f"{cost.added_bytes / 1e6:.0f}",
        )
    return table
