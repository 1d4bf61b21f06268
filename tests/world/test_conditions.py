"""Conditions of lenses and image sensors: bounded, repeatable, each with the effect of its name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from leapai_world.sensors.conditions import Conditions, degraded, draw_conditions

CLEAN = Conditions()
STREAM = (7, 30, 2)
"""Seed, purpose and frame."""


@pytest.fixture(scope="module")
def image():
    """A bright square on a grey ground with a little texture."""
    rng = np.random.default_rng(1)
    made = rng.integers(80, 110, (96, 180, 3)).astype(np.uint8)
    made[20:50, 60:100] = 230
    return made


def taken(image: np.ndarray, frame: int = 2, camera: int = 0, **fields: object) -> np.ndarray:
    """The image under these conditions."""
    return degraded(image, replace(CLEAN, **fields), camera, 7, 30, frame)


def test_clean_conditions_leave_an_image_as_it_is(image):
    assert np.abs(taken(image).astype(int) - image).max() <= 1


@pytest.mark.parametrize(
    "fields",
    [
        {"blur_px": 1.5},
        {"noise": 8.0},
        {"gain": (1.6, 1.5, 1.4)},
        {"gamma": 1.8},
        {"dirt": 0.1},
        {"glare": 0.4},
        {"rain": 2.0},
        {"jpeg_quality": 40},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_every_condition_changes_the_image_the_same_way_again(image, fields):
    once, again = taken(image, **fields), taken(image, **fields)
    assert once.shape == image.shape
    assert once.dtype == np.uint8
    assert np.array_equal(once, again)
    assert np.abs(once.astype(int) - image).max() > 5
    assert np.abs(once.astype(int) - image).mean() < 100


def test_blur_grows_with_the_size_of_the_image(image):
    """Its width is that of an image 128 px high, so all sizes are equally blurred."""

    def contrast(picture: np.ndarray) -> float:
        grey = picture.mean(-1)
        return float(np.abs(np.diff(grey, axis=1))[25:45].max())

    large = image.repeat(2, 0).repeat(2, 1)
    weak, strong = (contrast(taken(each, blur_px=2.0)) for each in (image, large))
    assert strong == pytest.approx(weak / 2, rel=0.25)


def test_exposure_and_white_balance_scale_the_channels(image):
    warm = taken(image, gain=(1.2, 1.0, 0.8))
    ratio = warm[60:].reshape(-1, 3).mean(0) / image[60:].reshape(-1, 3).mean(0)
    assert ratio == pytest.approx([1.2, 1.0, 0.8], abs=0.02)
    assert (taken(image, gain=(9.0, 9.0, 9.0)) == 255).all()
    assert taken(image, gamma=2.0)[60:].mean() < image[60:].mean()


def test_noise_and_rain_change_from_frame_to_frame_and_dirt_stays(image):
    for fields in ({"noise": 8.0}, {"rain": 2.0}):
        assert not np.array_equal(taken(image, 2, **fields), taken(image, 3, **fields))
    assert np.array_equal(taken(image, 2, dirt=0.1), taken(image, 3, dirt=0.1))
    assert not np.array_equal(taken(image, camera=0, dirt=0.1), taken(image, camera=1, dirt=0.1))


def test_noise_has_the_asked_spread(image):
    grey = np.full_like(image, 128)
    assert taken(grey, noise=6.0).std() == pytest.approx(6.0, rel=0.05)


@pytest.mark.parametrize("share", [0.05, 0.15])
def test_dirt_covers_the_asked_share(share):
    white = np.full((96, 180, 3), 250, np.uint8)
    covered = (taken(white, dirt=share) < 245).any(-1).mean()
    assert covered == pytest.approx(share, rel=0.25)


def test_glare_is_brightest_around_the_brightest_place(image):
    gained = taken(image, glare=0.3).astype(int).mean(-1) - image.mean(-1)
    far = gained[80:, 160:].mean()
    beside = gained[35:45, 105:115].mean()
    assert beside > far + 20
    assert (gained > -1.5).all()


def test_conditions_are_drawn_within_bounds_and_most_are_mild():
    drawn = [draw_conditions(np.random.default_rng(seed)) for seed in range(400)]
    assert drawn[3] == draw_conditions(np.random.default_rng(3))
    for each in drawn:
        assert 40 <= each.jpeg_quality <= 100
        assert 0 <= each.dirt <= 0.15
        assert 0 <= each.glare <= 0.5
        assert 0 <= each.rain <= 2.0
        assert 0.25 < min(each.gain) <= max(each.gain) < 4
        assert 0.4 < each.gamma < 2.5
    shares = {
        name: np.mean([getattr(c, name) > 0 for c in drawn]) for name in ("dirt", "glare", "rain")
    }
    assert all(0.06 < share < 0.22 for share in shares.values()), shares
    assert np.median([each.blur_px for each in drawn]) < 0.5
    assert np.median([each.noise for each in drawn]) < 4
