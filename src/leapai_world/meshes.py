"""Triangle meshes with flat colours. All of them are made in one way: by lofting rings of
points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from math import dist, hypot

import numpy as np
import numpy.typing as npt

from leapai.types.vocabulary import FloatArray, IntArray

PLAIN, TARMAC, PAVING, FACADE, LEAVES, GRASS, GLASS = range(7)
"""Textures: how the renderer changes a colour by the place of the hit. No LiDAR pulse comes back
from `GLASS`."""


@dataclass(frozen=True)
class Material:
    """Appearance of a surface to a camera and to a LiDAR."""

    colour: tuple[float, float, float]
    """RGB in [0, 1] in full light."""
    reflectivity: float = 0.1
    """Share of a LiDAR pulse that comes back at normal incidence, near infrared; 1: a perfect
    diffuse reflector or a retroreflector."""
    backscatter: float = 0.0
    """Share of it that comes back at any incidence: 0 for smooth surfaces (Lambert's cosine), 1 for
    retroreflectors, in between for rough ones such as asphalt (Oren and Nayar 1994)."""
    texture: int = PLAIN
    paint: int = 0
    """0: the surface has this colour; k > 0: it has the k-th own colour of the actor."""


@dataclass(frozen=True)
class Mesh:
    """T triangles, counter-clockwise seen from outside."""

    triangles_m: FloatArray
    """[T, 3, 3] float64."""
    colour: npt.NDArray[np.float32]
    """[T, 3]"""
    reflectivity: npt.NDArray[np.float32]
    """[T]"""
    backscatter: npt.NDArray[np.float32]
    """[T]"""
    texture: IntArray
    """[T] int8."""
    paint: IntArray
    """[T] int8, `Material.paint` of each triangle."""

    def __len__(self) -> int:
        return len(self.triangles_m)

    def normals(self) -> FloatArray:
        """Returns unit normals [T, 3], outward."""
        a, b, c = self.triangles_m.swapaxes(0, 1)
        normal = np.cross(b - a, c - a)
        unit: FloatArray = normal / np.maximum(
            np.linalg.norm(normal, axis=-1, keepdims=True), 1e-12
        )
        return unit

    def extent(self) -> tuple[FloatArray, FloatArray]:
        """Returns the lowest and the highest corner [3]."""
        points = self.triangles_m.reshape(-1, 3)
        return points.min(0), points.max(0)

    def largest(self, count: int) -> Mesh:
        """Returns the `count` largest triangles, which make nearly all of the silhouette."""
        a, b, c = self.triangles_m.swapaxes(0, 1)
        area = (np.cross(b - a, c - a) ** 2).sum(-1)
        kept = np.argsort(-area, kind="stable")[:count]
        return Mesh(**{f.name: getattr(self, f.name)[kept] for f in fields(self)})

    def turned(self, yaw_rad: float, position_m: FloatArray | Sequence[float]) -> Mesh:
        """Returns the mesh turned about z, then moved to `position_m`."""
        c, s = np.cos(yaw_rad), np.sin(yaw_rad)
        turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        moved = self.triangles_m @ turn.T + np.asarray(position_m, np.float64)
        return replace(self, triangles_m=moved)

    def laid_down(self) -> Mesh:
        """Returns the mesh on its left side: its top points to the right."""
        x, y, z = np.moveaxis(self.triangles_m, -1, 0)
        return replace(self, triangles_m=np.stack([x, -z, y], -1))

    def fitted(self, size_m: FloatArray) -> Mesh:
        """Returns the mesh stretched to fill exactly the box of `size_m` (length, width, height)
        around the origin."""
        low, high = self.extent()
        scaled = (self.triangles_m - (low + high) / 2) * (np.asarray(size_m) / (high - low))
        return replace(self, triangles_m=scaled)


def surface(triangles_m: FloatArray, material: Material) -> Mesh:
    """Returns triangles [T, 3, 3] as a mesh of one material."""
    count = len(triangles_m)
    return Mesh(
        triangles_m=np.asarray(triangles_m, np.float64),
        colour=np.full((count, 3), material.colour, np.float32),
        reflectivity=np.full(count, material.reflectivity, np.float32),
        backscatter=np.full(count, material.backscatter, np.float32),
        texture=np.full(count, material.texture, np.int8),
        paint=np.full(count, material.paint, np.int8),
    )


NOTHING = surface(np.zeros((0, 3, 3)), Material((0.0, 0.0, 0.0)))
"""A mesh without triangles."""


def joined(parts: Sequence[Mesh]) -> Mesh:
    """Joins all parts into one mesh."""
    columns = (field.name for field in fields(Mesh))
    return Mesh(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in columns})


def quads(corners_m: FloatArray) -> FloatArray:
    """Splits quadrilaterals [Q, 4, 3] into triangles [2 Q, 3, 3]."""
    return np.concatenate([corners_m[:, [0, 1, 2]], corners_m[:, [0, 2, 3]]])


def loft(rings_m: FloatArray | Sequence[FloatArray], material: Material) -> Mesh:
    """Builds the closed surface through R convex rings of K points [R, K, 3], turned outward."""
    rings = np.asarray(rings_m, np.float64)
    triangles = rings.reshape(-1, 3)[_faces(*rings.shape[:2])]
    if np.linalg.det(triangles).sum() < 0:  # Six times the volume.
        triangles = triangles[:, ::-1]
    return surface(triangles, material)


@cache
def _faces(rings: int, points: int) -> IntArray:
    """Returns the corners [T, 3] of a loft: its sides, then a fan at either end."""
    index = np.arange(rings * points).reshape(rings, points)
    after = np.roll(index, -1, axis=1)
    sides = np.stack([index[:-1], after[:-1], after[1:], index[1:]], -1).reshape(-1, 4)
    fan = np.array([(0, i, i + 1) for i in range(1, points - 1)])
    ends = index[0, ::-1][fan], index[-1][fan]
    return np.concatenate([sides[:, [0, 1, 2]], sides[:, [0, 2, 3]], *ends])


def block(
    low_m: Sequence[float] | FloatArray,
    high_m: Sequence[float] | FloatArray,
    material: Material,
    top: float = 1.0,
) -> Mesh:
    """Builds an upright block between two corners; its upper face is `top` times as large as its
    lower one."""
    (x0, y0, z0), (x1, y1, z1) = low_m, high_m
    centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2, 0.0])
    base = np.array([[x0, y0, z0], [x1, y0, z0], [x1, y1, z0], [x0, y1, z0]])
    lid = (base - centre) * [top, top, 1.0] + centre
    lid[:, 2] = z1
    return loft([base, lid], material)


def extrusion(
    profile_xz: Sequence[tuple[float, float]], half_width_m: float, material: Material
) -> Mesh:
    """Builds a body from a convex side view [K, 2] pulled out across y, its flanks drawn in a
    little at the edges."""
    xz = np.asarray(profile_xz, np.float64)
    centre = (xz.min(0) + xz.max(0)) / 2
    rings = []
    for y, shrink in ((-1.0, 0.94), (-0.86, 1.0), (0.86, 1.0), (1.0, 0.94)):
        x, z = ((xz - centre) * shrink + centre).T
        rings.append(np.stack([x, np.full_like(x, y * half_width_m), z], -1))
    return loft(rings, material)


def tube(
    start_m: Sequence[float],
    end_m: Sequence[float],
    radius_m: float | tuple[float, float],
    material: Material,
    sides: int = 8,
) -> Mesh:
    """Builds a cylinder or cone between two points; radii at start and end."""
    start, end = np.asarray(start_m, np.float64), np.asarray(end_m, np.float64)
    x, y, z = (end - start) / dist(end, start)
    u = np.array((y, -x, 0.0) if abs(z) < 0.9 else (0.0, z, -y))
    u /= hypot(*u)
    v = np.array((y * u[2] - z * u[1], z * u[0] - x * u[2], x * u[1] - y * u[0]))
    angle = np.arange(sides) * (2 * np.pi / sides)
    circle = np.cos(angle)[:, None] * u + np.sin(angle)[:, None] * v
    first, last = radius_m if isinstance(radius_m, tuple) else (radius_m, radius_m)
    return loft([start + first * circle, end + last * circle], material)


def ellipsoid(
    centre_m: Sequence[float],
    radii_m: Sequence[float] | FloatArray,
    material: Material,
    sides: int = 8,
) -> Mesh:
    """Builds an ellipsoid of six rings."""
    polar = np.linspace(0.12, np.pi - 0.12, 6)
    angle = np.arange(sides) * (2 * np.pi / sides)
    x = np.sin(polar)[:, None] * np.cos(angle)
    y = np.sin(polar)[:, None] * np.sin(angle)
    z = np.repeat(np.cos(polar)[:, None], sides, 1)
    return loft(np.stack([x, y, z], -1) * radii_m + np.asarray(centre_m), material)


def hoop(
    centre_m: Sequence[float], radius_m: float, tyre_m: float, material: Material, sides: int = 14
) -> Mesh:
    """Builds an upright tyre in the x-z plane with an open middle."""
    angle = np.arange(sides) * (2 * np.pi / sides)
    tyre = np.array([(1, 0), (0, 1), (-1, 0), (0, -1)]) * tyre_m
    reach = radius_m - tyre_m + tyre[:, 0]
    x = np.cos(angle)[:, None] * reach
    z = np.sin(angle)[:, None] * reach
    y = np.broadcast_to(tyre[:, 1], x.shape)
    rings = np.stack([x, y, z], -1) + np.asarray(centre_m)
    around = np.roll(rings, -1, axis=0)
    corners = np.stack([rings, np.roll(rings, -1, axis=1), np.roll(around, -1, axis=1), around], 2)
    return surface(quads(corners.reshape(-1, 4, 3)), material)
