"""nuScenes' annotations: the tables of boxes, objects and classes, joined for the index."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from leapai.data import columns, reading
from leapai.data.checked_table import MAX_COORDINATE_M, MAX_COUNT, CheckedTable, json_table
from leapai.types import CLASS_NAMES, FloatArray, IntArray

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

MAX_DISTANCE_M = 500.0
"""Farthest box from the vehicle; no LiDAR of a vehicle returns from there."""
_FIELDS = (
    *("sample_token", "instance_token", "visibility_token", "attribute_tokens"),
    *("translation", "size", "rotation", "num_lidar_pts", "num_radar_pts"),
)
_CLASS_WORDS = {*CLASS_OF, *NO_COUNTERPART}


class Samples(NamedTuple):
    """The samples in use as columns [S], in order of scene and time."""

    row_of: Mapping[str, int]
    """Token -> row."""
    scene: IntArray
    time_us: IntArray
    ego_m: FloatArray
    """[S, 3] float64, position of the vehicle in the global frame."""


def annotation_arrays(
    folder: Path, samples: Samples, remedy: str, notes: list[str]
) -> dict[str, Any]:
    """Reads the annotations of `samples` as arrays of an index, in the order of the samples; none
    where the version has none. Rows that are left out are counted in `notes`. Raises ValueError
    where a table cannot be used."""
    table = json_table(folder / "sample_annotation.json", remedy, _FIELDS)
    if not len(table):
        return {}
    objects = _objects(folder, remedy, notes)
    table.keys()
    sample = table.references("sample_token", samples.row_of, folder / "sample.json")
    instance = table.references("instance_token", objects.row_of, folder / "instance.json")
    position_m = table.positions("translation", MAX_COORDINATE_M)
    rotation = table.upright_rotations("rotation")
    size_m = table.sizes("size")[:, [1, 0, 2]]
    away_m = np.abs(position_m - samples.ego_m[sample]).max(-1)
    words = f"is more than {MAX_DISTANCE_M:g} m from the vehicle"
    table.mark(away_m <= MAX_DISTANCE_M, "translation", words)
    # Only rows in order can be the first of their object and sample.
    first = columns.first_of_pairs(sample, instance, table.good)
    table.mark(first, "instance_token", "a row before it has the same object and sample")
    riderless = _riderless(table, folder, remedy, notes)
    occlusion = _occlusion_levels(table, folder, remedy, notes)
    points, radar_points = _counts(table, "num_lidar_pts"), _counts(table, "num_radar_pts")
    kept = table.usable(notes)
    kept = kept[np.argsort(sample[kept], kind="stable")]
    sample, instance, time_us = sample[kept], instance[kept], samples.time_us[sample[kept]]
    velocity_mps = reading.central_velocity(position_m[kept], time_us, instance, MAX_GAP_S)
    class_id = np.where(riderless[kept], objects.riderless_id[instance], objects.class_id[instance])
    return {
        "sample.first_box": np.searchsorted(sample, np.arange(len(samples.row_of) + 1)),
        "box.rotation": rotation[kept],
        "box.position_m": position_m[kept],
        "box.size_lwh_m": size_m[kept],
        "box.velocity_mps": velocity_mps,
        "box.word": objects.word[instance].astype(np.int16),
        "box.class_id": class_id.astype(np.int8),
        "box.track_id": _track_ids(samples.scene[sample], instance).astype(np.int32),
        "box.occlusion_level": occlusion[kept].astype(np.int8),
        "box.num_lidar_points": points[kept].astype(np.int32),
        "box.num_radar_points": radar_points[kept].astype(np.int32),
        "words": objects.words,
    }


def _track_ids(scene: IntArray, instance: IntArray) -> IntArray:
    """Returns a number for the object of each box [M], in order of appearance in its scene; boxes
    are in the order of their scenes."""
    objects = instance.max(initial=0) + 1
    pairs, first, pair = np.unique(
        scene * objects + instance, return_index=True, return_inverse=True
    )
    turn = np.empty(len(pairs), np.int64)
    turn[np.argsort(first)] = np.arange(len(pairs))
    scenes, of_scene = np.unique(pairs // objects, return_inverse=True)
    earliest = np.full(len(scenes), len(pairs))
    np.minimum.at(earliest, of_scene, turn)
    numbers: IntArray = (turn - earliest[of_scene])[pair]
    return numbers


class _Objects(NamedTuple):
    """The rows of `instance` in use."""

    row_of: Mapping[str, int]
    words: list[str]
    """The publisher's classes."""
    word: IntArray
    """Index of each object's word in `words`."""
    class_id: IntArray
    """Our class of each object; -1: no counterpart."""
    riderless_id: IntArray
    """Our class of each object in an annotation with the attribute of no rider."""


def _objects(folder: Path, remedy: str, notes: list[str]) -> _Objects:
    categories = json_table(folder / "category.json", remedy, ("name",))
    tokens, words = categories.keys(), categories.names("name")
    known = np.array([word in _CLASS_WORDS for word in words], bool)
    remark = f"unknown class; add it to CLASS_OF or NO_COUNTERPART in {__name__}"
    categories.mark(known, "name", remark)
    category_of = {tokens[i]: int(i) for i in categories.usable(notes)}
    table = json_table(folder / "instance.json", remedy, ("category_token",))
    names = table.keys()
    category = table.references("category_token", category_of, categories.path)
    used = table.usable(notes)
    word = category[used]
    ids = {name: CLASS_NAMES.index(ours) for name, ours in CLASS_OF.items()}
    class_id = np.array([ids.get(name, -1) for name in words], np.int64)
    riderless_id = np.where(
        np.array([name in CYCLES for name in words], bool),
        CLASS_NAMES.index("riderless_non_motor"),
        class_id,
    )
    row_of = {names[i]: row for row, i in enumerate(used.tolist())}
    return _Objects(row_of, words, word, class_id[word], riderless_id[word])


def _riderless(table: CheckedTable, folder: Path, remedy: str, notes: list[str]) -> FloatArray:
    """Returns which annotations [N] have the attribute of a cycle without a rider."""
    attributes = json_table(folder / "attribute.json", remedy, ("name",))
    tokens, names = attributes.keys(), attributes.names("name")
    name_of = {tokens[i]: names[i] for i in attributes.usable(notes)}
    given = table.column("attribute_tokens")
    known = [
        isinstance(row, list) and all(isinstance(t, str) and t in name_of for t in row)
        for row in given
    ]
    table.mark(np.array(known, bool), "attribute_tokens", "must be a list of attribute.json's rows")
    return np.array(
        [
            good and any(name_of[token] == RIDERLESS_ATTRIBUTE for token in row)
            for row, good in zip(given, known, strict=True)
        ],
        bool,
    )


def _occlusion_levels(table: CheckedTable, folder: Path, remedy: str, notes: list[str]) -> IntArray:
    """Returns the occlusion levels [N]; -1 where no visibility is recorded."""
    visibility = json_table(folder / "visibility.json", remedy, ("level",))
    tokens, words = visibility.keys(), visibility.names("level")
    known = np.array([word in OCCLUSION_OF_VISIBILITY for word in words], bool)
    visibility.mark(known, "level", f"must be one of {', '.join(OCCLUSION_OF_VISIBILITY)}")
    row_of = {tokens[i]: int(i) for i in visibility.usable(notes)}
    given = table.column("visibility_token")
    row = columns.references(given, row_of)
    absent = np.array([value is None or value == "" for value in given], bool)
    words_of_rule = "there is no such row in visibility.json that can be used"
    table.mark((row >= 0) | absent, "visibility_token", words_of_rule)
    levels = np.array([OCCLUSION_OF_VISIBILITY.get(word, -1) for word in words] + [-1], np.int64)
    return np.where(row >= 0, levels[row], -1)


def _counts(table: CheckedTable, field: str) -> IntArray:
    """Returns counts [N]; -1 where none is recorded."""
    given = table.column(field)
    found, good = columns.whole_numbers(given, 0, MAX_COUNT)
    absent = np.array([value is None or value == -1 for value in given], bool)
    table.mark(good | absent, field, "must be a whole number of at least 0")
    return np.where(good, found, -1)
