"""The worst frames of a run, worst first: each with its picture and what went wrong in it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from math import atan2, degrees
from pathlib import Path

from leapai.evaluation.detection.failures import WEIGHTS, Failures
from leapai.pictures.palette import OCCLUSION_WORDS
from leapai.report.run_view import RunView
from leapai.report.theme import class_colour
from leapai.runs.worst_frames import WINDOW_US
from leapai.types import Detections

_MOST_FAILURES = 12
"""Failures that are named for a frame: the nearest."""
WORST_NOTE = (
    "By objects missed and false positives at the operating point; within "
    f"{WEIGHTS.near_m:g} m each weighs {WEIGHTS.near / WEIGHTS.far:g} times as much, within "
    f"{WEIGHTS.middle_m:g} m {WEIGHTS.middle / WEIGHTS.far:g} times. Of each "
    f"{WINDOW_US / 1e6:g} s of a drive only the worst frame is shown."
)


@dataclass(frozen=True)
class NamedFailure:
    """Names one failure in words."""

    what: str
    """`missed` or `false`."""
    class_name: str
    colour: str
    where: str
    occlusion: str


@dataclass(frozen=True)
class WorstView:
    """One frame of the section."""

    sequence: str
    timestamp_us: int
    seconds: float
    """Since the first frame of the sequence."""
    weight: float
    missed: int
    false: int
    picture: str
    """The picture as a data URL; empty: it is not there."""
    named: tuple[NamedFailure, ...]
    unnamed: int
    faults: tuple[str, ...]


def worst_frames(view: RunView) -> list[WorstView]:
    """Returns the frames whose pictures the run kept, worst first."""
    frames = [
        _frame(view, frame, sequence.detections[0].timestamp_us, faults)
        for sequence in view.run.sequences
        for frame, faults in zip(sequence.detections, sequence.faults, strict=True)
        if (frame.sequence, frame.timestamp_us) in view.pictures
    ]
    return sorted(frames, key=lambda frame: (-frame.weight, frame.sequence, frame.timestamp_us))


def _frame(
    view: RunView, detections: Detections, start_us: int, faults: tuple[str, ...]
) -> WorstView:
    key = (detections.sequence, detections.timestamp_us)
    failed = view.failures[key]
    nearest = failed.nearest_first()
    return WorstView(
        *key,
        seconds=(detections.timestamp_us - start_us) / 1e6,
        weight=float(failed.weight.sum()),
        missed=int(failed.missed.sum()),
        false=int((~failed.missed).sum()),
        picture=data_url(view.pictures[key]),
        named=tuple(
            _named(failed, int(row), detections.vocabulary.names)
            for row in nearest[:_MOST_FAILURES]
        ),
        unnamed=max(0, len(nearest) - _MOST_FAILURES),
        faults=faults,
    )


def _named(failed: Failures, row: int, names: Sequence[str]) -> NamedFailure:
    name, level = names[failed.class_id[row]], int(failed.occlusion_level[row])
    return NamedFailure(
        what="missed" if failed.missed[row] else "false",
        class_name=name,
        colour=class_colour(name),
        where=f"{failed.distance_m[row]:.0f} m {_direction(*failed.boxes[row, :2])}",
        occlusion=f"{OCCLUSION_WORDS[level]} occluded" if level > 0 else "",
    )


def _direction(x_m: float, y_m: float) -> str:
    """Returns one of eight directions in words."""
    words = ("ahead", "ahead left", "left", "behind left", "behind")
    angle = degrees(atan2(y_m, x_m))
    word = words[round(abs(angle) / 45)]
    return word if angle >= 0 else word.replace("left", "right")


def data_url(picture: Path) -> str:
    """Returns a picture as a data URL; empty where it is not there or no picture."""
    if not picture.is_file():
        return ""
    content = picture.read_bytes()
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP":
        return ""
    return f"data:image/webp;base64,{base64.b64encode(content).decode()}"
