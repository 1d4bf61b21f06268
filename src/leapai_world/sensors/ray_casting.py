"""Ray casting with Embree: the first hit of each ray of a sensor, and how many rays would meet each
actor if it were unoccluded.

Rays are cast in the *window* frame: the local frame moved to a point near the ego, where float32 is
exact to 0.05 mm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from leapai.geometry import poses
from leapai.types.vocabulary import FloatArray, IntArray
from leapai_world.sensors.embree import Float32, Int32
from leapai_world.sensors.instants import FramePaths, Instants
from leapai_world.sensors.light import Light
from leapai_world.sensors.mesh_library import MeshLibrary
from leapai_world.sensors.solids import Occluders, Solids

_FAR_M = 1e5
_HALF = np.float32(0.5 + 1e-4)
"""Half a unit box, and a skin so that a surface on the face of the box is met."""
_LEVEL = np.float32(1e-9)
"""Replaces a direction of 0 as a divisor."""


@dataclass(frozen=True)
class Scene:
    """Scene of one frame in the window frame, ready for ray casting. It has N actors."""

    scenery: Solids
    library: MeshLibrary
    shape: IntArray
    """[N] shape of each actor in the mesh library."""
    own_colours: Float32
    """[N, 3, 3] RGB (`colours.own_colours`)."""
    own_reflectivities: Float32
    """[N, 3] (`colours.own_reflectivities`)."""
    paths: FramePaths
    """Ego path and paths of the actors during the frame."""
    moves: npt.NDArray[np.bool_]
    """[N] whether the actor ever moves."""
    shadows: tuple[Occluders, ...]
    """Occluders that throw shadows in addition to scenery and moving actors."""
    anchor_m: FloatArray
    """[3] origin of the window frame in the local frame."""
    light: Light


class Rays(Protocol):
    """The rays of a sensor: R rays from one point of the ego, each at one of K instants."""

    @property
    def position_ego_m(self) -> FloatArray:
        """[3] metres, position of the sensor in the ego frame."""
        ...

    @property
    def rays_ego(self) -> Float32:
        """[R, 3] unit directions in ego axes."""
        ...

    @property
    def instant(self) -> IntArray:
        """[R] instant of each ray, 0 .. K - 1."""
        ...


@dataclass(frozen=True)
class Hits:
    """Hits of R rays of one sensor, and how many would meet each of N actors if it were
    unoccluded."""

    instants: Instants
    instant: IntArray
    """[R] instant at which each ray was cast."""
    origins_m: FloatArray
    """[K, 3] position of the sensor at each instant, window frame."""
    rays: Float32
    """[R, 3] window axes."""
    distance_m: Float32
    """[R]; inf: nothing."""
    triangle: Int32
    """[R] triangle in the mesh library where `actor` >= 0, else in the scenery; -1: nothing."""
    actor: Int32
    """[R]; -1: scenery or nothing."""
    unoccluded: IntArray
    """[N] number of rays that would meet the actor if nothing occluded it."""

    @property
    def first(self) -> IntArray:
        """Number of rays [N] that meet each actor first."""
        return np.bincount(self.actor[self.actor >= 0], minlength=len(self.unoccluded))

    def points(self, rays: IntArray) -> Float32:
        """Returns points [3, K] of the window frame where `rays` [K] have their hits."""
        place: Float32 = np.ascontiguousarray(self.rays[rays].T) * self.distance_m[rays]
        place += _each(self.origins_m.astype(np.float32), self.instant[rays]).T
        return place

    def normals_on_actors(self, library: MeshLibrary, rays: IntArray) -> FloatArray:
        """Returns unit normals [K, 3] in window axes where `rays` [K] meet actors."""
        boxes, actor = self.instants.boxes.astype(np.float32), self.actor[rays]
        x, y, z = (library.normal[self.triangle[rays]] / boxes[0, actor, 3:6]).T
        yaw = boxes[self.instant[rays], actor, 6]
        cosine, sine = np.cos(yaw), np.sin(yaw)
        normal = np.stack([cosine * x - sine * y, sine * x + cosine * y, z], -1)
        unit: FloatArray = normal / np.linalg.norm(normal, axis=-1, keepdims=True)
        return unit


def cast_rays(
    scene: Scene, instants: Instants, sensor: Rays, footprints: Sequence[IntArray]
) -> Hits:
    """Casts the rays of a sensor at `instants` and returns their first hits.

    `footprints[i]` holds at least all rays that pass through the box of actor i.
    """
    turn = instants.window_from_ego[:, :3, :3].astype(np.float32)
    rays = _turned(sensor.rays_ego, turn, sensor.instant)
    origins = poses.apply(instants.window_from_ego, sensor.position_ego_m[None])[:, 0]
    starts = np.ascontiguousarray(_each(origins.astype(np.float32), sensor.instant))
    footprint = _Footprint(
        np.concatenate([np.zeros(0, np.intp), *footprints]),
        np.repeat(np.arange(len(footprints)), [len(f) for f in footprints]),
        sensor.instant,
    )
    ray, met_actor, met_at, met = _actor_hits(scene, instants, origins, rays, footprint)
    distance = np.full(len(rays), _FAR_M, np.float32)
    triangle, actor = np.full((2, len(rays)), -1, np.int32)
    np.minimum.at(distance, ray, met_at)
    first = np.flatnonzero(met_at == distance[ray])
    triangle[ray[first]], actor[ray[first]] = met[first], met_actor[first]
    still_distance, still = scene.scenery.first_hit(starts, rays, distance)
    before = still >= 0
    distance = np.where(before | (actor >= 0), still_distance, np.float32(np.inf))
    triangle, actor = np.where(before, still, triangle), np.where(before, np.int32(-1), actor)
    unoccluded = np.bincount(met_actor, minlength=len(footprints))
    return Hits(
        instants, sensor.instant, origins, rays, distance, triangle, actor, np.asarray(unoccluded)
    )


def _each(of_instants: Float32, instant: IntArray) -> Float32:
    """Returns values [R, 3] of rays from those of their instants [K, 3]."""
    if len(of_instants) == 1:
        return np.broadcast_to(of_instants, (len(instant), 3))
    return of_instants[instant]


def _turned(rays: Float32, turn: Float32, instant: IntArray) -> Float32:
    """Returns rays [R, 3] turned by the rotation of their instant, of rotations [K, 3, 3]."""
    if len(turn) == 1:
        return np.ascontiguousarray(rays @ turn[0].T)
    return np.ascontiguousarray(np.einsum("rij,rj->ri", turn[instant], rays))


@dataclass(frozen=True)
class _Footprint:
    """Pairs of a ray and an actor that may meet."""

    ray: IntArray
    """[P]"""
    actor: IntArray
    """[P]"""
    instant: IntArray
    """[R] instant of every ray."""

    def poses(self, instants: Instants, origins_m: FloatArray) -> _BoxRows:
        """Returns the boxes at the instants at which a ray may meet them."""
        count = instants.boxes.shape[1]
        key = self.instant[self.ray] * count + self.actor
        used = np.zeros(len(origins_m) * count, bool)
        used[key] = True
        boxes = instants.boxes.reshape(-1, 7)[used]
        box_from_window = poses.invert(poses.from_xyz_yaw(boxes[:, :3], boxes[:, 6]))
        origins = np.repeat(origins_m, count, 0)[used, None]
        start = poses.apply(box_from_window, origins)[:, 0] / boxes[:, 3:6]
        turn = (box_from_window[:, :3, :3] / boxes[:, 3:6, None]).astype(np.float32)
        return _BoxRows((np.cumsum(used) - 1)[key], start, turn)


@dataclass(frozen=True)
class _BoxRows:
    """Boxes scaled to unit size, with the transform that takes a ray of the window frame into
    each."""

    row: IntArray
    """[P] number of the box of each pair."""
    start: FloatArray
    """[B, 3] position of the sensor in the box."""
    turn: Float32
    """[B, 3, 3]"""


def _actor_hits(
    scene: Scene, instants: Instants, origins_m: FloatArray, rays: Float32, footprint: _Footprint
) -> tuple[IntArray, IntArray, Float32, Int32]:
    """Returns the rays and actors that meet: ray [K], actor [K], distance [K], triangle [K] of the
    mesh library.

    A ray is taken into the box of the actor, scaled to unit size, and followed from where it enters
    to where it leaves (slab method). Its direction is scaled along, so multiples of it stay metres.
    """
    boxes = footprint.poses(instants, origins_m)
    # Axes come first: numpy is several times quicker along long rows.
    turn = np.ascontiguousarray(boxes.turn.transpose(1, 2, 0)).take(boxes.row, 2)
    x, y, z = np.ascontiguousarray(rays[footprint.ray].T)
    along = [of_x * x + of_y * y + of_z * z for of_x, of_y, of_z in turn]
    enter, leave = np.zeros(len(x), np.float32), np.full(len(x), _FAR_M, np.float32)
    begins = np.ascontiguousarray(boxes.start.astype(np.float32).T).take(boxes.row, 1)
    for begin, slope in zip(begins, along, strict=True):
        per_metre = 1 / np.where(np.abs(slope) < _LEVEL, _LEVEL, slope)
        low, high = ((edge - begin) * per_metre for edge in (-_HALF, _HALF))
        np.maximum(enter, np.minimum(low, high), out=enter)
        np.minimum(leave, np.maximum(low, high), out=leave)
    through = np.flatnonzero(leave > enter)
    direction = np.stack([slope[through] for slope in along], -1)
    ray, actor, enter = footprint.ray[through], footprint.actor[through], enter[through]
    origins = boxes.start[boxes.row[through]] + direction * enter[:, None].astype(np.float64)
    beyond, triangle = scene.library.first_hit(
        scene.shape[actor], origins, direction, leave[through] - enter
    )
    met = np.flatnonzero(triangle >= 0)
    return ray[met], actor[met], (enter + beyond)[met], triangle[met]
