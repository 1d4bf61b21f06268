"""The table of detections: one row a detection, as `detections.parquet` holds it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from leapai.types import OCCLUSION_NAMES, Detections, FloatArray

BOX_COLUMNS = ("x_m", "y_m", "z_m", "length_m", "width_m", "height_m", "yaw_rad")
VELOCITY_COLUMNS = ("vx_mps", "vy_mps", "vz_mps")
FRAME_KEY = [("sequence", pa.string()), ("timestamp_us", pa.int64())]
COORDINATES = {
    "frame": "ego: x forward, y left, z up; box centres; velocities over ground in ego axes"
}

DETECTION_SCHEMA = pa.schema(
    [
        *FRAME_KEY,
        *((name, pa.float64()) for name in (*BOX_COLUMNS, *VELOCITY_COLUMNS)),
        ("score", pa.float64()),
        ("class_id", pa.int64()),
        ("class_name", pa.string()),
        ("occlusion_level", pa.int64()),
        ("occlusion_name", pa.string()),
        ("track_id", pa.int64()),
    ],
    metadata=COORDINATES,
)
"""Columns of `detections.parquet`: one row a detection."""


def to_table(detections: Detections) -> pa.Table:
    """Returns the detections of one frame as rows of `DETECTION_SCHEMA`."""
    columns: dict[str, Any] = {
        **key_columns(detections, len(detections)),
        **named_columns(BOX_COLUMNS, detections.boxes),
        **named_columns(VELOCITY_COLUMNS, detections.velocity_mps),
        "score": detections.score,
        "class_id": detections.class_id,
        "class_name": detections.vocabulary.named(detections.class_id),
        "occlusion_level": detections.occlusion_level,
        "occlusion_name": [OCCLUSION_NAMES[i] for i in detections.occlusion_level],
        "track_id": detections.track_id,
    }
    return pa.table(columns, schema=DETECTION_SCHEMA)


def named_columns(names: Sequence[str], columns: FloatArray) -> dict[str, FloatArray]:
    """Returns the columns of an array [N, C] by their C names."""
    return {name: columns[:, i] for i, name in enumerate(names)}


def key_columns(frame: Detections, count: int) -> dict[str, Any]:
    """Returns the columns that name the frame, `count` rows long."""
    return {"sequence": [frame.sequence] * count, "timestamp_us": [frame.timestamp_us] * count}
