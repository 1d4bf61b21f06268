"""Shadows of actors, thrown by the largest triangles of their shapes."""

from __future__ import annotations

from functools import cache

import numpy as np

from leapai.geometry import poses
from leapai.types.vocabulary import FloatArray, IntArray
from leapai_world.actors import shapes
from leapai_world.sensors.instants import Instants
from leapai_world.sensors.ray_casting import Scene
from leapai_world.sensors.rig import Camera
from leapai_world.sensors.solids import Occluders

_RANGE_M = 45.0
"""Actors farther than this from the camera throw no shadow that could be seen."""
_TRIANGLES = 36
_MARGIN_RAD = 0.1


def occluders_of(boxes: FloatArray, shape: IntArray) -> Occluders:
    """Returns the occluders that throw the shadows of M actors with boxes [M, 7] and shapes [M]."""
    outline = _outlines()[shape] * boxes[:, None, None, 3:6].astype(np.float32)
    c, s = np.cos(boxes[:, 6]), np.sin(boxes[:, 6])
    zero, one = np.zeros_like(c), np.ones_like(c)
    turn = np.array([[c, s, zero], [-s, c, zero], [zero, zero, one]], np.float32)
    corners = outline.reshape(len(boxes), 3 * _TRIANGLES, 3) @ turn.transpose(2, 0, 1)
    corners += boxes[:, None, :3].astype(np.float32)
    return Occluders(corners.reshape(-1, 3, 3))


def occluders_of_movers(
    camera: Camera, scene: Scene, instants: Instants, boxes_ego: FloatArray
) -> Occluders:
    """Returns what throws the shadows of moving actors that the camera may see, at their places at
    the first instant; their boxes [N, 7] there are given in the ego frame."""
    to_sun_ego = poses.invert(instants.window_from_ego[0])[:3, :3] @ scene.light.to_sun
    movers = np.flatnonzero(scene.moves)
    movers = movers[in_view(camera, boxes_ego[movers], to_sun_ego)]
    return occluders_of(instants.boxes[0, movers], scene.shape[movers])


def in_view(camera: Camera, boxes_ego: FloatArray, to_sun_ego: FloatArray) -> IntArray:
    """Returns which of N actors with boxes [N, 7] throw a shadow on the ground that the camera may
    see.

    Actor and shadow lie in a circle around the middle of both, seen from above.
    """
    height = boxes_ego[:, 2] + boxes_ego[:, 5] / 2
    shadow = -to_sun_ego[:2] / max(to_sun_ego[2], 0.2) * height[:, None]
    middle = boxes_ego[:, :2] + shadow / 2 - camera.ego_from_camera[:2, 3]
    radius = (np.linalg.norm(boxes_ego[:, 3:5], axis=1) + np.linalg.norm(shadow, axis=1)) / 2
    distance = np.linalg.norm(middle, axis=1)
    ahead = camera.ego_from_camera[:2, 2] / np.linalg.norm(camera.ego_from_camera[:2, 2])
    angle = np.arccos(np.clip(middle @ ahead / np.maximum(distance, 1e-9), -1, 1))
    half_width = np.arcsin(np.minimum(radius / np.maximum(distance, 1e-9), 1))
    half_view = np.arctan(camera.view_limit[0]) + _MARGIN_RAD
    surrounds = distance < radius
    return np.flatnonzero(((angle - half_width < half_view) | surrounds) & (distance < _RANGE_M))


@cache
def _outlines() -> FloatArray:
    """Returns the largest triangles [S, K, 3, 3] float32 of each prototype; a shape of fewer
    triangles repeats some."""
    outlines = [
        np.resize(mesh.largest(_TRIANGLES).triangles_m, (_TRIANGLES, 3, 3))
        for mesh in shapes.prototypes()
    ]
    return np.stack(outlines).astype(np.float32)
