"""Argoverse 2's map in our classes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from shapely.geometry import LineString, Polygon
from shapely.ops import unary_union

from leapai.data.argoverse2.argoverse2_map import MAPPED_CLASSES, read_map
from leapai.data.map_edges import road_edges
from leapai.types import STATIC_CLASSES

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "argoverse2" / "val"


def line(*points):
    return [{"x": float(x), "y": float(y), "z": 0.0} for x, y in points]


def lane(left_type, right_type, y=0.0, **changes):
    """Three metres wide, along x."""
    return {
        "left_lane_boundary": line((0, y + 3), (10, y + 3)),
        "left_lane_mark_type": left_type,
        "right_lane_boundary": line((0, y), (10, y)),
        "right_lane_mark_type": right_type,
        "is_intersection": False,
        **changes,
    }


def map_of(folder, *lanes, areas=()):
    content = {
        "lane_segments": {str(i): segment for i, segment in enumerate(lanes)},
        "pedestrian_crossings": {},
        "drivable_areas": {str(i): {"area_boundary": line(*a)} for i, a in enumerate(areas)},
    }
    (folder / "map").mkdir()
    (folder / "map" / "log_map_archive_x____PIT_city_1.json").write_text(json.dumps(content))
    return read_map(folder)


@pytest.mark.parametrize(
    ("mark_type", "at_left", "at_right"),
    [
        ("SOLID_WHITE", "SolidLine", "SolidLine"),
        ("SOLID_BLUE", "SolidLine", "SolidLine"),
        ("DASHED_YELLOW", "DashedLine", "DashedLine"),
        ("DOUBLE_SOLID_YELLOW", "DoubleSolidLine", "DoubleSolidLine"),
        ("DOUBLE_DASH_WHITE", "DoubleDashedLine", "DoubleDashedLine"),
        # Told from the lane outwards: at its left the outer line is the left one.
        ("SOLID_DASH_YELLOW", "RightSolidLeftDashed", "LeftSolidRightDashed"),
        ("DASH_SOLID_WHITE", "LeftSolidRightDashed", "RightSolidLeftDashed"),
        ("NONE", "NONE", "NONE"),
        ("UNKNOWN", "UNKNOWN", "UNKNOWN"),
    ],
)
def test_marks_become_our_classes(tmp_path, mark_type, at_left, at_right):
    lines = map_of(tmp_path, lane(mark_type, mark_type))
    kinds = {round(m.points_m[0, 1]): m.kind for m in lines if m.layer == "lane_boundary"}
    assert kinds == {3: at_left, 0: at_right}
    assert {k for k in kinds.values() if k in STATIC_CLASSES} <= set(MAPPED_CLASSES)


def test_two_lanes_agree_about_the_mixed_line_between_them(tmp_path):
    lines = map_of(tmp_path, lane("NONE", "SOLID_DASH_WHITE"), lane("DASH_SOLID_WHITE", "NONE", -3))
    between = [m.kind for m in lines if m.layer == "lane_boundary" and m.points_m[0, 1] == 0]
    assert between == ["LeftSolidRightDashed"]


def test_a_lane_is_the_middle_of_its_boundaries_but_not_in_intersections(tmp_path):
    bent = lane("NONE", "NONE", right_lane_boundary=line((0, 0), (4, 0), (10, 0)))
    crossing = lane("NONE", "NONE", 9, is_intersection=True)
    (middle,) = [m for m in map_of(tmp_path, bent, crossing) if m.kind == "Lane"]
    np.testing.assert_allclose(middle.points_m[:, 1], 1.5)
    np.testing.assert_allclose(np.diff(middle.points_m[:, 0]), 2.0)


def test_where_two_areas_meet_there_is_no_kerb(tmp_path):
    areas = (((0, 0), (20, 0), (20, 8), (0, 8)), ((20, 0), (40, 0), (40, 8), (20, 8)))
    kerbs = [m for m in map_of(tmp_path, areas=areas) if m.kind == "Curb"]
    assert sum(LineString(m.points_m[:, :2]).length for m in kerbs) == pytest.approx(96)
    points = np.concatenate([m.points_m for m in kerbs])
    assert not ((points[:, 0] == 20) & (points[:, 1] > 0) & (points[:, 1] < 8)).any()


def test_the_real_kerbs_are_the_edge_of_all_drivable_ground():
    """The slow twin: the union of all areas, by another library."""
    if not REAL.is_dir():
        pytest.skip(f"no real data: {REAL} is absent")
    lines = read_map(next(REAL.iterdir()))
    areas = [m.points_m for m in lines if m.layer == "drivable_area"]
    edges = road_edges([[area] for area in areas])
    whole = unary_union([Polygon(area[:, :2]).buffer(0.05) for area in areas])
    outer = [whole.exterior, *whole.interiors]
    rim = unary_union([LineString(ring).buffer(0.3) for ring in outer])
    length = sum(LineString(e[:, :2]).length for e in edges)
    along_rim = sum(LineString(e[:, :2]).intersection(rim).length for e in edges)
    assert along_rim > 0.995 * length
    assert length == pytest.approx(sum(ring.length for ring in outer), rel=0.01)
