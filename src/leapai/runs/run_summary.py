"""The summary of a validation run, `run.json`: what was run, on what data, and what it cost."""

from __future__ import annotations

import os
import platform
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from leapai.config.options import WeightType
from leapai.evaluation.sequence_result import SequenceResult
from leapai.runs.profiler import WHOLE_STEP, StageCost
from leapai.runs.system_info import cpu_name
from leapai.version import __version__

MACHINE = "machine"
"""Name of the machine among the versions of a run."""


@dataclass(frozen=True)
class RunOrigin:
    """Origin of a run: its job, data and weights, known before the first frame."""

    job_name: str
    data: str
    weights: str
    device: str
    data_version: str | None
    """Version that the data names; None: it names none."""
    config_sha256: str
    """SHA-256 of the configuration in full, as `config.json` holds it."""
    checkpoint_sha256: str | None
    """SHA-256 of the checkpoint file; None: the weights are random."""
    seed: int
    """Seed of the weights: that of their training, or that they were drawn with."""
    max_frames: int | None
    """Frames streamed of each drive at most; None: all."""
    exported_sha256: str | None = field(default=None, kw_only=True)
    """SHA-256 of the manifest of the exported network that ran, which names that of its graph;
    None: the checkpoint itself ran."""
    exported_weights: WeightType | None = field(default=None, kw_only=True)
    """Type in which an exported network keeps its weights."""


@dataclass(frozen=True)
class SensorFailures:
    """Failures of one sensor: the first fault, and the number of frames that have one."""

    first: str
    frames: int


@dataclass(frozen=True)
class RunSummary(RunOrigin):
    """Content of `run.json`: the origin of the run, its counts and its costs."""

    finished_utc: str
    """Time in UTC, such as 2025-01-31T12:00:00+00:00."""
    version: str
    """Version of leapai."""
    versions: dict[str, str]
    """Versions of what metrics and times depend on."""
    processes: int
    frames: int
    labelled_frames: int
    detections: int
    tracks: int
    frames_by_sequence: dict[str, int]
    faults: dict[str, SensorFailures]
    """Failures by name of the sensor."""
    stages: dict[str, StageCost]
    """Costs of all processes: their times add up; of their memory it is the highest."""

    @property
    def machine(self) -> str | None:
        """Device, processors and threads, on which times depend; None: the run did not record it.
        Times of two machines cannot be compared."""
        named = self.versions.get(MACHINE)
        return f"{self.device}: {named}" if named else None

    @property
    def seconds_per_frame(self) -> float | None:
        """Seconds of the whole step on one process, without reading and painting."""
        step = self.stages.get(WHOLE_STEP)
        return step.seconds / self.frames if step and self.frames else None


def same_machine(summaries: Sequence[RunSummary]) -> bool:
    """Returns whether all runs are known to have run on one kind of machine."""
    machines = {summary.machine for summary in summaries}
    return len(machines) == 1 and None not in machines


def summarise(
    origin: RunOrigin,
    sequences: Sequence[SequenceResult],
    stages: dict[str, StageCost],
    processes: int,
) -> RunSummary:
    """Returns the summary of a run that has just finished; `sequences` are in their order."""
    detections = [found for sequence in sequences for found in sequence.detections]
    return RunSummary(
        **vars(origin),
        finished_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        version=__version__,
        versions=installed_versions(),
        processes=processes,
        frames=len(detections),
        labelled_frames=sum(len(sequence.labelled()) for sequence in sequences),
        detections=sum(len(found) for found in detections),
        tracks=len({int(i) for found in detections for i in found.track_id if i >= 0}),
        frames_by_sequence=dict(Counter(found.sequence for found in detections)),
        faults=sensor_failures(sequences),
        stages=stages,
    )


def sensor_failures(sequences: Sequence[SequenceResult]) -> dict[str, SensorFailures]:
    """Returns the failures of each sensor over all frames, in order of their first fault."""
    faults = [
        fault.partition(": ") for each in sequences for frame in each.faults for fault in frame
    ]
    frames = Counter(sensor for sensor, _, _ in faults)
    first = {sensor: reason for sensor, _, reason in reversed(faults)}
    return {sensor: SensorFailures(first[sensor], count) for sensor, count in frames.items()}


def installed_versions() -> dict[str, str]:
    """Returns the versions of Python, of the libraries that compute, as far as they are imported,
    and the machine with the number of threads."""
    imported = {name: sys.modules.get(name) for name in ("torch", "onnxruntime")}
    torch = imported["torch"]
    cuda = torch.cuda if torch else None
    gpus = map(cuda.get_device_name, range(cuda.device_count())) if cuda else ()
    threads = torch.get_num_threads() if torch else os.environ.get("OMP_NUM_THREADS", "all")
    return {
        "python": platform.python_version(),
        **{name: str(module.__version__) for name, module in imported.items() if module},
        "numpy": np.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
        MACHINE: ", ".join([cpu_name(), f"threads: {threads}", *gpus]),
    }
