"""Corruptions of sweeps against their definitions: shares, beams kept, rotations, fog, snow."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from leapai.data.corruptions import lidar_corruptions, lidar_weather
from leapai.data.corruptions.lidar_corruptions import SENSOR_M, rings
from leapai.data.corruptions.lidar_weather import fog_response

MODULES = {
    "points_reducing": lidar_corruptions,
    "beams_reducing": lidar_corruptions,
    "motion_blur": lidar_corruptions,
    "spatial_misalignment": lidar_corruptions,
    "fog": lidar_weather,
    "snow": lidar_weather,
}


def sweep(beams=32, steps=90, seed=0):
    """A sweep of a level sensor at `SENSOR_M`; returns its points [P, 5] and their beams [P]."""
    rng = np.random.default_rng(seed)
    beam = np.repeat(np.arange(beams), steps)
    elevation = np.radians(-30 + beam * 40 / (beams - 1))
    azimuth = np.tile(np.linspace(0, 2 * np.pi, steps, endpoint=False), beams)
    distance = rng.uniform(3, 60, len(beam))
    rays = np.stack(
        [
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
        ],
        1,
    )
    xyz = SENSOR_M + distance[:, None] * rays
    extra = np.stack([rng.uniform(0, 1, len(beam)), rng.uniform(-0.1, 0, len(beam))], 1)
    return np.hstack([xyz, extra]).astype(np.float32), beam


def corrupted(name, points, severity, seed=1):
    return getattr(MODULES[name], name)(points, severity, np.random.default_rng(seed))


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("severity", [1, 2, 3])
def test_points_stay_points_and_an_empty_sweep_stays_empty(name, severity):
    points, _ = sweep()
    before = points.copy()
    found = corrupted(name, points, severity)
    assert found.dtype == np.float32
    assert found.shape[1] == 5
    assert np.isfinite(found).all()
    assert ((found[:, 3] >= 0) & (found[:, 3] <= 1)).all()
    assert (points == before).all()
    empty = corrupted(name, points[:0], severity)
    assert empty.shape == (0, 5)


@pytest.mark.parametrize(("severity", "kept"), [(1, 0.3), (2, 0.2), (3, 0.1)])
def test_a_share_of_points_is_dropped(severity, kept):
    points, _ = sweep(steps=300)
    found = corrupted("points_reducing", points, severity)
    assert len(found) / len(points) == pytest.approx(kept, abs=0.015)
    assert {tuple(row) for row in found} <= {tuple(row) for row in points}


@pytest.mark.parametrize(
    ("severity", "kept"),
    [(1, [*range(1, 32, 2)]), (2, [1, 5, 9, 13, 17, 21, 25, 29]), (3, [1, 9, 17, 25])],
)
def test_the_beams_of_the_benchmark_are_kept(severity, kept):
    points, beam = sweep()
    assert (rings(points) == beam).all()
    found = corrupted("beams_reducing", points, severity)
    assert (found == points[np.isin(beam, kept)]).all()


def test_other_numbers_of_beams_keep_their_share():
    points, _ = sweep(beams=64)
    shares = [len(corrupted("beams_reducing", points, s)) / len(points) for s in (1, 2, 3)]
    assert shares == pytest.approx([1 / 2, 1 / 4, 1 / 8], abs=0.04)


@pytest.mark.parametrize(("severity", "sigma_m"), [(1, 0.06), (2, 0.10), (3, 0.13)])
def test_motion_blur_shifts_the_sweep_and_jitters_each_point(severity, sigma_m):
    points, _ = sweep()
    moves = [
        corrupted("motion_blur", points, severity, seed)[:, :3] - points[:, :3]
        for seed in range(120)
    ]
    shifts = np.array([move.mean(0) for move in moves])
    assert shifts.std() == pytest.approx(sigma_m, rel=0.15)
    jitter = moves[0] - moves[0].mean(0)
    np.testing.assert_allclose(jitter.std(0), sigma_m * np.array([0.15, 0.20, 0.12]), rtol=0.1)
    assert (np.abs(jitter) < 3.2 * sigma_m * np.array([0.15, 0.20, 0.12])).all()


def axis_turn(axis, degrees):
    """The rotation matrix about an axis, written out."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turns = {
        "x": [[1, 0, 0], [0, c, -s], [0, s, c]],
        "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
        "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
    }
    return np.array(turns[axis])


@pytest.mark.parametrize(("severity", "share"), [(1, 0.2), (2, 0.4), (3, 0.6)])
def test_misalignment_turns_about_all_axes_and_shifts_two_metres(severity, share):
    points, _ = sweep(steps=3)
    turn = axis_turn("x", severity) @ axis_turn("y", severity) @ axis_turn("z", severity)
    expected = points[:, :3] @ turn.T + [2.0, 0.0, 0.0]
    moved = 0
    for seed in range(400):
        found = corrupted("spatial_misalignment", points, severity, seed)
        if (found != points).any():
            moved += 1
            np.testing.assert_allclose(found[:, :3], expected, atol=1e-4)
    assert moved / 400 == pytest.approx(share, abs=0.075)


def test_the_response_of_fog_is_the_integral_of_the_pulse():
    alpha, light, half_pulse_s = 0.06, 2.99792458e8, 20e-9

    def integrand(time_s, place_m):
        lit = place_m - light * time_s / 2
        if lit <= 0.9:
            return 0.0
        seen = min((lit - 0.9) / 0.1, 1.0)
        pulse = np.sin(np.pi * time_s / (2 * half_pulse_s)) ** 2
        return pulse * np.exp(-2 * alpha * lit) / lit**2 * seen

    place, response = fog_response(alpha)
    for k in (20, 40, 80, 300):
        slow, _ = quad(integrand, 0, 2 * half_pulse_s, args=(place[k],), limit=400, epsabs=0)
        assert response[k] == pytest.approx(slow, rel=0.02)
    peak = int(response.argmax())
    jitter = 0.003 * response[peak]  # of the grid of the integral
    assert (np.diff(response[: peak + 1]) >= -jitter).all()
    assert (np.diff(response[peak:]) <= jitter).all()


@pytest.mark.parametrize("severity", [1, 2, 3])
def test_in_fog_a_point_is_the_object_weakened_or_fog_in_front_of_it(severity):
    alpha, beta = ((0.02, 0.008), (0.03, 0.008), (0.06, 0.05))[severity - 1]
    points, _ = sweep()
    found = corrupted("fog", points, severity)
    assert len(found) == len(points)
    place, response = fog_response(alpha)
    for before, after in list(zip(points, found, strict=True))[::29]:
        distance = np.linalg.norm(before[:3] - SENSOR_M)
        solid = before[3] * np.exp(-2 * alpha * distance)
        in_front = response[place <= distance]
        soft = before[3] * distance**2 * beta / (1e-6 / np.pi) * in_front.max()
        assert after[3] == pytest.approx(min(max(soft, solid), 1.0), rel=1e-3)
        if soft <= solid:
            np.testing.assert_allclose(after[:3], before[:3])
            continue
        seen = np.linalg.norm(after[:3] - SENSOR_M)
        peak = place[in_front.argmax()]
        assert min(0.5 * peak, distance) - 1e-3 <= seen <= min(2 * peak, distance) + 1e-3
        ray = (before[:3] - SENSOR_M) / distance
        np.testing.assert_allclose((after[:3] - SENSOR_M) / seen, ray, atol=1e-3)


def test_the_densest_fog_hides_what_is_far():
    points, _ = sweep()
    for severity, hidden in ((1, False), (3, True)):
        found = corrupted("fog", points, severity)
        far = np.linalg.norm(points[:, :3] - SENSOR_M, axis=1) > 30
        near_now = np.linalg.norm(found[far, :3] - SENSOR_M, axis=1) < 15
        assert near_now.all() == hidden


@pytest.mark.parametrize("severity", [1, 2, 3])
def test_in_snow_a_point_is_the_object_weakened_or_a_flake_that_outshines_it(severity):
    rate_mm_h, speed_mps = ((0.5, 1.2), (2.5, 1.6), (1.5, 0.4))[severity - 1]
    flakes_per_m3 = rate_mm_h / 3.6e6 / speed_mps / (4 / 3 * np.pi * 0.00075**3)
    points, _ = sweep()
    found = corrupted("snow", points, severity)
    assert len(found) == len(points)
    for before, after in list(zip(points, found, strict=True))[::7]:
        distance, seen = (np.linalg.norm(p[:3] - SENSOR_M) for p in (before, after))
        if seen < distance - 1e-3:
            returned = 0.9 * min((0.00075 / (seen * 0.0015)) ** 2, 1.0)
            assert after[3] == pytest.approx(returned, rel=1e-2)
            assert returned / seen**2 > before[3] / distance**2 * 0.99
            ray = (before[:3] - SENSOR_M) / distance
            np.testing.assert_allclose((after[:3] - SENSOR_M) / seen, ray, atol=1e-3)
        else:
            area = flakes_per_m3 * np.pi * 0.00075**2
            assert after[3] == pytest.approx(before[3] * np.exp(-4 * area * distance), rel=1e-3)
            np.testing.assert_allclose(after[:3], before[:3])


def test_flakes_are_as_frequent_as_the_snow_in_the_air_makes_them():
    points, _ = sweep(steps=600)
    points[:, 3] = 1e-9  # every flake outshines what is behind it
    for severity, snow_share in ((1, 0.5 / 1.2 / 3.6e6), (2, 2.5 / 1.6 / 3.6e6)):
        found = corrupted("snow", points, severity)
        distance, seen = (np.linalg.norm(p[:, :3] - SENSOR_M, axis=1) for p in (points, found))
        cone_m3 = np.pi * 0.0015**2 * distance**3 / 3
        flakes_per_m3 = snow_share / (4 / 3 * np.pi * 0.00075**3)
        expected = 1 - np.exp(-cone_m3 * flakes_per_m3)
        assert (seen < distance - 1e-3).mean() == pytest.approx(expected.mean(), abs=0.01)
