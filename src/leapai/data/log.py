"""The `DrivingLog` protocol and the table of data sets: any drive, real or made, becomes frames."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Protocol, cast, runtime_checkable

from leapai.types import (
    STATIC_CLASSES,
    Frame,
    IntArray,
    VectorMap,
)


class DrivingLog(Protocol):
    """One drive: frames in order of time, each readable on its own."""

    name: str
    """Unique in its data set."""

    @property
    def timestamps_us(self) -> IntArray:
        """[T] int64, strictly increasing, without reading any sensor."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Frame: ...

    def vector_map(self) -> VectorMap | None:
        """The map around the drive in the global frame, or None where there is none."""
        ...


@runtime_checkable
class GroundTruthLog(Protocol):
    """What a log may offer beside its frames: their truth without reading a sensor."""

    def ground_truth(self, index: int) -> Frame:
        """The frame without cameras and points; labels that only sensors tell are marked as not
        labelled."""
        ...


@runtime_checkable
class VersionedLog(Protocol):
    """What a log may offer beside its frames: the version of its content, for results to name."""

    version: str


@runtime_checkable
class PartlyMappedLog(Protocol):
    """What a log may offer beside its frames: the static classes that its map tells of, where these
    are not all."""

    static_classes: tuple[str, ...]


class LogOpener(Protocol):
    """What a data set's file offers: opens `location` and lists its drives.

    `image_size_px` (height, width) is what the model will use: a source that renders does so at
    this size.
    """

    def __call__(self, location: str, *, image_size_px: tuple[int, int]) -> Sequence[DrivingLog]:
        """The drives, in a stable order."""
        ...


SOURCES: dict[str, str] = {
    "synthetic": "leapai_world:open_logs",
    "nuscenes": "leapai.data.nuscenes.nuscenes_reader:open_logs",
    "argoverse2": "leapai.data.argoverse2.argoverse2_reader:open_logs",
}
"""One line a data set: the word before the colon, and the function that opens it."""


def version_of(logs: Sequence[DrivingLog]) -> str | None:
    """The version that the drives name, or None."""
    versions = {log.version for log in logs if isinstance(log, VersionedLog)}
    return ", ".join(sorted(versions)) or None


def static_classes_of(log: DrivingLog) -> tuple[str, ...]:
    """The classes of `STATIC_CLASSES` that the map of a drive tells of."""
    return log.static_classes if isinstance(log, PartlyMappedLog) else STATIC_CLASSES


def open_logs(data: str, *, image_size_px: tuple[int, int]) -> Sequence[DrivingLog]:
    """The drives of `data`: `synthetic:seed=3,frames=40`, `nuscenes:ROOT`, `argoverse2:ROOT`.

    Raises ValueError for an unknown data set; the adapter raises for what it cannot read.
    """
    source, _, location = data.partition(":")
    if source not in SOURCES:
        known = ", ".join(SOURCES)
        raise ValueError(f"data '{data}': there is no data set '{source}'; use one of: {known}")
    module_name, _, function = SOURCES[source].partition(":")
    opener = cast(LogOpener, getattr(importlib.import_module(module_name), function))
    return opener(location, image_size_px=image_size_px)
