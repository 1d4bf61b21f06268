"""Polylines from rasters: known lines drawn as cells, and found again."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.spatial import cKDTree
from shapely.geometry import LineString, Point

from leapai.data.log import open_logs
from leapai.data.static_labels import WIDTH_M
from leapai.geometry.polylines import length_m
from leapai.streaming.map_lines import MIN_LENGTH_M, polylines
from leapai.types import STATIC_CLASSES, BevGrid, MapPolyline

GRID = BevGrid((-20.8, 62.4), (-22.4, 22.4), cell_m=0.2)
CENTRES = GRID.cell_centres_m().astype(float)
ARC = np.linspace(0.0, 1.2, 40)
LINES = {
    "along": np.array([[-15.0, 3.13], [60.0, 3.13]]),
    "across": np.array([[20.07, -20.0], [20.07, 20.0]]),
    "slanted": np.array([[-10.0, -18.0], [55.0, 17.0]]),
    "nearly along": np.array([[-18.0, 1.0], [60.0, 2.3]]),
    "arc": np.stack([40.0 * np.sin(ARC), 40.0 * (1 - np.cos(ARC)) - 15.0], 1),
    "bend": np.array([[-10.0, 0.0], [20.0, 0.0], [45.0, 15.0]]),
}


def near(line: np.ndarray, reach_m: float) -> np.ndarray:
    """Mask of the cells whose centre is within `reach_m` of a line [K, 2]."""
    shape = LineString(line)
    samples = [shape.interpolate(x).coords[0] for x in np.arange(0, shape.length, 0.02)]
    distance, _ = cKDTree([*samples, line[-1]]).query(CENTRES)
    return (distance <= reach_m).reshape(GRID.rows, GRID.columns)


def planes(**lines) -> np.ndarray:
    """Probabilities of 1 where lines [K, 2], or lists of them, are drawn; by kind."""
    probability = np.zeros((len(STATIC_CLASSES), GRID.rows, GRID.columns), np.float32)
    for kind, of_kind in lines.items():
        for line in of_kind if isinstance(of_kind, list) else [of_kind]:
            reach_m = max(WIDTH_M[kind] / 2, GRID.cell_m / 2)
            probability[STATIC_CLASSES.index(kind)][near(line, reach_m)] = 1
    return probability


def found(**lines) -> tuple[MapPolyline, ...]:
    return polylines(planes(**lines), GRID)


def worst_m(line: np.ndarray, true: np.ndarray) -> float:
    """The largest distance of a point along a line from the true one."""
    shape, drawn = LineString(true), LineString(line)
    at = np.arange(0, drawn.length, 0.05)
    return max(shape.distance(drawn.interpolate(x)) for x in at)


@pytest.mark.parametrize("kind", ["SolidLine", "DoubleSolidLine", "WideDashedLine", "Curb", "Wall"])
@pytest.mark.parametrize("name", LINES)
def test_a_line_is_found_where_it_is(name, kind):
    true = LINES[name]
    (line,) = found(**{kind: true})
    assert line.kind == kind
    assert line.confidence == 1.0
    assert worst_m(line.points_m, true) < (0.15 if name == "bend" else 0.11)
    for end in (0, -1):
        assert Point(true[end]).distance(LineString(line.points_m)) < 0.6
    assert len(line.points_m) < 40


@pytest.mark.parametrize("name", LINES)
def test_a_soft_raster_is_finer_than_its_cells(name):
    """Probabilities that fall off smoothly tell where in a cell a line lies."""
    true = LINES[name]
    x, y = np.meshgrid(GRID.column_centres_m(), GRID.row_centres_m())
    near_it = near(true, 0.8)
    distance = np.array(
        [LineString(true).distance(Point(p)) for p in zip(x[near_it], y[near_it], strict=True)]
    )
    probability = planes()
    probability[STATIC_CLASSES.index("Curb")][near_it] = np.exp(-((distance / 0.3) ** 2))
    (line,) = polylines(probability, GRID)
    assert worst_m(line.points_m, true) < (0.15 if name == "bend" else 0.06)
    assert 0.5 < line.confidence < 1.0


def test_crossing_lines_stay_two_straight_lines():
    first, second = LINES["slanted"], np.array([[-10.0, 15.0], [55.0, -12.0]])
    lines = found(SolidLine=[first, second])
    assert len(lines) == 2
    errors = [[worst_m(line.points_m, true) for true in (first, second)] for line in lines]
    assert max(min(row) for row in errors) < 0.2
    assert min(length_m(line.points_m) for line in lines) > 65


def test_a_line_that_ends_on_another_leaves_that_one_whole():
    through, ending = np.array([[0.0, 5.1], [50.0, 5.1]]), np.array([[20.1, -15.0], [20.1, 5.1]])
    lines = sorted(found(SolidLine=[through, ending]), key=lambda line: length_m(line.points_m))
    assert [round(length_m(line.points_m)) for line in lines] == [20, 50]


def test_a_closed_kerb_is_a_closed_line():
    angle = np.linspace(0, 2 * np.pi, 60)
    island = np.stack([25 + 8 * np.cos(angle), 5 * np.sin(angle)], 1)
    (line,) = found(Curb=island)
    assert line.points_m[0].tolist() == line.points_m[-1].tolist()
    assert worst_m(line.points_m, island) < 0.15
    assert length_m(line.points_m) == pytest.approx(LineString(island).length, rel=0.03)


def test_a_closed_kerb_with_a_gap_is_closed():
    angle = np.linspace(0.0, 2 * np.pi - 0.2, 60)
    (line,) = found(Curb=np.stack([25 + 5 * np.cos(angle), 5 * np.sin(angle)], 1))
    assert line.points_m[0].tolist() == line.points_m[-1].tolist()


def dashes(on_m: float, off_m: float) -> list[np.ndarray]:
    starts = np.arange(-10.0, 50.0, on_m + off_m)
    return [np.array([[x, 2.1], [x + on_m, 2.1]]) for x in starts]


def test_small_gaps_are_closed_and_large_ones_are_not():
    (line,) = found(DashedLine=dashes(3.0, 1.2))
    assert length_m(line.points_m) > 55
    apart = found(DashedLine=dashes(3.0, 6.0))
    assert len(apart) == 7
    assert all(length_m(line.points_m) == pytest.approx(3.0, abs=0.5) for line in apart)


def test_lines_that_end_beside_each_other_are_not_joined():
    lines = found(Curb=[np.array([[0.0, 0.1], [20.0, 0.1]]), np.array([[20.3, 1.1], [40.0, 1.1]])])
    assert [length_m(line.points_m) for line in lines] == pytest.approx([20, 20], abs=1.0)


def test_parallel_lines_stay_apart():
    lines = found(Curb=[np.array([[0.0, y], [40.0, y]]) for y in (0.1, 0.9)])
    assert sorted(round(float(line.points_m[:, 1].mean()), 1) for line in lines) == [0.1, 0.9]


def test_a_line_is_cut_where_its_kind_changes():
    solid, dashed = np.array([[0.0, 0.1], [20.0, 0.1]]), np.array([[20.0, 0.1], [40.0, 0.1]])
    lines = sorted(
        found(SolidLine=solid, DashedLine=dashed), key=lambda line: line.points_m[:, 0].min()
    )
    assert [line.kind for line in lines] == ["SolidLine", "DashedLine"]
    assert lines[0].points_m[:, 0].max() == pytest.approx(20, abs=0.5)
    assert lines[1].points_m[:, 0].min() == lines[0].points_m[:, 0].max()


def test_a_line_of_wavering_kind_is_one_line_of_the_likelier_kind():
    probability = planes(SolidLine=LINES["arc"])
    solid, dashed = (STATIC_CLASSES.index(kind) for kind in ("SolidLine", "DashedLine"))
    rng = np.random.default_rng(0)
    drawn = probability[solid] > 0
    probability[solid][drawn] = rng.uniform(0.5, 0.9, drawn.sum())
    probability[dashed][drawn] = rng.uniform(0.3, 0.9, drawn.sum())
    (line,) = polylines(probability, GRID)
    assert line.kind == "SolidLine"
    assert line.confidence == pytest.approx(0.7, abs=0.02)


def test_elements_do_not_hide_markings():
    lines = found(SolidLine=LINES["along"], Curb=LINES["along"] + [0.0, 0.2], Lane=LINES["bend"])
    assert sorted(line.kind for line in lines) == ["Curb", "Lane", "SolidLine"]


def test_a_speed_bump_is_its_middle_line():
    probability = planes()
    probability[STATIC_CLASSES.index("SpeedBump"), 90:120, 200:203] = 1  # 6.0 m x 0.6 m
    (line,) = polylines(probability, GRID)
    middle_x = GRID.x_range_m[0] + 201.5 * GRID.cell_m
    assert np.abs(line.points_m[:, 0] - middle_x).max() < 0.05
    assert length_m(line.points_m) == pytest.approx(5.4, abs=0.4)


def test_the_threshold_and_the_shortest_line():
    probability = planes(SolidLine=LINES["arc"])
    assert polylines(probability * 0.4, GRID) == ()
    assert len(polylines(probability * 0.4, GRID, threshold=0.3)) == 1
    stub = np.array([[10.0, 0.1], [10.0 + MIN_LENGTH_M / 2, 0.1]])
    assert found(SolidLine=stub) == ()


def test_an_empty_raster_and_a_full_one():
    assert found() == ()
    probability = planes()
    polylines(probability + 1, GRID)


def test_another_grid_moves_lines_with_it():
    probability = planes(Curb=LINES["arc"])
    here = polylines(probability, GRID)
    x_range = tuple(x + 100.0 for x in GRID.x_range_m)
    there = polylines(probability, BevGrid(x_range, GRID.y_range_m, cell_m=0.2))
    assert there[0].points_m == pytest.approx(here[0].points_m + np.array([100.0, 0.0]), abs=0.05)


def test_noise_costs_centimetres_not_lines():
    probability = planes(SolidLine=[LINES["arc"], LINES["across"] + [20.0, 0.0]])
    rng = np.random.default_rng(1)
    plane = probability[STATIC_CLASSES.index("SolidLine")]
    blurred = cv2.GaussianBlur(plane, (0, 0), 1.0) * 2.2 + rng.normal(0, 0.12, plane.shape)
    plane[:] = np.clip(blurred, 0, 1)
    lines = [line for line in polylines(probability, GRID) if length_m(line.points_m) > 3]
    assert sum(length_m(line.points_m) for line in lines) > 75
    for line in lines:
        assert (
            min(
                worst_m(line.points_m, LINES["arc"]),
                worst_m(line.points_m, LINES["across"] + [20.0, 0.0]),
            )
            < 0.35
        )


def test_specks_of_noise_give_lines_too_if_any():
    rng = np.random.default_rng(3)
    planes = rng.random((len(STATIC_CLASSES), GRID.rows, GRID.columns)).astype(np.float32)
    specks = np.stack([cv2.GaussianBlur(plane, (0, 0), 2.0) * 2 - 0.55 for plane in planes])
    lines = polylines(specks, GRID)
    assert len(lines) > 100
    for line in lines:
        assert length_m(line.points_m) >= MIN_LENGTH_M
        assert np.isfinite(line.points_m).all()
        assert 0.3 < line.confidence <= 1.0


@pytest.mark.parametrize("place", ["street", "crossing", "car_park"])
def test_lines_of_the_embedded_world_are_found(place):
    log = open_logs(f"synthetic:seed=24,place={place},frames=3,beams=2", image_size_px=(32, 32))[0]
    gt = log.static_labels(1)
    lines = polylines(np.concatenate([gt.lane_markings, gt.road_elements]), GRID)
    reached = np.zeros((GRID.rows, GRID.columns), bool)
    for line in lines:
        reached |= near(line.points_m, 0.45)
    drawn = gt.lane_markings.any(0)
    drawn[:6] = drawn[-6:] = False  # Stubs of lines that the border cuts off are too short.
    assert reached[drawn].mean() > 0.97
