"""What cameras report, measured on images whose answers are known."""

from __future__ import annotations

import colorsys
from itertools import pairwise

import cv2
import numpy as np
import pytest

from leapai.geometry import poses
from leapai.inspection.camera_statistics import camera_values, image_values
from leapai.types import CameraFrame, Frame


def noise(height=24, width=40) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def camera(image, focal_px, centre_px=50.0, height_m=1.5) -> CameraFrame:
    """A camera with images 100 pixels wide."""
    intrinsics = np.array([[focal_px, 0, centre_px], [0, focal_px, 30], [0, 0, 1.0]])
    pose = poses.from_xyz_yaw(np.array([1.0, 0.0, height_m]), np.array(0.0))
    return CameraFrame("front", "front_wide", image, (60, 100), intrinsics, np.zeros(5), pose, 0)


def test_values_of_an_image_agree_with_a_slow_twin():
    image = noise()
    grey, saturation, edges = [], [], []
    for row in image.tolist():
        of_row = [(0.299 * r + 0.587 * g + 0.114 * b) / 255 for r, g, b in row]
        edges += [abs(right - left) for left, right in pairwise(of_row)]
        grey += of_row
        saturation += [colorsys.rgb_to_hsv(r / 255, g / 255, b / 255)[1] for r, g, b in row]
    contrast = np.sqrt(np.mean([(g - np.mean(grey)) ** 2 for g in grey]))
    expected = np.mean(grey), contrast, np.mean(saturation), np.mean(edges) / contrast
    assert image_values(image) == pytest.approx(expected, abs=0.005)


def test_a_darker_image_has_less_contrast_and_is_as_sharp():
    image = noise()
    bright, dark = image_values(image), image_values(image // 2)
    assert np.array(dark[:2]) == pytest.approx(np.array(bright[:2]) / 2, abs=0.005)
    assert dark[3] == pytest.approx(bright[3], rel=0.02)


def test_a_blurred_image_is_less_sharp():
    image = noise()
    assert image_values(cv2.GaussianBlur(image, (9, 9), 2.0))[3] < 0.6 * image_values(image)[3]


def test_large_images_are_measured_as_the_network_receives_them():
    image = noise(120, 240)
    enlarged = image.repeat(4, axis=0).repeat(4, axis=1)
    assert image_values(enlarged) == pytest.approx(image_values(image), rel=1e-6)


def test_an_even_image_has_no_edges():
    assert image_values(np.full((4, 6, 3), 51, np.uint8)) == pytest.approx((0.2, 0, 0, 0))


def test_mounting_is_known_of_a_camera_that_failed():
    failed = camera(None, focal_px=50.0)
    turned = camera(noise(), focal_px=50.0, centre_px=100.0, height_m=2.0)
    found = camera_values(Frame("made up", 0, np.eye(4), (failed, turned), None))
    assert found.images.tolist() == [1]
    assert found.height_m == pytest.approx([1.5, 2.0])
    assert found.view_deg == pytest.approx([90.0, np.degrees(np.arctan(2))])
    assert len(found.brightness) == len(found.sharpness) == 1


def test_a_rig_without_cameras_has_none():
    found = camera_values(Frame("made up", 0, np.eye(4), (), None))
    assert found.images.tolist() == [0]
    assert [len(column) for column in found[1:]] == [0] * 6
