"""Cameras against OpenCV, and the lens model's fold."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from leapai.geometry import cameras

SIZE_PX = (60, 96)
INTRINSICS = np.array([[70.0, 0.0, 47.0], [0.0, 72.0, 29.5], [0.0, 0.0, 1.0]])
LENSES = {
    "none": np.zeros(5),
    "barrel": np.array([-0.3, 0.09, 0.0, 0.0, -0.01]),
    "all terms": np.array([-0.25, 0.06, 0.002, -0.001, 0.01]),
    "pincushion": np.array([0.1, 0.02, -0.001, 0.002, 0.0]),
}
BARREL = np.array([-0.3, 0.0, 0.0, 0.0, 0.0])
"""Stops growing at r^2 = 1 / 0.9."""


def points_ahead(count: int = 300) -> np.ndarray:
    rng = np.random.default_rng(0)
    depth = rng.uniform(1, 60, count)
    return np.stack(
        [rng.uniform(-0.6, 0.6, count) * depth, rng.uniform(-0.4, 0.4, count) * depth, depth], -1
    )


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES.keys())
def test_projection_equals_opencv(lens):
    points = points_ahead()
    pixels, depth = cameras.project(points, INTRINSICS, lens)
    expected, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), INTRINSICS, lens)
    np.testing.assert_allclose(pixels, expected[:, 0], atol=1e-9)
    np.testing.assert_array_equal(depth, points[:, 2])


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES.keys())
def test_undistorting_inverts_distorting_and_equals_opencv(lens):
    xy = np.random.default_rng(1).uniform(-0.5, 0.5, (200, 2))
    seen = cameras.distort(xy, lens)
    np.testing.assert_allclose(cameras.undistort(seen, lens), xy, atol=1e-9)
    near_axis = 0.3 * seen  # where the five iterations of OpenCV are enough
    expected = cv2.undistortPoints(near_axis[:, None], np.eye(3), lens)
    np.testing.assert_allclose(cameras.undistort(near_axis, lens), expected[:, 0], atol=1e-6)


def test_points_behind_or_at_the_camera_are_not_visible():
    points = np.array([[0.0, 0.0, 5.0], [0.0, 0.0, -5.0], [0.1, 0.0, 0.0], [0.0, 0.0, 0.05]])
    pixels, depth = cameras.project(points, INTRINSICS, LENSES["all terms"])
    np.testing.assert_array_equal(np.isnan(pixels).any(-1), [False, True, True, True])
    np.testing.assert_array_equal(depth, points[:, 2])


def test_the_fold_is_where_the_lens_stops_growing():
    limit = cameras.fold_radius2(BARREL)
    assert limit == pytest.approx(1 / 0.9)
    radius = np.sqrt(limit) * np.array([0.98, 1.0, 1.02])
    seen = cameras.distort(np.stack([radius, np.zeros(3)], -1), BARREL)[:, 0]
    assert seen[1] > seen[0]
    assert seen[1] > seen[2]


def test_lenses_without_a_fold_see_everything_ahead():
    np.testing.assert_array_equal(
        cameras.fold_radius2(np.stack([LENSES["none"], LENSES["pincushion"]])), [1e6, 1e6]
    )


def test_a_point_beyond_the_fold_does_not_land_in_the_picture():
    far_aside = np.array([[1.7, 0.0, 1.0]])
    folded_back = cameras.distort(far_aside[:, :2], BARREL) @ INTRINSICS[:2, :2] + INTRINSICS[:2, 2]
    assert 0 < folded_back[0, 0] < SIZE_PX[1]  # the bare polynomial would show it
    pixels, _ = cameras.project(far_aside, INTRINSICS, BARREL)
    assert np.isnan(pixels).all()


def test_projection_of_many_cameras_equals_that_of_each():
    lenses = np.stack([*LENSES.values(), BARREL])
    rng = np.random.default_rng(2)
    points = rng.uniform(-10, 10, (len(lenses), 400, 3))
    intrinsics = INTRINSICS + np.diag([1.0, 1.0, 0.0]) * rng.uniform(0, 9, (len(lenses), 1, 1))
    pixels, seen = cameras.project_all(points, intrinsics, lenses, cameras.fold_radius2(lenses))
    assert np.isfinite(pixels).all()
    assert 0 < seen.mean() < 1
    for i, lens in enumerate(lenses):
        expected, _ = cameras.project(points[i], intrinsics[i], lens)
        visible = ~np.isnan(expected).any(-1)
        np.testing.assert_array_equal(seen[i], visible)
        np.testing.assert_allclose(pixels[i][visible], expected[visible], atol=1e-8)


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES.keys())
def test_rays_project_back_to_their_pixels(lens):
    rays = cameras.pixel_rays(INTRINSICS, lens, SIZE_PX)
    assert rays.shape == (*SIZE_PX, 3)
    np.testing.assert_allclose(np.linalg.norm(rays, axis=-1), 1.0)
    pixels, _ = cameras.project(rays.reshape(-1, 3) * 20, INTRINSICS, lens)
    v, u = np.indices(SIZE_PX)
    np.testing.assert_allclose(pixels, np.stack([u.ravel(), v.ravel()], -1), atol=1e-5)


def test_resized_and_cropped_intrinsics_follow_the_pixels_of_cv2_resize():
    image = np.zeros((64, 96), np.float32)
    image[20:24, 40:44] = 1.0  # a blob whose middle is at pixel (41.5, 21.5)
    resized = cv2.resize(image, (48, 32), interpolation=cv2.INTER_AREA)[3:, 5:]
    rows, columns = np.nonzero(resized)
    moved = cameras.resize_and_crop(np.eye(3), (0.5, 0.5), (5.0, 3.0)) @ [41.5, 21.5, 1.0]
    np.testing.assert_allclose(moved, [columns.mean(), rows.mean(), 1.0])


def test_resizing_keeps_the_corners_of_the_picture():
    image_from_image = cameras.resize_and_crop(np.eye(3), (960 / 1600, 512 / 900), (0.0, 0.0))
    corner = image_from_image @ [1599.5, 899.5, 1.0]
    np.testing.assert_allclose(corner, [959.5, 511.5, 1.0])
    np.testing.assert_allclose(image_from_image @ [-0.5, -0.5, 1.0], [-0.5, -0.5, 1.0])


def slow_fold(k1: float, k2: float, k3: float) -> float:
    """The first positive root, lens by lens."""
    roots = np.roots([7 * k3, 5 * k2, 3 * k1, 1.0])
    growing = roots.real[(np.abs(roots.imag) < 1e-9) & (roots.real > 0)]
    return float(growing.min(initial=1e6))


def test_folds_of_many_lenses_equal_those_of_each():
    lenses = np.random.default_rng(2).normal(0, 0.3, (40, 5))
    lenses[::4, 4] = 0
    lenses[::8, 1] = 0
    expected = [slow_fold(k1, k2, k3) for k1, k2, _, _, k3 in lenses]
    assert 5 < np.sum(np.array(expected) == 1e6) < 35
    got = cameras.fold_radius2(lenses.reshape(5, 8, 5))
    np.testing.assert_allclose(got.ravel(), expected, rtol=1e-9)
