"""nuScenes' map expansion in our classes: a made-up place, joined with the made-up drive."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from shapely.geometry import LineString, Point, Polygon, box
from shapely.ops import unary_union

from leapai.config import StaticConfig
from leapai.data.log import open_logs
from leapai.data.nuscenes.nuscenes_map import MAPPED_CLASSES, NEAR_M, read_map
from leapai.data.nuscenes.nuscenes_map_tables import arclines
from leapai.data.static_labels import rasterise, with_static_labels
from leapai.types import LANE_MARKINGS, ROAD_ELEMENTS, STATIC_CLASSES
from tests.data.test_nuscenes import ORIGIN_M, Drive

GRID = StaticConfig().region()
PLACE = "singapore-onenorth"
DEVKIT_TABLES = (
    *("node", "line", "polygon", "drivable_area", "road_segment", "road_block", "lane"),
    *("ped_crossing", "walkway", "stop_line", "carpark_area", "road_divider", "lane_divider"),
    *("traffic_light", "lane_connector"),
)


class Place:
    """A made-up file of the map expansion. Points are metres from `ORIGIN_M`."""

    def __init__(self):
        self.tables = {name: [] for name in DEVKIT_TABLES}
        self.tables |= {"version": "1.3", "canvas_edge": [1e6, 1e7]}
        self.tables |= {"arcline_path_3": {}, "connectivity": {}}

    def _add(self, table, **row):
        token = f"{table}-{len(self.tables[table])}"
        self.tables[table].append({"token": token} | row)
        return token

    def nodes(self, points):
        origin = ORIGIN_M[:2]
        return [self._add("node", x=origin[0] + x, y=origin[1] + y) for x, y in points]

    def polygon(self, outline, *holes):
        inner = [{"node_tokens": self.nodes(hole)} for hole in holes]
        return self._add("polygon", exterior_node_tokens=self.nodes(outline), holes=inner)

    def drivable(self, outline, *holes):
        self._add("drivable_area", polygon_tokens=[self.polygon(outline, *holes)])

    def crossing(self, outline):
        self._add("ped_crossing", polygon_token=self.polygon(outline), road_segment_token="")

    def divider(self, points, types):
        tokens = self.nodes(points)
        pairs = zip(tokens, types, strict=True)
        segments = [{"node_token": token, "segment_type": word} for token, word in pairs]
        line = self._add("line", node_tokens=tokens)
        self._add("lane_divider", line_token=line, lane_divider_segments=segments)

    def road_divider(self, points):
        line = self._add("line", node_tokens=self.nodes(points))
        self._add("road_divider", line_token=line, road_segment_token="")

    def lane(self, *paths, table="lane"):
        """`paths`: start (x, y, yaw), shape, radius, lengths of the three parts."""
        outline = self.polygon([(0, 0), (1, 0), (0, 1)])
        segments = {"left_lane_divider_segments": [], "right_lane_divider_segments": []}
        token = self._add(table, polygon_token=outline, lane_type="CAR", **segments)
        self.tables["arcline_path_3"][token] = [
            {
                "start_pose": [*(ORIGIN_M[:2] + start[:2]).tolist(), start[2]],
                "end_pose": [0.0, 0.0, 0.0],
                "shape": shape,
                "radius": radius,
                "segment_length": list(lengths),
            }
            for start, shape, radius, lengths in paths
        ]
        return token

    def write(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.tables))
        return path

    def read(self, folder):
        """The map about an ego that stands at the origin."""
        return read_map(self.write(folder / "place.json"), ORIGIN_M[None, :2])


@pytest.fixture
def place():
    return Place()


def local(line):
    return line.points_m[:, :2] - ORIGIN_M[:2]


def square(x, y, side):
    return [(x, y), (x + side, y), (x + side, y + side), (x, y + side)]


def kerbs_of(lines):
    return [LineString(local(line)) for line in lines if line.kind == "Curb"]


@pytest.mark.parametrize(
    ("segment_type", "kind"),
    [
        ("SINGLE_SOLID_WHITE", "SolidLine"),
        ("SINGLE_SOLID_YELLOW", "SolidLine"),
        ("DOUBLE_SOLID_WHITE", "DoubleSolidLine"),
        ("DOUBLE_DASHED_WHITE", "DashedLine"),
        ("SINGLE_ZIGZAG_WHITE", "SINGLE_ZIGZAG_WHITE"),
        ("NIL", "NIL"),
    ],
)
def test_segment_types_become_our_classes(place, tmp_path, segment_type, kind):
    place.divider([(0, 0), (5, 0), (9, 1)], [segment_type] * 3)
    (line,) = place.read(tmp_path)
    assert (line.kind, line.layer) == (kind, "lane_boundary")
    np.testing.assert_allclose(local(line), [(0, 0), (5, 0), (9, 1)])
    assert (line.points_m[:, 2] == 0).all()
    assert kind not in STATIC_CLASSES or kind in MAPPED_CLASSES


def test_a_divider_is_cut_where_its_type_changes(place, tmp_path):
    """A type holds from its node to the next; repeated nodes are no piece."""
    solid, dashed = "SINGLE_SOLID_WHITE", "DOUBLE_DASHED_WHITE"
    x = [0, 2, 2, 4, 6, 8, 10]
    types = [solid, solid, dashed, dashed, "NIL", solid, "NIL"]
    place.divider([(value, 0) for value in x], types)
    pieces = {(line.kind, *local(line)[:, 0].tolist()) for line in place.read(tmp_path)}
    assert pieces == {
        ("SolidLine", 0, 2),
        ("DashedLine", 2, 4, 6),
        ("NIL", 6, 8),
        ("SolidLine", 8, 10),
    }


def test_a_road_divider_has_a_place_but_no_class(place, tmp_path):
    place.road_divider([(0, 0), (8, 0)])
    (line,) = place.read(tmp_path)
    assert line.kind not in STATIC_CLASSES
    assert line.layer == "lane_boundary"


def test_a_crossing_is_an_area_of_ground_signs(place, tmp_path):
    place.crossing(square(3, 3, 4))
    (line,) = place.read(tmp_path)
    assert (line.kind, line.layer) == ("GroundSigns", "crossing")
    np.testing.assert_allclose(local(line), [*square(3, 3, 4), (3, 3)])


def test_lanes_have_centre_lines_and_connectors_have_none(place, tmp_path):
    along = ((2.0, 3.0, 0.0), "LSL", 999.999, (0.0, 10.0, 0.0))
    place.lane(along, ((12.0, 3.0, 0.0), "LSR", 20.0, (5.0, 0.0, 5.0)))
    place.lane(((50.0, 3.0, 0.0), "RSR", 20.0, (0.0, 0.0, 0.0)))  # goes nowhere
    place.lane(along, table="lane_connector")
    (line,) = place.read(tmp_path)
    assert (line.kind, line.layer) == ("Lane", "centreline")
    steps = np.diff(local(line), axis=0)
    assert (np.hypot(*steps.T) < 2.001).all()
    assert (np.hypot(*steps.T) > 1).all()  # the joint is one point
    np.testing.assert_allclose(local(line)[[0, 5]], [(2, 3), (12, 3)], atol=1e-9)
    assert LineString(local(line)).length == pytest.approx(20, abs=0.01)


@pytest.mark.parametrize("shape", ["LSL", "LSR", "RSL", "RSR", "LRL", "RLR"])
def test_centre_lines_agree_with_a_path_driven_in_small_steps(shape):
    rng = np.random.default_rng(3)
    start = np.array([[4.0, -2.0, 2.5]])
    lengths, radius = rng.uniform(4.0, 20.0, (1, 3)), 12.0
    turn = np.array([["RSL".index(part) - 1.0 for part in shape]])
    (line,) = arclines(start, turn / radius, lengths)
    step_m, places = 1e-3, []
    x, y, yaw = start[0]
    for curvature, length in zip(turn[0] / radius, lengths[0], strict=True):
        for _ in range(round(length / step_m)):
            places.append((x, y))
            x, y = x + step_m * np.cos(yaw), y + step_m * np.sin(yaw)
            yaw += curvature * step_m
    apart = [np.hypot(*(np.array(places) - point[:2]).T).min() for point in line]
    assert max(apart) < 0.02
    np.testing.assert_allclose(line[-1, :2], (x, y), atol=0.02)
    assert len(line) == 1 + np.ceil(lengths.sum() / 2)


def test_where_two_areas_meet_there_is_no_kerb(place, tmp_path):
    place.drivable([(0, 0), (20, 0), (20, 8), (0, 8)])
    place.drivable([(20, 0), (40, 0), (40, 8), (20, 8)])
    lines = place.read(tmp_path)
    kerbs = kerbs_of(lines)
    assert sum(kerb.length for kerb in kerbs) == pytest.approx(96)
    assert all(kerb.distance(Point(20, 4)) > 3 for kerb in kerbs)
    assert [line.layer for line in lines].count("drivable_area") == 2


def test_a_hole_has_kerbs_and_is_no_ground(place, tmp_path):
    """The slow twin: each cell's own place, by another library."""
    outline, holes = square(-30, -20, 50), [square(-5, -10, 6), square(5, 5, 4), square(8, -9, 3)]
    place.drivable(outline, *holes)
    lines = place.read(tmp_path)
    assert sum(kerb.length for kerb in kerbs_of(lines)) == pytest.approx(200 + 24 + 16 + 12)
    pose = np.eye(4)
    pose[:3, 3] = ORIGIN_M
    free = rasterise(lines, pose, GRID, np.zeros((0, 7))).free_space
    ground = Polygon(outline, holes)
    x, y = (g.astype(float) for g in (GRID.column_centres_m(), GRID.row_centres_m()))
    for row in range(0, GRID.rows, 5):
        for column in range(0, 220, 3):
            assert free[row, column] == ground.contains(Point(x[column], y[row]))


def test_ground_without_a_token_is_ground(place, tmp_path):
    """As in the published maps of Singapore."""
    place.drivable(square(0, 0, 10))
    place.tables["polygon"][0]["token"] = None
    place.tables["drivable_area"][0]["polygon_tokens"] = [None]
    assert sum(kerb.length for kerb in kerbs_of(place.read(tmp_path))) == pytest.approx(40)


def test_what_is_far_is_left_out(place, tmp_path):
    for x in (10.0, 300.0):
        place.divider([(x, 0), (x, 9)], ["SINGLE_SOLID_WHITE"] * 2)
        place.lane(((x, 0.0, 0.0), "LSL", 99.0, (0.0, 9.0, 0.0)))
        place.crossing(square(x, 0, 4))
        place.drivable(square(x, 0, 9))
    near, far = (place.read(tmp_path), Place().read(tmp_path / "empty"))
    assert {line.kind for line in near} == {
        *("SolidLine", "Lane", "GroundSigns", "DRIVABLE_AREA", "Curb"),
    }
    assert max(local(line).max() for line in near) < 30
    assert far == ()


def test_kerbs_of_a_city_are_those_of_the_part_that_is_near(place, tmp_path):
    """The slow twin: union of all ground and its border, by another library."""
    rng = np.random.default_rng(7)
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    radius = 260 + 190 * np.sin(9 * angle) * np.cos(2 * angle)
    city = np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1)
    blocks = [square(x, y, 14) for x in range(-155, 160, 40) for y in range(-155, 160, 40)]
    ground = Polygon(city)
    blocks = [block for block in blocks if ground.contains(Polygon(block).buffer(2))]
    beside = square(*rng.uniform(-110, 60, 2), 60)
    place.drivable(city.tolist(), *blocks)
    place.drivable(beside)
    whole = unary_union([Polygon(city, blocks), Polygon(beside)])
    near = box(-NEAR_M, -NEAR_M, NEAR_M, NEAR_M)
    border = whole.boundary.intersection(near)
    kerbs = unary_union(kerbs_of(place.read(tmp_path)))
    assert border.length > 1500
    assert kerbs.length == pytest.approx(border.length, rel=0.01)
    assert kerbs.difference(border.buffer(0.05)).length < 0.01 * border.length


def of_drive(root, place):
    """The made-up drive at a place: the tables that say where it is, and the place's map."""
    drive = Drive(root)
    drive.tables["scene"][0]["log_token"] = "log"
    drive.tables["log"] = [{"token": "log", "location": PLACE}]
    drive.write()
    place.write(root / "maps" / "expansion" / f"{PLACE}.json")
    return drive


def open_drive(root):
    (log,) = open_logs(f"nuscenes:{root}", image_size_px=(64, 64))
    return log


def test_a_frame_sees_the_road_of_its_place(place, tmp_path):
    """The ego drives along +y at 10 m/s: a line at x = -2 is 2 m to its left."""
    place.divider([(-2, -50), (-2, 15), (-2, 90)], ["SINGLE_SOLID_WHITE", "NIL", "NIL"])
    place.lane(((0.0, -50.0, np.pi / 2), "LSL", 999.0, (0.0, 140.0, 0.0)))
    place.crossing([(-6, 20), (6, 20), (6, 24), (-6, 24)])
    place.drivable([(-6, -60), (6, -60), (6, 100), (-6, 100)])
    of_drive(tmp_path, place)
    log = open_drive(tmp_path)
    frame = log.ground_truth(2)  # 10 m on
    labels = with_static_labels(frame, log.vector_map(), GRID, log.static_classes).static_labels
    reported = {name for name, known in zip(STATIC_CLASSES, labels.known, strict=True) if known}
    assert reported == set(MAPPED_CLASSES)
    assert reported == {"SolidLine", "DoubleSolidLine", "DashedLine", "Curb", "Lane", "GroundSigns"}
    x, y = GRID.column_centres_m(), GRID.row_centres_m()

    def extent(plane):
        row, column = np.nonzero(plane)
        return [x[column].min(), x[column].max(), y[row].min(), y[row].max()]

    solid = labels.lane_markings[LANE_MARKINGS.index("SolidLine")]
    np.testing.assert_allclose(extent(solid), [-20.7, 5.0, 2.0, 2.0], atol=0.15)
    sign, lane, kerb = (
        labels.road_elements[ROAD_ELEMENTS.index(kind)] for kind in ("GroundSigns", "Lane", "Curb")
    )
    np.testing.assert_allclose(extent(sign), [10, 14, -6, 6], atol=0.15)
    np.testing.assert_allclose(extent(lane), [-20.7, 62.3, 0, 0], atol=0.15)
    np.testing.assert_allclose(extent(kerb), [-20.7, 62.3, -6, 6], atol=0.15)
    assert kerb.sum() < 2000


@pytest.mark.parametrize(
    "missing", ["maps", "maps/expansion/singapore-onenorth.json", "v1.0-made-up/log.json"]
)
def test_without_the_files_there_is_no_map(place, tmp_path, missing):
    root = tmp_path / "root"
    of_drive(root, place)
    assert open_drive(root).vector_map() == ()
    (root / missing).rename(tmp_path / "away")
    log = open_drive(root)
    assert log.vector_map() is None
    assert len(log[0].cameras) == 2


def test_a_scene_of_no_known_place_has_no_map_and_says_so(place, tmp_path):
    of_drive(tmp_path, place)
    path = tmp_path / "v1.0-made-up" / "log.json"
    path.write_text("[]")
    log = open_drive(tmp_path)
    assert log.vector_map() is None
    assert log.table_notes == ("log.json: there is no row for 1 of 1 scenes: they have no map",)


def _without(table):
    return lambda tables: tables.pop(table)


def _change(table, field, value):
    return lambda tables: tables[table][0].update({field: value})


def _lack(table, field):
    return lambda tables: tables[table][0].pop(field)


def _change_path(field, value):
    return lambda tables: tables["arcline_path_3"]["lane-0"][0].update({field: value})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_without("lane_divider"), "there is no table 'lane_divider'"),
        (_without("arcline_path_3"), "there is no table 'arcline_path_3'"),
        (_lack("polygon", "holes"), r"polygon: row polygon-0 has no \['holes'\]"),
        (_lack("lane_divider", "lane_divider_segments"), "no .'lane_divider_segments'."),
        (_change("lane_divider", "lane_divider_segments", [{}, {}]), "no .'node_token', 'segm"),
        (_change("node", "x", float("nan")), "node: .* is not finite"),
        (_change("node", "x", "west"), "node: could not convert"),
        (_change("node", "token", "other"), "node: there is no row 'node-0'"),
        (_change("ped_crossing", "polygon_token", "x"), "polygon: there is no row 'x'"),
        (_change("road_divider", "line_token", "x"), "line: there is no row 'x'"),
        (_change("lane", "token", "x"), "arcline_path_3: there is no row 'x'"),
        (_change("drivable_area", "polygon_tokens", 3), "is not laid out as a map"),
        (_change_path("shape", "LXL"), "arcline_path_3: unknown shape 'LXL'"),
        (_change_path("radius", 0.0), "a radius is not positive"),
        (_change_path("start_pose", [1.0, 2.0]), "arcline_path_3: "),
    ],
)
def test_a_broken_map_is_named_with_a_remedy(place, tmp_path, damage, message):
    place.divider([(0, 0), (9, 0)], ["NIL", "NIL"])
    place.road_divider([(0, 2), (9, 2)])
    place.lane(((0.0, 0.0, 0.0), "LSL", 9.0, (1.0, 1.0, 1.0)))
    place.crossing(square(0, 0, 4))
    place.drivable(square(0, 0, 9))
    assert place.read(tmp_path / "whole")
    damage(place.tables)
    with pytest.raises(ValueError, match=message) as error:
        place.read(tmp_path)
    assert "place.json" in str(error.value)
    assert "unpack the map expansion 1.3 again" in str(error.value)


def test_a_map_that_is_no_json_is_named(tmp_path):
    path = tmp_path / "boston-seaport.json"
    path.write_text('{"node": [')
    with pytest.raises(ValueError, match=r"boston-seaport\.json is not valid JSON.*unpack the map"):
        read_map(path, np.zeros((1, 2)))
    assert read_map(Path("/nowhere.json"), np.zeros((1, 2))) is None
