"""What a LiDAR reports, measured on sweeps whose answers are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from leapai.data.log import open_logs
from leapai.inspection.ground_evidence import fit_ground
from leapai.inspection.lidar_statistics import SOURCES, LidarValues, ground_rings, lidar_values
from leapai.types import CLASS_NAMES, DESIGN, Frame, Labels

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
CAR, PERSON = (CLASS_NAMES.index(name) for name in ("car", "person"))
HEIGHT_M = 1.8


def ground(elevation_deg: np.ndarray, intensity: float = 0.04) -> np.ndarray:
    """Points [P, 5] of a LiDAR 1 m ahead of the ego's origin, a third of a degree apart."""
    radius = HEIGHT_M / np.tan(np.radians(-np.asarray(elevation_deg, np.float64)))
    azimuth = np.arange(-np.pi, np.pi, np.radians(1 / 3))
    x = 1.0 + np.outer(radius, np.cos(azimuth)).ravel()
    y = np.outer(radius, np.sin(azimuth)).ravel()
    points = np.zeros((len(x), 5), np.float32)
    points[:, 0], points[:, 1], points[:, 3] = x, y, intensity
    return points


def on_box(x: float, y: float, intensity: float, count: int = 50) -> np.ndarray:
    """Points [count, 5] in the upper half of a box at (x, y)."""
    rng = np.random.default_rng(0)
    points = np.zeros((count, 5), np.float32)
    points[:, :3] = rng.uniform(-0.3, 0.3, (count, 3)) + np.array([x, y, 1.0])
    points[:, 3] = intensity
    return points


def frame(points: np.ndarray | None) -> Frame:
    """A car ahead, a person behind, and a car too far away to count."""
    boxes = [[12.0, 0, 0.8, 4.5, 1.9, 1.5, 0], [-8, 3, 0.95, 0.7, 0.7, 1.8, 0]]
    boxes.append([35.0, 0, 0.8, 4.5, 1.9, 1.5, 0])
    labels = Labels.unlabelled(np.array(boxes), np.array([CAR, PERSON, CAR]))
    return Frame("made up", 1_000_000_000, np.eye(4), (), points, labels)


EVEN = np.linspace(-30.0, -4.0, 27)


@pytest.fixture(scope="module")
def values() -> LidarValues:
    cloud = [ground(EVEN), on_box(12, 0, 0.02), on_box(-8, 3, 0.2), on_box(35, 0, 0.9)]
    empty = np.zeros((0, 5), np.float32)
    return lidar_values([frame(np.concatenate(cloud)), frame(None), frame(empty)], DESIGN)


def test_intensity_is_that_of_the_ground_and_of_each_class_nearby(values):
    assert np.median(values.ground_intensity) == pytest.approx(0.04)
    assert np.unique(values.intensity[CAR]) == pytest.approx([0.02])
    assert np.unique(values.intensity[PERSON]) == pytest.approx([0.2])
    empty = [i for i in range(len(CLASS_NAMES)) if i not in (CAR, PERSON)]
    assert all(len(values.intensity[i]) == 0 for i in empty)
    assert len(values.points) == 1, "a sweep without points is not one with few"


def test_a_level_ground_has_neither_height_nor_tilt(values):
    assert values.ground_height_m == pytest.approx([0.0], abs=0.01)
    assert values.ground_tilt_deg == pytest.approx([0.0], abs=0.1)


def test_the_ground_shows_a_lidar_that_is_mounted_wrongly():
    cloud = ground(EVEN)
    pitch = np.radians(2.0)
    turned = cloud.copy()
    turned[:, 2] = 0.3 + np.tan(pitch) * cloud[:, 0]
    found = lidar_values([frame(turned)], DESIGN)
    assert found.ground_height_m == pytest.approx([0.3], abs=0.02)
    assert found.ground_tilt_deg == pytest.approx([2.0], abs=0.1)


@pytest.mark.parametrize("step_deg", [0.33, 0.5, 1.0, 2.0])
def test_rings_are_the_beams_that_meet_the_ground_between_6_and_15_m(step_deg):
    elevation_deg = -np.arange(4.0, 30.0, step_deg)
    reached = HEIGHT_M / np.tan(np.radians(-elevation_deg))
    expected = ((reached > 6) & (reached < 15)).sum()
    assert ground_rings(ground(elevation_deg)) == pytest.approx(expected, abs=1)
    thinned = ground_rings(ground(elevation_deg[::2]))
    assert thinned == pytest.approx(expected / 2, abs=1)


def test_without_ground_there_are_no_rings():
    assert np.isnan(ground_rings(np.zeros((0, 5), np.float32)))
    found = lidar_values([frame(on_box(12, 0, 0.5))], DESIGN)
    assert len(found.rings) == len(found.ground_tilt_deg) == len(found.ground_intensity) == 0
    assert len(found.intensity[CAR]) == 50


def test_a_crowded_garage_still_has_its_ground():
    """Two cells of three show walls and cars, as high as they are."""
    rng = np.random.default_rng(1)
    cloud = ground(np.linspace(-30.0, -5.0, 60))
    cell = np.floor(cloud[:, :2] / 1.5).astype(int)
    blocked = (cell * [3, 5]).sum(1) % 3 > 0
    cloud[blocked, 2] = rng.uniform(0.8, 2.5, int(blocked.sum()))
    assert fit_ground(cloud).height_m == pytest.approx(0.0, abs=0.05)


def test_the_background_is_what_stands_without_a_label():
    """A slow twin looks at one return after the other."""
    rng = np.random.default_rng(3)
    scattered = np.zeros((900, 5), np.float32)
    scattered[:, :3] = rng.uniform((-40, -40, -0.3), (40, 40, 3), (900, 3))
    scattered[:, 3] = rng.uniform(0, 1, 900)
    # The first box reaches from beyond the range into it, the last one to the ego.
    boxes = np.array([[31, 5, 1, 6, 2.5, 2, 0], [-8, 3, 1, 9, 9, 2, 0.7], [2, 0, 1, 3, 3, 2, 0]])
    labels = Labels.unlabelled(boxes, np.array([CAR, CAR, PERSON]))
    cloud = np.concatenate([ground(EVEN), scattered, on_box(28.5, 5, 0.5)])
    counts, background = [0] * len(SOURCES), []
    for x, y, z, intensity in cloud[:, :4].tolist():
        if x * x + y * y > 30**2:
            continue
        source = 3 if z >= 0.5 else 2
        for cx, cy, cz, length, width, height, yaw in boxes.tolist():
            ahead = (x - cx) * np.cos(yaw) + (y - cy) * np.sin(yaw)
            left = (y - cy) * np.cos(yaw) - (x - cx) * np.sin(yaw)
            if abs(ahead) <= length / 2 and abs(left) <= width / 2 and abs(z - cz) <= height / 2:
                source = 1
        source = 0 if x * x + y * y < 2.5**2 else source
        counts[source] += 1
        if source == 3:
            background.append(intensity)
    made_up = Frame("made up", 1_000_000_000, np.eye(4), (), cloud, labels)
    found = lidar_values([made_up], DESIGN)
    assert min(counts) > 0
    assert found.sources * sum(counts) == pytest.approx(counts, abs=2)  # the plane is a fit
    assert len(found.background_intensity) == pytest.approx(len(background), abs=2)
    assert found.background_intensity.mean() == pytest.approx(np.mean(background), abs=0.01)


def test_intensities_of_two_conventions_agree_as_multiples_of_the_ground():
    cloud = np.concatenate([ground(EVEN), on_box(12, 0, 0.02), on_box(0, 20, 0.2)])
    brighter, dark = cloud.copy(), cloud.copy()
    brighter[:, 3] *= 4
    dark[:, 3] = 0
    found = lidar_values([frame(cloud), frame(brighter), frame(dark)], DESIGN)
    assert np.unique(found.intensity[CAR]) == pytest.approx([0, 0.02, 0.08])
    assert found.against_ground[CAR] == pytest.approx(np.full(100, 0.5))
    assert found.background_against_ground == pytest.approx(np.full(100, 5.0))


def test_without_labels_nobody_knows_what_is_background():
    cloud = np.concatenate([ground(EVEN), on_box(12, 0, 0.02)])
    found = lidar_values([Frame("made up", 1_000_000_000, np.eye(4), (), cloud)], DESIGN)
    assert np.isnan(found.sources).all()
    assert len(found.background_intensity) == 0
    assert np.median(found.ground_intensity) == pytest.approx(0.04)


def test_values_that_are_no_numbers_are_left_out(values):
    cloud = np.concatenate([ground(EVEN), on_box(12, 0, 0.02), on_box(-8, 3, 0.2)])
    broken = np.repeat(cloud[:3], 3, axis=0)
    broken[::2, 0], broken[1::2, 3] = np.nan, np.inf
    found = lidar_values([frame(np.concatenate([cloud, broken])), frame(broken)], DESIGN)
    assert found.distance_m == pytest.approx(lidar_values([frame(cloud)], DESIGN).distance_m)
    assert np.unique(found.intensity[CAR]) == pytest.approx([0.02])
    assert found.ground_intensity.max() == pytest.approx(0.04)


def test_a_long_sweep_is_thinned_without_preferring_a_beam():
    """The beams of a real LiDAR follow each other in a sweep, so that every 32nd return is of the
    same one."""
    points = np.zeros((64_000, 5), np.float32)
    points[:, 0] = 5.0 + np.tile(np.arange(32), 2000)
    found = lidar_values([frame(points)], DESIGN)
    assert len(found.distance_m) == 2000
    counts = np.bincount((found.distance_m - 5.0).astype(int), minlength=32)
    assert counts.min() > 30


@pytest.mark.skipif(not SHARED.is_dir(), reason="real data is absent: ../shared/data")
@pytest.mark.parametrize(
    ("data", "ground_band", "car_band"),
    [("nuscenes", (0.035, 0.055), (0.005, 0.035)), ("argoverse2", (0.02, 0.045), (0.0, 0.03))],
)
def test_real_rigs_have_a_level_ground_and_cars_darker_than_it(data, ground_band, car_band):
    (log, *_) = open_logs(f"{data}:{SHARED / data}", image_size_px=(16, 30))
    index = next(i for i in range(len(log)) if log.has_sweep(i))
    found = lidar_values([log[index]], DESIGN)
    assert ground_band[0] < np.median(found.ground_intensity) < ground_band[1]
    assert car_band[0] <= np.median(found.intensity[CAR]) < car_band[1]
    assert abs(found.ground_height_m[0]) < 0.15
    assert found.ground_tilt_deg[0] < 2.5
    assert 4 <= found.rings[0] <= 20
