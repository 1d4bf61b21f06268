"""What a run tells of itself while it goes: how far it is, what the last step was like, and where
the time went."""

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
    """How far a run has come."""

    step: int = 0
    """Optimiser steps done, skipped ones counted."""
    skipped: int = 0
    skipped_in_row: int = 0


@dataclass
class StepReport:
    """What the last step was like."""

    losses: dict[str, Tensor] = field(default_factory=dict)
    gradient_norm: float = float("nan")
    rate: float = 0.0
    frames: int = 0
    """Of all ranks."""
    skipped: tuple[str, ...] = ()
    """Where the step was skipped: the frames it was made of."""


class Stopwatch:
    """Seconds by stage; on a GPU it waits for what it measures."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Measures a block."""
        start = now()
        try:
            yield
        finally:
            self.seconds[stage] += now() - start


def now() -> float:
    """Seconds, after all that the GPU was told is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
