"""Parts that cars, trucks and buses share: wheels, and blocks left and right or across."""

from __future__ import annotations

import numpy as np

from leapai_world.actors.colours import RIM, TYRE
from leapai_world.meshes import Material, Mesh, block, tube


def wheels(xs: tuple[float, ...], half_width: float, radius: float, tyre: float) -> list[Mesh]:
    """Builds pairs of wheels whose outer faces lie at `half_width`."""
    parts = []
    for x in xs:
        for side in (-1.0, 1.0):
            outer, inner = side * half_width, side * (half_width - tyre)
            parts.append(tube((x, inner, radius), (x, outer, radius), radius, TYRE, 16))
            rim = (x, outer + side * 0.004, radius)
            parts.append(tube((x, outer, radius), rim, 0.6 * radius, RIM, 10))
    return parts


def pair(
    x: float, y: float, z: float, size: tuple[float, float, float], of: Material
) -> list[Mesh]:
    """Builds the same block left and right, centred on (x, +-y, z)."""
    half = np.array(size) / 2
    return [block(centre - half, centre + half, of) for centre in (np.array([x, y, z]), [x, -y, z])]


def across(x: float, z: float, size: tuple[float, float, float], of: Material) -> Mesh:
    """Builds a block on the middle line."""
    half = np.array(size) / 2
    centre = np.array([x, 0.0, z])
    return block(centre - half, centre + half, of)
