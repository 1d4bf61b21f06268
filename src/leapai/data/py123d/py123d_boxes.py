"""The boxes of a py123d log as columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leapai.data.checked_table import MAX_COORDINATE_M, MAX_COUNT, CheckedTable
from leapai.data.py123d.arrow_rows import REMEDY, ArrowRows, numbers_of
from leapai.data.py123d.py123d_classes import label_class
from leapai.data.py123d.py123d_rig import LabelMetadata, checked
from leapai.data.reading import central_velocity
from leapai.types import CLASS_NAMES, FloatArray, IntArray

_MAX_GAP_S = 1.5
"""Velocities come from positions that are at most this far apart, as in nuScenes."""
_BOX, _VELOCITY = pa.list_(pa.list_(pa.float64(), 10)), pa.list_(pa.list_(pa.float64(), 3))


@dataclass(frozen=True)
class BoxTable:
    """All boxes, M, in order of their rows."""

    row: IntArray
    """[M] row of the file, which is one time."""
    rotation: FloatArray
    """[M, 4] quaternions w x y z in the global frame."""
    position_m: FloatArray
    """[M, 3] centres in the global frame."""
    size_lwh_m: FloatArray
    """[M, 3]"""
    velocity_mps: FloatArray
    """[M, 3] in the global frame; NaN: unknown."""
    words: tuple[str, ...]
    """[M] labels of the data set."""
    class_id: IntArray
    """[M] among the design's classes; -1: no counterpart."""
    track_id: IntArray
    """[M]"""
    num_lidar_points: IntArray
    """[M]; -1: not recorded."""

    def of_row(self, row: int) -> slice:
        """Returns the boxes of a row."""
        first, last = np.searchsorted(self.row, [row, row + 1])
        return slice(int(first), int(last))


def read_boxes(rows: ArrowRows, notes: list[str]) -> BoxTable:
    """Reads the boxes of a log. One that cannot be used is left out, and counted in `notes`.

    Raises ValueError where the file is damaged, most boxes cannot be used, or labels are not known.
    """
    labels = label_class(
        checked(LabelMetadata, rows.metadata, rows.path).box_detection_label_class, rows.path
    )
    lists = {
        "bounding_box_se3": rows.column(f"{rows.key}.bounding_box_se3", _BOX),
        "track_token": rows.column(f"{rows.key}.track_token", pa.list_(pa.string())),
        "label": rows.column(f"{rows.key}.label", pa.list_(pa.uint16())),
        "velocity_3d": rows.column(f"{rows.key}.velocity_3d", _VELOCITY),
        "num_lidar_points": rows.column(f"{rows.key}.num_lidar_points", pa.list_(pa.int32())),
    }
    counts = [_lengths(column) for column in lists.values()]
    if not all(np.array_equal(count, counts[0]) for count in counts):
        raise ValueError(f"{rows.path}: its columns have different numbers of boxes; {REMEDY}")
    flat = {name: column.flatten() for name, column in lists.items()}
    boxes = numbers_of(flat["bounding_box_se3"], 10)
    found = {
        "x y z": boxes[:, :3],
        "qw qx qy qz": boxes[:, 3:7],
        "length width height": boxes[:, 7:],
        "track_token": flat["track_token"].to_pylist(),
        "label": flat["label"].fill_null(len(labels.words)).to_numpy(zero_copy_only=False),
    }
    table = CheckedTable(rows.path, len(boxes), found.__getitem__, "track_token", REMEDY)
    tokens, rotation = table.names("track_token"), table.upright_rotations("qw qx qy qz")
    position_m = table.positions("x y z", MAX_COORDINATE_M)
    size_m = table.sizes("length width height")
    number = table.whole("label", 0, len(labels.words) - 1)
    kept = table.usable(notes)
    row, position_m = np.repeat(np.arange(len(counts[0])), counts[0])[kept], position_m[kept]
    track_id = np.unique([tokens[i] for i in kept], return_inverse=True)[1].astype(np.int64)
    recorded = numbers_of(flat["velocity_3d"], 3)[kept]
    class_of = {name: i for i, name in enumerate(CLASS_NAMES)}
    by_number = np.array([class_of.get(labels.class_of.get(w, ""), -1) for w in labels.words])
    points = flat["num_lidar_points"].fill_null(-1).to_numpy(zero_copy_only=False)[kept]
    return BoxTable(
        row=row,
        rotation=rotation[kept],
        position_m=position_m,
        size_lwh_m=size_m[kept],
        velocity_mps=_velocity(recorded, position_m, rows.time_us[row], track_id),
        words=tuple(labels.words[i] for i in number[kept].tolist()),
        class_id=by_number[number[kept]],
        track_id=track_id,
        num_lidar_points=np.clip(points, -1, MAX_COUNT).astype(np.int64),
    )


def _velocity(
    recorded: FloatArray, position_m: FloatArray, time_us: IntArray, track_id: IntArray
) -> FloatArray:
    """Returns the recorded velocities [M, 3], and what follows from neighbours where there is none.

    py123d writes 0 for an object that it has seen once: that is unknown, too.
    """
    followed = central_velocity(position_m, time_us, track_id, _MAX_GAP_S)
    is_known = np.isfinite(recorded).all(-1) & (np.isfinite(followed[:, 0]) | recorded.any(-1))
    return np.where(is_known[:, None], recorded, followed)


def _lengths(column: pa.Array) -> IntArray:
    lengths = pc.list_value_length(column).fill_null(0)
    return np.asarray(lengths.to_numpy(zero_copy_only=False), np.int64)
