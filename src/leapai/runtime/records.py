"""Detections on disk: one Parquet file a run, one row a detection."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from leapai.types import CLASS_NAMES, OCCLUSION_NAMES, Detections

SCHEMA = pa.schema(
    [
        ("sequence", pa.string()),
        ("timestamp_us", pa.int64()),
        *(
            (name, pa.float64())
            for name in ("x_m", "y_m", "z_m", "length_m", "width_m", "height_m")
        ),
        ("yaw_rad", pa.float64()),
        *((name, pa.float64()) for name in ("vx_mps", "vy_mps", "vz_mps")),
        ("score", pa.float64()),
        ("class_id", pa.int64()),
        ("class_name", pa.string()),
        ("occlusion_level", pa.int64()),
        ("occlusion_name", pa.string()),
        ("track_id", pa.int64()),
    ],
    metadata={
        "frame": "ego: x forward, y left, z up; box centres; velocities over ground in ego axes"
    },
)


def to_table(detections: Detections) -> pa.Table:
    """The detections of one frame as rows of `SCHEMA`."""
    count = len(detections)
    boxes = ("x_m", "y_m", "z_m", "length_m", "width_m", "height_m", "yaw_rad")
    velocity = ("vx_mps", "vy_mps", "vz_mps")
    columns: dict[str, Any] = {
        "sequence": [detections.sequence] * count,
        "timestamp_us": [detections.timestamp_us] * count,
        **{name: detections.boxes[:, i] for i, name in enumerate(boxes)},
        **{name: detections.velocity_mps[:, i] for i, name in enumerate(velocity)},
        "score": detections.score,
        "class_id": detections.class_id,
        "class_name": [CLASS_NAMES[i] for i in detections.class_id],
        "occlusion_level": detections.occlusion_level,
        "occlusion_name": [OCCLUSION_NAMES[i] for i in detections.occlusion_level],
        "track_id": detections.track_id,
    }
    return pa.table(columns, schema=SCHEMA)


class DetectionWriter:
    """Writes frames to a temporary file and moves it to `path` when the context ends without an
    error."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._temporary = path.with_name(path.name + f".tmp{os.getpid()}")
        self._writer = pq.ParquetWriter(self._temporary, SCHEMA)
        self.rows = 0

    def write(self, detections: Detections) -> None:
        """Appends one frame."""
        self._writer.write_table(to_table(detections))
        self.rows += len(detections)

    def __enter__(self) -> DetectionWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._writer.close()
        if kind is None:
            self._temporary.replace(self.path)
        else:
            self._temporary.unlink()
