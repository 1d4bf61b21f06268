"""The predicted map, on the canvas and in the cameras."""

from __future__ import annotations

import numpy as np
import pytest

from leapai.config import DrawDynamicConfig, DrawStaticConfig, TemporalVisualizationConfig
from leapai.pictures import palette
from leapai.pictures.bev_canvas import draw_bev
from leapai.pictures.bev_scene import BevScene, shown_map
from leapai.pictures.camera_overlay import CameraView, draw_camera, ground_paths
from leapai.pictures.frame_painter import FramePainter
from leapai.pictures.page_parts import LEGEND_PX
from leapai.pictures.palette import CLASS_COLOURS, MAP_ELEMENT_COLOURS
from leapai.types import STATIC_CLASSES, BevGrid, Map, MapLine, MapPolyline
from tests.pictures.made_up import (
    QUIET,
    at,
    camera,
    canvas_of,
    car,
    close_to,
    default_view,
    detections,
    frame,
    shows,
)

GRID = BevGrid((-20.8, 62.4), (-22.4, 22.4), cell_m=0.2)
NO_CELLS = np.zeros((len(STATIC_CLASSES), GRID.rows, GRID.columns), np.float32)
SIZE_PX = (240, 480)
BARREL = np.array([-0.25, 0.04, 0.0, 0.0, 0.0])


def line(points, kind: str = "Curb", confidence: float = 0.9) -> MapPolyline:
    return MapPolyline(kind, confidence, np.array(points, float))


def cells(kind: str, x: float, y: float, probability: float = 1.0) -> Map:
    """A square of 1 m of one kind about a place."""
    planes = NO_CELLS.copy()
    row, column = int((y + 22.4) / 0.2), int((x + 20.8) / 0.2)
    planes[STATIC_CLASSES.index(kind), row - 2 : row + 3, column - 2 : column + 3] = probability
    return Map(planes, GRID)


def canvas(bev_map: Map | None) -> np.ndarray:
    return draw_bev(BevScene(map=bev_map), DrawDynamicConfig(), TemporalVisualizationConfig())


def paint(bev_map: Map | None, static: DrawStaticConfig | None = None, found=None, vector_map=None):
    painter = FramePainter(DrawDynamicConfig(**QUIET), TemporalVisualizationConfig(), static)
    one = frame(0, cameras=(camera(),), labels=None)
    return painter.paint(one, found, None, vector_map, bev_map)


@pytest.mark.parametrize("place", [(30.1, 5.1), (-15.1, -18.1)])
def test_cells_tint_the_canvas_where_they_lie(place):
    pixel = default_view().pixels(np.array(place))
    half = palette.faded(MAP_ELEMENT_COLOURS["Wall"], palette.CANVAS, 0.5)
    drawn = canvas(cells("Wall", *place))
    assert close_to(at(drawn, pixel), half, 6)
    rows, columns = np.nonzero((drawn != canvas(None)).any(-1))
    centre = np.array([columns.mean(), rows.mean()])
    assert centre == pytest.approx(pixel, abs=1.0)
    assert len(rows) == pytest.approx(8.75**2, rel=0.6)


def test_a_likelier_cell_has_a_stronger_tint():
    pixel = default_view().pixels(np.array([30.1, 5.1]))
    tints = [int(at(canvas(cells("Curb", 30.1, 5.1, p)), pixel).sum()) for p in (0.3, 0.6, 0.9)]
    assert sum(palette.CANVAS) < tints[0] < tints[1] < tints[2]


def test_lines_have_the_colour_of_their_kind():
    pixel = default_view().pixels(np.array([20.0, 12.057]))
    for kind in ("Curb", "Wall", "SolidLine", "SpeedBump"):
        drawn = canvas(Map(NO_CELLS, GRID, [line([(5.0, 12.057), (40.0, 12.057)], kind)]))
        assert shows(drawn, pixel, MAP_ELEMENT_COLOURS[kind], 30)


def test_dashed_lines_have_gaps_and_double_ones_a_dark_middle():
    def column_of(kind: str) -> np.ndarray:
        drawn = canvas(Map(NO_CELLS, GRID, [line([(1.0, 7.09), (9.0, 7.09)], kind)]))
        x, y = np.rint(default_view().pixels(np.array([5.0, 7.09]))).astype(int)
        return drawn[y - 30 : y + 30, x - 3 : x + 4].astype(int).sum(-1)

    bright = sum(palette.CANVAS) + 200
    solid, dashed, double = map(column_of, ("SolidLine", "DashedLine", "DoubleSolidLine"))
    assert (solid.max(1) > bright).all()
    assert 0.3 < (dashed.max(1) > bright).mean() < 0.9
    across = double[30]
    middle = int(np.flatnonzero(across > bright).mean())
    assert across[middle] < across[middle - 1 : middle + 2].max() - 150


def test_what_is_said_and_the_given_map_can_be_told_apart():
    given = MapLine("SOLID_WHITE", "lane_boundary", np.array([[5, 12.057, 0], [40, 12.057, 0]]))
    found = Map(NO_CELLS, GRID, [line([(5, 9.086), (40, 9.086)], "SolidLine")])
    one = frame(0)
    painter = FramePainter(DrawDynamicConfig(**QUIET), TemporalVisualizationConfig())
    world = np.pad(given.points_m, ((0, 0), (0, 1)), constant_values=1) @ one.ego2global.T
    vector_map = (MapLine(given.kind, given.layer, world[:, :3]),)
    drawn = canvas_of(painter.paint(one, None, None, vector_map, found))
    at_given, at_predicted = default_view().pixels(np.array([[27.0, 12.057], [27.0, 9.086]]))
    assert shows(drawn, at_given, palette.MAP_LAYER_COLOURS["lane_boundary"], 20)
    assert shows(drawn, at_predicted, MAP_ELEMENT_COLOURS["SolidLine"], 30)


def test_each_switch_has_its_effect():
    place = default_view().pixels(np.array([30.1, 5.1]))
    bev_map = Map(cells("Wall", 30.1, 5.1, 0.7).probability, GRID, [line([(5, 9), (40, 9)])])
    plain, nothing = canvas_of(paint(bev_map)), canvas_of(paint(None))
    only_lines = canvas_of(paint(bev_map, DrawStaticConfig(draw_cells=False)))
    only_cells = canvas_of(paint(bev_map, DrawStaticConfig(draw_lines=False)))
    neither = canvas_of(paint(bev_map, DrawStaticConfig(draw_lines=False, draw_cells=False)))
    sure = canvas_of(paint(bev_map, DrawStaticConfig(static_conf=0.95)))
    assert not np.array_equal(at(plain, place), at(nothing, place))
    assert np.array_equal(at(only_lines, place), at(nothing, place))
    assert np.array_equal(at(only_cells, place), at(plain, place))
    assert close_to(only_lines, MAP_ELEMENT_COLOURS["Curb"], 60).sum() > 100
    assert close_to(only_cells, MAP_ELEMENT_COLOURS["Curb"], 30).sum() == 0
    assert np.array_equal(neither, nothing)
    assert np.array_equal(sure, nothing)


def test_what_is_not_sure_is_not_shown():
    bev_map = Map(NO_CELLS, GRID, [line([(0, 0), (1, 0)], confidence=c) for c in (0.4, 0.6)])
    assert [each.confidence for each in shown_map(bev_map, DrawStaticConfig()).lines] == [0.6]


def test_boxes_lie_on_top_of_lines():
    bev_map = Map(NO_CELLS, GRID, [line([(0.0, 4.0), (40.0, 4.0)])])
    drawn = canvas_of(paint(bev_map, found=detections([car(20, 5)], track_id=[-1])))
    assert shows(drawn, default_view().pixels(np.array([20.3, 4.0])), CLASS_COLOURS[0])


@pytest.mark.parametrize("distortion", [np.zeros(5), BARREL])
def test_lines_lie_on_the_ground_in_the_cameras(distortion):
    view = CameraView(camera(distortion=distortion), SIZE_PX)
    drawn = draw_camera(view.camera, SIZE_PX, map_lines=[line([(4.0, 2.0), (40.0, 2.0)], "Wall")])
    for x in (6.0, 9.0, 15.0):
        pixel, _ = view.project(np.array([[x, 2.0, 0.0]]))
        assert shows(drawn, pixel[0], MAP_ELEMENT_COLOURS["Wall"], 60)


def test_a_lens_bends_lines():
    def bend_px(distortion: np.ndarray) -> float:
        view = CameraView(camera(distortion=distortion), SIZE_PX)
        ((path,),) = ground_paths(view, [np.array([[4.0, -3.5], [4.0, 3.5]])])
        return float(np.ptp(path[:, 1]))

    assert bend_px(np.zeros(5)) < 1e-6
    assert bend_px(BARREL) > 3


def test_lines_that_pass_the_camera_end_at_the_picture():
    view = CameraView(camera(), SIZE_PX)
    passing = np.array([[-20.0, 1.0], [-10.0, 1.0], [30.0, 1.0], [60.0, 1.0]])
    (paths,) = ground_paths(view, [passing])
    assert len(paths) == 2
    assert np.isfinite(np.concatenate(paths)).all()
    assert np.abs(np.concatenate(paths)).max() < 600
    assert ground_paths(view, [passing[:2]]) == [[]]


def test_the_legend_tells_kinds_where_a_road_is_drawn():
    without, with_map = (paint(bev_map)[-LEGEND_PX:] for bev_map in (None, cells("Wall", 30, 5)))
    third_row = with_map[75:102]
    assert close_to(third_row, MAP_ELEMENT_COLOURS["Curb"], 60).sum() > 20
    assert close_to(third_row, MAP_ELEMENT_COLOURS["GroundSigns"], 10).sum() > 200
    assert close_to(without, MAP_ELEMENT_COLOURS["Curb"], 20).sum() == 0
    assert (with_map[-8:] == palette.BACKGROUND).all()
    assert (with_map[:, -30:] == palette.BACKGROUND).all()
