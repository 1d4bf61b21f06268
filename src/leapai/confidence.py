"""Confidence after a training: made to mean the same with a sensor lost.

Streams labelled drives with all sensors, without the LiDAR and without the cameras, and fits how
often a detection of some confidence is right. `SensorConfidence` then moves the confidences with a
sensor lost to where they are right about as often as with all sensors. Those with all sensors stay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from rich.console import Console
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
SLOPES = 0.05, 20.0
"""Flattest and steepest slope that a fit may have. A flatter one is noise, and one below 0 wrong. A
steeper one is of detections that are all right above some confidence, where any steep curve
fits."""


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


def fit_confidence(
    options: ConfidenceOptions, console: Console | None = None
) -> list[ConfidenceFit]:
    """Writes the checkpoint with fitted `dynamic.confidence`; returns what each fit changes.

    Raises ValueError for files of the options that cannot be, where the network does not have both
    kinds of sensors, and where the detections by either alone are too few or have no fit; OSError
    where the checkpoint cannot be written.
    """
    options.check_files()
    checkpoint = read_checkpoint(options.checkpoint)
    config = _without_fit(checkpoint)
    inputs = open_inputs(config, checkpoint, options.data, options.max_frames)
    hits = {
        name: Evaluator(frames, config.bev, config.vocabulary).hits()
        for name, frames in _streamed(inputs, console or Console()).items()
    }
    reference = _fitted(hits.pop(ALL), ALL, options.data)
    fits = [
        _relative(name, each, _fitted(each, name, options.data), reference)
        for name, each in hits.items()
    ]
    for fit in fits:
        config = _with_fit(config, fit, options.data)
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


def _streamed(inputs: RunInputs, console: Console) -> dict[str, list[LabelledFrame]]:
    """Streams each drive with all sensors and without each kind at once, so that a frame is read
    once; prints a line on each drive, and returns the labelled frames that have both kinds."""
    changes: dict[str, Callable[[Frame], Frame]] = {ALL: lambda frame: frame, **LOST}
    found: dict[str, list[LabelledFrame]] = {name: [] for name in changes}
    for number, log in enumerate(inputs.logs):
        sessions = {
            name: StreamSession(inputs.model, inputs.config, inputs.origin.device, number)
            for name in changes
        }
        before, count = len(found[ALL]), min(len(log), inputs.origin.max_frames or len(log))
        for index in range(count):
            frame = log[index]
            for name, change in changes.items():
                result = sessions[name].try_step(change(frame))
                if result is not None and _has_both(frame):
                    found[name] += labelled(result)
        console.print(
            f"{log.name}: {len(found[ALL]) - before} of {count} frames have labels, cameras and a "
            "LiDAR",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    return found


def _has_both(frame: Frame) -> bool:
    return frame.points is not None and any(c.image is not None for c in frame.cameras)


def _fitted(hits: tuple[FloatArray, BoolArray], name: str, data: str) -> tuple[float, float]:
    score, right = hits
    counts = int(right.sum()), int((~right).sum())
    if min(counts) < LEAST:
        raise _unfit(
            data,
            name,
            f"{counts[0]} right and {counts[1]} wrong are too few, {LEAST} of each are needed",
        )
    try:
        scale, shift = fitted_logistic(score, right)
    except ValueError as error:
        raise _unfit(data, name, str(error)) from error
    if not SLOPES[0] <= scale <= SLOPES[1]:
        reason = f"confidence does not tell how probably they are right (logits x {scale:.3g})"
        raise _unfit(data, name, reason)
    return scale, shift


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


def _with_fit(config: TaskConfig, fit: ConfidenceFit, data: str) -> TaskConfig:
    """Returns the configuration with a fit. Raises ValueError where it is beyond the limits of the
    configuration, so far are the detections from those with all sensors."""
    pair = fit.scale, fit.shift
    try:
        return config.replace(dynamic={"confidence": {fit.sensors: pair}})
    except ValueError as error:
        change = f"logits x {fit.scale:.3g} {fit.shift:+.3g} is no change of confidence ({error})"
        raise _unfit(data, fit.sensors, change) from error


def _unfit(data: str, name: str, reason: str) -> ValueError:
    """Returns the error of detections that confidence cannot be fitted to."""
    return ValueError(
        f"data '{data}': detections by {name.replace('_', ' ')}: {reason}; name more labelled "
        "drives with cameras and a LiDAR, or other ones, with --data"
    )


def _words(score: FloatArray, right: BoolArray) -> str:
    sure = score >= OPERATING_CONFIDENCE
    precision = f"{right[sure].mean():.2f}" if sure.any() else "-"
    ece = calibration(score, right).ece
    return f"precision {precision} at {OPERATING_CONFIDENCE:g}, ECE {ece:.3f}"
