"""From hits to what a sensor gives: shaded images and LiDAR returns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from leapai.data.synthetic import meshes
from leapai.data.synthetic.casting import Float32, Hits, Stage
from leapai.data.synthetic.rig import MAX_RANGE_M, Camera, Lidar
from leapai.data.synthetic.street import random_generator
from leapai.types import ImageArray

_TABLE_SIDE = 256
_TABLE: Float32 = np.random.default_rng(20).random((_TABLE_SIDE, _TABLE_SIDE), np.float32) - 0.5
"""Value noise in [-0.5, 0.5), looked up by place."""
_SENSOR_NOISE: Float32 = np.random.default_rng(21).normal(0, 2.2, 1 << 18).astype(np.float32)
"""Grey levels; a frame's noise is a run of it that starts at a place drawn for frame and camera."""
_SHADOW_RANGE_M = 70.0
_STOREY_M, _BAY_M = 3.2, 2.6
_WINDOW: Float32 = np.array([0.20, 0.25, 0.30], np.float32)


def image(camera: Camera, hits: Hits, stage: Stage, *noise_stream: int) -> ImageArray:
    """RGB [H, W, 3] of a camera's hits; `noise_stream` seeds the sensor noise."""
    seen = np.flatnonzero(hits.triangle >= 0)
    colour = _sky(camera, stage)
    distance = hits.distance_m[seen]
    lit = _lit(hits, stage, seen)
    clear = np.exp(-distance / np.float32(stage.light.haze_m))[:, None]
    haze = stage.light.horizon.astype(np.float32)
    colour[seen] = haze + (lit - haze) * clear
    colour *= camera.vignette * np.float32(255)
    colour += _noise(colour.shape, *noise_stream)
    np.clip(colour, 0, 255, out=colour)
    return colour.astype(np.uint8).reshape(*camera.size_px, 3)


def _sky(camera: Camera, stage: Stage) -> Float32:
    up = np.clip(camera.rays_ego[:, 2:] * np.float32(2.2), 0, 1)
    horizon, zenith = (c.astype(np.float32) for c in (stage.light.horizon, stage.light.zenith))
    return horizon + (zenith - horizon) * np.sqrt(up)


def _noise(shape: tuple[int, ...], *stream: int) -> Float32:
    start = int(random_generator(*stream).integers(len(_SENSOR_NOISE)))
    run = np.resize(np.roll(_SENSOR_NOISE, -start), shape[0])
    return run[:, None]


def _lit(hits: Hits, stage: Stage, seen: npt.NDArray[np.int64]) -> Float32:
    """Colours [S, 3] of the seen hits in sun and shade, with their textures, before haze."""
    triangle, on_actor = hits.triangle[seen], hits.actor[seen] >= 0
    on_scenery = ~on_actor
    ambient = np.empty((len(seen), 3), np.float32)
    direct = np.empty((len(seen), 3), np.float32)
    for solids, mask in ((stage.actors, on_actor), (stage.scenery, on_scenery)):
        ambient[mask] = solids.ambient[triangle[mask]]
        direct[mask] = solids.direct[triangle[mask]]
    point = hits.origin_m.astype(np.float32) + hits.rays[seen] * hits.distance_m[seen, None]
    sunny = _in_sun(point, direct, hits.distance_m[seen], stage)
    colour = ambient + direct * sunny[:, None]
    texture = np.zeros(len(seen), np.int8)
    texture[on_scenery] = stage.scenery.texture[triangle[on_scenery]]
    _grain(colour, texture, point + stage.anchor_m.astype(np.float32), hits.distance_m[seen])
    facade = np.flatnonzero(texture == meshes.FACADE)
    normal = stage.scenery.normal[triangle[facade]]
    _windows(colour, facade, point[facade] + stage.anchor_m.astype(np.float32), normal)
    return colour


def _in_sun(point: Float32, direct: Float32, distance: Float32, stage: Stage) -> Float32:
    """1 where the sun reaches a point, else 0; beyond `_SHADOW_RANGE_M` it always does."""
    lit = np.ones(len(point), np.float32)
    asked = np.flatnonzero((direct[:, 1] > 0) & (distance < _SHADOW_RANGE_M))
    to_sun = stage.light.to_sun.astype(np.float32)
    starts = np.ascontiguousarray(point[asked] + np.float32(0.02) * to_sun)
    rays = np.broadcast_to(to_sun, starts.shape).copy()
    lit[asked] = ~(stage.scenery.blocks(starts, rays) | stage.actors.blocks(starts, rays))
    return lit


_GRAIN = np.zeros(6, np.float32)
_GRAIN[[meshes.TARMAC, meshes.PAVING, meshes.LEAVES, meshes.GRASS, meshes.FACADE]] = (
    0.16, 0.14, 0.7, 0.4, 0.06
)  # fmt: skip


def _grain(colour: Float32, texture: npt.NDArray[np.int8], place: Float32, distance: Float32) -> None:
    """Rough surfaces: noise of two sizes by place, the finer one fading with distance; paving has joints."""
    rough = np.flatnonzero(texture)
    strength, x = _GRAIN[texture[rough]], place[rough]
    fine = _lookup(x * np.float32(12.0)) / (1 + np.float32(0.08) * distance[rough])
    colour[rough] *= (1 + strength * (fine + 0.6 * _lookup(x * np.float32(1.4))))[:, None]
    paving = np.flatnonzero((texture == meshes.PAVING) & (distance < 20))
    joint = (place[paving, :2] % np.float32(0.6) < 0.035).any(1)
    colour[paving[joint]] *= np.float32(0.8)


def _lookup(place: Float32) -> Float32:
    cell = np.floor(place).astype(np.int32)
    return _TABLE[(cell[:, 0] + 37 * cell[:, 2]) % _TABLE_SIDE, cell[:, 1] % _TABLE_SIDE]


def _windows(
    colour: Float32, facade: npt.NDArray[np.int64], place: Float32, normal: Float32
) -> None:
    """Rows of windows on house fronts, each a little different."""
    along = (normal[:, 0] * place[:, 1] - normal[:, 1] * place[:, 0]) / np.float32(_BAY_M)
    storey = place[:, 2] / np.float32(_STOREY_M)
    x, z = along % 1, storey % 1
    ground = storey < 1
    margin = np.where(ground, np.float32(0.08), np.float32(0.24))
    window = (x > margin) & (x < 1 - margin) & (z > 0.24) & (z < 0.78)
    picked = np.flatnonzero(window)
    cell = np.stack([along[picked], storey[picked], np.zeros(len(picked), np.float32)], -1)
    tint = _lookup(np.floor(cell) * np.float32(1.0))
    colour[facade[picked]] = _WINDOW * (1 + tint[:, None] * np.float32(0.8))


def points(hits: Hits, lidar: Lidar, stage: Stage) -> Float32:
    """LiDAR returns [P, 5] float32 in the ego frame: x y z, intensity, dt.

    All rays are cast at one instant, the frame's timestamp, so dt is 0 everywhere and nothing is to be compensated.
    Intensity is reflectivity x cosine of incidence. A weak return is lost from a distance that grows with its
    square root: 120 m at an intensity of 0.1 or more.
    """
    hit = np.flatnonzero((hits.triangle >= 0) & (hits.distance_m < MAX_RANGE_M))
    triangle, on_actor = hits.triangle[hit], hits.actor[hit] >= 0
    intensity = np.empty(len(hit), np.float32)
    for solids, mask in ((stage.actors, on_actor), (stage.scenery, ~on_actor)):
        normal = solids.normal[triangle[mask]]
        cosine = np.abs((normal * hits.rays[hit[mask]]).sum(-1))
        intensity[mask] = solids.reflectivity[triangle[mask]] * cosine
    distance = hits.distance_m[hit]
    heard = distance < MAX_RANGE_M * np.sqrt(intensity / 0.1)
    xyz = lidar.position_ego_m + lidar.rays_ego[hit[heard]] * distance[heard, None].astype(np.float64)
    columns = [xyz, intensity[heard, None], np.zeros((int(heard.sum()), 1))]
    return np.concatenate(columns, 1).astype(np.float32)
