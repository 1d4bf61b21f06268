"""Detections in the submission format of Argoverse 2: one feather file, one row for each box.

Columns are those of `av2.evaluation.detection.eval.evaluate`, and `track_uuid` where a detection
has an identity, which that evaluator ignores. Boxes are in Argoverse's ego frame, whose origin is
the centre of the rear axle, at the time of the sweep.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather

from leapai.data.argoverse2.argoverse2_classes import categories
from leapai.data.argoverse2.argoverse2_reader import Argoverse2Log
from leapai.data.argoverse2.argoverse2_tables import AV2_FROM_EGO
from leapai.data.log import DrivingLog
from leapai.geometry import boxes as box_geometry
from leapai.io import whole_file
from leapai.types import Detections

FILE = "argoverse2_detections.feather"
SCHEMA = pa.schema(
    [
        ("log_id", pa.string()),
        ("timestamp_ns", pa.int64()),
        ("category", pa.string()),
        *((name, pa.float64()) for name in ("tx_m", "ty_m", "tz_m")),
        *((name, pa.float64()) for name in ("length_m", "width_m", "height_m")),
        *((name, pa.float64()) for name in ("qw", "qx", "qy", "qz")),
        ("score", pa.float64()),
        ("track_uuid", pa.string()),
    ]
)


def argoverse2_table(detections: Detections, timestamp_ns: int | None = None) -> pa.Table:
    """Returns the detections of one frame as rows of `SCHEMA`.

    `timestamp_ns` is the sweep's own name, which microseconds do not give exactly; without it they
    are taken. `track_uuid` is null where there is no identity. A class that Argoverse does not have
    is left out.
    """
    words = np.array(categories(detections.vocabulary))
    detections = detections.select(words[detections.class_id] != "")
    count = len(detections)
    time_ns = detections.timestamp_us * 1000 if timestamp_ns is None else timestamp_ns
    moved = box_geometry.transform(detections.boxes, AV2_FROM_EGO)
    half_yaw, zeros = moved[:, 6] / 2, np.zeros(count)
    columns = [
        [detections.sequence] * count,
        np.full(count, time_ns, np.int64),
        words[detections.class_id],
        *moved[:, :6].T,
        *(np.cos(half_yaw), zeros, zeros, np.sin(half_yaw)),
        detections.score,
        [str(track_id) if track_id >= 0 else None for track_id in detections.track_id.tolist()],
    ]
    return pa.table(dict(zip(SCHEMA.names, columns, strict=True)), schema=SCHEMA)


def write_argoverse2(
    detections: Iterable[Detections], logs: Sequence[DrivingLog], output: Path
) -> list[Path]:
    """Writes the detections of a run over `logs` into `output`; returns the path, alone in a list.

    Raises ValueError as `sweep_times_ns` does.
    """
    times_ns = sweep_times_ns(logs)
    path = output / FILE
    tables = (argoverse2_table(d, times_ns[d.sequence, d.timestamp_us]) for d in detections)
    with whole_file(path) as temporary:
        table = pa.concat_tables([SCHEMA.empty_table(), *tables])
        pyarrow.feather.write_feather(table, str(temporary))
    return [path]


def sweep_times_ns(logs: Sequence[DrivingLog]) -> dict[tuple[str, int], int]:
    """Returns the nanoseconds of every frame by sequence and timestamp_us. Raises ValueError where
    a log is not of Argoverse 2."""
    times_ns: dict[tuple[str, int], int] = {}
    for log in logs:
        if not isinstance(log, Argoverse2Log):
            raise ValueError(
                f"--format argoverse2: {log.name} is no Argoverse 2 log, so its frames have no "
                "sweeps of one; use --data argoverse2:ROOT"
            )
        times_ns.update({(log.name, int(t) // 1000): int(t) for t in log.timestamps_ns})
    return times_ns
