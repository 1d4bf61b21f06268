"""nuScenes' JSON tables, joined once when a data set is opened; no sensor file is read here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from leapai.data import columns
from leapai.data.checked_table import MAX_COORDINATE_M, CheckedTable, json_table, note
from leapai.data.nuscenes.nuscenes_annotations import Annotations, Samples, read_annotations
from leapai.geometry import poses
from leapai.types import BoolArray, FloatArray, IntArray

LIDAR = "LIDAR_TOP"
CAMERA_GROUPS_OF = {
    "CAM_FRONT": "front_wide",
    "CAM_FRONT_LEFT": "side",
    "CAM_FRONT_RIGHT": "side",
    "CAM_BACK": "back",
    "CAM_BACK_LEFT": "side",
    "CAM_BACK_RIGHT": "side",
}
"""CAM_FRONT sees 70 degrees, so it goes with the wide front cameras; nuScenes has no narrow one."""

MAX_MOUNT_M = 100.0
"""Farthest sensor from the ego's origin; a road train is 50 m long."""
MAX_POSES_APART_M = 100.0
"""Farthest a vehicle drives during a sample, by far."""
MAX_OFFSET_S = 1.0
"""Longest time between a sample and a sensor file of it."""
_REMEDY = "unpack the metadata archive of this version again, whole, into the root folder"


@dataclass(frozen=True, slots=True)
class Calibration:
    """One row of the table `calibrated_sensor`."""

    channel: str
    ego_from_sensor: FloatArray
    """[4, 4] float64."""
    intrinsics: FloatArray
    """[3, 3] float64; NaN for a LiDAR."""


@dataclass(frozen=True, slots=True)
class SensorFile:
    """A row of `sample_data`, with its pose and calibration looked up."""

    path: Path
    timestamp_us: int
    size_px: tuple[int, int]
    """(height, width); unused for a LiDAR."""
    global_from_ego: FloatArray
    """[4, 4] float64, at `timestamp_us`."""
    calibration: Calibration
    previous: str
    """Token of the file before it, of the same sensor; empty at the start of a scene."""


@dataclass(frozen=True)
class Tables:
    """Tables of one version of the data set, as far as they are needed."""

    scenes: Mapping[str, list[str]]
    """Scene name -> tokens of its samples, in order of time."""
    keyframes: Mapping[str, dict[str, SensorFile]]
    """Sample token -> channel -> file."""
    references: Mapping[str, SensorFile]
    """Sample token -> the file whose time and pose the frame has, of LiDAR or else a camera."""
    sweeps: Mapping[str, SensorFile]
    """Token -> LiDAR file, keyframes and those between; empty unless asked for."""
    annotations: Annotations | None
    """None: this version has no annotations, as the test set."""
    maps: Mapping[str, Path]
    """Scene name -> file of its place's map, which may be missing."""
    notes: tuple[str, ...]
    """Rows that are left out, counted, a line for each table."""


def read_tables(root: Path, version: str, *, with_sweeps: bool) -> Tables:
    """Reads the tables of `root/version`. A row that cannot be used is left out and counted. Raises
    ValueError where a table is missing or mostly unusable, and where no frame is left."""
    folder = root / version
    notes: list[str] = []
    scenes = _scenes(folder, notes)
    samples = _samples(folder, scenes, notes)
    keyframes: dict[str, dict[str, SensorFile]] = defaultdict(dict)
    sweeps: dict[str, SensorFile] = {}
    for file, token, sample, is_key in _sensor_files(root, folder, samples, with_sweeps, notes):
        if is_key:
            keyframes[samples.tokens[sample]][file.calibration.channel] = file
        if with_sweeps and file.calibration.channel == LIDAR:
            sweeps[token] = file
    references = {
        token: _reference(keyframes[token], time_us)
        for token, time_us in zip(samples.tokens, samples.time_us.tolist(), strict=True)
        if token in keyframes
    }
    of_scenes = _samples_of(folder, scenes, samples, references, notes)
    used = [token for tokens in of_scenes.values() for token in tokens]
    in_use = Samples(
        {token: i for i, token in enumerate(used)},
        np.array([references[token].timestamp_us for token in used], np.int64),
        np.array([references[token].global_from_ego[:3, 3] for token in used]),
    )
    return Tables(
        of_scenes,
        keyframes,
        references,
        sweeps,
        read_annotations(folder, in_use, _REMEDY, notes),
        _maps(root, folder, scenes, notes),
        tuple(notes),
    )


class _Scenes(NamedTuple):
    tokens: list[str]
    names: list[str]
    log_tokens: list[object]


class _SampleRows(NamedTuple):
    """The rows of `sample` in use, in order of scene and time."""

    tokens: list[str]
    time_us: IntArray
    scene: IntArray


def _scenes(folder: Path, notes: list[str]) -> _Scenes:
    table = json_table(folder / "scene.json", _REMEDY)
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
    table = json_table(folder / "sample.json", _REMEDY)
    scene_of = {token: i for i, token in enumerate(scenes.tokens)}
    tokens, time_us = table.keys(), table.times("timestamp")
    scene = table.references("scene_token", scene_of, folder / "scene.json")
    order = np.lexsort((time_us, scene, ~table.good))
    same = (np.diff(scene[order]) == 0) & (np.diff(time_us[order]) == 0)
    first = np.ones(len(order), bool)
    first[order[1:][same]] = False
    table.mark(first, "timestamp", "another sample of the scene has the same")
    kept = table.usable(notes)
    kept = kept[np.lexsort((time_us[kept], scene[kept]))]
    found = _SampleRows([tokens[i] for i in kept], time_us[kept], scene[kept])
    sequences = [found.time_us[found.scene == i] for i in np.unique(found.scene)]
    table.check_unit(sequences, "microseconds")
    return found


def _reference(files: Mapping[str, SensorFile], time_us: int) -> SensorFile:
    if LIDAR in files:
        return files[LIDAR]
    return min(files.values(), key=lambda file: abs(file.timestamp_us - time_us))


def _samples_of(
    folder: Path,
    scenes: _Scenes,
    samples: _SampleRows,
    references: Mapping[str, SensorFile],
    notes: list[str],
) -> dict[str, list[str]]:
    """Returns the samples of each scene that has any, in order of time."""
    found: dict[str, list[str]] = {name: [] for name in scenes.names}
    latest = dict.fromkeys(scenes.names, -1)
    for token, scene in zip(samples.tokens, samples.scene.tolist(), strict=True):
        name = scenes.names[scene]
        if token in references and references[token].timestamp_us > latest[name]:
            found[name].append(token)
            latest[name] = references[token].timestamp_us
    left_out = len(samples.tokens) - sum(map(len, found.values()))
    if left_out:
        words = f"{left_out} of {len(samples.tokens)} samples have no file of a sensor"
        words += " that can be used and is later than the one before"
        note(notes, folder / "sample_data.json", words)
    empty = [name for name in found if not found[name]]
    if empty:
        words = f"{len(empty)} of {len(found)} scenes have no frame; the first is {empty[0]}"
        note(notes, folder / "scene.json", words)
    if len(empty) == len(found):
        raise ValueError(f"{folder}: no scene has a frame that can be used; {_REMEDY}")
    return {name: tokens for name, tokens in found.items() if tokens}


def _maps(root: Path, folder: Path, scenes: _Scenes, notes: list[str]) -> dict[str, Path]:
    path, maps = folder / "log.json", root / "maps" / "expansion"
    if not (path.is_file() and maps.is_dir()):
        return {}
    table = json_table(path, _REMEDY)
    tokens, places = table.keys(), table.paths("location")
    place_of = {tokens[i]: places[i] for i in table.usable(notes)}
    found = {
        name: maps / f"{place_of[token]}.json"
        for name, token in zip(scenes.names, scenes.log_tokens, strict=True)
        if isinstance(token, str) and token in place_of
    }
    if len(found) < len(scenes.names):
        count = len(scenes.names) - len(found)
        words = f"there is no row for {count} of {len(scenes.names)} scenes: they have no map"
        note(notes, path, words)
    return found


def _calibrations(folder: Path, notes: list[str]) -> dict[str, Calibration]:
    sensors = json_table(folder / "sensor.json", _REMEDY)
    tokens, channels = sensors.keys(), sensors.names("channel")
    sensor_of = {tokens[i]: int(i) for i in sensors.usable(notes)}
    table = json_table(folder / "calibrated_sensor.json", _REMEDY)
    names = table.keys()
    sensor = table.references("sensor_token", sensor_of, sensors.path)
    rotation, position_m = table.rotations("rotation"), table.positions("translation", MAX_MOUNT_M)
    channel = [channels[i] if i >= 0 else "" for i in sensor]
    is_camera = np.array([name in CAMERA_GROUPS_OF for name in channel], bool)
    matrix = columns.camera_matrices(table.column("camera_intrinsic"))
    words = "must be 3 rows of 3 numbers, or of 4 with zeros at their ends"
    table.mark(np.isfinite(matrix).all((1, 2)) | ~is_camera, "camera_intrinsic", words)
    untaken = sorted({c for c in channel if c.startswith("CAM") and c not in CAMERA_GROUPS_OF})
    if untaken:
        note(notes, table.path, f"no camera group takes {', '.join(untaken)}: not used")
    ego_from_sensor = poses.from_quaternion(rotation, position_m)
    return {
        names[i]: Calibration(channel[i], ego_from_sensor[i], matrix[i])
        for i in table.usable(notes)
    }


def _sensor_files(
    root: Path, folder: Path, samples: _SampleRows, with_sweeps: bool, notes: list[str]
) -> list[tuple[SensorFile, str, int, bool]]:
    """Returns the rows in use, keyframes of cameras and LiDAR, and LiDAR sweeps if asked for: file,
    token, row of its sample, and whether it is a keyframe."""
    calibrations = _calibrations(folder, notes)
    every = [*calibrations.values()]
    calibration_of = {token: i for i, token in enumerate(calibrations)}
    table = json_table(folder / "sample_data.json", _REMEDY)
    mount = columns.references(table.column("calibrated_sensor_token"), calibration_of)
    is_key, known = columns.flags(table.column("is_key_frame"))
    lidars = np.array([c.channel == LIDAR for c in every] + [False], bool)
    used = np.array([c.channel in (LIDAR, *CAMERA_GROUPS_OF) for c in every] + [True], bool)
    # The others are radars and images between keyframes, the largest part of the table.
    kept = used[mount] & (is_key | ~known | (lidars[mount] & with_sweeps))
    table, mount, is_key = table.narrowed(kept), mount[kept], is_key[kept]
    names = table.keys()
    table.flags("is_key_frame")
    words = "there is no such row in {}.json that can be used"
    table.mark(mount >= 0, "calibrated_sensor_token", words.format("calibrated_sensor"))
    time_us, paths = table.times("timestamp"), table.paths("filename")
    channel = np.unique([c.channel for c in every] + [""], return_inverse=True)[1][mount]
    sample = _samples_of_files(table, samples, time_us, is_key, channel)
    size_px = _image_sizes(table, every, mount)
    pose, global_from_ego = _ego_poses(folder, table, sample, notes)
    return [
        (
            SensorFile(
                path=root / paths[i],
                timestamp_us=int(time_us[i]),
                size_px=(int(size_px[i, 0]), int(size_px[i, 1])),
                global_from_ego=global_from_ego[pose[i]],
                calibration=every[mount[i]],
                previous=_text(table.column("prev")[i]),
            ),
            names[i],
            int(sample[i]),
            bool(is_key[i]),
        )
        for i in table.usable(notes).tolist()
    ]


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
    known = table.good & is_key
    pairs = [*zip(sample.tolist(), channel.tolist(), known.tolist(), strict=True)]
    first = columns.first_of_each(pairs) | ~known
    table.mark(first, "sample_token", "a row before it has the same sensor and sample")
    return sample


def _image_sizes(table: CheckedTable, every: Sequence[Calibration], mount: IntArray) -> IntArray:
    """Returns heights and widths [N, 2]; marks images that do not fit to their calibration."""
    size_px = np.stack([table.optional_counts(field) for field in ("height", "width")], -1)
    matrices = np.array([c.intrinsics for c in every] + [np.full((3, 3), np.nan)])
    is_camera = np.array([c.channel != LIDAR for c in every] + [False], bool)[mount]
    good = columns.intrinsics(matrices[mount], size_px)
    words = "height and width, and the calibration, must be those of one pinhole camera"
    table.mark(good | ~is_camera, "height", words)
    return size_px


def _ego_poses(
    folder: Path, table: CheckedTable, sample: IntArray, notes: list[str]
) -> tuple[IntArray, FloatArray]:
    """Returns the row [N] of its pose for each file, and the poses [K, 4, 4]; marks files without
    one, or with one far from the others of the `sample` [N]."""
    wanted = {_text(token) for token in table.column("ego_pose_token")}
    every = json_table(folder / "ego_pose.json", _REMEDY)
    in_use = every.narrowed(np.array([_text(t) in wanted for t in every.column("token")], bool))
    tokens, rotation = in_use.keys(), in_use.upright_rotations("rotation")
    position_m = in_use.positions("translation", MAX_COORDINATE_M)
    kept = in_use.usable(notes)
    row_of = {tokens[i]: number for number, i in enumerate(kept.tolist())}
    row = table.references("ego_pose_token", row_of, in_use.path)
    at_m = np.concatenate([position_m[kept], np.zeros((1, 3))])[row]
    near = columns.near_group_median(sample, at_m, MAX_POSES_APART_M)
    words = f"its pose is over {MAX_POSES_APART_M:g} m from those of its sample's other files"
    table.mark(near | (row < 0) | (sample < 0), "ego_pose_token", words)
    return row, poses.from_quaternion(rotation[kept], position_m[kept])


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
