"""Logs whose frames are kept on disk, ready for the network: read or rendered once, not each
epoch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from leapai.config.training import CacheConfig
from leapai.data.array_store import Arrays, ArrayStore
from leapai.data.cache_sources import (
    FileState,
    are_unchanged,
    code_of,
    note_states,
    noting_files,
    table_digest,
)
from leapai.data.log import DrivingLog, LabelRange, LogWrapper, OpenOptions, open_logs, version_of
from leapai.data.transforms import prepare
from leapai.types import DESIGN, CameraFrame, Frame, Labels, MapLine, VectorMap, Vocabulary
from leapai.types.frames import LABEL_ARRAYS

FORMAT = 2
"""Version of an entry; it goes up when what is stored of a frame changes."""
_FILES = "files"
_MAP_KEY = "map-1"
"""Key of a map; its number goes up when what is stored of a map changes."""
_CALIBRATION = (("intrinsics", (3, 3)), ("distortion", (5,)), ("ego_from_camera", (4, 4)))


@dataclass(frozen=True)
class FrameKept:
    """The result of keeping a frame."""

    state: Literal["there", "made", "faulty", "no room"]
    """`faulty`: a sensor failed, so that it is read again the next time."""
    size: int
    """Bytes of its arrays."""


class CachedLog(LogWrapper):
    """A log that reads its frames from a store, and fills the store from the inner log.

    A frame comes back equal in every field, as long as the files that it was read from and the
    tables of its log are as they were; all else that it depends on belongs into the store's
    fingerprint. A frame with a failed sensor is not kept: the next time it may be whole. The map is
    kept, too, because an embedded sequence has to build its world to return it.
    """

    def __init__(self, inner: DrivingLog, store: ArrayStore) -> None:
        super().__init__(inner)
        self._store = store
        self._key = f"{self.name}/{table_digest(inner)}"

    def __getitem__(self, index: int) -> Frame:
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.name} has {len(self)} frames, none at {index}")
        arrays = self._kept(index)
        if arrays is not None:
            note_states(files_of(arrays))
            return frame_of(arrays, self.vocabulary)
        return self._made(index)[0]

    def keep(self, index: int) -> FrameKept:
        """Keeps frame `index` where it is not kept yet, and with the first frame the map."""
        if index == 0:
            self.vector_map()
        arrays = self._kept(index)
        if arrays is not None:
            return FrameKept("there", size_of(arrays))
        frame, is_kept = self._made(index)
        if frame.faults:
            return FrameKept("faulty", 0)
        return FrameKept("made" if is_kept else "no room", size_of(arrays_of(frame)))

    def _kept(self, index: int) -> Arrays | None:
        """Returns the entry of a frame whose files are as they were; None where there is none."""
        arrays = self._store.get(self._key_of(index))
        return arrays if arrays is not None and are_unchanged(files_of(arrays)) else None

    def _made(self, index: int) -> tuple[Frame, bool]:
        """Makes a frame anew; returns it, and whether it is kept."""
        with noting_files() as notes:
            frame = self.inner[index]
        is_kept = not frame.faults and self._store.put(
            self._key_of(index), {**arrays_of(frame), **arrays_of_files(notes)}
        )
        note_states(notes)
        return frame, is_kept

    def _key_of(self, index: int) -> str:
        return f"{self._key}/{index % len(self)}"

    def vector_map(self) -> VectorMap | None:
        """Returns the map of the inner log, from the store where it is kept."""
        key = f"{self._key}/{_MAP_KEY}"
        arrays = self._store.get(key)
        if arrays is not None:
            return _map_of(arrays)
        vector_map = self.inner.vector_map()
        if vector_map is not None:
            self._store.put(key, _arrays_of_map(vector_map))
        return vector_map


class PreparedLog(LogWrapper):
    """A log whose images have the size that the network uses, so that no more is kept."""

    def __init__(self, inner: DrivingLog, image_size_px: tuple[int, int]) -> None:
        super().__init__(inner)
        self._image_size_px = image_size_px

    def __getitem__(self, index: int) -> Frame:
        return prepare(self.inner[index], self._image_size_px)


def frames_fingerprint(
    data: str, logs: Sequence[DrivingLog], options: OpenOptions
) -> dict[str, object]:
    """Returns what the stored frames of a data set depend on, besides the files of each."""
    fingerprint: dict[str, object] = {
        "data": data,
        "version": version_of(logs),
        "code": code_of(logs),
        "image_size_px": options.image_size_px,
        "label_range_m": options.label_range_m,
        "reduce_images": options.reduce_images,
        "format": FORMAT,
    }
    if options.vocabulary != DESIGN:
        fingerprint["classes"] = options.vocabulary.names
    return fingerprint


def open_cached_logs(
    data: str,
    *,
    image_size_px: tuple[int, int],
    cache: CacheConfig,
    label_range_m: LabelRange | None = None,
    vocabulary: Vocabulary = DESIGN,
    reduce_images: bool = False,
) -> list[DrivingLog]:
    """Opens the logs of `data`, with their frames kept below `cache.folder` where
    `cache.frames_gb` allows any.

    Raises ValueError for data that cannot be opened and for a folder that cannot be written.
    """
    options = OpenOptions(image_size_px, label_range_m, vocabulary, reduce_images)
    logs = open_logs(data, **vars(options))
    if not cache.frames_gb:
        return list(logs)
    fingerprint = frames_fingerprint(data, logs, options)
    folder = Path(cache.folder).expanduser() / "frames"
    store = ArrayStore(folder, fingerprint, int(cache.frames_gb * 1e9))
    return [CachedLog(PreparedLog(log, image_size_px), store) for log in logs]


def arrays_of_files(files: Sequence[FileState]) -> Arrays:
    """Returns the files that a frame was read from as an array, to be kept with it."""
    return {_FILES: np.frombuffer(json.dumps(files).encode(), np.uint8)}


def files_of(arrays: Arrays) -> list[FileState]:
    """Returns the files that `arrays_of_files` made an array of."""
    return [(path, size, time_ns) for path, size, time_ns in json.loads(arrays[_FILES].tobytes())]


def size_of(arrays: Arrays) -> int:
    """Returns the bytes of an entry."""
    return sum(array.nbytes for array in arrays.values())


def arrays_of(frame: Frame) -> Arrays:
    """Returns a frame of a log as named arrays; what is no array becomes JSON."""
    described = {
        "sequence": frame.sequence,
        "timestamp_us": int(frame.timestamp_us),
        "faults": list(frame.faults),
        "cameras": [
            [c.name, c.group, [int(side) for side in c.size_px], int(c.timestamp_us)]
            for c in frame.cameras
        ],
    }
    arrays: Arrays = {
        "described": np.frombuffer(json.dumps(described).encode(), np.uint8),
        "ego2global": np.asarray(frame.ego2global, np.float64),
    }
    for name, shape in _CALIBRATION:
        values = np.array([getattr(c, name) for c in frame.cameras], np.float64)
        arrays[name] = values.reshape(-1, *shape)
    for i, camera in enumerate(frame.cameras):
        if camera.image is not None:
            arrays[f"image{i}"] = camera.image
    if frame.points is not None:
        arrays["points"] = frame.points
    if frame.labels is not None:
        labels = frame.labels.arrays()
        arrays |= {f"labels.{name}": array for name, array in labels.items()}
    return arrays


def frame_of(arrays: Arrays, vocabulary: Vocabulary = DESIGN) -> Frame:
    """Returns the frame that `arrays_of` made arrays of, whose labels are in these classes."""
    described = json.loads(arrays["described"].tobytes())
    labels = None
    if "labels.boxes" in arrays:
        values: dict[str, Any] = {n: arrays.get(f"labels.{n}") for n in LABEL_ARRAYS}
        labels = Labels(**values, vocabulary=vocabulary)
    cameras = [_camera_of(arrays, i, values) for i, values in enumerate(described["cameras"])]
    return Frame(
        sequence=described["sequence"],
        timestamp_us=described["timestamp_us"],
        ego2global=arrays["ego2global"],
        cameras=tuple(cameras),
        points=arrays.get("points"),
        labels=labels,
        faults=tuple(described["faults"]),
    )


def _camera_of(arrays: Arrays, index: int, values: Sequence[Any]) -> CameraFrame:
    name, group, (height, width), timestamp_us = values
    return CameraFrame(
        name=name,
        group=group,
        image=arrays.get(f"image{index}"),
        size_px=(height, width),
        intrinsics=arrays["intrinsics"][index],
        distortion=arrays["distortion"][index],
        ego_from_camera=arrays["ego_from_camera"][index],
        timestamp_us=timestamp_us,
    )


def _arrays_of_map(vector_map: VectorMap) -> Arrays:
    described = [[line.kind, line.layer, len(line.points_m)] for line in vector_map]
    points = [np.zeros((0, 3)), *(line.points_m for line in vector_map)]
    return {
        "described": np.frombuffer(json.dumps(described).encode(), np.uint8),
        "points_m": np.concatenate(points),
    }


def _map_of(arrays: Arrays) -> VectorMap:
    described = json.loads(arrays["described"].tobytes())
    ends = np.cumsum([count for _, _, count in described])
    points = np.split(arrays["points_m"], ends)
    return tuple(
        MapLine(kind, layer, points_m)
        for (kind, layer, _), points_m in zip(described, points[:-1], strict=True)
    )
