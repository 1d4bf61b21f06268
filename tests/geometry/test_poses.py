"""Rigid transforms: they cancel, agree with scipy, and keep their accuracy far from the origin."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from leapai.geometry import poses


def random_poses(count: int, reach_m: float = 50.0, seed: int = 0):
    rng = np.random.default_rng(seed)
    return poses.from_quaternion(
        rng.normal(size=(count, 4)), rng.uniform(-reach_m, reach_m, (count, 3))
    )


def test_a_pose_and_its_inverse_cancel():
    pose = random_poses(50)
    eye = np.broadcast_to(np.eye(4), pose.shape)
    np.testing.assert_allclose(poses.invert(pose) @ pose, eye, atol=1e-12)
    np.testing.assert_allclose(pose @ poses.invert(pose), eye, atol=1e-12)


def test_inverting_leaves_the_argument_alone():
    pose = random_poses(1)[0]
    before = pose.copy()
    poses.invert(pose)
    np.testing.assert_array_equal(pose, before)


def test_applying_two_poses_is_applying_their_product():
    c_from_b, b_from_a = random_poses(2)
    points = np.random.default_rng(1).normal(size=(20, 3))
    one_by_one = poses.apply(c_from_b, poses.apply(b_from_a, points))
    np.testing.assert_allclose(poses.apply(c_from_b @ b_from_a, points), one_by_one, atol=1e-12)


def test_rotating_ignores_where_the_frame_is():
    pose = random_poses(1)[0]
    velocity = np.array([[3.0, -1.0, 0.5]])
    moved = poses.apply(pose, velocity) - poses.apply(pose, np.zeros((1, 3)))
    np.testing.assert_allclose(poses.rotate(pose, velocity), moved, atol=1e-12)
    assert np.linalg.norm(poses.rotate(pose, velocity)) == pytest.approx(np.linalg.norm(velocity))


def test_quaternions_agree_with_scipy_at_any_length():
    quaternion = np.random.default_rng(2).normal(size=(200, 4)) * 7
    ours = poses.from_quaternion(quaternion, np.zeros((200, 3)))[:, :3, :3]
    theirs = Rotation.from_quat(quaternion[:, [1, 2, 3, 0]]).as_matrix()
    np.testing.assert_allclose(ours, theirs, atol=1e-14)


def test_quaternion_of_a_left_turn_about_z():
    half = np.pi / 4
    pose = poses.from_quaternion(np.array([np.cos(half), 0, 0, np.sin(half)]), np.array([1, 2, 3]))
    np.testing.assert_allclose(poses.apply(pose, np.array([[1.0, 0, 0]])), [[1, 3, 3]], atol=1e-15)
    assert poses.yaw_of(pose) == pytest.approx(np.pi / 2)


def test_yaw_round_trip_stays_in_the_half_open_range():
    yaw = np.array([-np.pi, -2.0, 0.0, 1.0, np.pi])
    back = poses.yaw_of(poses.from_xyz_yaw(np.zeros((5, 3)), yaw))
    np.testing.assert_allclose(back, [np.pi, -2.0, 0.0, 1.0, np.pi], atol=1e-15)


def test_relative_pose_is_exact_500_km_from_the_origin():
    global_from_a = poses.from_xyz_yaw(np.array([5e5, -4e5, 120.0]), 0.3)
    b_from_a = poses.from_xyz_yaw(np.array([-1.234567, 0.02, 0.001]), -0.01)
    global_from_b = global_from_a @ poses.invert(b_from_a)
    found = poses.invert(global_from_b) @ global_from_a
    np.testing.assert_allclose(found, b_from_a, atol=1e-8)


def test_tensors_give_what_arrays_give():
    pose, other = random_poses(2)
    points = np.random.default_rng(3).normal(size=(6, 3))
    as_tensor = torch.from_numpy
    np.testing.assert_allclose(poses.invert(as_tensor(pose)).numpy(), poses.invert(pose))
    np.testing.assert_allclose(
        poses.apply(as_tensor(other), as_tensor(points)).numpy(), poses.apply(other, points)
    )
    np.testing.assert_allclose(
        poses.rotate(as_tensor(other), as_tensor(points)).numpy(), poses.rotate(other, points)
    )


def test_leading_axes_broadcast():
    pose = random_poses(6).reshape(2, 3, 4, 4)
    points = np.random.default_rng(4).normal(size=(2, 3, 5, 3))
    moved = poses.apply(pose, points)
    np.testing.assert_allclose(moved[1, 2], poses.apply(pose[1, 2], points[1, 2]))
    np.testing.assert_allclose(poses.apply(poses.invert(pose), moved), points, atol=1e-12)


def test_a_pose_between_two_is_a_share_of_the_way_and_goes_on_beyond():
    first = poses.from_xyz_yaw(np.array([100.0, -5.0, 2.0]), 0.4)
    last = first @ poses.from_xyz_yaw(np.array([4.0, 1.0, 0.5]), 0.8)
    share = np.array([0.0, 0.25, 1.0, 1.5])
    found = poses.between(np.stack([first] * 4), np.stack([last] * 4), share)
    way_m = last[:3, 3] - first[:3, 3]
    for pose, part in zip(found, share, strict=True):
        expected = poses.from_xyz_yaw(first[:3, 3] + part * way_m, 0.4 + part * 0.8)
        np.testing.assert_allclose(pose, expected, atol=1e-12)
    assert np.array_equal(found[0], first)
