import numpy as np
import pytest

from leapai.config import DrawDynamicConfig, TemporalVisualizationConfig
from leapai.pictures import palette
from leapai.pictures.bev_canvas import BevView, draw_bev, ring_radii_m
from leapai.pictures.bev_scene import BevLine, BevScene
from leapai.pictures.palette import CANVAS, CLASS_COLOURS
from tests.pictures.made_up import at, car, close_to, default_view, detections, gt, shows

DRAW, TEMPORAL = DrawDynamicConfig(), TemporalVisualizationConfig()


def draw(**scene):
    return draw_bev(BevScene(**scene), DRAW, TEMPORAL)


def test_forward_is_up_and_left_is_left():
    view = default_view()
    here, ahead, left = view.pixels(np.array([[0.0, 0], [10, 0], [0, 10]]))
    assert here - ahead == pytest.approx([0, 87.5])
    assert here - left == pytest.approx([87.5, 0])


def test_the_corners_of_the_range_are_the_corners_of_the_canvas():
    view = default_view()
    assert view.size_px == (896, 784)
    assert view.pixels(np.array([62.4, 44.8])) == pytest.approx([-0.5, -0.5])
    assert view.pixels(np.array([-40.0, -44.8])) == pytest.approx([783.5, 895.5])


def test_range_rings_stand_at_their_radius():
    view = default_view()
    assert list(ring_radii_m(view)) == [10, 20, 30, 40, 50, 60]
    image = draw()
    for radius in ring_radii_m(view):
        direction = np.array([np.cos(0.3), np.sin(0.3)])
        column, row = np.rint(view.pixels(radius * direction)).astype(int)
        near = image[row - 1 : row + 2, column - 1 : column + 2].astype(int).sum(-1)
        assert near.max() > sum(CANVAS) + 60


def test_rings_of_a_small_canvas_are_closer():
    assert list(ring_radii_m(BevView((-5.0, 10.0, -5.0, 5.0), 50, 75))) == [2, 4, 6, 8, 10]


def test_points_are_brighter_the_higher():
    ground = np.array([[20.0, 5.0, 0.0]])
    tall = np.array([[20.0, 5.0, 2.5]])
    pixel = default_view().pixels(ground[0])
    low, high, both = (
        at(draw(points=p), pixel).sum() for p in (ground, tall, np.concatenate([tall, ground]))
    )
    assert sum(CANVAS) < low < high == both


@pytest.mark.parametrize("points", [None, np.zeros((0, 5)), np.full((3, 5), 500.0)])
def test_no_points_no_change(points):
    assert np.array_equal(draw(points=points), draw())


def test_gt_is_a_thin_grey_outline_below_detections():
    pixel = default_view().pixels(np.array([10.3, 4.0]))
    alone = draw(gt=gt([car(10, 5)]), detections=detections([]))
    both = draw(gt=gt([car(10, 5)]), detections=detections([car(10, 5)]))
    assert shows(alone, pixel, palette.GT, 70)
    assert shows(both, pixel, CLASS_COLOURS[0])
    assert not shows(both, pixel, palette.GT, 70)


def test_gt_without_detections_has_the_colours_of_its_classes():
    image = draw(gt=gt([car(10, 5)], class_id=[3]))
    assert shows(image, default_view().pixels(np.array([10.3, 4.0])), CLASS_COLOURS[3], 70)


def test_classes_have_their_colours():
    boxes = [car(10 + 6 * i, 10) for i in range(8)]
    image = draw(detections=detections(boxes, class_id=range(8), track_id=[-1] * 8))
    for box, colour in zip(boxes, CLASS_COLOURS[:8], strict=True):
        assert close_to(at(image, default_view().pixels(np.array([box[0] + 0.3, 9.0]))), colour)


def test_the_wedge_tells_front_from_rear():
    ahead, back = (
        draw(detections=detections([car(20, 5, yaw)], track_id=[-1])) for yaw in (0.0, np.pi)
    )
    inside_front = default_view().pixels(np.array([20.9, 5.45]))
    inside_rear = default_view().pixels(np.array([19.1, 5.45]))
    assert at(ahead, inside_front).sum() > at(ahead, inside_rear).sum() + 100
    assert at(back, inside_rear).sum() > at(back, inside_front).sum() + 100


def test_map_lines_by_layer():
    line = np.array([[5.0, 12.057], [40.0, 12.057]])  # along the middle of a pixel column
    pixel = default_view().pixels(np.array([26.3, 12.0]))
    assert shows(draw(), pixel, CANVAS, 0)
    assert not shows(draw(), pixel, palette.MAP_LAYER_DEFAULT, 20)
    for layer, colour in (
        ("crossing", palette.MAP_LAYER_COLOURS["crossing"]),
        ("?", palette.MAP_LAYER_DEFAULT),
    ):
        image = draw(map_lines=[BevLine(layer, line)])
        assert shows(image, pixel, colour, 20)


def test_ids_are_written_beside_their_boxes():
    boxes = [car(20, 5)]
    without, named = (draw(detections=detections(boxes, track_id=[i])) for i in (-1, 42))
    rows, columns = np.nonzero((without != named).any(-1))
    top_left, bottom_right = default_view().pixels(np.array([[22.0, 6.0], [18.0, 4.0]]))
    outside = (columns < top_left[0]) | (columns > bottom_right[0])
    outside |= (rows < top_left[1]) | (rows > bottom_right[1])
    assert len(rows) > 50
    assert outside.all()
