"""The same drives at other frame rates: thinned, or those of the embedded world opened again.

All rates evaluate the very same frames, those of the source. A thinned drive becomes several: every
k-th frame, from each of the first k on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from leapai.data.corruptions.chosen_frames import EvaluatedFrames, SomeFrames
from leapai.data.log import DrivingLog
from leapai.types import IntArray

RATES_HZ = (1, 2, 4, 10, 20)
FINE_HZ = 20
"""Rate at which the embedded world is opened again: each of `RATES_HZ` divides it."""
_OFF = 0.05
"""Relative difference of a rate that still counts as that rate."""
Apply = Callable[[Sequence[DrivingLog]], list[DrivingLog]]
RateCondition = tuple[str, str, float, Apply]
"""Name, words, rate, and the function that makes the drives."""


@dataclass(frozen=True)
class RateLogs:
    """The rate of some drives, and how to have them at a finer one."""

    rate_hz: float | None
    """Median over all drives; None: no drive has two frames."""
    fine: Callable[[], Sequence[DrivingLog]] | None = None
    """Opens the same drives at `FINE_HZ`; None: they exist at their own rate alone."""


def rate_of(logs: Sequence[DrivingLog]) -> float | None:
    """Returns the median frame rate in Hz of some drives; None where none has two frames."""
    steps = np.concatenate([np.diff(log.timestamps_us) for log in logs])
    return 1e6 / float(np.median(steps)) if len(steps) else None


def rate_conditions(rates: RateLogs) -> tuple[list[RateCondition], list[tuple[str, str]]]:
    """Returns the rates that the drives allow, and the others with the reason."""
    found: list[RateCondition] = []
    skipped = []
    for rate in RATES_HZ:
        name, apply = f"rate_{rate}_hz", None
        if rates.rate_hz is None:
            skipped.append((name, "no drive has two frames"))
            continue
        step = rates.rate_hz / rate
        if abs(step - 1) < _OFF:
            skipped.append((name, "it is the rate of the source: the clean row"))
            continue
        if round(step) >= 2 and abs(step - round(step)) < _OFF * step:
            apply = partial(_thinned, step=round(step))
        elif rates.fine is not None:
            apply = partial(_from_fine, fine=rates.fine, step=FINE_HZ // rate)
        if apply is None:
            skipped.append((name, _why_not(rate, rates.rate_hz)))
        else:
            found.append((name, f"{rate} frames a second", float(rate), apply))
    return found, skipped


def _why_not(rate: float, own_hz: float) -> str:
    if rate > own_hz:
        return f"the source has {own_hz:.3g} frames a second, and there are none in between"
    return f"{own_hz:.3g} frames a second cannot be thinned to {rate:g}"


def _thinned(logs: Sequence[DrivingLog], step: int) -> list[DrivingLog]:
    """Returns each drive divided into drives of every `step`-th frame."""
    return [
        SomeFrames(log, range(first, len(log), step), _named(log, first))
        for log in logs
        for first in range(min(step, len(log)))
    ]


def _from_fine(
    logs: Sequence[DrivingLog], fine: Callable[[], Sequence[DrivingLog]], step: int
) -> list[DrivingLog]:
    """Returns drives of every `step`-th frame of the finer drives that together have all frames of
    `logs`; only these are evaluated."""
    made: list[DrivingLog] = []
    for log, finer in zip(logs, fine(), strict=True):
        times = finer.timestamps_us
        for first in range(min(step, len(times))):
            indices: IntArray = np.arange(first, len(times), step)
            evaluated = np.isin(times[indices], log.timestamps_us)
            if evaluated.any():
                made.append(
                    EvaluatedFrames(SomeFrames(finer, indices, _named(log, first)), evaluated)
                )
    return made


def _named(log: DrivingLog, first: int) -> str:
    return f"{log.name}+{first}" if first else log.name
