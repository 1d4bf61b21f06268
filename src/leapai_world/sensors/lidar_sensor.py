"""A spinning LiDAR: its beams, its rays, and how its receiver reports what comes back."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from leapai.types.vocabulary import FloatArray, IntArray
from leapai_world.sensors.instants import SWEEP_S

MAX_RANGE_M = 120.0
AZIMUTH_STEPS = 1080
"""Number of steps a turn of the default LiDAR: a third of a degree each."""
PACKETS = 72
"""Number of packets a turn: the LiDAR fires several columns at a time, 1.4 ms apart."""


@dataclass(frozen=True)
class LidarMount:
    """Mount of the LiDAR: its position, and the elevation of its lowest and highest beam."""

    position_m: tuple[float, float, float] = (0.95, 0.0, 1.90)
    elevation_deg: tuple[float, float] = (-26.0, 9.0)


@dataclass(frozen=True)
class Receiver:
    """Receiver of a LiDAR: what it loses, and its convention of intensity.

    It reports min(1, gain x power^gamma) in steps of 1/255. Power is reflectivity x
    (b + (1 - b) cos^p), with b the backscatter of the surface, p `cosine_power` and cos that of the
    angle of incidence.
    """

    range_noise_m: float = 0.02
    """Standard deviation of the distance of a return."""
    lost: float = 0.005
    """Share of the pulses that come back and are lost all the same."""
    reach_m: float = 120.0
    """Distance from which a power of 0.1 comes back; it grows with the square root of the power."""
    cosine_power: float = 1.0
    gain: float = 1.0
    gamma: float = 1.0
    second_returns: float = 0.0
    """Share of the pulses on an edge that also report what lies behind it."""
    wetness: float = 0.0
    """0: dry; 1: a soaked ground, which sends next to nothing back."""


@dataclass(frozen=True)
class Lidar:
    """A spinning LiDAR of B rings of S rays each, fired in `PACKETS`."""

    beams: int
    azimuth_steps: int
    position_ego_m: FloatArray
    """[3]"""
    rays_ego: FloatArray
    """[B * S, 3] float32, ring by ring from the lowest, azimuth from -pi upward."""
    instant: IntArray
    """[B * S] packet of each ray."""
    dt_s: FloatArray
    """[PACKETS] time of each; the last is fired at the timestamp of the frame."""
    calibrated_from_true: FloatArray
    """[4, 4] error of the calibration: points are reported where the LiDAR is believed to be."""
    body_m: FloatArray
    """[B * S] float32 distance at which a ray meets the ego's own body; inf: never."""
    receiver: Receiver = field(default_factory=Receiver)

    def rolled(self, packets: int) -> Lidar:
        """Returns the LiDAR with a sweep that starts `packets` later in its turn."""
        return replace(self, instant=(self.instant - packets) % PACKETS)


def spinning(mount: LidarMount, beams: int) -> Lidar:
    """Returns a LiDAR of evenly spaced beams with its rays."""
    return with_beams(mount.position_m, np.linspace(*mount.elevation_deg, beams), AZIMUTH_STEPS)


def with_beams(
    position_m: tuple[float, float, float], elevation_deg: FloatArray, azimuth_steps: int
) -> Lidar:
    """Returns a LiDAR with beams at elevations [B], ascending."""
    elevation = np.radians(elevation_deg)[:, None]
    azimuth = (np.arange(azimuth_steps) + 0.5) * (2 * np.pi / azimuth_steps) - np.pi
    rays = np.stack(
        np.broadcast_arrays(
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
        ),
        -1,
    ).reshape(-1, 3)
    return Lidar(
        beams=len(elevation_deg),
        azimuth_steps=azimuth_steps,
        position_ego_m=np.array(position_m),
        rays_ego=rays.astype(np.float32),
        instant=np.tile(np.arange(azimuth_steps) * PACKETS // azimuth_steps, len(elevation_deg)),
        dt_s=(np.arange(PACKETS) + 1 - PACKETS) * (SWEEP_S / PACKETS),
        calibrated_from_true=np.eye(4),
        body_m=np.full(len(rays), np.inf, np.float32),
    )


def tilted(lidar: Lidar, ego_from_level: FloatArray, calibration_error_m: FloatArray) -> Lidar:
    """Returns the LiDAR turned about itself by `ego_from_level` [3, 3] and moved by
    `calibration_error_m` [3], neither of which its calibration has."""
    true_m = lidar.position_ego_m + calibration_error_m
    calibrated_from_true = np.eye(4)
    calibrated_from_true[:3, :3] = ego_from_level.T
    calibrated_from_true[:3, 3] = lidar.position_ego_m - ego_from_level.T @ true_m
    rays = lidar.rays_ego @ ego_from_level.T.astype(np.float32)
    return replace(
        lidar, position_ego_m=true_m, rays_ego=rays, calibrated_from_true=calibrated_from_true
    )


def with_own_body(lidar: Lidar, boxes_m: FloatArray) -> Lidar:
    """Returns the LiDAR with the ego's own body in its way: upright boxes [K, 2, 3] given by their
    lowest and highest corners (slab method)."""
    rays = lidar.rays_ego.astype(np.float64)
    slope = 1 / np.where(np.abs(rays) < 1e-9, 1e-9, rays)
    body = np.full(len(rays), np.inf)
    for corners in boxes_m:
        bounds = (corners[:, None] - lidar.position_ego_m) * slope
        enter, leave = bounds.min(0).max(-1), bounds.max(0).min(-1)
        met = (leave > enter) & (enter > 0)
        body[met] = np.minimum(body[met], enter[met])
    return replace(lidar, body_m=body.astype(np.float32))
