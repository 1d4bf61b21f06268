"""A row for every labelled object, countable by hand."""

from dataclasses import asdict

import numpy as np
import pytest

from leapai.evaluation.detection.labelled_frames import LabelledFrame
from leapai.evaluation.tracking.instances import instance_rows
from tests.evaluation.made_up import BEV, detections_at, gt
from tests.evaluation.tracking.test_tracking_metrics import at, crowd


def rows(*frames):
    return instance_rows(frames, BEV)


def test_a_life_is_told():
    tracks = [{}, {7: 28.5}, {}, {8: 26.5}, {8: 25.5}]
    (row,) = rows(*(at(i, {4: 30 - i}, each) for i, each in enumerate(tracks)))
    assert asdict(row) == pytest.approx(
        {
            "sequence": "drive",
            "track_id": 4,
            "class_name": "car",
            "first_us": 1_000_000,
            "last_us": 1_400_000,
            "life_s": 0.4,
            "frames": 5,
            "coverage": 3 / 5,
            "id_switches": 1,
            "position_error_m": 0.5,
            "velocity_error_mps": 0.0,
            "first_found_distance_m": 29.0,
            "first_found_after_s": 0.1,
        }
    )


def test_what_is_never_found_has_no_errors():
    (row,) = rows(at(0, {4: 30}, {7: 33}), at(1, {4: 30}, {7: (30, 0.29)}))
    assert row.coverage == 0
    assert row.position_error_m is None
    assert row.velocity_error_mps is None
    assert row.first_found_distance_m is None
    assert row.first_found_after_s is None


def test_velocity_counts_where_it_is_labelled():
    speeds = [[3.0, 4, 0], [0.0, 0, 0]]
    labels = gt(
        [[10, 0], [20, 0]], track_id=[1, 2], velocity_mps=speeds, velocity_valid=[True, False]
    )
    first, second = rows(LabelledFrame(detections_at([[10, 0], [20, 0]]), labels))
    assert first.velocity_error_mps == pytest.approx(5)
    assert second.velocity_error_mps is None
    assert second.position_error_m == 0


def test_a_detection_without_identity_covers_and_switches_nothing():
    frames = [at(i, {4: 10}, each) for i, each in enumerate([{7: 10}, {-1: 10}, {7: 10}])]
    (row,) = rows(*frames)
    assert (row.coverage, row.id_switches) == (1, 0)


def test_frames_in_which_an_object_is_ignored_are_not_its_own():
    hidden = {"num_lidar_points": [0], "visible_fraction": [0.0]}
    frames = [at(0, {4: 10}, {7: 10}), at(1, {4: 10}, {}, **hidden), at(2, {4: 10}, {7: 10})]
    (row,) = rows(*frames)
    assert (row.frames, row.coverage) == (2, 1)
    assert row.life_s == pytest.approx(0.2)


def test_objects_without_identity_or_that_never_count_have_no_row():
    assert rows() == []
    assert rows(at(0, {-1: 10, 4: 70}, {7: 10})) == []
    names = [r.sequence for r in rows(at(0, {4: 9}, {}, sequence="b"), at(0, {4: 9}, {}, "a"))]
    assert names == ["a", "b"]


def test_rows_do_not_depend_on_the_order_of_frames():
    frames = crowd(2)
    assert rows(*frames[::-1]) == rows(*frames)
    assert len({(r.sequence, r.class_name, r.track_id) for r in rows(*frames)}) == len(
        rows(*frames)
    )
    assert np.mean([r.coverage for r in rows(*frames)]) > 0
