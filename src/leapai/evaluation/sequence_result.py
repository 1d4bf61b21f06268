"""Results of streaming one sequence: all that metrics, reports and outputs need of its frames."""

from __future__ import annotations

from dataclasses import dataclass, field

from leapai.evaluation.detection.labelled_frames import LabelledFrame
from leapai.streaming.step_result import StepResult
from leapai.types import Detections, Labels, MapPolyline


@dataclass(frozen=True)
class MemoryHealth:
    """The memory that a frame could read."""

    slots: int
    """Valid slots."""
    oldest_age_s: float | None
    """Age of the oldest of them; None: there is none."""
    reset: bool
    """Whether memory was reset in this frame: a sequence began, or too much time had passed."""

    @staticmethod
    def of(result: StepResult) -> MemoryHealth:
        """Reads it from a step of the first stream; without the dynamic task there is no memory."""
        memory = result.memory
        if memory is None:
            return MemoryHealth(slots=0, oldest_age_s=None, reset=False)
        stored_us = memory.timestamp_us[memory.valid]
        age_us = result.frame.timestamp_us - int(stored_us.min()) if len(stored_us) else None
        return MemoryHealth(
            slots=len(stored_us),
            oldest_age_s=None if age_us is None else age_us / 1e6,
            reset=memory.reset,
        )


@dataclass
class SequenceResult:
    """Results of one sequence, frame by frame: lists of one length."""

    number: int
    """Number of the sequence, among those of the run."""
    detections: list[Detections] = field(default_factory=list)
    labels: list[Labels | None] = field(default_factory=list)
    faults: list[tuple[str, ...]] = field(default_factory=list)
    memory: list[MemoryHealth] = field(default_factory=list)
    lines: list[tuple[MapPolyline, ...]] = field(default_factory=list)
    """Predicted map lines, in the ego frame; none where the static task is off."""

    def add(self, result: StepResult) -> None:
        """Keeps what is needed of a frame."""
        self.detections.append(result.detections)
        self.labels.append(result.frame.labels)
        self.faults.append(result.faults)
        self.memory.append(MemoryHealth.of(result))
        self.lines.append(result.lines)

    def labelled(self) -> list[LabelledFrame]:
        """Returns the frames that have labels."""
        pairs = zip(self.detections, self.labels, strict=True)
        return [LabelledFrame(frame, labels) for frame, labels in pairs if labels is not None]
