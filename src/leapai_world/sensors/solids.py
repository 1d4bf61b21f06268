"""Triangles that rays are cast at directly: scenery, and what throws shadows."""

from __future__ import annotations

import numpy as np

from leapai.types.vocabulary import BoolArray, FloatArray
from leapai_world.meshes import Mesh
from leapai_world.sensors.embree import Float32, Int32, new_scene
from leapai_world.sensors.light import Light


class Occluders:
    """Occluders: triangles in the window frame that stand in the way of light."""

    def __init__(self, triangles_m: FloatArray) -> None:
        self._scene = new_scene(triangles_m)
        self._empty = not len(triangles_m)

    def occlude(self, origins_m: Float32, rays: Float32) -> BoolArray:
        """Returns whether anything lies on each ray [R, 3] from [R, 3]."""
        if self._empty or not len(rays):
            return np.zeros(len(rays), bool)
        blocked: BoolArray = self._scene.run(origins_m, rays, query="OCCLUDED") >= 0
        return blocked


class Solids(Occluders):
    """Triangles in the window frame to cast rays at, with the data that shading needs of each."""

    def __init__(self, mesh: Mesh, light: Light) -> None:
        super().__init__(mesh.triangles_m)
        normal = mesh.normals()
        self.colour = shades(mesh.colour, normal, light)
        """[6, T] colours in the shade and what the sun adds (`shades`)."""
        self.normal = normal.astype(np.float32)
        self.reflectivity, self.backscatter = mesh.reflectivity, mesh.backscatter
        self.texture = mesh.texture

    def first_hit(
        self, origins_m: Float32, rays: Float32, within_m: Float32
    ) -> tuple[Float32, Int32]:
        """Returns distance [R] and triangle [R] of rays [R, 3] from [R, 3], at most `within_m` [R]
        away; `within_m` and -1 where there is none."""
        if self._empty:
            return within_m, np.full(len(rays), -1, np.int32)
        hit = self._scene.run(
            origins_m, rays, dists=within_m.copy(), query="INTERSECT", output=True
        )
        return np.where(hit["primID"] >= 0, hit["tfar"], within_m), hit["primID"]


def shades(colour: Float32, normal: FloatArray, light: Light) -> Float32:
    """Returns RGB in the shade, and what the sun adds to it, [6, T] of colours and normals [T,
    3]."""
    facing_sun = np.maximum(normal @ light.to_sun, 0.0)[:, None]
    ambient = colour * light.ambient * (0.8 + 0.2 * normal[:, 2:])
    both = np.concatenate([ambient, colour * light.sun * facing_sun], -1)
    return np.ascontiguousarray(both.T, np.float32)
