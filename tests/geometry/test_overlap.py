"""Rotated overlap against shapely, and NMS against the greedy rule written out."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from leapai.geometry.boxes import corners_bev
from leapai.geometry.overlap import intersection_bev, iou_bev, iou_bev_paired, nms_bev

PAIRS = 400


def boxes_of(rng: np.random.Generator, count: int, spread_m: float, size_m: float = 5.0):
    boxes = np.zeros((count, 7))
    boxes[:, :3] = rng.uniform(-spread_m, spread_m, (count, 3))
    boxes[:, 3:6] = size_m * rng.uniform(0.2, 1.0, (count, 3))
    boxes[:, 6] = rng.uniform(-np.pi, np.pi, count)
    return boxes


def box(x: float, y: float, length: float, width: float, yaw: float = 0.0):
    return np.array([[x, y, 0.0, length, width, 1.5, yaw]])


def area_by_shapely(boxes_a, boxes_b):
    polygons = (shapely.polygons(corners_bev(boxes)) for boxes in (boxes_a, boxes_b))
    return shapely.area(shapely.intersection(*polygons))


@pytest.mark.parametrize("size_m", [1e-3, 1.0, 5.0, 1e4])
def test_area_equals_shapely_from_tiny_to_huge(size_m):
    rng = np.random.default_rng(1)
    a, b = (boxes_of(rng, PAIRS, 0.5 * size_m, size_m) for _ in range(2))
    expected = area_by_shapely(a, b)
    assert (expected > 0).mean() > 0.5
    np.testing.assert_allclose(intersection_bev(a, b), expected, atol=1e-12 * size_m**2)


def test_area_equals_shapely_for_thin_and_mixed_sizes():
    rng = np.random.default_rng(2)
    a, b = boxes_of(rng, PAIRS, 3.0), boxes_of(rng, PAIRS, 3.0)
    a[:, 3:5] = 10 ** rng.uniform(-3, 3, (PAIRS, 2))
    b[:, 3:5] = 10 ** rng.uniform(-3, 3, (PAIRS, 2))
    np.testing.assert_allclose(intersection_bev(a, b), area_by_shapely(a, b), rtol=1e-9, atol=1e-10)


def test_overlap_is_symmetric():
    rng = np.random.default_rng(3)
    a, b = boxes_of(rng, 40, 4.0), boxes_of(rng, 60, 4.0)
    np.testing.assert_allclose(iou_bev(a, b), iou_bev(b, a).T, atol=1e-12)


def test_a_box_covers_itself_and_its_copy_turned_by_pi():
    a = boxes_of(np.random.default_rng(4), PAIRS, 50.0)
    turned = a + np.array([0, 0, 0, 0, 0, 0, np.pi])
    np.testing.assert_allclose(iou_bev_paired(a, a), 1.0, atol=1e-12)
    np.testing.assert_allclose(iou_bev_paired(a, turned), 1.0, atol=1e-12)


@pytest.mark.parametrize("nudge", [1e-6, 1e-9, 1e-12, 1e-16])
def test_nearly_coincident_edges_are_counted_once(nudge):
    a = boxes_of(np.random.default_rng(5), PAIRS, 5.0)
    b = a + nudge * np.array([1, -1, 0, 0, 0, 0, 1])
    np.testing.assert_allclose(iou_bev_paired(a, b), 1.0, atol=1e-11 + 20 * nudge)


def test_boxes_that_touch_share_nothing():
    yaws = np.linspace(-3, 3, 13)
    for yaw in yaws:
        ahead = 4.0 * np.array([np.cos(yaw), np.sin(yaw)])
        corner = ahead + 2.0 * np.array([-np.sin(yaw), np.cos(yaw)])
        a = box(0, 0, 4, 2, yaw)
        assert intersection_bev(a, box(*ahead, 4, 2, yaw))[0] == pytest.approx(0, abs=1e-12)
        assert intersection_bev(a, box(*corner, 4, 2, yaw))[0] == pytest.approx(0, abs=1e-12)


def test_a_contained_box_is_shared_whole_also_where_edges_coincide():
    for yaw in np.linspace(-3, 3, 13):
        inside = box(0.5, 0.2, 1.0, 0.5, yaw)
        flush = box(1.5 * np.cos(yaw), 1.5 * np.sin(yaw), 1.0, 2.0, yaw)  # fills the front end
        outer = box(0, 0, 4, 2, yaw)
        assert intersection_bev(inside, box(0, 0, 4, 4))[0] == pytest.approx(0.5, abs=1e-12)
        assert intersection_bev(flush, outer)[0] == pytest.approx(2.0, abs=1e-12)
        assert intersection_bev(outer, flush)[0] == pytest.approx(2.0, abs=1e-12)


def test_known_area_of_a_square_turned_by_45_degrees():
    square, turned = box(0, 0, 2, 2), box(0, 0, 2, 2, np.pi / 4)
    octagon = 8 * (np.sqrt(2) - 1)
    assert intersection_bev(square, turned)[0] == pytest.approx(octagon, abs=1e-12)
    assert iou_bev(square, turned)[0, 0] == pytest.approx(octagon / (8 - octagon), abs=1e-12)


def test_boxes_of_no_size_overlap_nothing():
    point, line = box(0.1, 0.1, 0, 0, 0.3), box(0.1, 0.1, 3, 0, 0.3)
    both = np.concatenate([point, line, box(0, 0, 4, 2)])
    np.testing.assert_array_equal(iou_bev(both, both), np.diag([0.0, 0.0, 1.0]))


def test_coordinates_far_from_the_origin_cost_only_their_rounding():
    rng = np.random.default_rng(6)
    a, b = boxes_of(rng, PAIRS, 3.0), boxes_of(rng, PAIRS, 3.0)
    a[:, :2], b[:, :2] = np.round(a[:, :2], 6), np.round(b[:, :2], 6)
    far = np.array([1e5, -1e5, 0, 0, 0, 0, 0])
    np.testing.assert_allclose(intersection_bev(a + far, b + far), area_by_shapely(a, b), atol=1e-9)


def test_iou_of_all_pairs_equals_the_paired_one():
    rng = np.random.default_rng(7)
    a, b = boxes_of(rng, 30, 20.0), boxes_of(rng, 20, 20.0)
    i, j = np.indices((30, 20)).reshape(2, -1)
    np.testing.assert_allclose(iou_bev(a, b).ravel(), iou_bev_paired(a[i], b[j]), atol=1e-15)


def greedy(boxes, score, class_id, threshold):
    """The rule of NMS, box by box, on shapely's areas."""
    polygons = shapely.polygons(corners_bev(boxes))
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: (-score[i], i)):
        shared = shapely.area(shapely.intersection(polygons[i], polygons[kept]))
        iou = shared / (shapely.area(polygons[i]) + shapely.area(polygons[kept]) - shared)
        if not ((iou > threshold) & (class_id[kept] == class_id[i])).any():
            kept.append(i)
    return kept


@pytest.mark.parametrize("spread_m", [1.0, 8.0, 40.0])
@pytest.mark.parametrize("classes", [1, 3])
def test_nms_keeps_what_the_greedy_rule_keeps(spread_m, classes):
    rng = np.random.default_rng(8)
    boxes, score = boxes_of(rng, 160, spread_m), rng.uniform(0, 1, 160)
    class_id = rng.integers(0, classes, 160)
    expected = greedy(boxes, score, class_id, 0.2)
    assert nms_bev(boxes, score, class_id, 0.2).tolist() == expected


def test_nms_sorts_by_score_and_of_equal_scores_keeps_the_lower_index():
    boxes = np.concatenate([box(20, 0, 4, 2), box(0, 0, 4, 2), box(0.1, 0, 4, 2)])
    class_id = np.zeros(3, np.int64)
    assert nms_bev(boxes, np.array([0.5, 0.9, 0.9]), class_id, 0.2).tolist() == [1, 0]
    assert nms_bev(boxes, np.array([0.5, 0.8, 0.9]), class_id, 0.2).tolist() == [2, 0]


def test_nms_leaves_other_classes_alone_and_suppressed_boxes_suppress_nothing():
    chain = np.concatenate([box(0, 0, 4, 2), box(2, 0, 4, 2), box(4, 0, 4, 2)])
    score = np.array([0.9, 0.8, 0.7])
    assert nms_bev(chain, score, np.array([0, 0, 0]), 0.2).tolist() == [0, 2]
    assert nms_bev(chain, score, np.array([0, 1, 0]), 0.2).tolist() == [0, 1, 2]


def test_nms_of_nothing_is_nothing():
    kept = nms_bev(np.zeros((0, 7)), np.zeros(0), np.zeros(0, np.int64), 0.2)
    assert kept.shape == (0,)
    assert kept.dtype == np.int64
