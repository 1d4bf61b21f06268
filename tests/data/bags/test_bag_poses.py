"""Transforms of a bag over time."""

from __future__ import annotations

import numpy as np
import pytest

from leapai.data.bags.bag_poses import NoPoseError, PoseTrack, TransformTree
from leapai.geometry import poses


def track(times_us, x_m, **options):
    moved = np.stack([poses.from_xyz_yaw(np.array([x, 0.0, 0.0]), 0.1 * x) for x in x_m])
    limits = {"max_gap_s": 0.2, "max_extrapolation_s": 0.05} | options
    return PoseTrack(np.array(times_us, np.int64), moved, **limits)


def test_poses_are_interpolated_along_position_and_rotation():
    found = track([0, 100_000], [0.0, 2.0]).at(np.array([0, 50_000, 100_000, 120_000]))
    expected = [0.0, 1.0, 2.0, 2.4]
    np.testing.assert_allclose(found[:, 0, 3], expected, atol=1e-12)
    np.testing.assert_allclose(poses.yaw_of(found), np.multiply(expected, 0.1), atol=1e-12)


@pytest.mark.parametrize("time_us", [-50_001, 150_001, 10**9])
def test_nothing_is_extrapolated_beyond_the_bound(time_us):
    with pytest.raises(NoPoseError, match=f"no pose at {time_us} us"):
        track([0, 100_000], [0.0, 2.0]).at(np.array([time_us]))


def test_a_gap_is_left_open_but_for_its_ends():
    gap = track([0, 300_000], [0.0, 2.0])
    assert gap.covers(np.array([0, 1, 299_999, 300_000])).tolist() == [True, False, False, True]


def test_a_single_pose_holds_at_its_time_and_fixed_at_all():
    assert track([5], [1.0]).at(np.array([5]))[0, 0, 3] == 1.0
    assert track([5], [1.0], max_extrapolation_s=0).covers(np.array([4, 5, 6])).tolist() == [
        *(False, True, False)
    ]
    assert track([5], [1.0], fixed=True).at(np.array([10**15]))[0, 0, 3] == 1.0


def test_a_tree_joins_frames_over_their_common_ancestor():
    up = {name: poses.from_xyz_yaw(np.array(xyz), yaw) for name, xyz, yaw in (
        ("base", [5.0, 1.0, 0.0], 0.3), ("camera", [1.0, 0.0, 2.0], -0.7),
        ("lidar", [0.0, 0.5, 2.0], 1.1))}  # fmt: skip
    fixed = {n: PoseTrack(np.array([0]), p[None], 0.2, 0.05, fixed=True) for n, p in up.items()}
    tree = TransformTree({
        "base": ("odom", fixed["base"]), "camera": ("base", fixed["camera"]),
        "lidar": ("base", fixed["lidar"])})  # fmt: skip
    time = np.array([0])
    expected = np.linalg.inv(up["camera"]) @ up["lidar"]
    np.testing.assert_allclose(tree.pose("camera", "lidar", time)[0], expected, atol=1e-12)
    expected = up["base"] @ up["camera"]
    np.testing.assert_allclose(tree.pose("odom", "camera", time)[0], expected, atol=1e-12)
    assert np.array_equal(tree.pose("base", "base", time)[0], np.eye(4))
    with pytest.raises(NoPoseError, match="'map' and 'lidar'; frames of the bag: base, camera"):
        tree.pose("map", "lidar", time)


def test_transforms_in_a_circle_are_an_error():
    still = PoseTrack(np.array([0]), np.eye(4)[None], 0.2, 0.05, fixed=True)
    with pytest.raises(NoPoseError, match="from frame 'a' to itself"):
        TransformTree({"a": ("b", still), "b": ("a", still)}).pose("a", "c", np.array([0]))
