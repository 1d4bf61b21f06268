"""The LiDAR of the embedded world: beams, mounting, and what its receiver reports."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from leapai.geometry import angles
from leapai_world import meshes
from leapai_world.sensors.lidar_sensor import (
    PACKETS,
    Lidar,
    Receiver,
    tilted,
    with_beams,
    with_own_body,
)
from leapai_world.sensors.rig import Rig
from leapai_world.sensors.sensing import raw_sweep
from leapai_world.sensors.solids import Solids
from leapai_world.sensors.varied_rigs import BEAM_TABLES
from tests.world.test_sensors import LIGHT, scene_of

POSITION_M = (0.0, 0.0, 2.0)
SURE = Receiver(range_noise_m=0.0, lost=0.0, reach_m=1e4)
"""A receiver without noise that loses nothing."""


def lidar_of(receiver: Receiver = SURE, elevation_deg=(0.0,), steps: int = 360) -> Lidar:
    made = with_beams(POSITION_M, np.array(elevation_deg, np.float64), steps)
    return replace(made, receiver=receiver)


def scene_with(triangles_m: np.ndarray, *materials: meshes.Material):
    """Nothing but triangles [T, 3, 3], each pair of one of the materials."""
    pairs = np.split(triangles_m, len(materials))
    parts = [meshes.surface(pair, each) for pair, each in zip(pairs, materials, strict=True)]
    scene = scene_of(np.zeros((0, 7)), [])
    return replace(scene, scenery=Solids(meshes.joined(parts), LIGHT))


def plate(distance_m: float, low_y: float = -1000.0, high_y: float = 1000.0) -> np.ndarray:
    """An upright plane [2, 3, 3] across the x axis."""
    corners = [(low_y, -500), (high_y, -500), (high_y, 500), (low_y, 500)]
    return meshes.quads(np.array([[(distance_m, y, z) for y, z in corners]]))


def floor() -> np.ndarray:
    return meshes.quads(np.array([[[-90.0, -90, 0], [90, -90, 0], [90, 90, 0], [-90, 90, 0]]]))


def matt(reflectivity: float, backscatter: float = 0.0) -> meshes.Material:
    return meshes.Material((0.5, 0.5, 0.5), reflectivity, backscatter)


@pytest.mark.parametrize(
    ("name", "beams", "lowest", "highest", "finest"),
    [
        ("VLP-16", 16, -15.0, 15.0, 2.0),
        ("HDL-32E", 32, -30.67, 10.67, 1.33),
        ("VLP-32C", 32, -25.0, 15.0, 0.333),
        ("Pandar40P", 40, -25.0, 15.0, 0.333),
        ("HDL-64E", 64, -24.33, 2.0, 0.333),
        ("OS1-64", 64, -22.5, 22.5, 0.714),
        ("OS1-128", 128, -22.5, 22.5, 0.354),
    ],
)
def test_beam_tables_are_those_of_the_data_sheets(name, beams, lowest, highest, finest):
    elevation_deg, steps = BEAM_TABLES[name]
    assert len(elevation_deg) == beams
    assert (elevation_deg[0], elevation_deg[-1]) == pytest.approx((lowest, highest), abs=0.01)
    assert np.diff(elevation_deg).min() == pytest.approx(finest, abs=0.005)
    assert 512 <= steps <= 1800


def test_uneven_tables_are_dense_where_their_makers_have_them_dense():
    vlp, pandar = BEAM_TABLES["VLP-32C"][0], BEAM_TABLES["Pandar40P"][0]
    assert ((vlp >= -4) & (vlp <= 1.67)).sum() == 18
    assert ((pandar >= -6) & (pandar <= 2)).sum() == 25
    hdl = np.diff(BEAM_TABLES["HDL-64E"][0])
    assert hdl[:31] == pytest.approx(0.5)
    assert hdl[32:] == pytest.approx(1 / 3, abs=1e-3)
    two = BEAM_TABLES["two VLP-32C"][0]
    assert len(two) == 64
    assert (np.diff(two) >= 0).all()


def test_rays_leave_at_the_elevations_of_the_table():
    elevation_deg, steps = BEAM_TABLES["VLP-32C"]
    rays = with_beams(POSITION_M, elevation_deg, steps).rays_ego.reshape(32, steps, 3)
    assert np.degrees(np.arcsin(rays[..., 2])) == pytest.approx(
        np.repeat(elevation_deg[:, None], steps, 1), abs=1e-3
    )
    turned = np.diff(np.unwrap(np.arctan2(rays[0, :, 1], rays[0, :, 0])))
    assert np.degrees(turned) == pytest.approx(0.2, abs=1e-3)


@pytest.mark.parametrize("backscatter", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("power", [0.5, 1.0])
def test_power_falls_with_the_cosine_but_for_what_is_scattered_back(backscatter, power):
    """Compares with the formula of the receiver, ray by ray."""
    lidar = lidar_of(replace(SURE, cosine_power=power))
    points = raw_sweep(lidar, scene_with(plate(10.0), matt(0.8, backscatter)), 0)
    cosine = 10.0 / np.hypot(points[:, 0], points[:, 1])
    expected = 0.8 * (backscatter + (1 - backscatter) * cosine**power)
    assert len(points) > 150
    assert points[:, 3] == pytest.approx(expected, abs=0.003)
    assert cosine.min() < 0.2


def test_a_return_reads_the_same_at_any_distance_until_it_is_lost():
    """The reach grows with the square root of the power: 40 m at .1, 20 m at .025."""
    lidar = lidar_of(replace(SURE, reach_m=40.0), steps=3600)

    def readings(distance_m: float, reflectivity: float) -> np.ndarray:
        scene = scene_with(plate(distance_m), matt(reflectivity, 1.0))
        points = raw_sweep(lidar, scene, 0)
        return points[np.abs(points[:, 1]) < 0.5, 3]

    for distance_m in (5.0, 33.0):
        assert np.unique(readings(distance_m, 0.1)) == pytest.approx([0.1], abs=0.003)
    assert len(readings(48.0, 0.1)) == 0
    assert len(readings(16.0, 0.025)) > 0
    assert len(readings(24.0, 0.025)) == 0


@pytest.mark.parametrize(("gain", "gamma"), [(1.0, 1.0), (7.5, 1.0), (0.44, 0.15)])
def test_conventions_of_intensity(gain, gamma):
    """Linear, brighter and compressed receivers report the same power each in its own way."""
    lidar = lidar_of(replace(SURE, gain=gain, gamma=gamma))
    for power in (0.005, 0.04, 0.3, 1.0):
        points = raw_sweep(lidar, scene_with(plate(8.0), matt(power, 1.0)), 0)
        assert np.unique(points[:, 3]) == pytest.approx([min(1.0, gain * power**gamma)], abs=0.003)


def test_on_a_soaked_ground_less_comes_back_and_walls_stay_as_they_were():
    walls_and_floor = np.concatenate([plate(12.0), floor()])
    scene = scene_with(walls_and_floor, matt(0.2), matt(0.06, 0.6))
    beams = np.linspace(-20.0, 5.0, 24)
    dry, wet = (
        raw_sweep(lidar_of(replace(SURE, reach_m=60.0, wetness=w), beams), scene, 0)
        for w in (0.0, 1.0)
    )
    on_floor = [points[:, 2] < 0.01 for points in (dry, wet)]
    assert np.median(wet[on_floor[1], 3]) < 0.5 * np.median(dry[on_floor[0], 3])
    assert on_floor[1].sum() < 0.7 * on_floor[0].sum()
    assert np.array_equal(dry[~on_floor[0], 3], wet[~on_floor[1], 3])


def test_dark_surfaces_are_lost_before_light_ones():
    lidar = lidar_of(replace(SURE, reach_m=60.0), steps=2000)
    counts = [
        len(raw_sweep(lidar, scene_with(plate(20.0), matt(r, 1.0)), 0)) for r in (0.3, 0.03, 0.004)
    ]
    assert counts[0] > 1.2 * counts[1] > 0
    assert counts[2] == 0


def test_a_pulse_on_an_edge_also_reports_what_lies_behind_it():
    scene = scene_with(
        np.concatenate([plate(6.0, -1000.0, 0.0), plate(15.0)]), matt(0.3, 1.0), matt(0.4, 1.0)
    )
    one, two = (
        raw_sweep(lidar_of(replace(SURE, second_returns=share)), scene, 0) for share in (0.0, 1.0)
    )
    one, two = (points[np.abs(points[:, 1]) < 0.5 * points[:, 0]] for points in (one, two))
    assert len(two) == len(one) + 1
    front, behind = (two[np.abs(two[:, 0] - x) < 0.01] for x in (6.0, 15.0))
    ray = front[np.abs(front[:, 1]).argmin()]
    second = behind[np.abs(behind[:, 3] - 0.2).argmin()]  # half of the pulse
    assert second[3] == pytest.approx(0.2, abs=0.003)
    along = np.arctan2(*ray[[1, 0]]), np.arctan2(*second[[1, 0]])
    assert along[0] == pytest.approx(along[1], abs=1e-4)


def test_the_body_of_the_ego_sends_rays_back_and_hides_what_is_below():
    bonnet = np.array([[[-1.0, -0.9, 0.3], [3.0, 0.9, 1.0]]])
    lidar = lidar_of(elevation_deg=(-60.0, -20.0, 10.0))
    with_body = with_own_body(lidar, bonnet)
    reached = np.isfinite(with_body.body_m).reshape(3, -1)
    steep, ahead, upward = reached.sum(1)
    assert (steep, upward) == (360, 0)
    assert 10 < ahead < 60
    bare, own = (
        raw_sweep(each, scene_with(floor(), matt(0.05, 1.0)), 0) for each in (lidar, with_body)
    )
    assert len(own) == len(bare)
    on_body = own[:, 2] > 0.05
    assert on_body.sum() == reached.sum()
    low, high = bonnet[0]
    assert (own[on_body, :3] > low - 1e-3).all()
    assert (own[on_body, :3] < high + 1e-3).all()
    assert not (bare[:, 2] > 0.05).any()


def test_a_sweep_that_rolls_starts_elsewhere_in_every_frame():
    rig = replace(Rig.seven_cameras((16, 30), 2), cameras=(), rolls_packets=10)
    instants = [rig.at(frame).lidar.instant for frame in range(4)]
    first_azimuth = [int(np.flatnonzero(each[:1080] == 0)[0]) for each in instants]
    assert first_azimuth == [0, 150, 300, 450]  # 15 steps a packet
    assert all(np.array_equal(np.unique(each), np.arange(PACKETS)) for each in instants)
    still = replace(rig, rolls_packets=0)
    assert still.at(3) is still


def test_a_tilted_lidar_is_tilted_in_the_world_and_level_in_its_report():
    """A calibration that errs: a wall comes out turned and moved by the error."""
    turn = np.radians(3.0)
    about_y = np.array(
        [[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]]
    )
    error_m = np.array([0.0, 0.0, 0.1])
    level = lidar_of(elevation_deg=(-10.0, 0.0, 10.0))
    wrong = tilted(level, about_y, error_m)
    true_ahead = wrong.rays_ego.reshape(3, 360, 3)[1, 180]
    assert np.degrees(np.arcsin(true_ahead[2])) == pytest.approx(-3.0, abs=0.05)
    scene = scene_with(floor(), matt(0.3, 1.0))
    points = raw_sweep(wrong, scene, 0)
    slope = np.linalg.lstsq(
        np.column_stack([np.ones(len(points)), points[:, :2]]), points[:, 2], rcond=None
    )[0]
    assert np.degrees(np.arctan(slope[1])) == pytest.approx(3.0, abs=0.05)
    assert slope[0] == pytest.approx(-0.1, abs=0.01)
    elevation = np.degrees(
        np.arcsin((points[:, 2] - 2.0) / np.linalg.norm(points[:, :3] - POSITION_M, axis=1))
    )
    assert set(elevation.round(1)) <= {-10.0, 0.0, 10.0}


def test_a_turn_takes_a_tenth_of_a_second_and_ends_now():
    lidar = lidar_of()
    assert lidar.dt_s[0] == pytest.approx(-0.1 + 0.1 / PACKETS)
    assert lidar.dt_s[-1] == 0
    azimuth = np.arctan2(lidar.rays_ego[:, 1], lidar.rays_ego[:, 0])
    when = lidar.dt_s[lidar.rolled(PACKETS // 2).instant]
    start = azimuth[when.argmin()]
    assert abs(float(angles.wrap(start))) < 0.05, "half a turn later than -180 degrees"
