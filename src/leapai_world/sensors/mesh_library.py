"""The mesh library: every shape that an actor can have, in one scene."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from leapai.types.vocabulary import FloatArray, IntArray
from leapai_world.meshes import Mesh, joined
from leapai_world.sensors.embree import Float32, Int32, new_scene


class MeshLibrary:
    """Every shape that an actor can have, once, each in a box of unit size, far from the others.

    An actor is never placed among the others: rays are taken into its box instead. So nothing is
    built anew in a frame, and the first hit of a ray on each actor is known as if no other stood in
    its way.
    """

    def __init__(self, meshes: Sequence[Mesh]) -> None:
        place = np.arange(len(meshes))
        self._offset = 2.0 * np.stack([place % 10, place // 10, 0 * place], -1)
        whole = joined(meshes)
        owner = np.repeat(place, [len(mesh) for mesh in meshes])
        self.colour, self._reflectivity = whole.colour, whole.reflectivity
        self.backscatter = whole.backscatter
        self.texture = whole.texture
        self._own = whole.paint
        self.normal = whole.normals().astype(np.float32)
        """[T, 3] in the unit box."""
        triangles = whole.triangles_m + self._offset[owner, None]
        self._scene = new_scene(triangles)

    def colours(self, triangle: Int32, own: Float32) -> Float32:
        """Returns the colours [K, 3] of triangles [K], each on an actor whose own colours are `own`
        [K, 3, 3] (`Material.paint`)."""
        choice = np.concatenate([self.colour[triangle, None], own], 1)
        return np.asarray(choice[np.arange(len(triangle)), self._own[triangle]])

    def reflectivities(self, triangle: Int32, own: Float32) -> Float32:
        """Returns the reflectivities [K] of triangles [K], each on an actor whose own are `own`
        [K, 3]."""
        choice = np.concatenate([self._reflectivity[triangle, None], own], 1)
        return np.asarray(choice[np.arange(len(triangle)), self._own[triangle]])

    def first_hit(
        self, shape: IntArray, origins: FloatArray, rays: Float32, within: Float32
    ) -> tuple[Float32, Int32]:
        """Returns the multiple of each ray [R, 3] at which it meets its shape [R], at most `within`
        [R], and the triangle."""
        if not len(rays):
            return np.zeros(0, np.float32), np.zeros(0, np.int32)
        starts = (origins + self._offset[shape]).astype(np.float32)
        limits = within.copy()
        hit = self._scene.run(starts, rays, dists=limits, query="INTERSECT", output=True)
        return hit["tfar"], hit["primID"]
