"""Drives of chosen frames of others: thinned, partly evaluated, changed in part, kept in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from leapai.data.log import DrivingLog, LogWrapper
from leapai.types import BoolArray, Frame, IntArray, VectorMap

OUTAGE_S, PERIOD_S, FIRST_OUTAGE_S = 1.0, 4.0, 2.0
"""A sensor that comes and goes is lost for a second, every four seconds, first after two."""


class SomeFrames(LogWrapper):
    """A drive of the frames of another at `indices`. Its frames keep the name of that drive's
    sequence; `name` is the name that files of the drive get."""

    def __init__(self, inner: DrivingLog, indices: IntArray | range, name: str = "") -> None:
        super().__init__(inner)
        self.name = name or inner.name
        self._indices = np.asarray(indices, np.int64)

    @property
    def timestamps_us(self) -> IntArray:
        """Timestamps [T] int64 of the frames that are kept."""
        return self.inner.timestamps_us[self._indices]

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> Frame:
        return self.inner[int(self._indices[index])]

    def ground_truth(self, index: int) -> Frame:
        """Returns the ground truth of the frame in the inner log."""
        return self.inner.ground_truth(int(self._indices[index]))


class EvaluatedFrames(LogWrapper):
    """A drive whose frames outside `evaluated` [T] have no labels: they are streamed alone."""

    def __init__(self, inner: DrivingLog, evaluated: BoolArray) -> None:
        super().__init__(inner)
        self._evaluated = evaluated

    def __getitem__(self, index: int) -> Frame:
        frame = self.inner[index]
        return frame if self._evaluated[index] else replace(frame, labels=None)

    def ground_truth(self, index: int) -> Frame:
        """Returns the ground truth; none outside the frames that are evaluated."""
        frame = self.inner.ground_truth(index)
        return frame if self._evaluated[index] else replace(frame, labels=None)


class ChangedFrames(LogWrapper):
    """A drive whose frames in `changed` [T] pass through a function."""

    def __init__(
        self, inner: DrivingLog, change: Callable[[Frame], Frame], changed: BoolArray
    ) -> None:
        super().__init__(inner)
        self._change, self._changed = change, changed

    def __getitem__(self, index: int) -> Frame:
        frame = self.inner[index]
        return self._change(frame) if self._changed[index] else frame


class FrameMemory:
    """Room in memory that drives share for their frames."""

    def __init__(self, bytes_left: float) -> None:
        self.bytes_left = bytes_left

    def takes(self, frame: Frame) -> bool:
        """Returns whether there is room for a frame, and takes it."""
        images = (camera.image for camera in frame.cameras)
        arrays = [array for array in (*images, frame.points) if array is not None]
        needed = sum(array.nbytes for array in arrays)
        if needed > self.bytes_left:
            return False
        self.bytes_left -= needed
        return True


class KeptFrames(LogWrapper):
    """A drive whose frames and map are read once, as long as the memory has room for them."""

    def __init__(self, inner: DrivingLog, memory: FrameMemory) -> None:
        super().__init__(inner)
        self._memory = memory
        self._frames: dict[int, Frame] = {}
        self._map: list[VectorMap | None] = []

    def __getitem__(self, index: int) -> Frame:
        index = range(len(self))[index]
        if index in self._frames:
            return self._frames[index]
        frame = self.inner[index]
        if self._memory.takes(frame):
            self._frames[index] = frame
        return frame

    def vector_map(self) -> VectorMap | None:
        """Returns the map of the inner log, which is asked for it once."""
        if not self._map:
            self._map.append(self.inner.vector_map())
        return self._map[0]


def seconds_of(log: DrivingLog) -> np.ndarray:
    """Returns the seconds [T] float64 since the first frame."""
    times = log.timestamps_us
    return np.asarray((times - times[0]) / 1e6)


def in_outage(log: DrivingLog) -> BoolArray:
    """Returns the frames [T] in which a sensor that comes and goes is lost. In a drive of less than
    two outage starts the first one begins in its middle."""
    elapsed_s = seconds_of(log)
    first_s = min(FIRST_OUTAGE_S, float(elapsed_s[-1]) / 2)
    since_s = elapsed_s - first_s + 1e-6  # a frame at the very start of an outage is in it
    return np.asarray((since_s >= 0) & (since_s % PERIOD_S < OUTAGE_S))


def before_outage(lost: BoolArray) -> IntArray:
    """Returns the index [T] of the frame whose data a sensor shows that freezes in the frames
    `lost` [T]: the frame itself, or the last one before they began."""
    own = np.where(lost, 0, np.arange(len(lost)))
    return np.asarray(np.maximum.accumulate(own))
