"""Warnings of a run: sentences that a reader of its metrics has to know."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from leapai.evaluation.sequence_result import SequenceResult
from leapai.runs.run_folder import Run
from leapai.types import BoolArray, Labels

_MOST_NAMES = 5


def warnings_of(run: Run) -> list[str]:
    """Returns sentences on weights, frames, labels and sensors; none where all is in order."""
    return [
        *_about_the_run(run),
        *_about_labels(run),
        *_about_the_map(run),
        *(_about_sequences(run.sequences) if run.config.dynamic_task else ()),
        *_about_sensors(run),
    ]


def _about_the_run(run: Run) -> Iterator[str]:
    if run.summary.checkpoint_sha256 is None:
        yield "The weights are random, so the metrics have no meaning."
    if run.summary.max_frames == 1:
        yield "Only the first frame of each drive was streamed."
    elif run.summary.max_frames is not None:
        yield f"Only the first {run.summary.max_frames} frames of each drive were streamed."
    if not run.summary.frames:
        yield "There is no frame."


def _about_labels(run: Run) -> Iterator[str]:
    if not run.config.dynamic_task:
        yield "dynamic_task is off, so there are no detections and no metrics of objects."
        return
    labels = [frame.labels for sequence in run.sequences for frame in sequence.labelled()]
    if not labels:
        yield (
            "No frame has labels, so there are no metrics of detection and tracking; "
            "`leapai predict` is the command for data without labels."
        )
        return
    if len(labels) < run.summary.frames:
        yield (
            f"{len(labels)} of {run.summary.frames} frames have labels; the others are streamed "
            "and not evaluated."
        )
    unlabelled: dict[str, tuple[Callable[[Labels], BoolArray], str]] = {
        "velocity": (lambda each: ~each.velocity_valid, "velocity errors"),
        "occlusion": (lambda each: each.occlusion_level < 0, "metrics by occlusion"),
        "track": (lambda each: each.track_id < 0, "metrics of tracking"),
    }
    objects = sum(len(each) for each in labels)
    for field, (is_missing, metrics) in unlabelled.items():
        missing = sum(int(np.sum(is_missing(each))) for each in labels)
        if missing:
            share = "no object" if missing == objects else f"{missing} of {objects} objects"
            verb = "has a labelled" if missing == objects else "have no labelled"
            yield f"{share[0].upper()}{share[1:]} {verb} {field}: they are left out of {metrics}."


def _about_the_map(run: Run) -> Iterator[str]:
    map_metrics = run.metrics.road
    if map_metrics is None or map_metrics.labelled_frames == map_metrics.frames:
        return
    if not map_metrics.labelled_frames:
        yield "No drive has a map, so only the flicker of the predicted map is evaluated."
        return
    yield (
        f"{map_metrics.labelled_frames} of {map_metrics.frames} frames have a map; in the others "
        "only the flicker of the predicted map is evaluated."
    )


def _about_sequences(sequences: Sequence[SequenceResult]) -> Iterator[str]:
    some_labels = any(sequence.labelled() for sequence in sequences)
    kinds: dict[str, Callable[[SequenceResult], bool]] = {
        "has no labels": lambda each: some_labels and not each.labelled(),
        "has no detections": lambda each: not any(len(found) for found in each.detections),
        "has one frame, in which no track has a past": lambda each: len(each.detections) == 1,
    }
    for what, is_so in kinds.items():
        names = [
            each.detections[0].sequence for each in sequences if each.detections and is_so(each)
        ]
        if names:
            more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
            subject = "Drive" if len(names) == 1 else "Each of the drives"
            yield f"{subject} {', '.join(names[:_MOST_NAMES])}{more} {what}."


def _about_sensors(run: Run) -> Iterator[str]:
    for sensor, failures in run.summary.faults.items():
        yield (
            f"{sensor} failed in {failures.frames} of {run.summary.frames} frames,"
            f" first: {failures.first}"
        )
