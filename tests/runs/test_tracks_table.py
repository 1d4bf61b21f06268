"""The table of tracks: counts, times and distances of made-up drives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from leapai.geometry import poses
from leapai.runs.tracks_table import TRACK_SCHEMA, track_table
from leapai.types import CLASS_NAMES
from tests.evaluation.made_up import detections_at
from tests.made_up_runs import made_up_drive


def frame(second, xy, track_id, sequence="drive", ego_x=0.0, **columns):
    """Detections at `xy` in the global frame, seen by an ego at `ego_x`."""
    pose = np.eye(4)
    pose[0, 3] = ego_x
    seen = detections_at(
        np.asarray(xy, float) - [ego_x, 0.0],
        np.zeros(len(xy), int),
        sequence=sequence,
        timestamp_us=int(second * 1e6),
        track_id=np.asarray(track_id),
        **columns,
    )
    return replace(seen, ego2global=pose)


def test_a_track_is_one_row_with_its_way_over_ground():
    frames = [
        frame(0.0, [[10, 0]], [7], ego_x=0.0, score=np.array([0.4])),
        frame(0.5, [[13, 4]], [7], ego_x=5.0, score=np.array([0.9])),
        frame(2.0, [[13, 0]], [7], ego_x=20.0, score=np.array([0.5])),
    ]
    (row,) = track_table(frames).to_pylist()
    assert row["frames"] == 3
    assert (row["first_us"], row["last_us"]) == (0, 2_000_000)
    assert row["longest_gap_s"] == 1.5
    assert row["path_length_m"] == pytest.approx(9.0)
    assert row["displacement_m"] == pytest.approx(3.0)
    assert row["mean_score"] == pytest.approx(0.6)
    assert row["best_score"] == 0.9


def test_the_speed_is_the_mean_of_those_predicted():
    velocity = np.array([[3.0, 4.0, 0.0]])
    frames = [
        frame(0, [[0, 0]], [1], velocity_mps=velocity),
        frame(1, [[0, 0]], [1], velocity_mps=3 * velocity),
    ]
    assert track_table(frames)["mean_speed_mps"].to_pylist() == [10.0]


def test_the_class_is_the_last_that_was_detected():
    first, last = frame(0, [[0, 0]], [1]), frame(1, [[0, 0]], [1])
    table = track_table([first, replace(last, class_id=np.array([3]))])
    assert table["class_name"].to_pylist() == [CLASS_NAMES[3]]


def test_one_id_in_two_sequences_is_two_tracks_and_no_id_is_none():
    frames = [frame(0, [[0, 0], [9, 0]], [1, -1]), frame(0, [[0, 0]], [1], sequence="other")]
    table = track_table(frames)
    assert table["sequence"].to_pylist() == ["drive", "other"]
    assert table["frames"].to_pylist() == [1, 1]
    assert table["longest_gap_s"].to_pylist() == [0.0, 0.0]


def test_no_detection_gives_an_empty_table_of_the_same_columns():
    assert track_table([]).schema.equals(TRACK_SCHEMA)


def test_counts_agree_with_a_count_by_hand():
    drive = made_up_drive(0)
    turned = poses.from_xyz_yaw(np.array([4.0, 2.0, 0.0]), 0.3)
    frames = [replace(each, ego2global=turned) for each in drive.detections]
    table = track_table(frames)
    ids, counts = np.unique(np.concatenate([e.track_id for e in frames]), return_counts=True)
    rows = dict(zip(table["track_id"].to_pylist(), table["frames"].to_pylist(), strict=True))
    assert rows == dict(zip(ids.tolist(), counts.tolist(), strict=True))
