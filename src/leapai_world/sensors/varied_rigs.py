"""Rigs drawn from a seed, so that a network meets those of many vehicles: LiDARs with the beam
tables of real ones, cameras of several numbers, views and heights, calibration that errs a
little."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from leapai.geometry import angles
from leapai.types.vocabulary import FloatArray
from leapai_world.random_generators import random_generator
from leapai_world.sensors.conditions import draw_conditions
from leapai_world.sensors.instants import SWEEP_S
from leapai_world.sensors.lidar_sensor import (
    PACKETS,
    Lidar,
    Receiver,
    tilted,
    with_beams,
    with_own_body,
)
from leapai_world.sensors.rig import SEVEN, SIX, Camera, Mount, Rig, mounted_cameras

_RIG = 40
"""Purpose of a random generator."""
_RIGS_KEPT = 24
"""Rigs in memory at once, as many as worlds: the rays of a large one take tens of megabytes."""
_VLP_32C = (
    *(-25.0, -15.639, -11.31, -8.843, -7.254, -6.148, -5.333, -4.667, -4.0, -3.667, -3.333, -3.0),
    *(-2.667, -2.333, -2.0, -1.667, -1.333, -1.0, -0.667, -0.333, 0.0, 0.333, 0.667, 1.0, 1.333),
    *(1.667, 2.333, 3.333, 4.667, 7.0, 10.333, 15.0),
)
_PANDAR_40 = (-25.0, -19.0, *range(-14, -6), *np.arange(-6.0, 1.7, 1 / 3), 2, 3, 5, 8, 11, 15)
BEAM_TABLES: dict[str, tuple[FloatArray, int]] = {
    "VLP-16": (np.linspace(-15, 15, 16), 1800),
    "HDL-32E": (np.linspace(-30.67, 10.67, 32), 1085),
    "VLP-32C": (np.array(_VLP_32C), 1800),
    "two VLP-32C": (np.sort([*_VLP_32C, *(-0.17 - e for e in _VLP_32C)]), 1440),
    "Pandar40P": (np.array(_PANDAR_40, np.float64), 1440),
    "HDL-64E": (np.r_[np.linspace(-24.33, -8.83, 32), np.linspace(-8.33, 2.0, 32)], 1440),
    "OS1-64": (np.linspace(-22.5, 22.5, 64), 1024),
    "OS1-128": (np.linspace(-22.5, 22.5, 128), 768),
}
"""Elevations of the beams in degrees and azimuth steps a turn, after the data sheets of Velodyne,
Hesai and Ouster. The densest LiDARs have fewer steps than in reality, as rays cost time."""
_TABLE_SHARES = (0.08, 0.22, 0.14, 0.16, 0.10, 0.14, 0.10, 0.06)
_RING = tuple(
    Mount(name, group, (x, y, 1.5), yaw, 1.0, view, (0.0,) * 5)
    for name, group, x, y, yaw, view in (
        ("ring_front_center", "front_wide", 1.6, 0.0, 0.0, 62.0),
        ("ring_front_left", "side", 1.5, 0.2, 45.0, 62.0),
        ("ring_front_right", "side", 1.5, -0.2, -45.0, 62.0),
        ("ring_side_left", "side", 1.3, 0.25, 99.0, 62.0),
        ("ring_side_right", "side", 1.3, -0.25, -99.0, 62.0),
        ("ring_rear_left", "back", 1.1, 0.15, 153.0, 62.0),
        ("ring_rear_right", "back", 1.1, -0.15, -153.0, 62.0),
    )
)
_LAYOUTS: tuple[tuple[float, tuple[Mount, ...]], ...] = (
    (0.34, SEVEN),
    (0.20, SIX),
    (0.10, _RING),
    (0.08, (SIX[0], SIX[2], SIX[1])),  # front and both front sides
    (0.06, (SEVEN[1], SEVEN[2], SEVEN[3], SEVEN[4])),
    (0.04, (SIX[0], SIX[3])),
    (0.06, (SEVEN[1],)),
    (0.12, ()),
)
"""Shares and mounts of the layouts of cameras; the last has none."""
_NO_LIDAR = 0.08
"""Share of the rigs with cameras that have no LiDAR."""


@lru_cache(maxsize=_RIGS_KEPT)
def varied_rig(seed: int, image_size_px: tuple[int, int]) -> Rig:
    """Returns the rig of a drive, drawn from its seed: 0 to 7 cameras, and a LiDAR or none."""
    rng = random_generator(seed, _RIG)
    layout = _LAYOUTS[rng.choice(len(_LAYOUTS), p=[share for share, _ in _LAYOUTS])][1]
    raised = rng.uniform(0.9, 1.25) if rng.random() < 0.6 else 1.0
    zoom = float(np.exp(rng.normal(0.0, 0.1)))
    mounts = tuple(_moved(mount, raised, zoom, rng) for mount in layout)
    lidar: Lidar | None = _lidar(rng)
    if mounts and rng.random() < _NO_LIDAR:
        lidar = None
    start_rad = float(rng.choice([-np.pi, 0.0, np.pi / 2, rng.uniform(-np.pi, np.pi)]))
    is_triggered, offset_s = rng.random() < 0.6, rng.uniform(-SWEEP_S, 0.0)
    cameras = tuple(
        replace(camera, dt_us=round(1e6 * (_dt_s(camera, start_rad) if is_triggered else offset_s)))
        for camera in mounted_cameras(mounts, image_size_px)
    )
    if lidar is not None:
        lidar = lidar.rolled(round((start_rad + np.pi) / (2 * np.pi) * len(lidar.dt_s)))
    return Rig(
        cameras,
        lidar,
        blur=bool(rng.random() < 0.15),
        rolls_packets=int(rng.integers(1, PACKETS)) if rng.random() < 0.25 else 0,
        conditions=draw_conditions(rng),
    )


def _dt_s(camera: Camera, start_rad: float) -> float:
    """Returns when a sweep that starts in a direction looks along the axis of a camera."""
    ahead = camera.ego_from_camera[:3, 2]
    turned = float(np.arctan2(ahead[1], ahead[0]) - start_rad) % (2 * np.pi)
    return SWEEP_S * (turned / (2 * np.pi) - 1)


def _moved(mount: Mount, raised: float, zoom: float, rng: np.random.Generator) -> Mount:
    """Returns a mount at another height, with another view, moved and turned a little."""
    x, y, z = np.array(mount.position_m) + rng.normal(0.0, 0.06, 3)
    view = np.degrees(2 * np.arctan(np.tan(np.radians(mount.horizontal_view_deg / 2)) / zoom))
    return replace(
        mount,
        position_m=(float(x), float(y), float(max(1.02, z * raised))),
        yaw_deg=float(np.degrees(angles.wrap(np.radians(mount.yaw_deg + rng.normal(0.0, 3.0))))),
        pitch_deg=mount.pitch_deg + float(rng.normal(0.0, 1.2)),
        horizontal_view_deg=float(min(view, 120.0)),
    )


@dataclass(frozen=True)
class _Convention:
    """Convention of intensity: what the ground reads, and how far the values are compressed."""

    share: float
    ground: tuple[float, float]
    gamma: tuple[float, float]


_CONVENTIONS = (
    _Convention(0.55, (0.03, 0.055), (0.9, 1.1)),
    _Convention(0.20, (0.05, 0.20), (0.5, 0.9)),
    _Convention(0.25, (0.20, 0.40), (0.08, 0.5)),
)
_GROUND_POWER = 0.04
"""Power that a road sends back at 10 m."""


def _receiver(rng: np.random.Generator) -> Receiver:
    shares = [convention.share for convention in _CONVENTIONS]
    convention = _CONVENTIONS[rng.choice(len(_CONVENTIONS), p=shares)]
    ground, gamma = rng.uniform(*convention.ground), rng.uniform(*convention.gamma)
    return Receiver(
        range_noise_m=float(rng.uniform(0.01, 0.04)),
        lost=float(rng.choice([0.005, rng.uniform(0.0, 0.1)])),
        reach_m=float(np.exp(rng.uniform(np.log(60.0), np.log(250.0)))),
        cosine_power=float(rng.uniform(0.3, 1.5)),
        gain=float(ground / _GROUND_POWER**gamma),
        gamma=float(gamma),
        second_returns=float(rng.uniform(0.0, 0.5)) if rng.random() < 0.5 else 0.0,
        wetness=float(rng.uniform(0.3, 1.0)) if rng.random() < 0.12 else 0.0,
    )


def _lidar(rng: np.random.Generator) -> Lidar:
    tables = list(BEAM_TABLES.values())
    elevation_deg, steps = tables[rng.choice(len(tables), p=_TABLE_SHARES)]
    height = float(np.clip(rng.normal(1.85, 0.18), 1.4, 2.25))
    position = (float(rng.uniform(0.0, 1.5)), float(rng.normal(0.0, 0.05)), height)
    lidar = with_beams(position, elevation_deg, steps)
    roll, pitch, yaw = np.radians(rng.normal(0.0, 1.0, 3) * (0.4, 0.4, 0.2))
    error_m = rng.normal(0.0, 0.02, 3)
    lidar = tilted(lidar, _rotation(roll, pitch, yaw), error_m)
    if rng.random() < 0.5:
        lidar = with_own_body(lidar, _body(height))
    return replace(lidar, receiver=_receiver(rng))


def _body(lidar_height_m: float) -> FloatArray:
    """Returns bonnet and cabin [2, 2, 3] of the ego as boxes below its LiDAR."""
    cabin = min(1.5, lidar_height_m - 0.2)
    bonnet = [[-1.0, -0.92, 0.3], [3.7, 0.92, 1.0]]
    return np.array([bonnet, [[-0.7, -0.75, 1.0], [2.1, 0.75, cabin]]])


def _rotation(roll: float, pitch: float, yaw: float) -> FloatArray:
    """Returns a rotation [3, 3] about x, then y, then z."""
    c, s = np.cos((roll, pitch, yaw)), np.sin((roll, pitch, yaw))
    about_x = np.array([[1, 0, 0], [0, c[0], -s[0]], [0, s[0], c[0]]])
    about_y = np.array([[c[1], 0, s[1]], [0, 1, 0], [-s[1], 0, c[1]]])
    about_z = np.array([[c[2], -s[2], 0], [s[2], c[2], 0], [0, 0, 1]])
    turn: FloatArray = about_z @ about_y @ about_x
    return turn
