"""Progress of a training: its step, the report of the last step, and where the time went."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class Progress:
    """Numbers of the steps that a run has done."""

    step: int = 0
    """Optimiser steps done, skipped ones counted."""
    skipped: int = 0
    skipped_in_row: int = 0


@dataclass
class StepReport:
    """Losses, gradient norm and frames of the last step."""

    losses: dict[str, Tensor] = field(default_factory=dict)
    gradient_norm: float = float("nan")
    rate: float = 0.0
    frames: int = 0
    """Number of frames on all ranks together."""
    skipped: tuple[str, ...] = ()
    """Names of the frames of a step that was skipped; empty where it was not."""


class Stopwatch:
    """Seconds by stage. On a GPU they are those between two marks among the work it is given, which
    nobody waits for until they are read."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = defaultdict(float)
        self._marks: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Adds the seconds of a block to a stage."""
        if torch.cuda.is_available():
            start, end = (
                torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
                for _ in range(2)
            )
            start.record()
            try:
                yield
            finally:
                end.record()
                self._marks.append((stage, start, end))
            return
        start_s = now()
        try:
            yield
        finally:
            self._seconds[stage] += now() - start_s

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of each stage so far; waits for the GPU."""
        for stage, start, end in self._marks:
            end.synchronize()
            self._seconds[stage] += start.elapsed_time(end) / 1000
        self._marks.clear()
        return dict(self._seconds)


def now() -> float:
    """Returns the time in seconds, after all work that the GPU was given is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
