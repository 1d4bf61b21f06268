"""Ray casting with Embree: scenery and actors as two scenes, and what each ray of a sensor meets first.

Rays are cast in the *window* frame: the local frame moved to a point near the ego, where float32 is exact to 0.05 mm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh

from leapai.data.synthetic.meshes import Mesh
from leapai.types import FloatArray, IntArray

Float32 = npt.NDArray[np.float32]
_NOTHING_M = 1e30
"""Embree's distance of a ray that meets nothing is larger than this."""


@dataclass(frozen=True)
class Light:
    """Sun, sky and haze of a drive. Colours are RGB in [0, 1]."""

    to_sun: FloatArray
    """[3] unit vector."""
    sun: FloatArray
    ambient: FloatArray
    zenith: FloatArray
    horizon: FloatArray
    haze_m: float
    """Distance at which 63 % of a colour is lost in haze."""


class Solids:
    """Triangles to cast at, with what shading needs of each."""

    def __init__(self, mesh: Mesh, light: Light) -> None:
        normal = mesh.normals()
        facing_sun = np.maximum(normal @ light.to_sun, 0.0)[:, None]
        self.ambient = (mesh.colour * light.ambient * (0.8 + 0.2 * normal[:, 2:])).astype(np.float32)
        """[T, 3] colour in the shade."""
        self.direct = (mesh.colour * light.sun * facing_sun).astype(np.float32)
        """[T, 3] what the sun adds."""
        self.normal = normal.astype(np.float32)
        self.reflectivity = mesh.reflectivity
        self.texture = mesh.texture
        self._scene = rtcore_scene.EmbreeScene()
        if len(mesh):
            TriangleMesh(self._scene, np.ascontiguousarray(mesh.triangles_m, np.float32))

    def first_hit(
        self, origins_m: Float32, rays: Float32, within_m: Float32 | None = None
    ) -> tuple[Float32, npt.NDArray[np.int32]]:
        """Distance [R] (inf: none) and triangle [R] (-1: none) of rays [R, 3] from [R, 3], nearer than [R]."""
        if not len(self.normal):
            return np.full(len(rays), np.inf, np.float32), np.full(len(rays), -1, np.int32)
        hit = self._scene.run(origins_m, rays, dists=within_m, query="INTERSECT", output=True)
        triangle = hit["primID"]
        return np.where(triangle >= 0, hit["tfar"], np.float32(np.inf)), triangle

    def blocks(self, origins_m: Float32, rays: Float32) -> npt.NDArray[np.bool_]:
        """Whether anything lies on each ray."""
        if not len(self.normal):
            return np.zeros(len(rays), bool)
        blocked: npt.NDArray[np.bool_] = self._scene.run(origins_m, rays, query="OCCLUDED") >= 0
        return blocked


@dataclass(frozen=True)
class Stage:
    """One instant: scenery and actors in the window frame, ready to cast at."""

    scenery: Solids
    actors: Solids
    owner: IntArray
    """[T] actor index of each triangle of `actors`."""
    window_from_ego: FloatArray
    """[4, 4]"""
    anchor_m: FloatArray
    """[3] origin of the window frame in the local frame."""
    light: Light


@dataclass(frozen=True)
class Hits:
    """What R rays of one sensor meet first."""

    rays: Float32
    """[R, 3] window axes."""
    origin_m: FloatArray
    """[3] window frame."""
    distance_m: Float32
    """[R]; inf: nothing."""
    triangle: npt.NDArray[np.int32]
    """[R] of the scenery, or of the actors where `actor` >= 0; -1: nothing."""
    actor: npt.NDArray[np.int32]
    """[R] index of the actor; -1: scenery or nothing."""


def cast(stage: Stage, position_ego_m: FloatArray, rays_ego: Float32) -> Hits:
    """First hits of rays [R, 3] that start at one point of the ego frame."""
    rotation = stage.window_from_ego[:3, :3].astype(np.float32)
    rays = np.ascontiguousarray(rays_ego @ rotation.T)
    origin = stage.window_from_ego[:3, :3] @ position_ego_m + stage.window_from_ego[:3, 3]
    origins = np.broadcast_to(origin.astype(np.float32), rays.shape).copy()
    distance, triangle = stage.scenery.first_hit(origins, rays)
    nearer, actor_triangle = stage.actors.first_hit(origins, rays, np.minimum(distance, _NOTHING_M))
    on_actor = actor_triangle >= 0
    owner = np.full(len(rays), -1, np.int32)
    owner[on_actor] = stage.owner[actor_triangle[on_actor]]
    return Hits(
        rays=rays,
        origin_m=origin,
        distance_m=np.where(on_actor, nearer, distance),
        triangle=np.where(on_actor, actor_triangle, triangle),
        actor=owner,
    )
