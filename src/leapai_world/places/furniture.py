"""Street furniture of every place, which carries no label: trees, lamps, bins, signs, houses."""

from __future__ import annotations

import numpy as np

from leapai_world import meshes
from leapai_world.meshes import Material, Mesh, block, ellipsoid, joined, tube

_BARK = Material((0.34, 0.26, 0.19), 0.2, 0.5)
_POLE = Material((0.42, 0.44, 0.45), 0.15)
_LAMP_GLASS = Material((0.95, 0.94, 0.85), 0.05)
_FACADES = (
    (0.72, 0.62, 0.50),
    (0.62, 0.38, 0.30),
    (0.78, 0.75, 0.68),
    (0.55, 0.56, 0.58),
    (0.70, 0.52, 0.42),
    (0.83, 0.79, 0.62),
)
_BINS = ((0.20, 0.34, 0.24), (0.25, 0.26, 0.28), (0.20, 0.28, 0.42), (0.62, 0.52, 0.14))
_SIGNS = ((0.10, 0.25, 0.62), (0.78, 0.10, 0.10), (0.93, 0.80, 0.15))


def tinted(
    colours: tuple[tuple[float, float, float], ...], rng: np.random.Generator
) -> tuple[float, float, float]:
    """Draws one of some colours, a little changed."""
    shade = rng.normal(0, 0.03, 3) + rng.normal(0, 0.03)
    red, green, blue = np.clip(np.array(colours[rng.integers(len(colours))]) + shade, 0.05, 0.95)
    return float(red), float(green), float(blue)


def tree(rng: np.random.Generator) -> Mesh:
    """Builds a trunk and four balls of leaves."""
    height, crown = rng.uniform(4.7, 7.0), rng.uniform(1.2, 1.7)
    leaves = Material(
        tinted(((0.26, 0.42, 0.15), (0.34, 0.44, 0.16)), rng), 0.3, 0.6, meshes.LEAVES
    )
    parts = [tube((0, 0, 0), (0, 0, height), (0.16, 0.07), _BARK, 7)]
    for _ in range(4):
        x, y = rng.uniform(-0.45, 0.45, 2) * crown
        z = height + rng.uniform(-0.6, 1.1)
        radii = crown * rng.uniform(0.6, 0.95, 3)
        parts.append(ellipsoid((x, y, z), radii, leaves, 9))
    return joined(parts)


def lamp(side: int) -> Mesh:
    """Builds a street lamp that reaches over the road; `side` is the side of the road on which it
    stands."""
    reach = -side * 1.6
    return joined(
        [
            tube((0, 0, 0), (0, 0, 6.6), (0.09, 0.05), _POLE, 8),
            tube((0, 0, 6.5), (0, reach, 6.8), 0.04, _POLE, 6),
            block((-0.12, reach - 0.3, 6.74), (0.12, reach + 0.3, 6.84), _POLE),
            block((-0.10, reach - 0.25, 6.70), (0.10, reach + 0.25, 6.74), _LAMP_GLASS),
        ]
    )


def litter_bin(rng: np.random.Generator) -> Mesh:
    """Builds a wheeled bin."""
    colour = Material(tinted(_BINS, rng), 0.08)
    low = block((-0.29, -0.33, 0.06), (0.29, 0.33, 0.95), colour, 1.12)
    lid = block((-0.35, -0.38, 0.95), (0.35, 0.38, 1.05), colour, 0.85)
    return joined([low, lid])


def sign(rng: np.random.Generator) -> Mesh:
    """Builds a traffic sign that faces -x and +x."""
    plate = Material(tinted(_SIGNS, rng), 1.0, 1.0)
    face = tube((-0.015, 0, 2.45), (0.015, 0, 2.45), 0.34, plate, int(rng.choice([3, 4, 8, 12])))
    return joined([tube((0.04, 0, 0), (0.04, 0, 2.7), 0.035, _POLE, 6), face])


def house(half_length_m: float, depth_m: float, rng: np.random.Generator) -> Mesh:
    """Builds a house around the origin with eaves; its long sides face y."""
    height = 3.2 * rng.integers(2, 8) + 0.8
    colour, half, side = tinted(_FACADES, rng), half_length_m, depth_m / 2
    facade = Material(colour, 0.2, 0.4, meshes.FACADE)
    red, green, blue = (0.6 * c for c in colour)
    low, high = (-half - 0.2, -side - 0.3, height), (half + 0.2, side + 0.3, height + 0.35)
    wall = block((-half, -side, 0), (half, side, height), facade)
    return joined([wall, block(low, high, Material((red, green, blue), 0.15, 0.3))])


def signal() -> Mesh:
    """Builds a traffic light on a pole that faces +x."""
    parts = [tube((0, 0, 0), (0, 0, 3.4), 0.06, _POLE, 8)]
    parts.append(block((-0.02, -0.16, 2.4), (0.24, 0.16, 3.4), Material((0.08, 0.09, 0.09), 0.03)))
    lamps = ((3.2, (0.85, 0.08, 0.06)), (2.9, (0.30, 0.22, 0.05)), (2.6, (0.05, 0.28, 0.12)))
    for z, colour in lamps:
        parts.append(tube((0.24, 0, z), (0.27, 0, z), 0.11, Material(colour, 0.05), 10))
    return joined(parts)
