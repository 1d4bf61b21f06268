"""Health of what the network gives: finite, and not suddenly far less than in the frames before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import torch
from torch import Tensor

from leapai.models.tensors import Predictions
from leapai.types import Detections, FloatArray

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
    predictions: Predictions,
    detections: Detections,
    recent: Sequence[PastFrame],
    *,
    sensors_ok: bool,
) -> OutputHealth:
    """Returns the health of the predictions of one stream, and of the detections made of them.

    `recent` are the frames before, oldest first, of the same sequence and without a gap.
    """
    broken = [name for name, tensor in _outputs(predictions) if not tensor.isfinite().all()]
    if broken:
        return OutputHealth(OutputStatus.NOT_FINITE, f"{', '.join(broken)} not finite")
    before = float(np.median([frame.objects for frame in recent])) if recent else 0.0
    now = float(detections.score.sum())
    enough = len(recent) >= MIN_RECENT_FRAMES and before >= MIN_OBJECTS
    if predictions.dynamic is not None and sensors_ok and enough and now < FEW * before:
        return OutputHealth(
            OutputStatus.FEWER,
            f"confidences add up to {now:.1f}, to {before:.1f} in the frames before, and every "
            "sensor is ok",
        )
    return OUTPUTS_OK


def without_broken_map(predictions: Predictions) -> Predictions:
    """Returns the predictions with no map element where logits are not finite."""
    static = predictions.static
    if static is None:
        return predictions
    logits = torch.where(static.logits.isfinite(), static.logits, _NOTHING_LOGIT)
    return replace(predictions, static=replace(static, logits=logits))


def _outputs(predictions: Predictions) -> list[tuple[str, Tensor]]:
    """Returns what detections and map are made of, by name."""
    found: list[tuple[str, Tensor]] = []
    if predictions.dynamic is not None:
        found.append(("class logits", predictions.dynamic.class_logits[-1]))
        found.append(("boxes", predictions.dynamic.boxes))
    if predictions.static is not None:
        found.append(("map logits", predictions.static.logits))
    return found
