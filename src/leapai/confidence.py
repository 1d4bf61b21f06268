"""Confidence after a training: made to mean the same with a sensor lost.

Streams labelled drives with all sensors, without the LiDAR and without the cameras, and fits how
often a detection of some confidence is right. `SensorConfidence` then moves the confidences with a
sensor lost to where they are right as often as with all sensors. Those with all sensors stay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from leapai.checkpoints import Checkpoint, header, read_checkpoint, write_checkpoint
from leapai.config.confidence_options import ConfidenceOptions
from leapai.config.schema import TaskConfig
from leapai.data.perturbation import without_cameras, without_lidar
from leapai.evaluation.detection.calibration import calibration, fitted_logistic
from leapai.evaluation.detection.detection_metrics import Evaluator
from leapai.evaluation.detection.detection_results import OPERATING_CONFIDENCE
from leapai.evaluation.detection.labelled_frames import LabelledFrame
from leapai.evaluation.evaluate_stream import labelled
from leapai.runs.run_inputs import RunInputs, open_inputs
from leapai.streaming.session import StreamSession
from leapai.types import BoolArray, FloatArray, Frame

ALL = "all sensors"
LOST: dict[str, Callable[[Frame], Frame]] = {
    "cameras_alone": without_lidar,
    "lidar_alone": without_cameras,
}
"""How a frame loses a sensor, by the field of `ConfidenceConfig` that is then fitted."""
LEAST = 50
"""Right, and wrong, detections that a fit needs."""


@dataclass(frozen=True)
class ConfidenceFit:
    """A scale and a shift for the frames with some sensors, and their effect on the detections that
    they were fitted to."""

    sensors: str
    scale: float
    shift: float
    before: tuple[FloatArray, BoolArray]
    """Confidence of detections [N], and which are right within 2 m."""
    after: tuple[FloatArray, BoolArray]

    def __str__(self) -> str:
        change = f"logits x {self.scale:.2f} {self.shift:+.2f}"
        old, new = (_words(*hits) for hits in (self.before, self.after))
        return f"{self.sensors.replace('_', ' ')}: {change}; {old} -> {new}"


def fit_confidence(options: ConfidenceOptions) -> list[ConfidenceFit]:
    """Writes the checkpoint with fitted `dynamic.confidence`; returns what each fit changes.

    Raises ValueError where the network does not have both kinds of sensors, or the data have too
    few detections of either alone; OSError where the checkpoint cannot be written.
    """
    checkpoint = read_checkpoint(options.checkpoint)
    config = _without_fit(checkpoint)
    inputs = open_inputs(config, checkpoint, options.data, options.max_frames)
    hits = {
        name: Evaluator(frames, config.bev, config.vocabulary).hits()
        for name, frames in _streamed(inputs).items()
    }
    reference = _fitted(hits.pop(ALL), ALL, options.data)
    fits = [
        _relative(name, each, _fitted(each, name, options.data), reference)
        for name, each in hits.items()
    ]
    config = config.replace(
        dynamic={"confidence": {fit.sensors: (fit.scale, fit.shift) for fit in fits}}
    )
    content = {"state_dict": dict(checkpoint.state_dict), **header(config)}
    write_checkpoint(options.output, {**content, "figures": dict(checkpoint.metrics)})
    return fits


def _without_fit(checkpoint: Checkpoint) -> TaskConfig:
    """Returns the configuration of a checkpoint without what was fitted before."""
    config = checkpoint.config
    if not (config.dynamic_task and config.enable_lidar):
        raise ValueError(
            f"checkpoint {checkpoint} has no dynamic task with cameras and a LiDAR: confidence "
            "depends on one kind of sensor alone, so there is nothing to fit"
        )
    return config.replace(dynamic={"confidence": dict.fromkeys(LOST, (1.0, 0.0))})


def _streamed(inputs: RunInputs) -> dict[str, list[LabelledFrame]]:
    """Streams each drive with all sensors and without each kind at once, so that a frame is read
    once; returns the labelled frames that have both kinds."""
    changes: dict[str, Callable[[Frame], Frame]] = {ALL: lambda frame: frame, **LOST}
    found: dict[str, list[LabelledFrame]] = {name: [] for name in changes}
    for number, log in enumerate(inputs.logs):
        sessions = {
            name: StreamSession(inputs.model, inputs.config, inputs.origin.device, number)
            for name in changes
        }
        for index in range(min(len(log), inputs.origin.max_frames or len(log))):
            frame = log[index]
            for name, change in changes.items():
                result = sessions[name].try_step(change(frame))
                if result is not None and _has_both(frame):
                    found[name] += labelled(result)
    return found


def _has_both(frame: Frame) -> bool:
    return frame.points is not None and any(c.image is not None for c in frame.cameras)


def _fitted(hits: tuple[FloatArray, BoolArray], name: str, data: str) -> tuple[float, float]:
    score, right = hits
    counts = int(right.sum()), int((~right).sum())
    if min(counts) < LEAST:
        raise ValueError(
            f"data '{data}': {counts[0]} right and {counts[1]} wrong detections by "
            f"{name.replace('_', ' ')} are too few, {LEAST} of each are needed: name more labelled "
            "drives with cameras and a LiDAR, with --data"
        )
    return fitted_logistic(score, right)


def _relative(
    name: str,
    hits: tuple[FloatArray, BoolArray],
    fitted: tuple[float, float],
    reference: tuple[float, float],
) -> ConfidenceFit:
    """Returns the change by which confidences mean what they mean in the reference."""
    scale, shift = fitted[0] / reference[0], (fitted[1] - reference[1]) / reference[0]
    score, right = hits
    moved = np.asarray(expit(scale * logit(score) + shift))
    return ConfidenceFit(name, scale, shift, hits, (moved, right))


def _words(score: FloatArray, right: BoolArray) -> str:
    sure = score >= OPERATING_CONFIDENCE
    precision = f"{right[sure].mean():.2f}" if sure.any() else "-"
    ece = calibration(score, right).ece
    return f"precision {precision} at {OPERATING_CONFIDENCE:g}, ECE {ece:.3f}"
