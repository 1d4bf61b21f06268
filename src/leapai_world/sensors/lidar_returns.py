"""Returns of a spinning LiDAR from the hits of its rays."""

from __future__ import annotations

import numpy as np

from leapai.geometry import poses
from leapai.types.vocabulary import BoolArray, FloatArray, IntArray
from leapai_world import meshes
from leapai_world.random_generators import random_generator
from leapai_world.sensors.embree import Float32
from leapai_world.sensors.facades import window_panes
from leapai_world.sensors.instants import Instants
from leapai_world.sensors.ray_casting import Hits, Scene
from leapai_world.sensors.rig import MAX_RANGE_M, Lidar

RANGE_NOISE_M = 0.02
"""Standard deviation of the distance of a return."""
LOST = 0.005
"""Share of the pulses that come back and are lost all the same."""
_SENSITIVITY_NOISE = 0.05


def raw_returns(
    lidar: Lidar, hits: Hits, scene: Scene, *noise_stream: int
) -> tuple[Float32, IntArray]:
    """Returns the points [P, 5] float32 as measured, and the packet [P] of each: x y z in the ego
    frame *at the point's own time*, intensity, dt.

    Intensity is reflectivity x cosine of incidence. A weak return is lost from a distance that
    grows with its square root: 120 m at an intensity of 0.1 or more. Glass returns nothing.
    """
    rng = random_generator(*noise_stream)
    count = len(hits.rays)
    noise = rng.standard_normal(count, np.float32) * np.float32(RANGE_NOISE_M)
    sensitivity = 1 + np.float32(_SENSITIVITY_NOISE) * rng.standard_normal(count, np.float32)
    sensitivity[rng.random(count, np.float32) < LOST] = 0
    hit = np.flatnonzero((hits.triangle >= 0) & (hits.distance_m < MAX_RANGE_M))
    intensity = _intensity(hits, scene, hit)
    reach = MAX_RANGE_M * np.sqrt(intensity / 0.1) * sensitivity[hit]
    received = np.flatnonzero((hits.distance_m[hit] < reach) & ~_is_glass(hits, scene, hit))
    hit, intensity = hit[received], intensity[received]
    distance = (hits.distance_m[hit] + noise[hit])[:, None].astype(np.float64)
    xyz = lidar.position_ego_m + lidar.rays_ego[hit] * distance
    packet = lidar.instant[hit]
    returns = np.column_stack([xyz, intensity, lidar.dt_s[packet]]).astype(np.float32)
    return returns, packet


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


def _intensity(hits: Hits, scene: Scene, hit: IntArray) -> Float32:
    """Returns the intensity [K] in [0, 1] where rays `hit` [K] meet something."""
    triangle = hits.triangle[hit]
    normal = scene.scenery.normal.take(triangle, 0, mode="clip")
    reflectivity = scene.scenery.reflectivity.take(triangle, mode="clip")
    bodies = np.flatnonzero(hits.actor[hit] >= 0)
    normal[bodies] = hits.normals_on_actors(scene.library, hit[bodies])
    reflectivity[bodies] = scene.library.reflectivity[triangle[bodies]]
    cosine: FloatArray = np.abs((normal * hits.rays[hit]).sum(-1))
    return (reflectivity * cosine).astype(np.float32)


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
