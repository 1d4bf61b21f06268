"""Images of a camera: hits of its rays, shaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leapai.types.vocabulary import FloatArray, ImageArray, IntArray
from leapai_world import meshes
from leapai_world.random_generators import random_generator
from leapai_world.sensors import headlights
from leapai_world.sensors.embree import Float32
from leapai_world.sensors.facades import window_panes
from leapai_world.sensors.light import Light
from leapai_world.sensors.ray_casting import Hits, Scene
from leapai_world.sensors.rig import Camera
from leapai_world.sensors.solids import Occluders, shades

Indices = npt.NDArray[np.intp]

_TABLE_SIDE = 256
_MASK = _TABLE_SIDE - 1
_TABLE: Float32 = np.random.default_rng(20).random((_TABLE_SIDE, _TABLE_SIDE), np.float32) - 0.5
"""Table of value noise in [-0.5, 0.5), looked up by place."""
_SENSOR_NOISE: Float32 = np.random.default_rng(21).normal(0, 2.2, 1 << 18).astype(np.float32)
"""Sensor noise in grey levels. The noise of a frame is a run of it that starts at a place drawn for
frame and camera."""
_SHADOW_RANGE_M = 60.0
_FINE_RANGE_M = 25.0
_SLAB_M = 0.6
_LIT_WINDOW: Float32 = np.array([[1.00], [0.80], [0.48]], np.float32)
_WINDOW: Float32 = np.array([[0.20], [0.25], [0.30]], np.float32)


def sensor_light(camera: Camera, hits: Hits, scene: Scene, moving: Occluders) -> Float32:
    """Returns the light [3, H * W] on the sensor of a camera, 0 to 255. `moving` throws shadows in
    addition to those of the scene."""
    seen, open_sky = np.flatnonzero(hits.triangle >= 0), np.flatnonzero(hits.triangle < 0)
    colour = np.empty((3, len(hits.rays)), np.float32)
    colour[:, open_sky] = _sky(camera.rays_ego[open_sky, 2], scene)
    haze = scene.light.horizon.astype(np.float32)[:, None]
    clear = np.exp(hits.distance_m[seen] / np.float32(-scene.light.haze_m))
    colour[:, seen] = haze + (_lit(camera, hits, scene, moving, seen) - haze) * clear
    colour *= camera.vignette * np.float32(255)
    return colour


def image_from_light(camera: Camera, light: Float32, *noise_stream: int) -> ImageArray:
    """Returns the image, RGB [H, W, 3], of light [3, H * W] on the sensor; `noise_stream` seeds the
    sensor noise."""
    exposed = light + _noise(light.shape[1], *noise_stream)
    np.clip(exposed, 0, 255, out=exposed)
    return np.ascontiguousarray(exposed.astype(np.uint8).T).reshape(*camera.size_px, 3)


def _sky(up: Float32, scene: Scene) -> Float32:
    """Returns the colours [3, S] of the sky by the z of rays [S]."""
    horizon, zenith = (c.astype(np.float32) for c in (scene.light.horizon, scene.light.zenith))
    height = np.sqrt(np.clip(up * np.float32(2.2), 0, 1))
    sky: Float32 = horizon[:, None] + (zenith - horizon)[:, None] * height
    return sky


def _noise(count: int, *stream: int) -> Float32:
    start = int(random_generator(*stream).integers(len(_SENSOR_NOISE)))
    return _SENSOR_NOISE.take(np.arange(start, start + count), mode="wrap")


def _lit(camera: Camera, hits: Hits, scene: Scene, moving: Occluders, seen: Indices) -> Float32:
    """Returns the colours [3, S] of the visible hits in sun and shade, with their textures, before
    haze.

    Channels and axes come first here: numpy is several times quicker along long rows.
    """
    triangle, distance = hits.triangle[seen], hits.distance_m[seen]
    colour = scene.scenery.colour.take(triangle, 1, mode="clip")
    texture = scene.scenery.texture.take(triangle, mode="clip")
    bodies = np.flatnonzero(hits.actor[seen] >= 0)
    normal = hits.normals_on_actors(scene.library, seen[bodies])
    own = scene.own_colours[hits.actor[seen[bodies]]]
    painted = scene.library.colours(triangle[bodies], own)
    colour[:, bodies] = shades(painted, normal, scene.light)
    texture[bodies] = meshes.PLAIN
    point = hits.points(seen)
    shade_occluders = (scene.scenery, *scene.shadows, moving)
    facing = _Seen(seen, point, colour[4], distance)
    sunny = _in_sun(facing, camera.size_px[1], shade_occluders, scene.light)
    lit: Float32 = colour[:3] + colour[3:] * sunny
    dark = headlights.darkness(scene.light)
    if dark:
        lit += _by_headlights(hits, scene, facing, colour[:3], (bodies, normal))
    place = point + scene.anchor_m.astype(np.float32)[:, None]
    lit *= _grain(texture, place, distance)
    facade = np.flatnonzero(texture == meshes.FACADE)
    _windows(lit, facade, place[:, facade], scene.scenery.normal[triangle[facade]].T, dark)
    return lit


def _by_headlights(
    hits: Hits, scene: Scene, seen: _Seen, shade: Float32, on_bodies: tuple[Indices, FloatArray]
) -> Float32:
    """Returns what headlights add to colours [3, S]. `shade` [3, S] is the light of the sky only,
    which gives the surface's own colour (`shades`). `on_bodies` are the pixels that lie on actors,
    and their normals."""
    normal = scene.scenery.normal.take(hits.triangle[seen.pixel], 0, mode="clip").T.copy()
    normal[:, on_bodies[0]] = on_bodies[1].T
    sky = scene.light.ambient[:, None] * (0.8 + 0.2 * normal[2])
    ego = hits.instants.window_from_ego[0]
    added = shade / sky * headlights.brightness(seen.point, normal, ego, scene.light)
    return np.asarray(added, np.float32)


@dataclass(frozen=True)
class _Seen:
    """S pixels whose rays have hits."""

    pixel: Indices
    """[S] ascending."""
    point: Float32
    """[3, S] window frame."""
    direct: Float32
    """[S] green light that the sun would add."""
    distance: Float32
    """[S]"""


def _in_sun(seen: _Seen, width: int, shade_occluders: Sequence[Occluders], light: Light) -> Float32:
    """Returns 1 where the sun reaches a point [3, S], else 0; beyond `_SHADOW_RANGE_M` it always
    does.

    Shadows are wide: of four pixels in a square, the one above to the left is tested as the
    representative of all. Where that one does not face the sun, each is tested for itself.
    """
    lit = np.ones(len(seen.pixel), np.float32)
    to_sun = light.to_sun.astype(np.float32)
    sunlit = np.flatnonzero((seen.direct > 0) & (seen.distance < _SHADOW_RANGE_M))
    representative = _representatives(seen.pixel[sunlit], width)
    asked = sunlit[representative == np.arange(len(sunlit))]
    for blockers in shade_occluders:
        starts = (seen.point[:, asked] + np.float32(0.02) * to_sun[:, None]).T
        shaded = blockers.occlude(
            np.ascontiguousarray(starts), np.broadcast_to(to_sun, starts.shape).copy()
        )
        lit[asked[shaded]] = 0
        asked = asked[~shaded]
    lit[sunlit] = lit[sunlit[representative]]
    return lit


def _representatives(pixel: Indices, width: int) -> Indices:
    """Returns for each of ascending flat pixels [S] the place in them of its representative."""
    row, column = np.divmod(pixel, width)
    corner = (row & ~1) * width + (column & ~1)
    place = np.full(int(pixel[-1]) + 1 if len(pixel) else 0, -1)
    place[pixel] = np.arange(len(pixel))
    there = place[corner]
    return np.where(there >= 0, there, np.arange(len(pixel)))


_GRAIN = np.zeros(7, np.float32)
_GRAIN[[meshes.TARMAC, meshes.PAVING, meshes.LEAVES, meshes.GRASS, meshes.FACADE]] = (
    0.16, 0.14, 0.7, 0.4, 0.06
)  # fmt: skip


def _grain(texture: IntArray, place: Float32, distance: Float32) -> Float32:
    """Returns the brightness [S] of rough surfaces at places [3, S]: noise of two sizes, the finer
    one fading with distance; paving has joints."""
    brightness = np.ones(len(distance), np.float32)
    rough = np.flatnonzero(texture)
    grain = _lookup(place[:, rough], 1.4) * np.float32(0.6)
    near = np.flatnonzero(distance[rough] < _FINE_RANGE_M)
    fading = 1 - distance[rough[near]] / np.float32(_FINE_RANGE_M)
    grain[near] += _lookup(place[:, rough[near]], 12.0) * fading
    brightness[rough] += _GRAIN[texture[rough]] * grain
    paving = np.flatnonzero((texture == meshes.PAVING) & (distance < 20))
    x, y = place[:2, paving] % np.float32(_SLAB_M)
    brightness[paving[(x < 0.035) | (y < 0.035)]] *= np.float32(0.8)
    return brightness


def _lookup(place: FloatArray, per_metre: float) -> Float32:
    """Returns noise [S] in [-0.5, 0.5) at points [3, S], constant in cells `per_metre` to a
    metre."""
    x, y, z = np.floor(place * np.float32(per_metre)).astype(np.int32)
    value: Float32 = _TABLE.take((x + 37 * z & _MASK) * _TABLE_SIDE + (y & _MASK))
    return value


def _windows(
    colour: Float32, facade: Indices, place: Float32, normal: Float32, dark: float
) -> None:
    """Paints rows of windows on house fronts, each a little different, some lit where it is `dark`
    (0 to 1); places and normals are [3, S]."""
    is_pane, along, storey = window_panes(place, normal)
    picked = np.flatnonzero(is_pane)
    pane = np.stack([along[picked], storey[picked], np.zeros(len(picked))])
    chance = _lookup(pane, 1.0)
    by_day = _WINDOW * (1 + chance * np.float32(0.8))
    by_night = np.where(chance > 0.22, _LIT_WINDOW * (0.6 + chance), 0.3 * by_day)
    colour[:, facade[picked]] = by_day + (by_night - by_day) * np.float32(dark)
