"""Drives whose frames are kept on disk, ready for the network: read or rendered once, not each
epoch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from leapai.config import CacheConfig
from leapai.data.array_store import Arrays, ArrayStore
from leapai.data.log import (
    DrivingLog,
    PartlyMappedLog,
    VersionedLog,
    open_logs,
    version_of,
)
from leapai.data.transforms import prepare
from leapai.types import (
    CameraFrame,
    Frame,
    IntArray,
    Labels,
    MapLine,
    VectorMap,
)

FORMAT = 1
"""Of an entry; goes up when what is stored of a frame changes."""
_MAP_KEY = "map-1"
"""Of a drive's map; another number when what is stored of it changes."""
_CALIBRATION = (("intrinsics", (3, 3)), ("distortion", (5,)), ("ego_from_camera", (4, 4)))


class CachedLog:
    """A drive that reads its frames from a store, and fills the store from another drive.

    A frame comes back equal in every field. Its key is the drive's name and the index; all else
    that it depends on belongs into the store's fingerprint. Its map is kept, too: an embedded
    drive makes its world to tell it. `gt` is not offered.
    """

    version: str
    static_classes: tuple[str, ...]
    """Both are there only where the other drive has them."""

    def __init__(self, log: DrivingLog, store: ArrayStore) -> None:
        self.name = log.name
        if isinstance(log, VersionedLog):
            self.version = log.version
        if isinstance(log, PartlyMappedLog):
            self.static_classes = log.static_classes
        self._log = log
        self._store = store

    @property
    def timestamps_us(self) -> IntArray:
        """[T] int64."""
        return self._log.timestamps_us

    def __len__(self) -> int:
        return len(self._log)

    def __getitem__(self, index: int) -> Frame:
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.name} has {len(self)} frames, none at {index}")
        key = f"{self.name}/{index % len(self)}"
        arrays = self._store.get(key)
        if arrays is not None:
            return frame_of(arrays)
        frame = self._log[index]
        self._store.put(key, arrays_of(frame))
        return frame

    def vector_map(self) -> VectorMap | None:
        """The other drive's map."""
        key = f"{self.name}/{_MAP_KEY}"
        arrays = self._store.get(key)
        if arrays is not None:
            return _map_of(arrays)
        vector_map = self._log.vector_map()
        if vector_map is not None:
            self._store.put(key, _arrays_of_map(vector_map))
        return vector_map


class PreparedLog:
    """A drive whose images are of the size that the network wants, so that no more is kept."""

    version: str
    static_classes: tuple[str, ...]
    """Both are there only where the other drive has them."""

    def __init__(self, log: DrivingLog, image_size_px: tuple[int, int]) -> None:
        self.name = log.name
        if isinstance(log, VersionedLog):
            self.version = log.version
        if isinstance(log, PartlyMappedLog):
            self.static_classes = log.static_classes
        self._log = log
        self._image_size_px = image_size_px

    @property
    def timestamps_us(self) -> IntArray:
        """[T] int64."""
        return self._log.timestamps_us

    def __len__(self) -> int:
        return len(self._log)

    def __getitem__(self, index: int) -> Frame:
        return prepare(self._log[index], self._image_size_px)

    def vector_map(self) -> VectorMap | None:
        """The other drive's map."""
        return self._log.vector_map()


def frames_fingerprint(
    data: str, version: str | None, image_size_px: tuple[int, int]
) -> dict[str, object]:
    """What the stored frames of a data set depend on."""
    return {"data": data, "version": version, "image_size_px": image_size_px, "format": FORMAT}


def open_cached_logs(
    data: str, *, image_size_px: tuple[int, int], cache: CacheConfig
) -> list[DrivingLog]:
    """The drives of `data`, with their frames kept below `cache.folder` where `cache.frames_gb`
    allows any.

    Raises ValueError for data that cannot be opened and for a folder that cannot be written.
    """
    logs = open_logs(data, image_size_px=image_size_px)
    if not cache.frames_gb:
        return list(logs)
    fingerprint = frames_fingerprint(data, version_of(logs), image_size_px)
    folder = Path(cache.folder).expanduser() / "frames"
    store = ArrayStore(folder, fingerprint, int(cache.frames_gb * 1e9))
    return [CachedLog(PreparedLog(log, image_size_px), store) for log in logs]


def arrays_of(frame: Frame) -> Arrays:
    """A frame as a log gives it, as named arrays; what is no array becomes JSON."""
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
        for field in fields(Labels):
            arrays[f"labels.{field.name}"] = getattr(frame.labels, field.name)
    return arrays


def frame_of(arrays: Arrays) -> Frame:
    """The inverse of `arrays_of`."""
    described = json.loads(arrays["described"].tobytes())
    labels = None
    if "labels.boxes" in arrays:
        labels = Labels(**{f.name: arrays[f"labels.{f.name}"] for f in fields(Labels)})
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
