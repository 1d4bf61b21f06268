"""All conditions of `leapai stress`: corruptions, lost and frozen sensors, wrong calibration and
poses, lost frames, and other frame rates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from leapai.data.corruptions.chosen_frames import (
    ChangedFrames,
    EvaluatedFrames,
    SomeFrames,
    before_outage,
    in_outage,
)
from leapai.data.corruptions.frame_rates import RateLogs, rate_conditions
from leapai.data.corruptions.multicorrupt import CORRUPTIONS, SEVERITIES, CorruptedLog
from leapai.data.corruptions.seeded_draws import generator
from leapai.data.corruptions.swapped_images import SwappedImages
from leapai.data.corruptions.wrong_geometry import calibration_off_by, with_pose_noise
from leapai.data.log import DrivingLog
from leapai.data.perturbation import PerturbedLog, without_cameras, without_lidar
from leapai.types import CAMERA_GROUPS, Frame

CALIBRATIONS = ((0.5, 0.0), (1.0, 0.0), (2.0, 0.0), (0.0, 0.1), (1.0, 0.1))
"""Degrees and metres by which every camera is off."""
POSE_NOISES = ((0.05, 0.2), (0.2, 1.0))
"""Standard deviations of each frame's pose along and about each axis, m and degrees."""
DROPPED = (0.2, 0.4, 0.6)
"""Probability that a frame is dropped."""
QUICK_SEVERITY = 2
Logs = Sequence[DrivingLog]


@dataclass(frozen=True)
class Condition:
    """Something that goes wrong with every drive, and how it is done to the drives."""

    name: str
    """Unique; the name of its files."""
    kind: str
    """`corruption`, `lost`, `lost_1s`, `images`, `calibration`, `pose`, `dropped` or `rate`."""
    words: str
    apply: Callable[[Logs], list[DrivingLog]]
    corruption: str | None = None
    severity: int | None = None
    level: float | None = None
    """Place on the axis of the curve of its kind: a rate in Hz, a share, degrees."""


@dataclass(frozen=True)
class Skipped:
    """A condition that the data do not allow, and why."""

    name: str
    reason: str


def conditions_of(
    logs: Logs, seed: int, quick: bool, rates: RateLogs
) -> tuple[list[Condition], list[Skipped]]:
    """Returns the conditions for some drives, in the order of their tables, and those that the
    drives do not allow. `quick`: one severity of each kind, and no other frame rates."""
    first = [log[0] for log in logs]
    groups = {camera.group for frame in first for camera in frame.cameras}
    has_lidar = any(frame.points is not None for frame in first)
    found = [*_corruptions(seed, quick), *_lost(has_lidar, groups, quick)]
    skipped = []
    if not has_lidar:
        skipped.append(Skipped("lost_lidar", "the source has no LiDAR"))
    absent = [group for group in CAMERA_GROUPS if group not in groups]
    skipped += [
        Skipped(f"lost_{group}", f"the source has no camera of the group {group}")
        for group in absent
    ]
    if groups:
        found += [*_images(quick), *_calibrations(seed, quick)]
    else:
        skipped.append(Skipped("images and calibration", "the source has no cameras"))
    found += [*_poses(seed, quick), *_dropped(seed, quick)]
    if quick:
        skipped.append(Skipped("frame rates", "--quick leaves them out"))
        return found, skipped
    of_rates, without = rate_conditions(rates)
    found += [
        Condition(name, "rate", words, apply, level=rate) for name, words, rate, apply in of_rates
    ]
    return found, skipped + [Skipped(name, reason) for name, reason in without]


def _corruptions(seed: int, quick: bool) -> Iterator[Condition]:
    for corruption in CORRUPTIONS:
        for severity in (QUICK_SEVERITY,) if quick else SEVERITIES:
            yield Condition(
                f"{corruption}_{severity}",
                "corruption",
                f"{corruption}, severity {severity}",
                _each(partial(CorruptedLog, corruption=corruption, severity=severity, seed=seed)),
                corruption,
                severity,
            )


def _lost(has_lidar: bool, groups: set[str], quick: bool) -> Iterator[Condition]:
    """Yields each sensor lost for good, and for a second now and then."""
    sensors: dict[str, tuple[str, Callable[[Frame], Frame]]] = {}
    if has_lidar:
        sensors["lidar"] = ("LiDAR", without_lidar)
    if groups:
        sensors["cameras"] = ("all cameras", without_cameras)
    for group in CAMERA_GROUPS:
        if group in groups:
            sensors[group] = (f"cameras {group}", partial(_without_group, group=group))
    for name, (words, change) in sensors.items():
        yield Condition(
            f"lost_{name}", "lost", f"{words} lost", _each(partial(PerturbedLog, function=change))
        )
    for name, (words, change) in () if quick else sensors.items():
        yield Condition(
            f"lost_1s_{name}",
            "lost_1s",
            f"{words} lost for a second",
            _each(partial(_during_outages, change=change)),
        )


def _images(quick: bool) -> Iterator[Condition]:
    yield Condition("other_images", "images", "images of another drive", _other_images)
    yield Condition("frozen", "images", "images frozen from the first frame on", _each(_frozen))
    if not quick:
        yield Condition(
            "frozen_1s", "images", "images frozen for a second", _each(_frozen_in_outages)
        )


def _calibrations(seed: int, quick: bool) -> Iterator[Condition]:
    for turn_deg, shift_m in CALIBRATIONS[1:2] if quick else CALIBRATIONS:
        degrees = "degree" if turn_deg == 1 else "degrees"
        parts = [
            f"{turn_deg:g} {degrees}" * bool(turn_deg),
            f"{100 * shift_m:g} cm" * bool(shift_m),
        ]
        words = " and ".join(filter(None, parts))
        change = partial(
            calibration_off_by, rotation_deg=turn_deg, translation_m=shift_m, seed=seed
        )
        yield Condition(
            f"calibration_{words.replace(' ', '_')}",
            "calibration",
            f"calibration off by {words}",
            _each(partial(PerturbedLog, function=change)),
            level=None if shift_m else turn_deg,
        )


def _poses(seed: int, quick: bool) -> Iterator[Condition]:
    for noise_m, noise_deg in POSE_NOISES[1:] if quick else POSE_NOISES:
        change = partial(with_pose_noise, noise_m=noise_m, noise_deg=noise_deg, seed=seed)
        yield Condition(
            f"pose_{noise_m:g}_m",
            "pose",
            f"pose noise, std {noise_m:g} m and {noise_deg:g} degrees an axis",
            _each(partial(PerturbedLog, function=change)),
            level=noise_m,
        )


def _dropped(seed: int, quick: bool) -> Iterator[Condition]:
    for share in DROPPED[1:2] if quick else DROPPED:
        yield Condition(
            f"dropped_{100 * share:g}",
            "dropped",
            f"{100 * share:g} % of the frames dropped",
            _each(partial(_with_gaps, share=share, seed=seed)),
            level=share,
        )


def _each(change: Callable[[DrivingLog], DrivingLog]) -> Callable[[Logs], list[DrivingLog]]:
    """Returns the function that changes every drive by itself."""
    return lambda logs: [change(log) for log in logs]


def _without_group(frame: Frame, group: str) -> Frame:
    return without_cameras(frame, [each.name for each in frame.cameras if each.group == group])


def _during_outages(log: DrivingLog, change: Callable[[Frame], Frame]) -> DrivingLog:
    """Returns a drive that is changed, and evaluated, for a second now and then."""
    lost = in_outage(log)
    return EvaluatedFrames(ChangedFrames(log, change, lost), lost)


def _frozen(log: DrivingLog) -> DrivingLog:
    return SwappedImages(log, log, np.zeros(len(log), np.int64))


def _frozen_in_outages(log: DrivingLog) -> DrivingLog:
    lost = in_outage(log)
    return EvaluatedFrames(SwappedImages(log, log, before_outage(lost)), lost)


def _other_images(logs: Logs) -> list[DrivingLog]:
    """Returns each drive with the images of the next one; a single drive gets those of its other
    half."""
    changed: list[DrivingLog] = []
    for number, log in enumerate(logs):
        other = logs[(number + 1) % len(logs)]
        shift = len(log) // 2 if other is log else 0
        changed.append(SwappedImages(log, other, (np.arange(len(log)) + shift) % len(other)))
    return changed


def _with_gaps(log: DrivingLog, share: float, seed: int) -> DrivingLog:
    """Returns the drive without a share of its frames, drawn one by one; the first frame stays."""
    draws = [generator(seed, "dropped", log.name, t).random() for t in log.timestamps_us]
    return SomeFrames(log, np.flatnonzero((np.array(draws) >= share) | (np.arange(len(log)) == 0)))
