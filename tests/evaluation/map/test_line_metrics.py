"""Precision and recall of lines."""

from __future__ import annotations

import numpy as np
import pytest
from shapely.geometry import LineString, MultiLineString

from leapai.evaluation.map.line_metrics import PIECE_M, LineCounts, gt_lines, pieces
from leapai.evaluation.map.map_results import LINE_KINDS
from leapai.geometry import poses
from leapai.types import STATIC_CLASSES, MapLine, MapPolyline
from tests.evaluation.map.roads import FAR_AWAY, GRID

KNOWN = np.ones(len(STATIC_CLASSES), bool)


def line(points, kind="Curb") -> MapPolyline:
    return MapPolyline(kind, 0.9, np.array(points, float))


def evaluated(predicted, true, known=KNOWN):
    counts = LineCounts()
    counts.add(predicted, true, known, GRID)
    return counts.metrics()


def winding(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([np.linspace(-7, 15, 12), rng.uniform(-3, 3, 12)], 1)


def test_distance_decides_what_is_found():
    true = [line([(0, 0), (10, 0)])]
    got = evaluated([line([(0, 0.3), (10, 0.3)])], true)
    assert (got["0.25 m"]["Curb"].precision, got["0.25 m"]["Curb"].recall) == (0.0, 0.0)
    assert (got["0.5 m"]["Curb"].f1, got["0.5 m"]["all"].f1) == (1.0, 1.0)
    assert got["0.25 m"]["Curb"].f1 == 0.0


def test_length_weighs():
    true = [line([(0, 0), (10, 0)])]
    predicted = [line([(0, 0), (4, 0)]), line([(0, 5), (2, 5)])]
    got = evaluated(predicted, true)["0.25 m"]["Curb"]
    assert got.said_m == pytest.approx(6.0)
    assert got.true_m == pytest.approx(10.0)
    assert got.precision == pytest.approx(4 / 6, abs=0.02)
    assert got.recall == pytest.approx(0.425, abs=0.01)  # 4 m and what lies 0.25 m beyond.


def test_another_kind_is_another_line():
    points = [(0, 0), (10, 0)]
    got = evaluated([line(points, "SolidLine")], [line(points, "DashedLine")])["0.5 m"]
    assert (got["SolidLine"].precision, got["SolidLine"].recall) == (0.0, None)
    assert (got["DashedLine"].precision, got["DashedLine"].recall) == (None, 0.0)
    assert (got["all"].precision, got["all"].recall, got["all"].f1) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("seed", range(4))
def test_shares_agree_with_buffers(seed):
    """The slow twin: lengths inside the buffer around all lines, by another library."""
    predicted, true = (
        winding(seed),
        winding(seed) + np.random.default_rng(seed).normal(0, 0.3, (12, 2)),
    )
    got = evaluated([line(predicted)], [line(true)])
    for within_m in (0.25, 0.5):
        shapes = LineString(predicted), LineString(true)
        ours, theirs = (
            a.intersection(b.buffer(within_m, 32)).length / a.length
            for a, b in (shapes, shapes[::-1])
        )
        metrics = got[f"{within_m:g} m"]["Curb"]
        assert metrics.precision == pytest.approx(ours, abs=0.02)
        assert metrics.recall == pytest.approx(theirs, abs=0.02)
        assert metrics.f1 == pytest.approx(2 * ours * theirs / (ours + theirs), abs=0.02)


def test_pieces_have_the_length_of_their_lines():
    lines = [winding(0), winding(1), np.zeros((2, 2))]
    length = MultiLineString([*map(LineString, lines[:2])]).length
    assert len(pieces(lines)) * PIECE_M == pytest.approx(length, abs=0.2)
    assert pieces([]).shape == (0, 2)


def test_only_what_lies_in_the_grid_counts():
    true = [line([(0, 0), (40, 0)])]
    got = evaluated([line([(0, 0), (16, 0)])], true)["0.25 m"]["Curb"]
    assert (got.recall, got.precision, got.true_m) == (1.0, 1.0, pytest.approx(16.0))


def test_nothing_said_and_nothing_true():
    predicted = [line([(0, 0), (5, 0)])]
    assert evaluated([], [])["0.5 m"]["all"].f1 is None
    assert evaluated(predicted, [])["0.5 m"]["all"].precision == 0.0
    assert evaluated([], predicted)["0.5 m"]["all"].recall == 0.0
    assert evaluated([], predicted)["0.5 m"]["all"].f1 is None


def test_kinds_that_the_map_does_not_tell_of_are_left_out():
    known = KNOWN.copy()
    known[STATIC_CLASSES.index("Curb")] = False
    got = evaluated([line([(0, 0), (5, 0)])], [], known)["0.5 m"]
    assert "Curb" not in got
    assert got["all"].said_m == 0.0


def test_true_lines_are_those_of_the_map_about_the_ego():
    pose = poses.from_xyz_yaw(FAR_AWAY, 0.7)
    here = np.array([[1.0, 2.0, 0.0], [9.0, -3.0, 0.0]])
    there = poses.apply(pose, here)
    vector_map = (
        MapLine("Curb", "road_edge", there),
        MapLine("PEDESTRIAN_CROSSING", "crossing", there),
        MapLine("SpeedBump", "road_element", there),
    )
    (kerb,) = gt_lines(vector_map, pose)
    assert (kerb.kind, kerb.confidence) == ("Curb", 1.0)
    assert kerb.points_m == pytest.approx(here[:, :2], abs=1e-6)
    assert set(LINE_KINDS) < set(STATIC_CLASSES)
