"""Health of what the network gives: finite, and not suddenly far less than in the frames before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from leapai.types import Detections, FloatArray, NetworkStep

RECENT_FRAMES = 5
"""Frames that a sudden loss of detections is measured against: their median bears two odd ones."""
MIN_RECENT_FRAMES = 3
MIN_OBJECTS = 4.0
"""Sum of confidences, an expected number of objects, from which a loss is no chance."""
FEW = 0.25
"""Share of the frames before below which detections are far fewer."""
_NOTHING_LOGIT = -30.0
"""Logit of a map cell that is not finite: no element is there."""


class OutputStatus(StrEnum):
    """Whether the outputs of the network can be used."""

    OK = "ok"
    NOT_FINITE = "not_finite"
    """A prediction is NaN or infinite. What is not finite is left out of detections, map and
    memory."""
    FEWER = "fewer"
    """Far fewer detections than in the frames before, although every sensor is OK."""


@dataclass(frozen=True)
class OutputHealth:
    """Status of the network's outputs, and its reason in words."""

    status: OutputStatus
    reason: str = ""


OUTPUTS_OK = OutputHealth(OutputStatus.OK)


@dataclass(frozen=True)
class PastFrame:
    """Values of a frame that a session keeps to check the next ones against."""

    sequence: str
    timestamp_us: int
    ego2global: FloatArray
    """[4, 4] float64."""
    objects: float
    """Sum of the confidences of its detections."""


def past_frame(detections: Detections) -> PastFrame:
    """Returns what is kept of a frame with these detections."""
    return PastFrame(
        detections.sequence,
        detections.timestamp_us,
        detections.ego2global,
        float(detections.score.sum()),
    )


def output_health(
    step: NetworkStep,
    detections: Detections,
    recent: Sequence[PastFrame],
    *,
    sensors_ok: bool,
) -> OutputHealth:
    """Returns the health of the outputs of a step, and of the detections made of them.

    `recent` are the frames before, oldest first, of the same sequence and without a gap.
    """
    broken = [name for name, array in step.named_outputs() if not np.isfinite(array).all()]
    if broken:
        return OutputHealth(OutputStatus.NOT_FINITE, f"{', '.join(broken)} not finite")
    before = float(np.median([frame.objects for frame in recent])) if recent else 0.0
    now = float(detections.score.sum())
    enough = len(recent) >= MIN_RECENT_FRAMES and before >= MIN_OBJECTS
    if step.objects is not None and sensors_ok and enough and now < FEW * before:
        return OutputHealth(
            OutputStatus.FEWER,
            f"confidences add up to {now:.1f}, to {before:.1f} in the frames before, and every "
            "sensor is ok",
        )
    return OUTPUTS_OK


def without_broken_cells(map_logits: FloatArray | None) -> FloatArray | None:
    """Returns logits of the map with no map element where they are not finite."""
    if map_logits is None:
        return None
    return np.where(np.isfinite(map_logits), map_logits, np.float32(_NOTHING_LOGIT))
