"""The table of tracks: one row a track over all of its frames, as `tracks.parquet` holds it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from leapai.geometry import poses
from leapai.types import Detections

TRACKS = "tracks.parquet"

TRACK_SCHEMA = pa.schema(
    [
        ("sequence", pa.string()),
        ("track_id", pa.int64()),
        ("class_id", pa.int64()),
        ("class_name", pa.string()),
        ("first_us", pa.int64()),
        ("last_us", pa.int64()),
        ("frames", pa.int64()),
        ("longest_gap_s", pa.float64()),
        ("mean_score", pa.float64()),
        ("best_score", pa.float64()),
        ("mean_speed_mps", pa.float64()),
        ("path_length_m", pa.float64()),
        ("displacement_m", pa.float64()),
    ],
    metadata={
        "frames": "frames with a detection of the track",
        "longest_gap_s": "between two successive detections; 0 where there is one detection",
        "mean_speed_mps": "mean of the predicted speeds over ground",
        "path_length_m": "over ground, from detection to detection; noise of positions adds to it",
        "displacement_m": "over ground, from the first detection to the last",
    },
)
"""Columns of tracks."""


def track_table(detections: Sequence[Detections]) -> pa.Table:
    """Returns the tracks in the detections of frames as rows of `TRACK_SCHEMA`, in order of
    appearance.

    Frames of several sequences may be given; those of one sequence are in order of time. A
    detection without an identity (track id -1) belongs to no track.
    """
    rows: dict[tuple[str, int], list[tuple[Detections, int]]] = defaultdict(list)
    for frame in detections:
        for row in np.flatnonzero(frame.track_id >= 0).tolist():
            rows[frame.sequence, int(frame.track_id[row])].append((frame, row))
    tracks = [_track(*key, found) for key, found in rows.items()]
    return pa.Table.from_pylist(tracks, schema=TRACK_SCHEMA)


def _track(sequence: str, track_id: int, found: list[tuple[Detections, int]]) -> dict[str, Any]:
    """Returns the row of a track that consists of the detections `found`: frame and index in it."""
    time_us = np.array([frame.timestamp_us for frame, _ in found])
    score = np.array([frame.score[row] for frame, row in found])
    speed_mps = [float(np.hypot(*frame.velocity_mps[row, :2])) for frame, row in found]
    position_m = np.concatenate(
        [poses.apply(frame.ego2global, frame.position_m[[row]])[:, :2] for frame, row in found]
    )
    steps_m = np.linalg.norm(np.diff(position_m, axis=0), axis=1)
    last, row = found[-1]
    class_id = int(last.class_id[row])
    return {
        "sequence": sequence,
        "track_id": track_id,
        "class_id": class_id,
        "class_name": last.vocabulary.names[class_id],
        "first_us": int(time_us[0]),
        "last_us": int(time_us[-1]),
        "frames": len(found),
        "longest_gap_s": float(np.diff(time_us).max(initial=0)) / 1e6,
        "mean_score": float(score.mean()),
        "best_score": float(score.max()),
        "mean_speed_mps": float(np.mean(speed_mps)),
        "path_length_m": float(steps_m.sum()),
        "displacement_m": float(np.linalg.norm(position_m[-1] - position_m[0])),
    }
