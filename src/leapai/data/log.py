"""`DrivingLog`, the base class of every sequence of frames, and `open_logs`, which finds data sets.

A data set is a plug-in: a function `opener(location, options)` that returns driving logs. It is
installed under a name (entry point group `leapai.data`), or named on the command line as
`module:function:location`. `docs/own_data.md` shows how to write one.
"""

from __future__ import annotations

import importlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from leapai.data.data_names import function_of, installed_data_sets, named_source
from leapai.types import DESIGN, STATIC_CLASSES, Frame, IntArray, VectorMap, Vocabulary
from leapai.types.vocabulary import listed

LabelRange = tuple[tuple[float, float], tuple[float, float]]
"""x and y range in metres, ego frame."""


class DrivingLog(ABC):
    """A sequence of frames in order of time, each readable on its own.

    A subclass sets `name` and implements `timestamps_us` and `__getitem__`; the rest has defaults.
    """

    name: str
    """Unique in its data set."""
    version: str | None = None
    """Version of the content, which results name; None: the data set has none."""
    static_classes: tuple[str, ...] = STATIC_CLASSES
    """The classes of `STATIC_CLASSES` that the map can contain."""
    vocabulary: Vocabulary = DESIGN
    """The classes of its labels."""
    table_folders: tuple[Path, ...] = ()
    """Folders of the tables that all frames depend on; a cache of frames looks whether a file in
    one has changed."""
    table_notes: Sequence[str] = ()
    """Rows that were left out of the tables of the data set, counted, a line for each table."""
    unused_cameras: Sequence[str] = ()
    """Cameras of the rig that no camera group takes: no frame has them."""

    @property
    @abstractmethod
    def timestamps_us(self) -> IntArray:
        """[T] int64, strictly increasing, without reading any sensor."""

    @abstractmethod
    def __getitem__(self, index: int) -> Frame:
        """Returns frame `index`, with its sensors and labels."""

    def __len__(self) -> int:
        return len(self.timestamps_us)

    def ground_truth(self, index: int) -> Frame:
        """Returns frame `index` without cameras and points.

        This default reads the whole frame. A log that has its labels in tables overrides it, and
        marks as not labelled what only sensors can measure.
        """
        return replace(self[index], cameras=(), points=None)

    def vector_map(self) -> VectorMap | None:
        """Returns the map around the sequence in the global frame, or None where there is none."""
        return None


class LogWrapper(DrivingLog):
    """A log that delegates everything to `inner`; a subclass overrides what it changes."""

    def __init__(self, inner: DrivingLog) -> None:
        self.inner = inner
        self.name = inner.name
        self.version = inner.version
        self.static_classes = inner.static_classes
        self.vocabulary = inner.vocabulary
        self.table_folders = inner.table_folders
        self.table_notes = inner.table_notes
        self.unused_cameras = inner.unused_cameras

    @property
    def timestamps_us(self) -> IntArray:
        """[T] int64."""
        return self.inner.timestamps_us

    def __len__(self) -> int:
        return len(self.inner)

    def __getitem__(self, index: int) -> Frame:
        return self.inner[index]

    def ground_truth(self, index: int) -> Frame:
        """Returns the ground truth of the inner log."""
        return self.inner.ground_truth(index)

    def vector_map(self) -> VectorMap | None:
        """Returns the map of the inner log."""
        return self.inner.vector_map()


class UnlabelledLog(LogWrapper):
    """A log without its labels and its map: what a vehicle has."""

    def __getitem__(self, index: int) -> Frame:
        return replace(self.inner[index], labels=None)

    def ground_truth(self, index: int) -> Frame:
        """Returns the pose of the frame; there is no ground truth."""
        return replace(self.inner.ground_truth(index), labels=None)

    def vector_map(self) -> VectorMap | None:
        """Returns None: there is no map."""
        return None


class RenamedLog(LogWrapper):
    """A log whose labels are in the classes of another vocabulary, by name: for a data set that has
    its own and cannot choose others."""

    def __init__(self, inner: DrivingLog, vocabulary: Vocabulary) -> None:
        super().__init__(inner)
        self.vocabulary = vocabulary
        self.static_classes = tuple(c for c in inner.static_classes if c in vocabulary.map_classes)

    def __getitem__(self, index: int) -> Frame:
        return self._renamed(self.inner[index])

    def ground_truth(self, index: int) -> Frame:
        """Returns the ground truth of the inner log."""
        return self._renamed(self.inner.ground_truth(index))

    def _renamed(self, frame: Frame) -> Frame:
        labels = frame.labels
        return frame if labels is None else replace(frame, labels=labels.renamed(self.vocabulary))


@dataclass(frozen=True)
class OpenOptions:
    """Options of a run that a data set gets when it is opened."""

    image_size_px: tuple[int, int]
    """Height, width of the images that the model uses: a source that renders does so at this
    size."""
    label_range_m: LabelRange | None = None
    """x and y range in which box centres must be labelled at least, which matters to a source that
    makes its labels; None: the default BEV range (docs/design.md, section 2)."""
    vocabulary: Vocabulary = DESIGN
    """The classes that the run asks for. A source that has them gives labels in them; the labels of
    any other are renamed."""


Opener = Callable[[str, OpenOptions], Sequence[DrivingLog]]
"""A plug-in: opens a location and returns its logs in a stable order."""


def open_logs(
    data: str,
    *,
    image_size_px: tuple[int, int],
    label_range_m: LabelRange | None = None,
    vocabulary: Vocabulary | None = DESIGN,
) -> Sequence[DrivingLog]:
    """Opens the logs of `data`: `synthetic:seed=3,frames=40`, `nuscenes:ROOT`, `argoverse2:ROOT`,
    `NAME:LOCATION` of another installed plug-in, `module:function:location`, or the path of a
    folder or file, as `named_source` reads it.

    Labels are in the classes of `vocabulary`: those that it lacks are left out; None: in those that
    the data set has. Raises ValueError for a data set that is not found, whose plug-in does not
    work, or that has none of the classes; the plug-in raises for what it cannot read.
    """
    data = named_source(data)
    opener, location, origin = _find(data)
    options = OpenOptions(image_size_px, label_range_m, vocabulary or DESIGN)
    try:
        inspect.signature(opener).bind(location, options)
    except TypeError as error:
        raise ValueError(
            f"data '{data}': {origin} cannot be called with (location, options): {error}; define "
            "it as `def open_logs(location: str, options: OpenOptions)`"
        ) from None
    try:
        logs = opener(location, options)
    except (ValueError, OSError):
        raise
    except Exception as error:  # a fault in the code of the plug-in, which its author must see
        raise ValueError(
            f"data '{data}': {origin} failed while opening '{location}' "
            f"({type(error).__name__}: {error}); --traceback shows where"
        ) from error
    _check_logs(logs, f"data '{data}': {origin}")
    return logs if vocabulary is None else _in_classes(logs, vocabulary, data)


def _in_classes(
    logs: Sequence[DrivingLog], vocabulary: Vocabulary, data: str
) -> Sequence[DrivingLog]:
    """Returns the logs with labels in the classes of a vocabulary. Raises ValueError where those of
    a log have no name in common with it."""
    if all(log.vocabulary == vocabulary for log in logs):
        return logs
    for log in logs:
        if not set(log.vocabulary.names) & set(vocabulary.names):
            raise ValueError(
                f"data '{data}': its labels are of the classes {listed(log.vocabulary.names)}, "
                f"and the network has none of these, but {listed(vocabulary.names)}; name data "
                "with these classes, or a network with those"
            )
    return [log if log.vocabulary == vocabulary else RenamedLog(log, vocabulary) for log in logs]


def check_source(data: str) -> None:
    """Imports the plug-in that opens `data`. Raises ValueError where there is none that works."""
    _find(named_source(data))


def version_of(logs: Sequence[DrivingLog]) -> str | None:
    """Returns the versions that the logs name, joined, or None where they name none."""
    versions = {log.version for log in logs if log.version is not None}
    return ", ".join(sorted(versions)) or None


def _find(data: str) -> tuple[Opener, str, str]:
    """Returns the function that opens `data`, the location to give it, and its name for errors."""
    name, _, location = data.partition(":")
    installed = installed_data_sets()
    if name in installed:
        target = installed[name].value
        opener = _load(data, f"plug-in '{name}' ({target})", *target.split(":", 1))
        return opener, location, f"plug-in '{name}' ({target})"
    module, function, location = function_of(data)
    origin = f"function '{module}:{function}'"
    return _load(data, origin, module, function), location, origin


def _load(data: str, origin: str, module_name: str, function: str) -> Opener:
    """Imports a plug-in and returns its function. Raises ValueError where there is none."""
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever the code of a plug-in raises while it is imported
        known = ", ".join(sorted(installed_data_sets())) or "none"
        raise ValueError(
            f"data '{data}': {origin} cannot be imported ({type(error).__name__}: {error}); "
            f"{_remedy(error)}; data sets installed: {known}"
        ) from error
    opener = getattr(module, function, None)
    if not callable(opener):
        raise ValueError(
            f"data '{data}': {origin}: {module_name} has no function '{function}'; name the one "
            "that opens the data set"
        )
    found: Opener = opener
    return found


def _remedy(error: Exception) -> str:
    if isinstance(error, ImportError):
        return "install its package and what that needs, or put its folder on PYTHONPATH"
    return "correct the module; --traceback shows where"


def _check_logs(logs: Any, origin: str) -> None:
    """Raises ValueError where a plug-in returned something other than driving logs."""
    if not isinstance(logs, Sequence):
        raise ValueError(
            f"{origin} returned {type(logs).__name__}; it must return a list of "
            "leapai.data.log.DrivingLog"
        )
    if not logs:
        raise ValueError(f"{origin} found no sequence of frames there; check the location")
    wrong = next((log for log in logs if not isinstance(log, DrivingLog)), None)
    if wrong is not None:
        raise ValueError(
            f"{origin} returned an object of class {type(wrong).__name__}, which is no "
            "DrivingLog; derive the class from leapai.data.log.DrivingLog"
        )
