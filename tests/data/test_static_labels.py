"""Rasters of what does not move, against slow twins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from shapely.geometry import LineString, Point, Polygon

from leapai.config import StaticConfig
from leapai.data import static_labels
from leapai.data.augmentation import change_ego
from leapai.data.log import open_logs
from leapai.data.static_labels import MIRRORED, rasterise, with_static_labels
from leapai.geometry import poses
from leapai.types import LANE_MARKINGS, ROAD_ELEMENTS, STATIC_CLASSES, MapLine, StaticLabels
from tests.scenes import make_frame

ARGOVERSE2 = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "argoverse2"
GRID = StaticConfig().region()


def line(kind: str, points: list[tuple[float, float]], layer: str = "lane_boundary") -> MapLine:
    xyz = np.array([(*point, 0.0) for point in points], np.float64)
    return MapLine(kind, layer, xyz)


def centres() -> tuple[np.ndarray, np.ndarray]:
    return GRID.column_centres_m().astype(float), GRID.row_centres_m().astype(float)


def test_the_grid_is_the_designs():
    assert (GRID.rows, GRID.columns) == (224, 416)


def test_rows_go_along_y_and_columns_along_x():
    labels = rasterise((line("SolidLine", [(10.1, -5.1), (10.1, 3.1)]),), np.eye(4), GRID)
    rows, columns = np.nonzero(labels.lane_markings[LANE_MARKINGS.index("SolidLine")])
    x, y = centres()
    assert set(x[columns].round(3)) == {10.1}
    assert (y[rows].min().round(3), y[rows].max().round(3)) == (-5.1, 3.1)
    assert labels.lane_markings.sum() == len(rows)
    assert not labels.road_elements.any()
    assert labels.free_space is None


@pytest.mark.parametrize("kind", ["SolidLine", "WideSolidLine", "DoubleDashedLine", "Curb"])
def test_lines_agree_with_the_distance_of_every_cell(kind):
    """The slow twin: each cell's own distance to the line, by another library."""
    rng = np.random.default_rng(len(kind))
    points = rng.uniform([30.0, -25.0], [66.0, 25.0], (8, 2))
    labels = rasterise((line(kind, [tuple(p) for p in points]),), np.eye(4), GRID)
    got = np.concatenate([labels.lane_markings, labels.road_elements])
    got = got[[*LANE_MARKINGS, *ROAD_ELEMENTS].index(kind)]
    reach, shape = max(static_labels.WIDTH_M[kind] / 2, 0.1), LineString(points)
    x, y = centres()
    for row in range(0, GRID.rows, 3):
        for column in range(200, GRID.columns, 2):
            distance = shape.distance(Point(x[column], y[row]))
            if abs(distance - reach) > 1e-9:
                assert got[row, column] == (distance < reach)
    assert got.sum() > 100


def test_areas_agree_with_the_place_of_every_cell():
    angle = np.linspace(0, 2 * np.pi, 24)
    radius = 8 + 4 * np.cos(5 * angle)
    outline = np.stack([radius * np.cos(angle) + 58, radius * np.sin(angle) - 16], -1)
    outline[-1] = outline[0]
    area = line("SpeedBump", [tuple(p) for p in outline], "speed_bump")
    got = rasterise((area,), np.eye(4), GRID).road_elements[ROAD_ELEMENTS.index("SpeedBump")]
    x, y = centres()
    shape = Polygon(outline)
    for row in range(0, GRID.rows, 3):
        for column in range(200, GRID.columns, 2):
            assert got[row, column] == shape.contains(Point(x[column], y[row]))
    assert got.sum() > 500


def test_free_space_is_drivable_ground_without_objects_and_walls():
    square = [(-10.0, -10.0), (30.0, -10.0), (30.0, 10.0), (-10.0, 10.0), (-10.0, -10.0)]
    ground = line("drivable", square, "drivable_area")
    wall = line("Wall", [(20.0, -10.0), (20.0, 10.0)], "structure")
    car = np.array([[5.0, 0.0, 0.8, 4.0, 2.0, 1.6, 0.0]])
    post = np.array([[10.03, 5.03, 0.5, 0.05, 0.05, 1.0, 0.3]])
    free = rasterise((ground, wall), np.eye(4), GRID, np.concatenate([car, post])).free_space
    x, y = (grid.round(3) for grid in centres())
    at = {(a, b): free[j, i] for i, a in enumerate(x) for j, b in enumerate(y)}
    assert at[(12.1, 0.1)]
    assert not at[(5.1, 0.1)]
    assert not at[(10.1, 5.1)]
    assert not at[(19.9, 3.1)]
    assert not at[(31.1, 0.1)]
    assert abs(free.sum() * 0.04 - (800 - 8.8 - 0.3 * 20)) < 3.0


def test_the_ego_pose_moves_the_world():
    pose = poses.from_xyz_yaw(np.array([5e5, 4e6, 30.0]), 0.7)
    seen_from = np.array([[3.0, -4.0, 0.0], [40.0, 9.0, 0.0], [50.0, 20.0, 0.0]])
    here = MapLine("DashedLine", "lane_boundary", seen_from)
    there = MapLine("DashedLine", "lane_boundary", poses.apply(pose, seen_from))
    near, far = (rasterise((of,), at, GRID) for of, at in ((here, np.eye(4)), (there, pose)))
    assert (near.lane_markings != far.lane_markings).mean() < 1e-5


def random_map() -> tuple[MapLine, ...]:
    """A line of each kind, and an area, through the region."""
    rng = np.random.default_rng(3)
    lines = [line(k, [tuple(p) for p in rng.uniform(-60, 60, (5, 2))]) for k in STATIC_CLASSES]
    return (*lines, line("SpeedBump", [(5, -9), (9, -9), (9, 4), (5, 4), (5, -9)], "road_element"))


def planes_of(labels: StaticLabels) -> np.ndarray:
    return np.concatenate([labels.lane_markings, labels.road_elements])


def test_a_mirrored_ego_sees_the_mirrored_road_and_sides_change_names():
    pose = poses.from_xyz_yaw(np.array([4.0, -2.0, 0.0]), 0.4)
    mirror = np.diag([1.0, -1.0, 1.0, 1.0])
    plain = planes_of(rasterise(random_map(), pose, GRID))
    mirrored = planes_of(rasterise(random_map(), pose @ mirror, GRID))
    names = [MIRRORED.get(name, name) for name in STATIC_CLASSES]
    assert names != list(STATIC_CLASSES)
    expected = plain[[STATIC_CLASSES.index(name) for name in names], ::-1]
    assert (mirrored != expected).mean() < 1e-5
    assert plain.any((1, 2)).all()


def test_labels_follow_what_augmentation_does_to_the_ego():
    frame = replace(make_frame(4), ego2global=poses.from_xyz_yaw(np.array([9.0, 3.0, 0.0]), 0.2))
    turn = poses.from_xyz_yaw(np.zeros(3), 0.5)
    known = ("SolidLine", "Curb")
    turned = with_static_labels(change_ego(frame, turn), random_map(), GRID, known)
    there = rasterise(random_map(), frame.ego2global @ np.linalg.inv(turn), GRID)
    assert turned.static_labels is not None
    assert (planes_of(turned.static_labels) == planes_of(there)).all()
    reported = [
        n for n, is_told in zip(STATIC_CLASSES, turned.static_labels.known, strict=True) if is_told
    ]
    assert reported == list(known)


def test_without_a_map_there_are_no_static_labels():
    frame = make_frame(0)
    assert with_static_labels(frame, None, GRID, STATIC_CLASSES) is frame


def test_a_made_street_has_free_space_between_its_kerbs():
    log = open_logs("synthetic:seed=0,frames=3,beams=2", image_size_px=(32, 32))[0]
    labels = log.static_labels(-1)
    curb = labels.road_elements[ROAD_ELEMENTS.index("Curb")]
    marks = labels.lane_markings.any(0)
    assert curb.any(1).sum() >= 2
    assert marks.sum() > 400
    assert 0.1 < labels.free_space.mean() < 0.6
    assert labels.free_space[marks].mean() > 0.5
    boxes = log[2].labels.boxes
    column, row = ((boxes[:, :2] - [-20.8, -22.4]) / 0.2).astype(int).T
    here = (row >= 0) & (row < GRID.rows) & (column >= 0) & (column < GRID.columns)
    assert here.sum() > 10
    assert not labels.free_space[row[here], column[here]].any()


def test_bright_returns_of_the_lidar_lie_on_the_lines_of_the_gt():
    log = open_logs("synthetic:seed=0,place=street,frames=2", image_size_px=(32, 32))[0]
    points, labels = log[1].points, log.static_labels(1)
    column, row = np.floor((points[:, :2] - [-20.8, -22.4]) / 0.2).astype(int).T
    near = np.hypot(points[:, 0], points[:, 1]) < 14
    ground = near & (np.abs(points[:, 2]) < 0.03) & (row >= 0) & (row < GRID.rows)
    column, row, intensity = column[ground], row[ground], points[ground, 3]
    solid = [LANE_MARKINGS.index(kind) for kind in ("SolidLine", "WideSolidLine")]
    on_lines = labels.lane_markings[solid].any(0)[row, column]
    off_lines = labels.free_space[row, column] & ~labels.lane_markings.any(0)[row, column]
    assert on_lines.sum() > 50
    assert np.percentile(intensity[on_lines], 80) > 3 * np.median(intensity[off_lines])


def test_a_real_map_gives_free_space():
    if not ARGOVERSE2.is_dir():
        pytest.skip(f"no real data: {ARGOVERSE2} is absent")
    log = open_logs(f"argoverse2:{ARGOVERSE2}", image_size_px=(64, 64))[0]
    frame = log[0]
    labels = rasterise(log.vector_map(), frame.ego2global, GRID, frame.labels.boxes)
    assert 0.1 < labels.free_space.mean() < 0.9
