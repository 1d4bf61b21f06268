"""The index of nuScenes' JSON tables: all of them checked and joined, once. No sensor file is read
here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from leapai.data import columns
from leapai.data.checked_table import MAX_COORDINATE_M, CheckedTable, json_table
from leapai.data.nuscenes.nuscenes_annotations import Samples, annotation_arrays
from leapai.data.nuscenes.nuscenes_mounts import Mounts, read_mounts
from leapai.data.nuscenes.nuscenes_tables import CAMERA_GROUPS_OF, LIDAR
from leapai.data.remote_files import source_path
from leapai.data.table_index import IndexContent
from leapai.types import BoolArray, FloatArray, IntArray

MAX_POSES_APART_M = 100.0
"""Farthest a vehicle drives during a sample, by far."""
MAX_OFFSET_S = 1.0
"""Longest time between a sample and a sensor file of it."""
_FILE_FIELDS = (
    *("calibrated_sensor_token", "is_key_frame", "sample_token", "ego_pose_token"),
    *("timestamp", "filename", "prev", "height", "width"),
)
_REMEDY = "unpack the metadata archive of this version again, whole, into the root folder"


def index_content(root: str, version: str) -> IndexContent:
    """Reads the tables of `root/version`. A row that cannot be used is left out and counted. Raises
    ValueError where a table is missing or mostly unusable, and where no frame is left.

    The arrays are those that `nuscenes_tables.Tables` looks rows up in.
    """
    folder = source_path(root) / version
    notes: list[str] = []
    scenes = _scenes(folder, notes)
    samples = _samples(folder, scenes, notes)
    files = _sensor_files(folder, samples, notes)
    reference = _references(files, samples)
    used = _samples_in_use(folder, scenes, samples, files.time_us, reference, notes)
    arrays = _arrays_of(scenes, samples, files, reference, used)
    row_of = {samples.tokens[row]: number for number, row in enumerate(used.tolist())}
    times_us, ego_m = files.time_us[reference[used]], files.position_m[reference[used]]
    in_use = Samples(row_of, samples.scene[used], times_us, ego_m)
    arrays |= annotation_arrays(folder, in_use, _REMEDY, notes)
    places = _places(source_path(root), folder, scenes, notes)
    return IndexContent(arrays, notes, {"place_of": places})


class _Scenes(NamedTuple):
    tokens: list[str]
    names: list[str]
    log_tokens: list[object]


class _SampleRows(NamedTuple):
    """The rows of `sample` that can be used, in order of scene and time."""

    tokens: list[str]
    time_us: IntArray
    scene: IntArray


class _Files(NamedTuple):
    """The rows of `sample_data` that can be used: keyframes of cameras and LiDAR in the order of
    their samples, then the LiDAR sweeps between them."""

    paths: list[str]
    time_us: IntArray
    size_px: IntArray
    rotation: FloatArray
    position_m: FloatArray
    mount: IntArray
    previous: IntArray
    """[F] row of the LiDAR file before it; -1: none."""
    sample: IntArray
    """[F] row of the sample of a keyframe; -1: no keyframe."""
    mounts: Mounts


def _arrays_of(
    scenes: _Scenes, samples: _SampleRows, files: _Files, reference: IntArray, used: IntArray
) -> dict[str, Any]:
    """Returns scenes that have frames, their samples `used`, and all files as arrays."""
    of_scenes = np.bincount(samples.scene[used], minlength=len(scenes.names))
    shown = np.flatnonzero(of_scenes)
    keys = files.sample[files.sample >= 0]
    return {
        "scene.name": [scenes.names[i] for i in shown],
        "scene.start": np.concatenate([[0], np.cumsum(of_scenes[shown])]),
        "sample.token": [samples.tokens[i] for i in used],
        "sample.reference": reference[used],
        "sample.start": np.searchsorted(keys, used),
        "sample.stop": np.searchsorted(keys, used, side="right"),
        "file.path": files.paths,
        "file.time_us": files.time_us,
        "file.size_px": files.size_px.astype(np.int32),
        "file.rotation": files.rotation,
        "file.position_m": files.position_m,
        "file.mount": files.mount.astype(np.int32),
        "file.previous": files.previous.astype(np.int32),
        "mount.channel": files.mounts.channels,
        "mount.rotation": files.mounts.rotation,
        "mount.position_m": files.mounts.position_m,
        "mount.intrinsics": files.mounts.intrinsics,
    }


def _scenes(folder: Path, notes: list[str]) -> _Scenes:
    table = json_table(folder / "scene.json", _REMEDY, ("name", "log_token"))
    tokens, names = table.keys(), table.names("name")
    kept = table.usable(notes)
    if not len(kept):
        raise ValueError(f"{table.path} has no scene; {_REMEDY}")
    found = _Scenes(
        [tokens[i] for i in kept],
        [names[i] for i in kept],
        [table.column("log_token")[i] for i in kept],
    )
    twice = np.flatnonzero(~columns.first_of_each(found.names))
    if len(twice):
        raise ValueError(
            f"{table.path}: two scenes are called '{found.names[twice[0]]}'; results would mix "
            "them: give each scene a name of its own"
        )
    return found


def _samples(folder: Path, scenes: _Scenes, notes: list[str]) -> _SampleRows:
    table = json_table(folder / "sample.json", _REMEDY, ("timestamp", "scene_token"))
    scene_of = {token: i for i, token in enumerate(scenes.tokens)}
    tokens, time_us = table.keys(), table.times("timestamp")
    scene = table.references("scene_token", scene_of, folder / "scene.json")
    first = columns.first_of_pairs(scene, time_us, table.good)
    table.mark(first, "timestamp", "another sample of the scene has the same")
    kept = table.usable(notes)
    kept = kept[np.lexsort((time_us[kept], scene[kept]))]
    found = _SampleRows([tokens[i] for i in kept], time_us[kept], scene[kept])
    sequences = [found.time_us[found.scene == i] for i in np.unique(found.scene)]
    table.check_unit(sequences, "microseconds")
    return found


def _references(files: _Files, samples: _SampleRows) -> IntArray:
    """Returns the row [S] of the file whose time and pose each sample has: that of the LiDAR, or
    else of the camera whose time is nearest; -1: it has no file."""
    rows = np.flatnonzero(files.sample >= 0)
    of_sample = files.sample[rows]
    is_camera = ~files.mounts.is_lidar[files.mount[rows]]
    away_us = np.abs(files.time_us[rows] - samples.time_us[of_sample])
    best = rows[np.lexsort((away_us, is_camera, of_sample))]
    found, first = np.unique(files.sample[best], return_index=True)
    reference = np.full(len(samples.tokens), -1)
    reference[found] = best[first]
    return reference


def _samples_in_use(
    folder: Path,
    scenes: _Scenes,
    samples: _SampleRows,
    file_us: IntArray,
    reference: IntArray,
    notes: list[str],
) -> IntArray:
    """Returns the samples that have a file and are later than the one before, in order."""
    used = []
    latest = [-1] * len(scenes.names)
    for row, (scene, file) in enumerate(
        zip(samples.scene.tolist(), reference.tolist(), strict=True)
    ):
        if file >= 0 and file_us[file] > latest[scene]:
            used.append(row)
            latest[scene] = int(file_us[file])
    left_out = len(samples.tokens) - len(used)
    if left_out:
        words = f"{left_out} of {len(samples.tokens)} samples have no file of a sensor"
        notes.append(f"sample_data.json: {words} that can be used and is later than the one before")
    empty = [name for name, time_us in zip(scenes.names, latest, strict=True) if time_us < 0]
    if empty:
        words = f"{len(empty)} of {len(scenes.names)} scenes have no frame; the first is {empty[0]}"
        notes.append(f"scene.json: {words}")
    if len(empty) == len(scenes.names):
        raise ValueError(f"{folder}: no scene has a frame that can be used; {_REMEDY}")
    return np.array(used, np.int64)


def _places(root: Path, folder: Path, scenes: _Scenes, notes: list[str]) -> dict[str, str]:
    """Returns the place of each scene whose log names one, where the map expansion is there."""
    path = folder / "log.json"
    if not (path.is_file() and (root / "maps" / "expansion").is_dir()):
        return {}
    table = json_table(path, _REMEDY, ("location",))
    tokens, places = table.keys(), table.paths("location")
    place_of = {tokens[i]: places[i] for i in table.usable(notes)}
    found = {
        name: place_of[token]
        for name, token in zip(scenes.names, scenes.log_tokens, strict=True)
        if isinstance(token, str) and token in place_of
    }
    if len(found) < len(scenes.names):
        count = len(scenes.names) - len(found)
        words = f"there is no row for {count} of {len(scenes.names)} scenes: they have no map"
        notes.append(f"{path.name}: {words}")
    return found


def _sensor_files(folder: Path, samples: _SampleRows, notes: list[str]) -> _Files:
    mounts = read_mounts(folder, _REMEDY, notes)

    def is_used(row: Mapping[str, Any]) -> bool:
        # The others are radars and images between keyframes, the largest part of the table.
        channel = mounts.of(row)
        if channel is None or channel in CAMERA_GROUPS_OF:
            return row.get("is_key_frame") is not False
        return channel == LIDAR

    table = json_table(folder / "sample_data.json", _REMEDY, _FILE_FIELDS, is_used)
    names = table.keys()
    is_key = table.flags("is_key_frame")
    mount = table.references(
        "calibrated_sensor_token", mounts.row_of, folder / "calibrated_sensor.json"
    )
    time_us, paths = table.times("timestamp"), table.paths("filename")
    channel = np.unique([*mounts.channels, ""], return_inverse=True)[1][mount]
    sample = _samples_of_files(table, samples, time_us, is_key, channel)
    size_px = _image_sizes(table, mounts, mount)
    rotation, position_m = _ego_poses(folder, table, sample, notes)
    kept = table.usable(notes)
    no_key = ~is_key[kept]
    kept = kept[np.lexsort((sample[kept], no_key))]
    lidars = mounts.is_lidar
    row_of = {names[i]: row for row, i in enumerate(kept.tolist()) if lidars[mount[i]]}
    previous = columns.references(table.column("prev"), row_of)
    return _Files(
        paths=[paths[i] for i in kept],
        time_us=time_us[kept],
        size_px=size_px[kept],
        rotation=rotation[kept],
        position_m=position_m[kept],
        mount=mount[kept],
        previous=previous[kept],
        sample=np.where(is_key, sample, -1)[kept],
        mounts=mounts,
    )


def _samples_of_files(
    table: CheckedTable,
    samples: _SampleRows,
    time_us: IntArray,
    is_key: BoolArray,
    channel: IntArray,
) -> IntArray:
    """Returns the row of the sample [N] of each file; marks keyframes without one, far from its
    time, or of a `channel` [N] that it has already."""
    sample = columns.references(
        table.column("sample_token"), {token: i for i, token in enumerate(samples.tokens)}
    )
    words = "there is no such row in sample.json that can be used"
    table.mark((sample >= 0) | ~is_key, "sample_token", words)
    away_s = np.abs(time_us - samples.time_us[sample]) / 1e6 if len(samples.time_us) else time_us
    words = f"is more than {MAX_OFFSET_S:g} s from its sample"
    table.mark((away_s <= MAX_OFFSET_S) | ~is_key, "timestamp", words)
    first = columns.first_of_pairs(sample, channel, table.good & is_key)
    table.mark(first, "sample_token", "a row before it has the same sensor and sample")
    return sample


def _image_sizes(table: CheckedTable, mounts: Mounts, mount: IntArray) -> IntArray:
    """Returns heights and widths [N, 2]; marks images that do not fit to their calibration."""
    size_px = np.stack([table.optional_counts(field) for field in ("height", "width")], -1)
    matrices = np.concatenate([mounts.intrinsics, np.full((1, 3, 3), np.nan)])
    is_camera = ~mounts.is_lidar[mount] & (mount >= 0)
    good = columns.intrinsics(matrices[mount], size_px)
    words = "height and width, and the calibration, must be those of one pinhole camera"
    table.mark(good | ~is_camera, "height", words)
    return size_px


def _ego_poses(
    folder: Path, table: CheckedTable, sample: IntArray, notes: list[str]
) -> tuple[FloatArray, FloatArray]:
    """Returns the rotation [N, 4] and position [N, 3] of the vehicle for each file; marks files
    without a pose, or with one far from the others of the `sample` [N]."""
    required = {_text(token) for token in table.column("ego_pose_token")}
    in_use = json_table(
        folder / "ego_pose.json",
        _REMEDY,
        ("rotation", "translation"),
        lambda row: _text(row.get("token")) in required,
    )
    tokens, rotation = in_use.keys(), in_use.upright_rotations("rotation")
    position_m = in_use.positions("translation", MAX_COORDINATE_M)
    row_of = {tokens[i]: int(i) for i in in_use.usable(notes)}
    row = table.references("ego_pose_token", row_of, in_use.path)
    at_m = np.concatenate([position_m, np.zeros((1, 3))])[row]
    near = columns.near_group_median(sample, at_m, MAX_POSES_APART_M)
    words = f"its pose is over {MAX_POSES_APART_M:g} m from those of its sample's other files"
    table.mark(near | (row < 0) | (sample < 0), "ego_pose_token", words)
    return np.concatenate([rotation, [[1.0, 0.0, 0.0, 0.0]]])[row], at_m


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
