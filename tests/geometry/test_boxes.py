"""Boxes: corners, footprints, frames, and the points inside."""

from __future__ import annotations

import numpy as np
import pytest

from leapai.geometry import boxes as box_geometry
from leapai.geometry import poses

CAR = np.array([[10.0, 2.0, 0.8, 4.0, 2.0, 1.6, 0.0]])
TURNED_CAR = np.array([[10.0, 2.0, 0.8, 4.0, 2.0, 1.6, np.pi / 2]])


def random_boxes(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    low, high = [-30, -30, -1, 0.3, 0.3, 0.3, -3.1], [30, 30, 2, 9, 3, 3, 3.1]
    return rng.uniform(low, high, (count, 7))


def test_corners_stand_in_their_documented_order():
    corners = box_geometry.corners(CAR)[0]
    np.testing.assert_allclose(
        corners[:4], [[12, 3, 0], [8, 3, 0], [8, 1, 0], [12, 1, 0]], atol=1e-12
    )
    np.testing.assert_allclose(corners[4:] - corners[:4], [[0, 0, 1.6]] * 4, atol=1e-12)


def test_the_front_corners_look_along_the_heading():
    corners = box_geometry.corners(TURNED_CAR)[0]
    np.testing.assert_allclose(corners[[0, 3, 4, 7]][:, 1], 4.0)
    np.testing.assert_allclose(corners[0, :2], [9, 4], atol=1e-12)  # front left: west of the centre


def test_edges_join_corners_at_the_sides_of_the_box():
    corners = box_geometry.corners(CAR)[0]
    lengths = sorted(np.linalg.norm(corners[a] - corners[b]) for a, b in box_geometry.EDGES)
    np.testing.assert_allclose(lengths, [1.6] * 4 + [2.0] * 4 + [4.0] * 4)


def test_footprints_go_counter_clockwise():
    boxes = random_boxes(50)
    x, y = np.moveaxis(box_geometry.corners_bev(boxes), -1, 0)
    area = 0.5 * (x * np.roll(y, -1, 1) - y * np.roll(x, -1, 1)).sum(1)
    np.testing.assert_allclose(area, boxes[:, 3] * boxes[:, 4])


def test_transforming_moves_the_corners_along():
    boxes = random_boxes(20)
    pose = poses.from_xyz_yaw(np.array([5.0, -3.0, 1.0]), 2.5)
    moved = box_geometry.transform(boxes, pose)
    expected = poses.apply(pose, box_geometry.corners(boxes))
    np.testing.assert_allclose(box_geometry.corners(moved), expected, atol=1e-9)
    assert ((moved[:, 6] > -np.pi) & (moved[:, 6] <= np.pi)).all()
    back = box_geometry.transform(moved, poses.invert(pose))
    np.testing.assert_allclose(back, boxes, atol=1e-9)


def test_boxes_stay_upright_when_the_frame_pitches():
    pitch = poses.from_quaternion(np.array([np.cos(0.1), 0, np.sin(0.1), 0]), np.zeros(3))
    moved = box_geometry.transform(TURNED_CAR, pitch)
    assert moved[0, 6] == pytest.approx(np.pi / 2)
    np.testing.assert_array_equal(moved[0, 3:6], TURNED_CAR[0, 3:6])


def test_points_inside_include_the_boundary_and_follow_the_yaw():
    points = np.array([[10.9, 2.0, 0.8], [11.1, 2.0, 0.8], [10.0, 3.9, 0.8], [12.0, 3.0, 1.6]])
    inside = box_geometry.points_inside(points, np.concatenate([CAR, TURNED_CAR]))
    np.testing.assert_array_equal(inside, [[1, 1, 0, 1], [1, 0, 1, 0]])


def test_points_inside_agree_with_the_boxes_own_frame():
    rng = np.random.default_rng(3)
    boxes = random_boxes(30)
    unit = rng.uniform(-0.6, 0.6, (40, 3))
    for box in boxes:
        points = poses.apply(poses.from_xyz_yaw(box[:3], box[6]), unit * box[3:6])
        expected = (np.abs(unit) <= 0.5).all(-1)
        np.testing.assert_array_equal(box_geometry.points_inside(points, box[None])[0], expected)


def test_no_points_and_no_boxes_are_valid():
    assert box_geometry.points_inside(np.zeros((0, 3)), CAR).shape == (1, 0)
    assert box_geometry.points_inside(np.zeros((5, 3)), np.zeros((0, 7))).shape == (0, 5)
    assert box_geometry.corners(np.zeros((0, 7))).shape == (0, 8, 3)
