"""Sensor files with their times: from their names, or by a rate."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import numpy as np

from leapai.types import IntArray

POINT_SUFFIXES = (".pcd.bin", ".bin", ".pcd", ".npy")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
DIGITS_AFTER = {"s": 6, "ms": 3, "us": 0, "ns": -3}
"""Unit -> power of ten to microseconds."""
_LAST_US = 2**62
_STEP_S = (0.001, 60.0)
"""Median time between two frames that is possible; outside of it the unit is wrong."""
_LIKELY_STEP_S = (0.01, 2.0)


@dataclass(frozen=True)
class TimedFiles:
    """Files of one sensor in order of time."""

    paths: Sequence[Path]
    """[K]"""
    time_us: IntArray
    """[K] int64, strictly increasing."""

    def __len__(self) -> int:
        return len(self.paths)

    def newest(self, time_us: int, max_age_s: float) -> int | None:
        """Returns the index of the newest file not later than `time_us`; None where that is older
        than `max_age_s`, or there is none."""
        return newest_index(self.time_us, time_us, max_age_s)


def newest_index(times_us: IntArray, time_us: int, max_age_s: float) -> int | None:
    """Returns the index of the last of the increasing `times_us` [K] not later than `time_us`; None
    where that is older than `max_age_s`, or there is none."""
    index = int(np.searchsorted(times_us, time_us, side="right")) - 1
    if index < 0 or time_us - times_us[index] > max_age_s * 1e6:
        return None
    return index


def sensor_files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Returns the files of a folder with these suffixes, in order of their names as people count:
    2 before 10. Hidden files are left out; a folder that is missing has none."""
    if not folder.is_dir():
        return []
    files = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted((path for path in files if path.name.lower().endswith(suffixes)), key=_order)


def stem_of(path: Path) -> str:
    """Returns the name without the suffix of its format: `1.pcd.bin` is `1`."""
    lower = path.name.lower()
    suffix = next((s for s in (*POINT_SUFFIXES, *IMAGE_SUFFIXES) if lower.endswith(s)), "")
    return path.name[: len(path.name) - len(suffix)]


def timed_by_name(paths: Sequence[Path], unit: str) -> TimedFiles:
    """Returns the files with the times that their names end with. Raises ValueError for a name
    without a time, and for two of one time."""
    times = sorted((_time_us(path, unit), path) for path in paths)
    for (time_us, path), (next_us, other) in pairwise(times):
        if time_us == next_us:
            raise ValueError(
                f"{path} and {other.name} have one time, {time_us} us; remove one of them, or "
                f"correct time_unit = '{unit}'"
            )
    return TimedFiles([p for _, p in times], np.array([t for t, _ in times], np.int64))


def times_by_rate(paths: Iterable[Path], rate_hz: float) -> dict[str, int]:
    """Returns the time in microseconds of each file, by its name without suffix: one after another
    at a rate, from 0 on."""
    stems = dict.fromkeys(stem_of(path) for path in paths)
    return {stem: round(number * 1e6 / rate_hz) for number, stem in enumerate(stems)}


def timed_by_frame(paths: Sequence[Path], times: Mapping[str, int]) -> TimedFiles:
    """Returns the files whose name without suffix is that of a frame, at its time."""
    of_frames = {times[stem_of(path)]: path for path in paths if stem_of(path) in times}
    ordered = sorted(of_frames)
    return TimedFiles([of_frames[time] for time in ordered], np.array(ordered, np.int64))


def check_unit(files: TimedFiles, unit: str) -> None:
    """Raises ValueError where frames are so far apart, or so close, that the unit must be
    wrong."""
    if len(files) < 2:
        return
    step_s = float(np.median(np.diff(files.time_us))) / 1e6
    if _STEP_S[0] <= step_s <= _STEP_S[1]:
        return
    likely = (
        other
        for other, digits in DIGITS_AFTER.items()
        if _LIKELY_STEP_S[0] <= step_s * 10.0 ** (digits - DIGITS_AFTER[unit]) <= _LIKELY_STEP_S[1]
    )
    other = next(likely, None)
    remedy = f"is it '{other}'?" if other else "or give rate_hz if names are not times"
    raise ValueError(
        f"{files.paths[0].parent}: time_unit = '{unit}' puts the frames {step_s:g} s apart; "
        f"{remedy}"
    )


def _time_us(path: Path, unit: str) -> int:
    number = re.search(r"\d+(?:\.\d+)?$", stem_of(path))
    if number is None:
        raise ValueError(
            f"{path}: the name does not end with a time; give rate_hz in the calibration instead "
            "of time_unit"
        )
    time_us = int(Decimal(number.group()).scaleb(DIGITS_AFTER[unit]))
    if time_us > _LAST_US:
        raise ValueError(
            f"{path}: the time in its name is too large for time_unit = '{unit}'; name a finer unit"
        )
    return time_us


def _order(path: Path) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", path.name)
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts if part]
