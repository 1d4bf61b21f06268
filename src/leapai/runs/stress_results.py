"""Results of a stress run: its settings, the result of each condition, and its summary."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from leapai.config.schema import TaskConfig
from leapai.evaluation.robustness import CorruptionScore, Scores
from leapai.folders import inside
from leapai.runs.run_summary import RunOrigin

CLEAN = "clean"
"""Name of the condition in which nothing is wrong."""
WORST = "worst"
"""Folder of the pictures of the frames that lost most."""


@dataclass(frozen=True)
class StressSettings:
    """Everything that the results of a stress run depend on."""

    version: str
    """Version of leapai."""
    data: str
    data_version: str | None
    sequences_sha256: str
    """SHA-256 of the names of the drives and the timestamps of their frames."""
    checkpoint_sha256: str | None
    config_sha256: str
    max_frames: int | None
    """Frames of each drive at most; None: all."""
    quick: bool
    draws_seed: int
    """Seed of what is drawn for the conditions."""
    exported_sha256: str | None = None
    """SHA-256 of the manifest of the exported network that ran; None: the checkpoint itself ran."""


@dataclass(frozen=True)
class WorstLoss:
    """The frame that lost most under a condition."""

    sequence: str
    timestamp_us: int
    loss: float
    """Weight of its failures, less that of its failures in the clean run."""


@dataclass(frozen=True)
class ConditionResult:
    """The result of one condition, as it is kept."""

    name: str
    kind: str
    words: str
    corruption: str | None
    severity: int | None
    level: float | None
    scores: Scores
    worst: WorstLoss | None
    """None: no frame lost anything."""
    seconds: float
    """Time that it took."""


@dataclass(frozen=True)
class StressSummary(RunOrigin):
    """Content of `stress.json`: the origin of the run, and its relative scores."""

    finished_utc: str
    version: str
    """Version of leapai."""
    versions: dict[str, str]
    """Versions of what metrics and times depend on."""
    quick: bool
    draws_seed: int
    frames: int
    """Frames of the clean run that have labels."""
    sequences: int
    score: str
    """Name of the score S."""
    clean: Scores
    mean_relative_score: float | None
    """mRA; None: not all corruptions were run at all severities."""
    corruptions: dict[str, CorruptionScore]
    """RA by corruption."""
    conditions: int
    skipped: dict[str, str]
    """Conditions that were not run, and why."""


@dataclass(frozen=True)
class StressRun:
    """A finished stress run, read back."""

    folder: Path
    config: TaskConfig
    summary: StressSummary
    results: tuple[ConditionResult, ...]
    """Results in the order of the run; the clean one is the first."""

    def picture(self, name: str) -> Path | None:
        """Returns the picture of the worst frame of a condition; None where there is none."""
        return inside(self.folder, f"{WORST}/{name}.webp")


def percent(share: float | None) -> str:
    """Returns a share in percent, or a dash."""
    return "-" if share is None else f"{100 * share:.1f} %"
