"""Parquet tables of a run: one row a line of the map, a labelled object, an instance, a frame.

The table of detections is that of `streaming/detection_table.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from leapai.evaluation.detection.detection_results import FrameConsistency
from leapai.evaluation.sequence_result import MemoryHealth, SequenceResult
from leapai.evaluation.tracking.tracking_results import InstanceMetrics
from leapai.io import whole_file
from leapai.runs.parquet_files import read_typed
from leapai.runs.row_schema import row_schema
from leapai.streaming.detection_table import (
    BOX_COLUMNS,
    COORDINATES,
    FRAME_KEY,
    VELOCITY_COLUMNS,
    key_columns,
    named_columns,
)
from leapai.types import DESIGN, Detections, FloatArray, Labels, MapPolyline, Vocabulary

_ACCELERATION = ("ax_mps2", "ay_mps2", "az_mps2")
_SAME = (
    "velocity_valid", "class_id", "occlusion_level", "track_id", "num_lidar_points",
    "visible_fraction",
)  # fmt: skip
"""Fields of `Labels` that are columns of that name."""
_RADAR = "num_radar_points"
ADDED_COLUMNS = frozenset({_RADAR})
"""Columns that runs of earlier versions do not have."""
INSTANCE_SCHEMA = row_schema(InstanceMetrics)
"""Columns of instances: each is a labelled object over all of its frames."""

GT_SCHEMA = pa.schema(
    [
        *FRAME_KEY,
        *((name, pa.float64()) for name in (*BOX_COLUMNS, *VELOCITY_COLUMNS)),
        ("velocity_valid", pa.bool_()),
        ("class_id", pa.int64()),
        ("class_name", pa.string()),
        ("occlusion_level", pa.int64()),
        ("track_id", pa.int64()),
        ("num_lidar_points", pa.int64()),
        ("visible_fraction", pa.float64()),
        *((name, pa.float64()) for name in _ACCELERATION),
        (_RADAR, pa.int64()),
    ],
    metadata=COORDINATES,
)
"""Columns of labelled objects; what is not labelled stands as in `Labels`."""

LINE_SCHEMA = pa.schema(
    [
        *FRAME_KEY,
        ("kind", pa.string()),
        ("confidence", pa.float64()),
        ("x_m", pa.list_(pa.float64())),
        ("y_m", pa.list_(pa.float64())),
    ],
    metadata={"frame": "ego: x forward, y left; points on the ground, one after another"},
)
"""Columns of the lines of predicted maps."""

_CONSISTENCY_COUNTS = ("expected", "missing", "id_changes", "class_flips", "occlusion_flips")
"""Fields of `FrameConsistency` that are columns of that name."""

FRAME_SCHEMA = pa.schema(
    [
        *FRAME_KEY,
        ("drive", pa.int64()),
        ("ego2global", pa.list_(pa.float64(), 16)),
        ("labelled", pa.bool_()),
        ("faults", pa.list_(pa.string())),
        ("memory_slots", pa.int64()),
        ("memory_age_s", pa.float64()),
        ("memory_reset", pa.bool_()),
        ("consistency", pa.float64()),
        *((name, pa.int64()) for name in _CONSISTENCY_COUNTS),
        ("picture", pa.string()),
    ],
    metadata={
        "ego2global": "row by row",
        "consistency": "of tracks with their own past, in [0, 1]; null: nothing is expected",
        "expected": "detections that the past of the tracks makes one expect in the frame",
        "missing": "expected detections that are not there",
        "id_changes": "tracks that begin here and continue one that has ended",
        "class_flips": "detections of another class than before",
        "occlusion_flips": "occlusion levels that come right back to what they were",
        "picture": "of the worst frames: a file of the run",
    },
)
"""Columns of frames, in the order in which they were streamed."""

FrameKey = tuple[str, int]
"""Sequence and timestamp in microseconds: what names a frame."""


def gt_table(frame: Detections, labels: Labels) -> pa.Table:
    """Returns the labelled objects of the frame that `frame` is of, as rows of `GT_SCHEMA`."""
    columns: dict[str, Any] = {
        **key_columns(frame, len(labels)),
        **named_columns(BOX_COLUMNS, labels.boxes),
        **named_columns(VELOCITY_COLUMNS, labels.velocity_mps),
        **named_columns(_ACCELERATION, labels.acceleration_mps2),
        "class_name": labels.vocabulary.named(labels.class_id),
    }
    columns |= {name: getattr(labels, name) for name in _SAME}
    radar = labels.num_radar_points
    columns[_RADAR] = np.full(len(labels), -1) if radar is None else radar
    return pa.table(columns, schema=GT_SCHEMA)


def line_table(frame: Detections, lines: Sequence[MapPolyline]) -> pa.Table:
    """Returns the lines of the frame that `frame` is of, as rows of `LINE_SCHEMA`."""
    columns: dict[str, Any] = {
        **key_columns(frame, len(lines)),
        "kind": [line.kind for line in lines],
        "confidence": [line.confidence for line in lines],
        "x_m": [line.points_m[:, 0] for line in lines],
        "y_m": [line.points_m[:, 1] for line in lines],
    }
    return pa.table(columns, schema=LINE_SCHEMA)


def frame_table(
    sequences: Sequence[SequenceResult],
    consistency: Sequence[FrameConsistency],
    pictures: dict[FrameKey, str],
) -> pa.Table:
    """Returns every frame of the run as a row of `FRAME_SCHEMA`; `pictures` are names of files.
    Columns of consistency are null where the ego pose of the frame is not known."""
    of_frame = {(each.sequence, each.timestamp_us): each for each in consistency}
    rows = [
        {
            "sequence": found.sequence,
            "timestamp_us": found.timestamp_us,
            "drive": sequence.number,
            "ego2global": found.ego2global.ravel().tolist(),
            "labelled": labels is not None,
            "faults": list(faults),
            "memory_slots": memory.slots,
            "memory_age_s": memory.oldest_age_s,
            "memory_reset": memory.reset,
            **_consistency_columns(of_frame.get((found.sequence, found.timestamp_us))),
            "picture": pictures.get((found.sequence, found.timestamp_us)),
        }
        for sequence in sequences
        for found, labels, faults, memory in zip(
            sequence.detections, sequence.labels, sequence.faults, sequence.memory, strict=True
        )
    ]
    return pa.Table.from_pylist(rows, schema=FRAME_SCHEMA)


def _consistency_columns(frame: FrameConsistency | None) -> dict[str, Any]:
    return {name: getattr(frame, name, None) for name in ("consistency", *_CONSISTENCY_COUNTS)}


def write_table(path: Path, schema: pa.Schema, tables: Sequence[pa.Table]) -> None:
    """Writes all rows as one file, which is there whole or not at all."""
    with whole_file(path) as temporary:
        pq.write_table(pa.concat_tables([schema.empty_table(), *tables]), temporary)


def read_table(path: Path, schema: pa.Schema) -> pa.Table:
    """Returns the table of a run. Raises ValueError with the reason, without the file, for one that
    is damaged, too large, or has other columns, types or values than a run."""
    return read_typed(path, schema, ADDED_COLUMNS)


def write_instances(path: Path, rows: Sequence[InstanceMetrics]) -> None:
    """Writes one row an instance."""
    table = pa.Table.from_pylist([asdict(row) for row in rows], schema=INSTANCE_SCHEMA)
    write_table(path, INSTANCE_SCHEMA, [table])


def sequences_of(
    frames: pa.Table,
    detections: pa.Table,
    gt: pa.Table,
    lines: pa.Table,
    vocabulary: Vocabulary = DESIGN,
) -> list[SequenceResult]:
    """Returns the sequences that these tables were written of, by number; queries of detections are
    not on disk (-1). Raises ValueError for a class that the vocabulary does not have."""
    for name, table in (("detections", detections), ("truth", gt)):
        highest = pc.max(table["class_id"]).as_py()
        if highest is not None and highest >= len(vocabulary):
            raise ValueError(
                f"{name}.parquet has class_id {highest}, and its configuration has "
                f"{len(vocabulary)} classes"
            )
    detection_rows, gt_rows, frame_lines = _Rows(detections), _Rows(gt), _lines(lines)
    sequences: dict[int, SequenceResult] = {}
    for row in frames.to_pylist():
        key = (row["sequence"], row["timestamp_us"])
        result = sequences.setdefault(row["drive"], SequenceResult(row["drive"]))
        pose = np.reshape(row["ego2global"], (4, 4))
        result.detections.append(_detections(key, pose, detection_rows.of(key), vocabulary))
        result.labels.append(_labels(gt_rows.of(key), vocabulary) if row["labelled"] else None)
        result.faults.append(tuple(row["faults"]))
        result.memory.append(
            MemoryHealth(row["memory_slots"], row["memory_age_s"], row["memory_reset"])
        )
        result.lines.append(tuple(frame_lines[key]))
    return [sequences[number] for number in sorted(sequences)]


class _Rows:
    """Gives the numbers of a table frame by frame; its rows of one frame stand together."""

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
        """Returns the columns of a frame; empty where it has no row."""
        span = self._span.get(key, slice(0))
        return {name: column[span] for name, column in self._columns.items()}


def _detections(
    key: FrameKey, ego2global: FloatArray, rows: dict[str, Any], vocabulary: Vocabulary
) -> Detections:
    return Detections(
        *key,
        ego2global=ego2global,
        boxes=_stacked(rows, BOX_COLUMNS),
        velocity_mps=_stacked(rows, VELOCITY_COLUMNS),
        query_index=np.full(len(rows["score"]), -1, np.int64),
        **{name: rows[name] for name in ("score", "class_id", "occlusion_level", "track_id")},
        vocabulary=vocabulary,
    )


def _labels(rows: dict[str, Any], vocabulary: Vocabulary) -> Labels:
    radar = rows.get(_RADAR)
    return Labels(
        boxes=_stacked(rows, BOX_COLUMNS),
        velocity_mps=_stacked(rows, VELOCITY_COLUMNS),
        acceleration_mps2=_stacked(rows, _ACCELERATION),
        **{name: rows[name] for name in _SAME},
        num_radar_points=radar if radar is not None and (radar >= 0).any() else None,
        vocabulary=vocabulary,
    )


def _lines(table: pa.Table) -> dict[FrameKey, list[MapPolyline]]:
    """Returns the lines by frame; none where it has no row."""
    lines: dict[FrameKey, list[MapPolyline]] = defaultdict(list)
    for row in table.to_pylist():
        points = np.column_stack([row["x_m"], row["y_m"]])
        line = MapPolyline(row["kind"], row["confidence"], points)
        lines[row["sequence"], row["timestamp_us"]].append(line)
    return lines


def _stacked(rows: dict[str, Any], names: Sequence[str]) -> FloatArray:
    return np.stack([rows[name] for name in names], -1)
