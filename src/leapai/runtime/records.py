"""Detections on disk: one Parquet file a run, one row a detection."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from leapai.runtime.files import whole_file
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


@contextmanager
def detection_writer(path: Path) -> Iterator[Callable[[Detections], None]]:
    """A function that appends a frame; the file is at `path` when the block ends without error."""
    with whole_file(path) as temporary, pq.ParquetWriter(temporary, SCHEMA) as writer:
        yield lambda detections: writer.write_table(to_table(detections))
