"""What one must know before believing the figures of a run, in sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from leapai.evaluation.sequence_result import SequenceResult
from leapai.runs.run_folder import Run
from leapai.types import BoolArray, Labels

_MOST_NAMES = 5


def warnings_of(run: Run) -> list[str]:
    """Of weights, frames, labels and sensors; empty where all is as it should be."""
    return [
        *_about_the_run(run),
        *_about_labels(run),
        *_about_the_road(run),
        *(_about_drives(run.drives) if run.config.dynamic_task else ()),
        *_about_sensors(run),
    ]


def _about_the_run(run: Run) -> Iterator[str]:
    if run.summary.checkpoint_sha256 is None:
        yield "The weights are random: what they say are guesses of no worth."
    if run.summary.max_frames is not None:
        yield f"Of each drive only the first {run.summary.max_frames} frames were streamed."
    if not run.summary.frames:
        yield "There is no frame."


def _about_labels(run: Run) -> Iterator[str]:
    if not run.config.dynamic_task:
        yield "dynamic_task is off: no objects were looked for, so there are no figures of them."
        return
    labels = [frame.labels for drive in run.drives for frame in drive.labelled()]
    if not labels:
        yield "No frame has labels, so there are no figures of detection and tracking."
        return
    if len(labels) < run.summary.frames:
        yield (
            f"{len(labels)} of {run.summary.frames} frames have labels; the others are streamed "
            "and not judged."
        )
    unlabelled: dict[str, tuple[Callable[[Labels], BoolArray], str]] = {
        "velocity": (lambda each: ~each.velocity_valid, "velocity errors"),
        "occlusion": (lambda each: each.occlusion_level < 0, "figures by occlusion"),
        "track": (lambda each: each.track_id < 0, "figures of tracking"),
    }
    objects = sum(len(each) for each in labels)
    for field, (is_missing, metrics) in unlabelled.items():
        missing = sum(int(np.sum(is_missing(each))) for each in labels)
        if missing:
            share = "no object" if missing == objects else f"{missing} of {objects} objects"
            verb = "has a labelled" if missing == objects else "have no labelled"
            yield f"{share[0].upper()}{share[1:]} {verb} {field}: they are left out of {metrics}."


def _about_the_road(run: Run) -> Iterator[str]:
    road = run.metrics.road
    if road is None or road.labelled_frames == road.frames:
        return
    if not road.labelled_frames:
        yield "No drive has a map, so of the road only its steadiness is judged."
        return
    yield (
        f"{road.labelled_frames} of {road.frames} frames have a map; in the others only the "
        "steadiness of the road is judged."
    )


def _about_drives(drives: Sequence[SequenceResult]) -> Iterator[str]:
    some_labels = any(drive.labelled() for drive in drives)
    kinds: dict[str, Callable[[SequenceResult], bool]] = {
        "has no labels": lambda drive: some_labels and not drive.labelled(),
        "has no detections": lambda drive: not any(len(said) for said in drive.detections),
        "has one frame, in which no track has a past": lambda drive: len(drive.detections) == 1,
    }
    for what, is_so in kinds.items():
        names = [
            drive.detections[0].sequence for drive in drives if drive.detections and is_so(drive)
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
