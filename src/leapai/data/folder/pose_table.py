"""Ego poses of a folder of sensor files: a table (CSV), interpolated at the times of sensors."""

from __future__ import annotations

import csv
import io
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path

import numpy as np

from leapai.data import reading
from leapai.data.folder.timed_files import DIGITS_AFTER
from leapai.geometry import poses
from leapai.types import FloatArray, IntArray

COLUMNS = ("time", "x", "y", "z", "qw", "qx", "qy", "qz")
MAX_DISTANCE_S = 0.2
"""A time that is further than this from every pose has none."""


class PoseTable:
    """`ego2global` at any time that the table covers."""

    def __init__(self, path: Path, unit: str) -> None:
        """Reads the table. Raises ValueError that names file and row for what is missing or not
        finite."""
        self._path = path
        rows = _rows(path)
        self._time_us = _times_us(path, rows, unit)
        self._poses = reading.checked_poses(
            _numbers(path, rows, COLUMNS[4:]),
            _numbers(path, rows, COLUMNS[1:4]),
            path,
            range(2, len(rows) + 2),
        )

    def at(self, time_us: int) -> FloatArray:
        """Returns the pose [4, 4] at a time: positions are interpolated linearly, rotations on the
        sphere. Raises ValueError where no pose is near."""
        times = self._time_us
        after = int(np.clip(np.searchsorted(times, time_us), 1, max(len(times) - 1, 1)))
        first, last = after - 1, min(after, len(times) - 1)
        away_s = min(abs(int(times[i]) - time_us) for i in (first, last)) / 1e6
        if away_s > MAX_DISTANCE_S:
            raise ValueError(
                f"{self._path}: no pose within {MAX_DISTANCE_S:g} s of {time_us} us, the time of a "
                "sensor; complete the table, or check its unit of time"
            )
        span_us = int(times[last] - times[first])
        share = float(np.clip((time_us - times[first]) / span_us, 0, 1)) if span_us else 0.0
        ends = self._poses[[first]], self._poses[[last]]
        return np.array(poses.between(*ends, np.array([share]))[0])


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        text = reading.regular_bytes(path).decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
        names, rows = reader.fieldnames or (), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: cannot be read ({error}); it is the table of poses") from None
    missing = [name for name in COLUMNS if name not in names]
    if missing or not rows:
        raise ValueError(
            f"{path}: {f'has no column {missing[0]}' if missing else 'has no row'}; it must begin "
            f"with a line {','.join(COLUMNS)}"
        )
    return rows


def _times_us(path: Path, rows: list[dict[str, str]], unit: str) -> IntArray:
    try:
        times = [int(Decimal(row["time"]).scaleb(DIGITS_AFTER[unit])) for row in rows]
    except (InvalidOperation, ValueError, OverflowError, TypeError):
        raise ValueError(f"{path}: column time must hold numbers, in {unit}") from None
    if any(later <= earlier for earlier, later in pairwise(times)):
        raise ValueError(f"{path}: column time must increase from row to row; sort the table")
    if abs(times[0]) > 2**62 or abs(times[-1]) > 2**62:
        raise ValueError(f"{path}: column time is too large to be in {unit}")
    return np.array(times, np.int64)


def _numbers(path: Path, rows: list[dict[str, str]], names: tuple[str, ...]) -> FloatArray:
    try:
        return np.array([[float(row[name]) for name in names] for row in rows], np.float64)
    except (ValueError, TypeError):
        raise ValueError(f"{path}: columns {', '.join(names)} must hold numbers") from None
