"""The world of one drive: its place, its traffic, and the scene that sensors see at any time."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from functools import cache, lru_cache

import numpy as np

from leapai.geometry import poses
from leapai.types.vocabulary import FloatArray, IntArray
from leapai_world.actors import shapes
from leapai_world.places.builders import open_place
from leapai_world.places.place import Place, global_origin, place_of
from leapai_world.places.surface_tints import tints_of
from leapai_world.sensors.instants import SAMPLES_S, FramePaths
from leapai_world.sensors.mesh_library import MeshLibrary
from leapai_world.sensors.ray_casting import Scene
from leapai_world.sensors.shadows import occluders_of
from leapai_world.sensors.solids import Occluders, Solids
from leapai_world.traffic.motion import Traffic

_ACTOR_RANGE_M = 95.0
"""Rays are cast at actors within this distance of the ego."""
_CLEARANCE_M = 0.005
"""Bodies stand this much above the ground, so that no return from the ground counts as theirs."""
_HALF_WINDOW_M = 36.0
"""The ego is at most this far from its anchor."""
_WINDOWS_KEPT = 2
_WORLDS_KEPT = 24
"""Worlds in memory at once: more than a batch has streams, and a bound for a worker."""


class World:
    """A place with its traffic, laid out from a seed for a drive of `duration_s`.

    Making it takes long. It is therefore made when a frame is asked for, not when drives are
    listed, so that a data set of any number of drives opens at once.
    """

    def __init__(self, place: Place, seed: int, duration_s: float) -> None:
        origin_m = global_origin(seed)
        self.place = place
        self._tints = tints_of(seed)
        self.origin_m = origin_m
        """[3] origin of the local frame, global frame."""
        self.traffic = Traffic(place.actors, duration_s)
        self._windows: OrderedDict[tuple[float, ...], tuple[Solids, Occluders]] = OrderedDict()
        """The last ones used, by their anchors."""

    def poses(self, time_s: float) -> tuple[FloatArray, FloatArray]:
        """Returns `local_from_ego` [4, 4] and the boxes [N, 7] of all actors in the local frame."""
        ego, actors = self.traffic.ego(time_s), self.traffic.motion(time_s)
        local_from_ego = poses.from_xyz_yaw(ego.position_m[0], ego.heading_rad[0])
        size = self.traffic.size_m
        centre = actors.position_m + np.array([0.0, 0.0, 0.5]) * size
        centre[:, 2] += _CLEARANCE_M
        return local_from_ego, np.concatenate([centre, size, actors.heading_rad[:, None]], 1)

    def scene(self, time_s: float) -> tuple[Scene, IntArray]:
        """Returns what sensors can see in a frame, and the numbers [M] of the actors in it."""
        samples = [self.poses(time_s + dt_s) for dt_s in SAMPLES_S]
        local_from_ego, boxes = (np.stack(part) for part in zip(*samples, strict=True))
        distance = np.linalg.norm(boxes[-1, :, :3] - local_from_ego[-1, :3, 3], axis=1)
        near = np.flatnonzero(distance < _ACTOR_RANGE_M)
        anchor = self._anchor(local_from_ego[-1, :3, 3])
        local_from_ego[:, :3, 3] -= anchor
        boxes[..., :3] -= anchor
        still, parked_shadows = self._window(anchor)
        scene = Scene(
            scenery=still,
            library=_mesh_library(),
            shape=self.traffic.posed(time_s)[near],
            own_colours=self.traffic.own_colours[near],
            own_reflectivities=self.traffic.own_reflectivities[near],
            paths=FramePaths(local_from_ego, boxes[:, near]),
            moves=self.traffic.moves[near],
            shadows=(parked_shadows,),
            anchor_m=anchor,
            light=self.place.light,
        )
        return scene, near

    def _anchor(self, position_m: FloatArray) -> FloatArray:
        """Returns the origin of the window of an ego position [3], in the local frame."""
        pitch = self.place.window_m
        return np.array([*(np.round(position_m[:2] / pitch) * pitch), 0.0])

    def _window(self, anchor_m: FloatArray) -> tuple[Solids, Occluders]:
        """Returns the scenery around an anchor, and what throws the shadows of parked actors."""
        key, windows = tuple(anchor_m), self._windows
        if key in windows:
            return windows[key]
        boxes = self.poses(0.0)[1]
        boxes[:, :3] -= anchor_m
        here = np.linalg.norm(boxes[:, :3], axis=1) < _ACTOR_RANGE_M + _HALF_WINDOW_M
        parked = np.flatnonzero(here & ~self.traffic.moves)
        mesh = self.place.scenery(anchor_m[:2]).turned(0.0, -anchor_m)
        solids = Solids(
            replace(mesh, colour=mesh.colour * self._tints[mesh.texture]), self.place.light
        )
        windows[key] = solids, occluders_of(boxes[parked], self.traffic.posed(0.0)[parked])
        if len(windows) > _WINDOWS_KEPT:
            windows.popitem(last=False)
        return windows[key]


@lru_cache(maxsize=_WORLDS_KEPT)
def open_world(place: str, seed: int, duration_s: float) -> World:
    """Returns the world of a drive; the last few are kept in memory. `place` is "" where the seed
    draws it."""
    opened = open_place(place or place_of(seed), seed, duration_s)
    return World(opened, seed, duration_s)


@cache
def _mesh_library() -> MeshLibrary:
    return MeshLibrary(shapes.prototypes())
