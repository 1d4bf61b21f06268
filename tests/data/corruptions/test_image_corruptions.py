"""Corruptions of images against their definitions, with slow twins where they compute."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

from leapai.data.corruptions import image_corruptions
from leapai.data.corruptions.image_corruptions import motion_kernel, plasma_fractal

SIZE_PX = (24, 160)
ALL = ("motion_blur", "brightness", "dark", "fog", "snow")


def picture(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*SIZE_PX, 3), np.uint8)


def corrupted(name, image, severity, seed=1):
    return getattr(image_corruptions, name)(image, severity, np.random.default_rng(seed))


@pytest.mark.parametrize("name", ALL)
def test_an_image_stays_an_image_and_the_original_is_untouched(name):
    image = picture()
    before = image.copy()
    for severity in (1, 2, 3):
        found = corrupted(name, image, severity)
        assert (found.shape, found.dtype) == (image.shape, np.uint8)
        assert (found != image).any()
    assert (image == before).all()


@pytest.mark.parametrize(("severity", "added"), [(1, 0.5), (2, 0.6), (3, 0.7)])
def test_brightness_adds_to_value_and_keeps_hue_and_saturation(severity, added):
    image = picture()
    found = corrupted("brightness", image, severity)
    for given, bright in zip(image.reshape(-1, 3)[::37], found.reshape(-1, 3)[::37], strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*(given / 255.0))
        expected = colorsys.hsv_to_rgb(hue, saturation, min(value + added, 1.0))
        np.testing.assert_allclose(bright, 255 * np.array(expected), atol=1.01)


@pytest.mark.parametrize(
    ("severity", "most", "photons", "sigma"),
    [(1, 0.6, 250, 0.008), (2, 0.4, 120, 0.018), (3, 0.3, 50, 0.026)],
)
def test_dark_squares_the_light_and_adds_noise_of_photons_and_of_reading(
    severity, most, photons, sigma
):
    grey = 180
    found = corrupted("dark", np.full((120, 120, 3), grey, np.uint8), severity) / 255
    light = most * (grey / 255) ** 2
    assert found.mean() == pytest.approx(light, abs=0.003)
    assert found.std() == pytest.approx(np.sqrt(light / photons + sigma**2), rel=0.05)


@pytest.mark.parametrize("angle_deg", [-45.0, 0.0, 30.0, -90.0])
def test_a_motion_kernel_sums_to_one_and_lies_along_its_angle(angle_deg):
    kernel = motion_kernel(1600, 15, 10.0, angle_deg)
    assert kernel.shape == (61, 61)
    assert kernel.sum() == pytest.approx(1.0, abs=1e-6)
    rows, columns = np.nonzero(kernel)
    along = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    across = (columns - 30) * along[1] - (rows - 30) * along[0]
    assert np.abs(across).max() < 1.0
    distance = (columns - 30) * along[0] + (rows - 30) * along[1]
    assert distance.min() > -1.0
    assert distance.max() == pytest.approx(30, abs=1.0)
    assert kernel[30, 30] > 0


def test_the_kernel_falls_as_half_a_gaussian_and_shrinks_with_the_image():
    level = motion_kernel(1600, 15, 10.0, 0.0)[30, 30:]
    np.testing.assert_allclose(level / level[0], np.exp(-0.5 * (np.arange(31) / 10) ** 2), 1e-5)
    assert motion_kernel(160, 15, 10.0, 0.0).shape == (7, 7)


def test_motion_blur_is_a_sum_of_shifted_images():
    image = picture()
    found = corrupted("motion_blur", image, 2, seed=5)
    angle_deg = np.random.default_rng(5).uniform(-45, 45)
    kernel = motion_kernel(image.shape[1], 15, 10.0, angle_deg)
    half = len(kernel) // 2
    padded = np.pad(image.astype(float), ((half, half), (half, half), (0, 0)), "symmetric")
    expected = np.zeros(image.shape)
    for row, column in zip(*np.nonzero(kernel), strict=True):
        part = padded[row : row + image.shape[0], column : column + image.shape[1]]
        expected += kernel[row, column] * part
    np.testing.assert_allclose(found, expected, atol=0.51)


@pytest.mark.parametrize("roughness", [2, 4])
def test_a_plasma_fractal_covers_the_range_and_is_smoother_the_higher_its_fall(roughness):
    field = plasma_fractal(50, roughness, np.random.default_rng(0))
    assert field.shape == (64, 64)
    assert (field.min(), field.max()) == (0.0, 1.0)
    rough = np.abs(np.diff(plasma_fractal(50, 1.2, np.random.default_rng(0)), axis=0)).mean()
    assert np.abs(np.diff(field, axis=0)).mean() < rough


def test_fog_takes_contrast_away_and_most_of_it_in_the_middle():
    left = np.zeros((90, 160, 3), np.uint8)
    left[:, ::2] = 255
    contrast = []
    for severity in (1, 2, 3):
        found = corrupted("fog", left, severity).astype(float)
        step = np.abs(np.diff(found, axis=1)).mean(axis=(0, 2))
        contrast.append(step.mean())
        assert step[70:90].mean() < step[:10].mean()
    assert contrast == sorted(contrast, reverse=True)
    assert contrast[0] < 200


def test_snow_whitens_more_at_each_severity():
    dim = np.full((90, 160, 3), 60, np.uint8)
    white = [(corrupted("snow", dim, severity) > 150).mean() for severity in (1, 2, 3)]
    assert 0 < white[0] < white[1] < white[2]
