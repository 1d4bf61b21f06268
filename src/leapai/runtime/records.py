"""What a run said and what is true, on disk as Parquet: one row a detection, a line of the road, a
labelled object, a frame."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from leapai.evaluation.instances import InstanceFigures
from leapai.runtime.files import whole_file
from leapai.runtime.outcome import DriveOutcome, MemoryHealth
from leapai.types import (
    CLASS_NAMES,
    OCCLUSION_NAMES,
    Detections,
    FloatArray,
    Labels,
    MapPolyline,
)

_BOX = ("x_m", "y_m", "z_m", "length_m", "width_m", "height_m", "yaw_rad")
_VELOCITY = ("vx_mps", "vy_mps", "vz_mps")
_ACCELERATION = ("ax_mps2", "ay_mps2", "az_mps2")
_SAME = (
    "velocity_valid", "class_id", "occlusion_level", "track_id", "num_lidar_points",
    "visible_fraction",
)  # fmt: skip
"""Fields of `Labels` that are columns of that name."""
_KEY = [("sequence", pa.string()), ("timestamp_us", pa.int64())]
_FRAME_OF_BOXES = {
    "frame": "ego: x forward, y left, z up; box centres; velocities over ground in ego axes"
}

_TYPES = {"str": pa.string(), "int": pa.int64(), "float": pa.float64()}


def row_schema(kind: type) -> pa.Schema:
    """Columns for the fields of a dataclass of words and numbers."""
    columns = get_type_hints(kind)
    return pa.schema(
        [(name, _TYPES[(get_args(hint) or (hint,))[0].__name__]) for name, hint in columns.items()]
    )


INSTANCE_SCHEMA = row_schema(InstanceFigures)
"""Of labelled objects, each over its whole life."""

SCHEMA = pa.schema(
    [
        *_KEY,
        *((name, pa.float64()) for name in (*_BOX, *_VELOCITY)),
        ("score", pa.float64()),
        ("class_id", pa.int64()),
        ("class_name", pa.string()),
        ("occlusion_level", pa.int64()),
        ("occlusion_name", pa.string()),
        ("track_id", pa.int64()),
    ],
    metadata=_FRAME_OF_BOXES,
)
"""Of detections."""

TRUTH_SCHEMA = pa.schema(
    [
        *_KEY,
        *((name, pa.float64()) for name in (*_BOX, *_VELOCITY)),
        ("velocity_valid", pa.bool_()),
        ("class_id", pa.int64()),
        ("class_name", pa.string()),
        ("occlusion_level", pa.int64()),
        ("track_id", pa.int64()),
        ("num_lidar_points", pa.int64()),
        ("visible_fraction", pa.float64()),
        *((name, pa.float64()) for name in _ACCELERATION),
    ],
    metadata=_FRAME_OF_BOXES,
)
"""Of labelled objects; what is not labelled stands as in `Labels`."""

LINE_SCHEMA = pa.schema(
    [
        *_KEY,
        ("kind", pa.string()),
        ("confidence", pa.float64()),
        ("x_m", pa.list_(pa.float64())),
        ("y_m", pa.list_(pa.float64())),
    ],
    metadata={"frame": "ego: x forward, y left; points on the ground, one after another"},
)
"""Of lines of the road that were said."""

FRAME_SCHEMA = pa.schema(
    [
        *_KEY,
        ("drive", pa.int64()),
        ("ego2global", pa.list_(pa.float64(), 16)),
        ("labelled", pa.bool_()),
        ("faults", pa.list_(pa.string())),
        ("memory_slots", pa.int64()),
        ("memory_age_s", pa.float64()),
        ("memory_reset", pa.bool_()),
        ("picture", pa.string()),
    ],
    metadata={"ego2global": "row by row", "picture": "of the worst frames: a file of the run"},
)
"""Of frames, in the order in which they were streamed."""

FrameKey = tuple[str, int]
"""Sequence and timestamp in microseconds: what names a frame."""


def to_table(detections: Detections) -> pa.Table:
    """The detections of one frame as rows of `SCHEMA`."""
    columns: dict[str, Any] = {
        **_key_columns(detections, len(detections)),
        **_named(_BOX, detections.boxes),
        **_named(_VELOCITY, detections.velocity_mps),
        "score": detections.score,
        "class_id": detections.class_id,
        "class_name": [CLASS_NAMES[i] for i in detections.class_id],
        "occlusion_level": detections.occlusion_level,
        "occlusion_name": [OCCLUSION_NAMES[i] for i in detections.occlusion_level],
        "track_id": detections.track_id,
    }
    return pa.table(columns, schema=SCHEMA)


def truth_table(frame: Detections, labels: Labels) -> pa.Table:
    """The labelled objects of the frame that `frame` speaks of, as rows of `TRUTH_SCHEMA`."""
    columns: dict[str, Any] = {
        **_key_columns(frame, len(labels)),
        **_named(_BOX, labels.boxes),
        **_named(_VELOCITY, labels.velocity_mps),
        **_named(_ACCELERATION, labels.acceleration_mps2),
        "class_name": [CLASS_NAMES[i] for i in labels.class_id],
    }
    columns |= {name: getattr(labels, name) for name in _SAME}
    return pa.table(columns, schema=TRUTH_SCHEMA)


def line_table(frame: Detections, lines: Sequence[MapPolyline]) -> pa.Table:
    """The lines of the frame that `frame` speaks of, as rows of `LINE_SCHEMA`."""
    columns: dict[str, Any] = {
        **_key_columns(frame, len(lines)),
        "kind": [line.kind for line in lines],
        "confidence": [line.confidence for line in lines],
        "x_m": [line.points_m[:, 0] for line in lines],
        "y_m": [line.points_m[:, 1] for line in lines],
    }
    return pa.table(columns, schema=LINE_SCHEMA)


def frame_table(drives: Sequence[DriveOutcome], pictures: dict[FrameKey, str]) -> pa.Table:
    """Every frame of the run as a row of `FRAME_SCHEMA`; `pictures` are names of files."""
    rows = [
        {
            "sequence": said.sequence,
            "timestamp_us": said.timestamp_us,
            "drive": drive.number,
            "ego2global": said.ego2global.ravel().tolist(),
            "labelled": labels is not None,
            "faults": list(faults),
            "memory_slots": memory.slots,
            "memory_age_s": memory.age_s,
            "memory_reset": memory.reset,
            "picture": pictures.get((said.sequence, said.timestamp_us)),
        }
        for drive in drives
        for said, labels, faults, memory in zip(
            drive.detections, drive.labels, drive.faults, drive.memory, strict=True
        )
    ]
    return pa.Table.from_pylist(rows, schema=FRAME_SCHEMA)


def write_table(path: Path, schema: pa.Schema, tables: Sequence[pa.Table]) -> None:
    """All rows as one file, which is there whole or not at all."""
    with whole_file(path) as temporary:
        pq.write_table(pa.concat_tables([schema.empty_table(), *tables]), temporary)


def write_instances(path: Path, rows: Sequence[InstanceFigures]) -> None:
    """One row an object."""
    table = pa.Table.from_pylist([asdict(row) for row in rows], schema=INSTANCE_SCHEMA)
    write_table(path, INSTANCE_SCHEMA, [table])


def drives_of(
    frames: pa.Table, detections: pa.Table, truth: pa.Table, lines: pa.Table
) -> list[DriveOutcome]:
    """The drives that these tables were written of, by number; queries of detections are not on
    disk (-1)."""
    said, true, road = _Rows(detections), _Rows(truth), _lines(lines)
    drives: dict[int, DriveOutcome] = {}
    for row in frames.to_pylist():
        key = (row["sequence"], row["timestamp_us"])
        drive = drives.setdefault(row["drive"], DriveOutcome(row["drive"]))
        pose = np.reshape(row["ego2global"], (4, 4))
        drive.detections.append(_detections(key, pose, said.of(key)))
        drive.labels.append(_labels(true.of(key)) if row["labelled"] else None)
        drive.faults.append(tuple(row["faults"]))
        drive.memory.append(
            MemoryHealth(row["memory_slots"], row["memory_age_s"], row["memory_reset"])
        )
        drive.lines.append(tuple(road[key]))
    return [drives[number] for number in sorted(drives)]


def _key_columns(frame: Detections, count: int) -> dict[str, Any]:
    return {"sequence": [frame.sequence] * count, "timestamp_us": [frame.timestamp_us] * count}


def _named(names: Sequence[str], columns: FloatArray) -> dict[str, FloatArray]:
    return {name: columns[:, i] for i, name in enumerate(names)}


class _Rows:
    """The numbers of a table whose rows of a frame stand together, a frame at a time."""

    def __init__(self, table: pa.Table) -> None:
        words = {name for name in table.column_names if pa.types.is_string(table[name].type)}
        self._columns = {
            name: table[name].to_numpy() for name in table.column_names if name not in words
        }
        sequence, time_us = table["sequence"].to_pylist(), self._columns["timestamp_us"]
        code = np.unique(np.array(sequence, str), return_inverse=True)[1]
        changes = (np.diff(code) != 0) | (np.diff(time_us) != 0)
        bounds = [0, *(np.flatnonzero(changes) + 1).tolist(), table.num_rows]
        self._span = {
            (sequence[first], int(time_us[first])): slice(first, end)
            for first, end in pairwise(bounds)
            if end > first
        }

    def of(self, key: FrameKey) -> dict[str, Any]:
        """The columns of a frame; empty where it has no row."""
        span = self._span.get(key, slice(0))
        return {name: column[span] for name, column in self._columns.items()}


def _detections(key: FrameKey, ego2global: FloatArray, rows: dict[str, Any]) -> Detections:
    return Detections(
        *key,
        ego2global=ego2global,
        boxes=_stacked(rows, _BOX),
        velocity_mps=_stacked(rows, _VELOCITY),
        query_index=np.full(len(rows["score"]), -1, np.int64),
        **{name: rows[name] for name in ("score", "class_id", "occlusion_level", "track_id")},
    )


def _labels(rows: dict[str, Any]) -> Labels:
    return Labels(
        boxes=_stacked(rows, _BOX),
        velocity_mps=_stacked(rows, _VELOCITY),
        acceleration_mps2=_stacked(rows, _ACCELERATION),
        **{name: rows[name] for name in _SAME},
    )


def _lines(table: pa.Table) -> dict[FrameKey, list[MapPolyline]]:
    """By frame; empty where it has no row."""
    lines: dict[FrameKey, list[MapPolyline]] = defaultdict(list)
    for row in table.to_pylist():
        points = np.column_stack([row["x_m"], row["y_m"]])
        line = MapPolyline(row["kind"], row["confidence"], points)
        lines[row["sequence"], row["timestamp_us"]].append(line)
    return lines


def _stacked(rows: dict[str, Any], names: Sequence[str]) -> FloatArray:
    return np.stack([rows[name] for name in names], -1)
