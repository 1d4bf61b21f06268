"""From hits to what a sensor gives: shaded images and LiDAR returns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from leapai.data.synthetic import meshes
from leapai.data.synthetic.casting import Float32, Hits, Stage, shades
from leapai.data.synthetic.rig import MAX_RANGE_M, Camera, Lidar
from leapai.data.synthetic.street import random_generator
from leapai.types import FloatArray, ImageArray, IntArray

Indices = npt.NDArray[np.intp]

_TABLE_SIDE = 256
_MASK = _TABLE_SIDE - 1
_TABLE: Float32 = np.random.default_rng(20).random((_TABLE_SIDE, _TABLE_SIDE), np.float32) - 0.5
"""Value noise in [-0.5, 0.5), looked up by place."""
_SENSOR_NOISE: Float32 = np.random.default_rng(21).normal(0, 2.2, 1 << 18).astype(np.float32)
"""Grey levels; a frame's noise is a run of it that starts at a place drawn for frame and camera."""
_SHADOW_RANGE_M = 60.0
_FINE_RANGE_M = 25.0
_STOREY_M, _BAY_M, _SLAB_M = 3.2, 2.6, 0.6
_WINDOW: Float32 = np.array([0.20, 0.25, 0.30], np.float32)


def image(camera: Camera, hits: Hits, stage: Stage, *noise_stream: int) -> ImageArray:
    """RGB [H, W, 3] of a camera's hits; `noise_stream` seeds the sensor noise."""
    seen = np.flatnonzero(hits.triangle >= 0)
    colour = np.empty((len(hits.rays), 3), np.float32)
    open_sky = np.flatnonzero(hits.triangle < 0)
    colour[open_sky] = _sky(camera.rays_ego[open_sky], stage)
    haze = stage.light.horizon.astype(np.float32)
    clear = np.exp(hits.distance_m[seen] / np.float32(-stage.light.haze_m))[:, None]
    colour[seen] = haze + (_lit(hits, stage, seen) - haze) * clear
    colour *= camera.vignette * np.float32(255)
    colour += _noise(len(colour), *noise_stream)[:, None]
    np.clip(colour, 0, 255, out=colour)
    return colour.astype(np.uint8).reshape(*camera.size_px, 3)


def _sky(rays_ego: Float32, stage: Stage) -> Float32:
    up = np.clip(rays_ego[:, 2:] * np.float32(2.2), 0, 1)
    horizon, zenith = (c.astype(np.float32) for c in (stage.light.horizon, stage.light.zenith))
    sky: Float32 = horizon + (zenith - horizon) * np.sqrt(up)
    return sky


def _noise(count: int, *stream: int) -> Float32:
    start = int(random_generator(*stream).integers(len(_SENSOR_NOISE)))
    return np.resize(np.roll(_SENSOR_NOISE, -start), count)


def _lit(hits: Hits, stage: Stage, seen: Indices) -> Float32:
    """Colours [S, 3] of the seen hits in sun and shade, with their textures, before haze."""
    triangle, distance = hits.triangle[seen], hits.distance_m[seen]
    colour = stage.scenery.colour.take(triangle, 0, mode="clip")
    texture = stage.scenery.texture.take(triangle, mode="clip")
    bodies = np.flatnonzero(hits.actor[seen] >= 0)
    normal = hits.normals_on_actors(stage, seen[bodies])
    colour[bodies] = shades(stage.gallery.colour[triangle[bodies]], normal, stage.light)
    texture[bodies] = meshes.PLAIN
    point = hits.origin_m.astype(np.float32) + hits.rays[seen] * distance[:, None]
    sunny = _in_sun(point, colour[:, 4], distance, stage)
    lit = colour[:, :3] + colour[:, 3:] * sunny[:, None]
    place = point + stage.anchor_m.astype(np.float32)
    _grain(lit, texture, place, distance)
    facade = np.flatnonzero(texture == meshes.FACADE)
    _windows(lit, facade, place[facade], stage.scenery.normal[triangle[facade]])
    return lit


def _in_sun(point: Float32, direct: Float32, distance: Float32, stage: Stage) -> Float32:
    """1 where the sun reaches a point, else 0; beyond `_SHADOW_RANGE_M` it always does."""
    lit = np.ones(len(point), np.float32)
    to_sun = stage.light.to_sun.astype(np.float32)
    asked = np.flatnonzero((direct > 0) & (distance < _SHADOW_RANGE_M))
    for solids in (stage.scenery, *stage.shadows):
        starts = point[asked] + np.float32(0.02) * to_sun
        shaded = solids.blocks(starts, np.broadcast_to(to_sun, starts.shape).copy())
        lit[asked[shaded]] = 0
        asked = asked[~shaded]
    return lit


_GRAIN = np.zeros(6, np.float32)
_GRAIN[[meshes.TARMAC, meshes.PAVING, meshes.LEAVES, meshes.GRASS, meshes.FACADE]] = (
    0.16, 0.14, 0.7, 0.4, 0.06
)  # fmt: skip


def _grain(colour: Float32, texture: IntArray, place: Float32, distance: Float32) -> None:
    """Rough surfaces: noise of two sizes by place, the finer one fading with distance; paving has
    joints."""
    rough = np.flatnonzero(texture)
    grain = _lookup(place[rough], 1.4) * np.float32(0.6)
    near = np.flatnonzero(distance[rough] < _FINE_RANGE_M)
    fading = 1 - distance[rough[near]] / np.float32(_FINE_RANGE_M)
    grain[near] += _lookup(place[rough[near]], 12.0) * fading
    colour[rough] *= (1 + _GRAIN[texture[rough]] * grain)[:, None]
    paving = np.flatnonzero((texture == meshes.PAVING) & (distance < 20))
    x, y = (place[paving, axis] % np.float32(_SLAB_M) for axis in (0, 1))
    colour[paving[(x < 0.035) | (y < 0.035)]] *= np.float32(0.8)


def _lookup(place: FloatArray, per_metre: float) -> Float32:
    """Noise [N] in [-0.5, 0.5) at points [N, 3], constant in cells `per_metre` to a metre."""
    cell = np.floor(place * np.float32(per_metre)).astype(np.int32)
    row = cell[:, 0] + 37 * cell[:, 2]
    value: Float32 = _TABLE.take((row & _MASK) * _TABLE_SIDE + (cell[:, 1] & _MASK))
    return value


def _windows(colour: Float32, facade: Indices, place: Float32, normal: Float32) -> None:
    """Rows of windows on house fronts, each a little different."""
    along = (normal[:, 0] * place[:, 1] - normal[:, 1] * place[:, 0]) / np.float32(_BAY_M)
    storey = place[:, 2] / np.float32(_STOREY_M)
    x, z = along % 1, storey % 1
    margin = np.where(storey < 1, np.float32(0.08), np.float32(0.24))
    picked = np.flatnonzero((x > margin) & (x < 1 - margin) & (z > 0.24) & (z < 0.78))
    pane = np.stack([along[picked], storey[picked], np.zeros(len(picked))], -1)
    tint = _lookup(pane, 1.0)
    colour[facade[picked]] = _WINDOW * (1 + tint[:, None] * np.float32(0.8))


def points(hits: Hits, lidar: Lidar, stage: Stage) -> Float32:
    """LiDAR returns [P, 5] float32 in the ego frame: x y z, intensity, dt.

    All rays are cast at one instant, the frame's timestamp, so dt is 0 everywhere and nothing is to
    be compensated. Intensity is reflectivity x cosine of incidence. A weak return is lost from a
    distance that grows with its square root: 120 m at an intensity of 0.1 or more.
    """
    hit = np.flatnonzero((hits.triangle >= 0) & (hits.distance_m < MAX_RANGE_M))
    triangle, distance = hits.triangle[hit], hits.distance_m[hit]
    normal = stage.scenery.normal.take(triangle, 0, mode="clip")
    reflectivity = stage.scenery.reflectivity.take(triangle, mode="clip")
    bodies = np.flatnonzero(hits.actor[hit] >= 0)
    normal[bodies] = hits.normals_on_actors(stage, hit[bodies])
    reflectivity[bodies] = stage.gallery.reflectivity[triangle[bodies]]
    intensity = reflectivity * np.abs((normal * hits.rays[hit]).sum(-1))
    heard = distance < MAX_RANGE_M * np.sqrt(intensity / 0.1)
    reach = distance[heard, None].astype(np.float64)
    xyz = lidar.position_ego_m + lidar.rays_ego[hit[heard]] * reach
    returns = [xyz, intensity[heard, None], np.zeros_like(reach)]
    return np.concatenate(returns, 1).astype(np.float32)
