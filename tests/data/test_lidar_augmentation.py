"""Each part of the augmentation of points by itself, drawn once a clip."""

from dataclasses import fields, replace

import numpy as np
import pytest

from leapai.config.training import AugmentationConfig, LidarAugmentationConfig
from leapai.data.augmentation import apply, draw_augmentation
from leapai.data.lidar_augmentation import (
    LidarAugmentation,
    augmented_points,
    draw_lidar_augmentation,
)
from leapai.types import Labels
from tests.scenes import RIG, make_frame

POINTS = make_frame(0).points


def draw(seed: int = 0, **changes: float) -> LidarAugmentation:
    return draw_lidar_augmentation(LidarAugmentationConfig(**changes), np.random.default_rng(seed))


def changed(seed: int = 0, time_us: int = 7, **changes: float) -> np.ndarray:
    return augmented_points(POINTS, draw(seed, **changes), time_us)


def test_the_defaults_change_nothing():
    for seed in range(5):
        np.testing.assert_array_equal(changed(seed), POINTS)
    bright = POINTS.copy()
    bright[:, 3] = 4.0  # as retroreflectors may report
    np.testing.assert_array_equal(augmented_points(bright, draw(), 7), bright)


def test_gain_and_gamma_bend_intensity_and_touch_nothing_else():
    augmentation = draw(log_gain=0.5, log_gamma=0.5)
    points = augmented_points(POINTS, augmentation, 7)
    np.testing.assert_array_equal(points[:, [0, 1, 2, 4]], POINTS[:, [0, 1, 2, 4]])
    expected = [min(augmentation.gain * float(i) ** augmentation.gamma, 1.0) for i in POINTS[:, 3]]
    np.testing.assert_allclose(points[:, 3], expected, rtol=1e-5, atol=1e-6)
    gains, gammas = zip(
        *((d.gain, d.gamma) for d in (draw(i, log_gain=0.4, log_gamma=0.2) for i in range(300))),
        strict=True,
    )
    assert np.std(np.log(gains)) == pytest.approx(0.4, rel=0.15)
    assert np.std(np.log(gammas)) == pytest.approx(0.2, rel=0.15)


def test_a_blind_sensor_reports_no_intensity():
    blind = [not changed(i, blind_probability=0.3)[:, 3].any() for i in range(200)]
    assert np.mean(blind) == pytest.approx(0.3, abs=0.1)


def test_thinning_takes_every_second_band_of_elevation():
    augmentation = draw(thinning_probability=1.0)
    assert np.radians(0.3) <= augmentation.thinned_rad <= np.radians(2.0)
    kept = {tuple(p) for p in augmented_points(POINTS, augmentation, 7)}
    for point in POINTS:
        elevation = np.arctan2(point[2] - np.float32(1.8), np.hypot(point[0], point[1]))
        band = elevation / augmentation.thinned_rad
        if abs(band - round(float(band))) > 1e-3:
            assert (tuple(point) in kept) == (np.floor(band) % 2 == 0)
    assert 0.3 * len(POINTS) < len(kept) < 0.7 * len(POINTS)


def test_sparse_clouds_keep_their_share_and_drop_others_in_every_frame():
    augmentation = draw(sparse_probability=1.0)
    assert 0.3 <= augmentation.kept <= 1
    now, then = (augmented_points(POINTS, augmentation, time_us) for time_us in (7, 8))
    for points in (now, then):
        assert len(points) / len(POINTS) == pytest.approx(augmentation.kept, abs=0.08)
    assert {tuple(p) for p in now} != {tuple(p) for p in then}


def test_a_tilt_turns_points_about_the_ego_by_a_small_angle():
    """It is an error of the sensor: boxes stay where they are."""
    angles = []
    for seed in range(200):
        points = changed(seed, tilt_deg=0.5)
        away = np.linalg.norm(POINTS[:, :3], axis=1)
        moved = np.linalg.norm(points[:, :3] - POINTS[:, :3], axis=1)
        np.testing.assert_allclose(np.linalg.norm(points[:, :3], axis=1), away, rtol=1e-3)
        angles.append(np.degrees(moved.max() / away.max()))
    assert 0.2 < np.mean(angles) < 1.0
    box = np.array([[10.0, 1.0, 0.5, 4.0, 2.0, 1.5, 0.1]])
    frame = replace(make_frame(0), labels=Labels.unlabelled(box, np.array([0])))
    config = AugmentationConfig(
        rotation_deg=0, mirror_probability=0, lidar_dropout=0, cameras_dropout=0,
        lidar={"tilt_deg": 2.0},
    )  # fmt: skip
    names = [name for name, *_ in RIG]
    tilted = apply(frame, draw_augmentation(config, np.random.default_rng(1), names))
    np.testing.assert_allclose(tilted.labels.boxes, box, atol=1e-12)
    assert np.abs(tilted.points - frame.points).max() > 0.1


def test_a_clip_has_one_draw_and_a_frame_always_the_same_points():
    every = dict.fromkeys(f.name for f in fields(LidarAugmentation))
    options = {
        "log_gain": 0.3, "log_gamma": 0.3, "blind_probability": 0.5,
        "thinning_probability": 0.5, "sparse_probability": 0.5, "tilt_deg": 0.5,
    }  # fmt: skip
    one, same, other = (draw(seed, **options) for seed in (4, 4, 5))
    assert every.keys() == vars(one).keys()
    for name in every:
        np.testing.assert_array_equal(getattr(one, name), getattr(same, name))
    assert one.seed != other.seed
    first, again = (augmented_points(POINTS, one, 7) for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_an_empty_cloud_and_the_given_points_stay():
    kept = POINTS.copy()
    augmentation = replace(draw(log_gain=0.5, tilt_deg=1, sparse_probability=1.0), blind=True)
    augmented_points(POINTS, augmentation, 1)
    np.testing.assert_array_equal(POINTS, kept)
    assert augmented_points(POINTS[:0], augmentation, 1).shape == (0, 5)
