"""nuScenes' JSON tables, joined once when a data set is opened; no sensor file is read here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from leapai.data import reading
from leapai.types import CLASS_NAMES, FloatArray, IntArray

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

CLASS_OF = {
    "human.pedestrian.adult": "person",
    "human.pedestrian.child": "person",
    "human.pedestrian.construction_worker": "person",
    "human.pedestrian.police_officer": "person",
    "human.pedestrian.wheelchair": "person",  # the box holds chair and occupant
    "human.pedestrian.personal_mobility": "non_motor",  # a rider on a scooter, Segway, skateboard
    "movable_object.barrier": "barrier",
    "movable_object.trafficcone": "barrier",  # put on the road, as a barrier, to close a part of it
    "static_object.pillar": "pillar",  # only in what `leapai world export` writes
    "vehicle.bicycle": "non_motor",  # see RIDERLESS_ATTRIBUTE
    "vehicle.motorcycle": "non_motor",
    "vehicle.bus.bendy": "bus",
    "vehicle.bus.rigid": "bus",
    "vehicle.car": "car",
    "vehicle.emergency.police": "car",
    "vehicle.emergency.ambulance": "truck",
    "vehicle.truck": "truck",
    "vehicle.trailer": "truck",  # moves like the truck that tows it, and is an obstacle as large
    "vehicle.construction": "truck",
}
NO_COUNTERPART = (
    "animal",
    "human.pedestrian.stroller",  # who pushes it has a box as a person
    "movable_object.debris",
    "movable_object.pushable_pullable",
    "static_object.bicycle_rack",  # one box around many bicycles
)
CYCLES = ("vehicle.bicycle", "vehicle.motorcycle")
RIDERLESS_ATTRIBUTE = "cycle.without_rider"
"""One of CYCLES with it is `riderless_non_motor`. One without any attribute counts as ridden: what
has no rider is taken to stand still (docs/design.md, section 5), so the wrong guess would freeze a
rider."""

OCCLUSION_OF_VISIBILITY = {"v80-100": 0, "v60-80": 1, "v40-60": 2, "v0-40": 3}
MAX_GAP_S = 1.5
"""Longest time between an annotation and its neighbour, for a velocity; the devkit's limit."""

_REMEDY = "unpack the metadata archive of this version again, whole, into the root folder"
_FIELDS = {
    "attribute": ("token", "name"),
    "calibrated_sensor": ("token", "sensor_token", "translation", "rotation", "camera_intrinsic"),
    "category": ("token", "name"),
    "ego_pose": ("token", "translation", "rotation"),
    "instance": ("token", "category_token"),
    "log": ("token", "location"),
    "sample": ("token", "timestamp", "scene_token"),
    "sample_annotation": (
        *("token", "sample_token", "instance_token", "visibility_token", "attribute_tokens"),
        *("translation", "size", "rotation", "prev", "next", "num_lidar_pts"),
    ),
    "sample_data": (
        *("token", "sample_token", "ego_pose_token", "calibrated_sensor_token", "timestamp"),
        *("is_key_frame", "height", "width", "filename", "prev"),
    ),
    "scene": ("token", "name"),
    "sensor": ("token", "channel"),
    "visibility": ("token", "level"),
}
"""Fields that are read of each table."""
_T = TypeVar("_T")
_Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Calibration:
    """One row of the table `calibrated_sensor`."""

    channel: str
    ego_from_sensor: FloatArray
    """[4, 4] float64."""
    intrinsics: FloatArray
    """[3, 3] float64; [0] for a LiDAR."""


@dataclass(frozen=True, slots=True)
class SensorFile:
    """A row of `sample_data`, with its pose and calibration looked up."""

    path: Path
    timestamp_us: int
    size_px: tuple[int, int]
    """(height, width); (0, 0) for a LiDAR."""
    global_from_ego: FloatArray
    """[4, 4] float64, at `timestamp_us`."""
    calibration: Calibration
    previous: str
    """Token of the file before it, of the same sensor; empty at the start of a scene."""


@dataclass(frozen=True)
class Annotations:
    """All annotations as columns [M], so that a million of them stay small in memory."""

    rows_of: Mapping[str, list[int]]
    """Sample token -> its rows."""
    global_from_box: FloatArray
    """[M, 4, 4] float64."""
    size_lwh_m: FloatArray
    velocity_mps: FloatArray
    """[M, 3] global axes; NaN: unknown."""
    words: list[str]
    class_id: IntArray
    """[M] int64; -1: no counterpart."""
    instances: list[str]
    occlusion_level: IntArray
    num_lidar_points: IntArray
    num_radar_points: IntArray


@dataclass(frozen=True)
class Tables:
    """Tables of one version of the data set, as far as they are needed."""

    scenes: Mapping[str, list[str]]
    """Scene name -> tokens of its samples, in order of time."""
    keyframes: Mapping[str, dict[str, SensorFile]]
    """Sample token -> channel -> file."""
    sweeps: Mapping[str, SensorFile]
    """Token -> LiDAR file, keyframes and those between; empty unless asked for."""
    annotations: Annotations | None
    """None: this version has no annotations, as the test set."""
    maps: Mapping[str, Path]
    """Scene name -> file of its place's map, which may be missing; empty without `maps/expansion`
    or `log.json`."""


def read_tables(root: Path, version: str, *, with_sweeps: bool) -> Tables:
    """Reads the tables of `root/version`. Raises ValueError where one is missing, incomplete, or
    not finite."""
    folder = root / version
    samples = _rows(folder, "sample")
    keyframes: dict[str, dict[str, SensorFile]] = defaultdict(dict)
    sweeps: dict[str, SensorFile] = {}
    for row, file in _sensor_files(root, folder, with_sweeps):
        if row["is_key_frame"]:
            keyframes[row["sample_token"]][file.calibration.channel] = file
        if with_sweeps and file.calibration.channel == LIDAR:
            sweeps[row["token"]] = file
    for sample in samples:
        if LIDAR not in keyframes[sample["token"]]:
            raise ValueError(
                f"{folder / 'sample_data.json'}: sample {sample['token']} has no {LIDAR} keyframe; "
                f"{_REMEDY}"
            )
    scenes = _rows(folder, "scene")
    return Tables(
        _samples_of(scenes, samples),
        keyframes,
        sweeps,
        _annotations(folder, samples),
        _maps(root, folder, scenes),
    )


def _rows(folder: Path, table: str) -> list[_Row]:
    path = folder / f"{table}.json"
    rows: list[_Row] = reading.read_json(path, _REMEDY)
    for row in rows:
        absent = [field for field in _FIELDS[table] if field not in row]
        if absent:
            raise ValueError(f"{path}: row {row.get('token')} has no {absent}; {_REMEDY}")
    return rows


def _find(table: Mapping[str, _T], token: str, path: Path) -> _T:
    """Returns the row of `token`. Raises ValueError that names the file which lacks it."""
    if token not in table:
        raise ValueError(
            f"{path}: there is no row '{token}', to which another table refers; {_REMEDY}"
        )
    return table[token]


def _samples_of(scenes: list[_Row], samples: list[_Row]) -> dict[str, list[str]]:
    in_time = sorted(samples, key=lambda sample: sample["timestamp"])
    samples_of: dict[str, list[str]] = defaultdict(list)
    for sample in in_time:
        samples_of[sample["scene_token"]].append(sample["token"])
    return {scene["name"]: samples_of[scene["token"]] for scene in scenes}


def _maps(root: Path, folder: Path, scenes: list[_Row]) -> dict[str, Path]:
    path, maps = folder / "log.json", root / "maps" / "expansion"
    if not (path.is_file() and maps.is_dir()):
        return {}
    places = {row["token"]: row["location"] for row in _rows(folder, "log")}
    return {
        scene["name"]: maps / f"{_find(places, scene.get('log_token', ''), path)}.json"
        for scene in scenes
    }


def _calibrations(folder: Path) -> dict[str, Calibration]:
    path = folder / "calibrated_sensor.json"
    channels = {row["token"]: row["channel"] for row in _rows(folder, "sensor")}
    rows = _rows(folder, "calibrated_sensor")
    ego_from_sensor = _poses(rows, path)
    return {
        row["token"]: Calibration(
            _find(channels, row["sensor_token"], folder / "sensor.json"),
            ego_from_sensor[i],
            np.array(row["camera_intrinsic"], np.float64),
        )
        for i, row in enumerate(rows)
    }


def _poses(rows: list[_Row], path: Path) -> FloatArray:
    wxyz = [row["rotation"] for row in rows]
    translation_m = [row["translation"] for row in rows]
    return reading.checked_poses(wxyz, translation_m, path, [row["token"] for row in rows])


def _sensor_files(root: Path, folder: Path, with_sweeps: bool) -> list[tuple[_Row, SensorFile]]:
    """Returns the rows in use: keyframes of cameras and LiDAR, and LiDAR sweeps if asked
    for."""
    calibrations = _calibrations(folder)
    ego_rows = _rows(folder, "ego_pose")
    ego_poses = _poses(ego_rows, folder / "ego_pose.json")
    ego_row_of = {row["token"]: i for i, row in enumerate(ego_rows)}
    files = []
    for row in _rows(folder, "sample_data"):
        calibration = _find(
            calibrations, row["calibrated_sensor_token"], folder / "calibrated_sensor.json"
        )
        is_lidar = calibration.channel == LIDAR
        if not (is_lidar or calibration.channel in CAMERA_GROUPS_OF):
            continue  # radar
        if row["is_key_frame"] or (with_sweeps and is_lidar):
            ego_row = _find(ego_row_of, row["ego_pose_token"], folder / "ego_pose.json")
            # A copy, so that the poses of all other rows can be freed.
            files.append((row, _sensor_file(root, row, ego_poses[ego_row].copy(), calibration)))
    return files


def _sensor_file(
    root: Path, row: _Row, global_from_ego: FloatArray, calibration: Calibration
) -> SensorFile:
    return SensorFile(
        path=root / row["filename"],
        timestamp_us=row["timestamp"],
        size_px=(row["height"], row["width"]),
        global_from_ego=global_from_ego,
        calibration=calibration,
        previous=row["prev"],
    )


def _annotations(folder: Path, samples: list[_Row]) -> Annotations | None:
    path = folder / "sample_annotation.json"
    rows = _rows(folder, "sample_annotation")
    if not rows:
        return None
    rows_of: dict[str, list[int]] = defaultdict(list)
    for i, row in enumerate(rows):
        rows_of[row["sample_token"]].append(i)
    global_from_box = _poses(rows, path)
    words, class_id = _classes(folder, rows)
    return Annotations(
        rows_of=rows_of,
        global_from_box=global_from_box,
        size_lwh_m=np.array([row["size"] for row in rows], np.float64)[:, [1, 0, 2]],
        velocity_mps=_velocities(folder, samples, rows, global_from_box[:, :3, 3]),
        words=words,
        class_id=class_id,
        instances=[row["instance_token"] for row in rows],
        occlusion_level=_occlusion_levels(folder, rows),
        num_lidar_points=np.array([row["num_lidar_pts"] for row in rows], np.int64),
        num_radar_points=np.array([row.get("num_radar_pts", -1) for row in rows], np.int64),
    )


def _classes(folder: Path, rows: list[_Row]) -> tuple[list[str], IntArray]:
    """Returns the publisher's word [M] and our class [M] of each annotation."""
    word_of = {row["token"]: row["name"] for row in _rows(folder, "category")}
    instances = {row["token"]: row["category_token"] for row in _rows(folder, "instance")}
    attributes = {row["token"]: row["name"] for row in _rows(folder, "attribute")}
    words, class_id = [], np.full(len(rows), -1, np.int64)
    for i, row in enumerate(rows):
        category = _find(instances, row["instance_token"], folder / "instance.json")
        word = _find(word_of, category, folder / "category.json")
        known = [
            _find(attributes, token, folder / "attribute.json") for token in row["attribute_tokens"]
        ]
        words.append(word)
        class_id[i] = _class_id(word, known, folder / "category.json")
    return words, class_id


def _class_id(word: str, attributes: list[str], path: Path) -> int:
    if word in NO_COUNTERPART:
        return -1
    if word not in CLASS_OF:
        raise ValueError(
            f"{path}: unknown class '{word}'; add it to CLASS_OF or NO_COUNTERPART in {__name__}"
        )
    riderless = word in CYCLES and RIDERLESS_ATTRIBUTE in attributes
    return CLASS_NAMES.index("riderless_non_motor" if riderless else CLASS_OF[word])


def _velocities(
    folder: Path, samples: list[_Row], rows: list[_Row], position_m: FloatArray
) -> FloatArray:
    time_of = {sample["token"]: sample["timestamp"] for sample in samples}
    row_of = {row["token"]: i for i, row in enumerate(rows)} | {"": -1}
    sample_path, path = folder / "sample.json", folder / "sample_annotation.json"
    time_us = [_find(time_of, row["sample_token"], sample_path) for row in rows]
    before = [_find(row_of, row["prev"], path) for row in rows]
    after = [_find(row_of, row["next"], path) for row in rows]
    return reading.central_velocity(
        position_m, np.array(time_us), np.array(before), np.array(after), MAX_GAP_S
    )


def _occlusion_levels(folder: Path, rows: list[_Row]) -> IntArray:
    """Returns the occlusion levels [M]; -1 where no visibility is recorded."""
    path = folder / "visibility.json"
    words = {row["token"]: row["level"] for row in _rows(folder, "visibility")}
    unknown = set(words.values()) - set(OCCLUSION_OF_VISIBILITY)
    if unknown:
        known = ", ".join(OCCLUSION_OF_VISIBILITY)
        raise ValueError(f"{path}: unknown visibility {sorted(unknown)}; known are {known}")
    level_of = {token: OCCLUSION_OF_VISIBILITY[word] for token, word in words.items()} | {"": -1}
    levels = [_find(level_of, row["visibility_token"], path) for row in rows]
    return np.array(levels, np.int64)
