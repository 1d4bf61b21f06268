"""Returns of a spinning LiDAR from the hits of its rays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leapai.geometry import poses
from leapai.types.vocabulary import BoolArray, IntArray
from leapai_world import meshes
from leapai_world.random_generators import random_generator
from leapai_world.sensors.embree import Float32
from leapai_world.sensors.facades import window_panes
from leapai_world.sensors.instants import Instants
from leapai_world.sensors.lidar_sensor import MAX_RANGE_M, Lidar
from leapai_world.sensors.ray_casting import Hits, Scene

_SENSITIVITY_NOISE = 0.05
_OWN_PAINT = 0.04
"""Power that comes back from the ego's own body."""
_EDGE_M = 1.0
"""A ray and its neighbour lie on both sides of an edge where their hits are this far apart."""
_FLAT = 0.9
"""Least z of the normal of a surface on which water stays."""


def raw_returns(
    lidar: Lidar, hits: Hits, scene: Scene, *noise_stream: int
) -> tuple[Float32, IntArray]:
    """Returns the points [P, 5] float32 as measured, and the packet [P] of each: x y z in the ego
    frame *at the point's own time*, intensity, dt.

    A weak return is lost from a distance that grows with the square root of its power
    (`Receiver`). Glass returns nothing. Points lie where the calibration has them.
    """
    rng = random_generator(*noise_stream)
    echo = _echoes(lidar, hits, scene, rng)
    noise = rng.standard_normal(len(echo.ray), np.float32) * np.float32(
        lidar.receiver.range_noise_m
    )
    distance = (echo.distance_m + noise)[:, None].astype(np.float64)
    true = lidar.position_ego_m + lidar.rays_ego[echo.ray] * distance
    xyz = poses.apply(lidar.calibrated_from_true, true)
    packet = lidar.instant[echo.ray]
    intensity = _reported(lidar, echo.power)
    returns = np.column_stack([xyz, intensity, lidar.dt_s[packet]]).astype(np.float32)
    return returns, packet


@dataclass(frozen=True)
class _Echoes:
    """Pulses that came back, P of them."""

    ray: IntArray
    """[P]"""
    distance_m: Float32
    """[P]"""
    power: Float32
    """[P] share of the pulse, near infrared."""


def _echoes(lidar: Lidar, hits: Hits, scene: Scene, rng: np.random.Generator) -> _Echoes:
    """Returns what the receiver takes: first returns, then the second ones of pulses on an edge."""
    receiver, count = lidar.receiver, len(hits.rays)
    sensitivity = 1 + np.float32(_SENSITIVITY_NOISE) * rng.standard_normal(count, np.float32)
    sensitivity[rng.random(count, np.float32) < receiver.lost] = 0
    hit = np.flatnonzero((hits.triangle >= 0) & (hits.distance_m < MAX_RANGE_M))
    power, distance = np.zeros(count, np.float32), hits.distance_m.copy()
    power[hit] = _power(lidar, hits, scene, hit)
    power[hit[_is_glass(hits, scene, hit)]] = 0
    own = np.flatnonzero(lidar.body_m < distance)
    power[own], distance[own] = _OWN_PAINT, lidar.body_m[own]
    reach = np.float32(receiver.reach_m) * np.sqrt(power / np.float32(0.1)) * sensitivity
    first = np.flatnonzero((power > 0) & (distance < reach))
    behind = (lidar.beams, lidar.azimuth_steps)
    beyond, beyond_power = (
        np.roll(row.reshape(behind), -1, axis=1).ravel() for row in (distance, power)
    )
    edge = first[
        (beyond[first] > distance[first] + _EDGE_M)
        & (beyond_power[first] > 0)
        & (rng.random(len(first)) < receiver.second_returns)
    ]
    half = np.float32(0.5)
    edge = edge[
        beyond[edge]
        < receiver.reach_m * np.sqrt(half * beyond_power[edge] / 0.1) * sensitivity[edge]
    ]
    return _Echoes(
        np.concatenate([first, edge]),
        np.concatenate([distance[first], beyond[edge]]),
        np.concatenate([power[first], half * beyond_power[edge]]),
    )


def _reported(lidar: Lidar, power: Float32) -> Float32:
    """Returns intensities [P] in [0, 1] in the convention of the receiver (`Receiver`)."""
    receiver = lidar.receiver
    reported = np.minimum(receiver.gain * power.astype(np.float64) ** receiver.gamma, 1.0)
    return (np.round(reported * 255) / 255).astype(np.float32)


def compensated(raw: Float32, packet: IntArray, instants: Instants) -> Float32:
    """Returns raw points [P, 5] in the ego frame at the timestamp of the frame: the motion of the
    ego is taken out, that of others is not."""
    ego_from_window = poses.invert(instants.window_from_ego[-1])
    now_from_then = ego_from_window @ instants.window_from_ego
    x, y, z = raw[:, :3].T.astype(np.float64)
    points = raw.copy()
    for axis in range(3):
        row = np.ascontiguousarray(now_from_then[:, axis].T)[:, packet]
        points[:, axis] = row[0] * x + row[1] * y + row[2] * z + row[3]
    return points


def _power(lidar: Lidar, hits: Hits, scene: Scene, hit: IntArray) -> Float32:
    """Returns the share [K] of the pulse that comes back where rays `hit` [K] meet something."""
    triangle, bodies = hits.triangle[hit], np.flatnonzero(hits.actor[hit] >= 0)
    normal = scene.scenery.normal.take(triangle, 0, mode="clip")
    reflectivity = scene.scenery.reflectivity.take(triangle, mode="clip")
    backscatter = scene.scenery.backscatter.take(triangle, mode="clip")
    on_body = triangle[bodies]
    normal[bodies] = hits.normals_on_actors(scene.library, hit[bodies])
    own = scene.own_reflectivities[hits.actor[hit[bodies]]]
    reflectivity[bodies] = scene.library.reflectivities(on_body, own)
    backscatter[bodies] = scene.library.backscatter[on_body]
    soaked = np.float32(lidar.receiver.wetness) * (normal[:, 2] > _FLAT)
    soaked[bodies] = 0
    cosine: npt.NDArray[np.float32] = np.abs((normal * hits.rays[hit]).sum(-1))
    backscatter = backscatter * (1 - soaked)
    spread = backscatter + (1 - backscatter) * cosine**lidar.receiver.cosine_power
    return (reflectivity * spread * (1 - np.float32(0.8) * soaked)).astype(np.float32)


def _is_glass(hits: Hits, scene: Scene, hit: IntArray) -> BoolArray:
    """Returns whether rays `hit` [K] meet a pane: of a vehicle, or painted on a house front."""
    triangle, body = hits.triangle[hit], hits.actor[hit] >= 0
    texture = np.where(
        body,
        scene.library.texture.take(triangle, mode="clip"),
        scene.scenery.texture.take(triangle, mode="clip"),
    )
    glass = texture == meshes.GLASS
    front = np.flatnonzero(texture == meshes.FACADE)
    place = hits.points(hit[front]) + scene.anchor_m.astype(np.float32)[:, None]
    glass[front] = window_panes(place, scene.scenery.normal[triangle[front]].T)[0]
    return np.asarray(glass)
