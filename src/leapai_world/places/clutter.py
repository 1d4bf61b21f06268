"""Clutter of streets and car parks, which carries no label and is easily taken for an object:
bushes, walls, fences, cabinets, benches, boards, steps, poles, boxes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from leapai_world import meshes
from leapai_world.meshes import Material, Mesh, block, ellipsoid, joined, tube
from leapai_world.places.furniture import tinted

Colours = tuple[tuple[float, float, float], ...]
_GREENS: Colours = ((0.26, 0.42, 0.15), (0.20, 0.34, 0.13), (0.40, 0.44, 0.20))
_STONES: Colours = ((0.62, 0.60, 0.56), (0.50, 0.34, 0.28), (0.74, 0.70, 0.62))
_PAINTED: Colours = (
    (0.30, 0.33, 0.30),
    (0.62, 0.63, 0.62),
    (0.75, 0.62, 0.10),
    (0.20, 0.28, 0.42),
    (0.55, 0.12, 0.10),
    (0.15, 0.16, 0.17),
)
_WOODS: Colours = ((0.48, 0.34, 0.22), (0.36, 0.28, 0.20), (0.62, 0.54, 0.42))


def clutter(rng: np.random.Generator, depth_m: float = 0.7) -> Mesh:
    """Builds one thing around the origin, its longer side along x, at most `depth_m` deep in y."""
    build = _BUILDERS[rng.integers(len(_BUILDERS))]
    mesh = build(rng)
    low, high = mesh.extent()
    squeeze = min(1.0, depth_m / max(high[1] - low[1], 1e-3))
    mesh.triangles_m[:, :, 1] *= squeeze
    return mesh


def _painted(rng: np.random.Generator) -> Material:
    return Material(tinted(_PAINTED, rng), float(rng.uniform(0.03, 0.25)), 0.2)


def _stone(rng: np.random.Generator) -> Material:
    texture = meshes.PAVING if rng.random() < 0.5 else meshes.PLAIN
    return Material(tinted(_STONES, rng), float(rng.uniform(0.08, 0.3)), 0.5, texture)


def _wood(rng: np.random.Generator) -> Material:
    return Material(tinted(_WOODS, rng), float(rng.uniform(0.1, 0.35)), 0.4)


def _leaves(rng: np.random.Generator) -> Material:
    return Material(tinted(_GREENS, rng), float(rng.uniform(0.2, 0.45)), 0.6, meshes.LEAVES)


def _bush(rng: np.random.Generator) -> Mesh:
    """Builds balls of leaves as high as a child or a person, and about as wide."""
    leaves, height = _leaves(rng), rng.uniform(0.5, 1.9)
    parts = []
    for _ in range(int(rng.integers(1, 5))):
        radii = np.array([rng.uniform(0.25, 0.6), rng.uniform(0.25, 0.45), 0.5]) * [1, 1, height]
        x, y = rng.uniform(-0.4, 0.4), rng.uniform(-0.1, 0.1)
        parts.append(ellipsoid((x, y, radii[2] * rng.uniform(0.9, 1.0)), radii, leaves, 9))
    return joined(parts)


def _hedge(rng: np.random.Generator) -> Mesh:
    half = rng.uniform(0.8, 3.0)
    return block((-half, -0.3, 0), (half, 0.3, rng.uniform(0.6, 1.9)), _leaves(rng), 0.93)


def _wall(rng: np.random.Generator) -> Mesh:
    half = rng.uniform(0.8, 3.0)
    return block((-half, -0.12, 0), (half, 0.12, rng.uniform(0.4, 1.8)), _stone(rng))


def _fence(rng: np.random.Generator) -> Mesh:
    """Builds posts with two rails, or close boards."""
    half, height = rng.uniform(1.0, 3.0), rng.uniform(0.8, 1.6)
    material = _wood(rng) if rng.random() < 0.5 else _painted(rng)
    spacing = rng.choice([0.14, 0.35, 1.2])
    posts = np.arange(-half, half + 0.01, spacing)
    parts = [block((x - 0.03, -0.03, 0), (x + 0.03, 0.03, height), material) for x in posts]
    for z in (0.35 * height, 0.9 * height):
        parts.append(block((-half, -0.02, z), (half, 0.02, z + 0.07), material))
    return joined(parts)


def _cabinet(rng: np.random.Generator) -> Mesh:
    half, height = rng.uniform(0.2, 0.7), rng.uniform(0.7, 1.7)
    return block((-half, -0.22, 0), (half, 0.22, height), _painted(rng))


def _post_box(rng: np.random.Generator) -> Mesh:
    """Builds a box on a post: a letter box or a parking meter."""
    material, z = _painted(rng), rng.uniform(0.8, 1.1)
    box = block((-0.22, -0.16, z), (0.22, 0.16, z + rng.uniform(0.3, 0.6)), material)
    return joined([tube((0, 0, 0), (0, 0, z), 0.05, material, 6), box])


def _bench(rng: np.random.Generator) -> Mesh:
    wood, half = _wood(rng), rng.uniform(0.6, 1.0)
    parts = [block((-half, -0.2, 0.42), (half, 0.2, 0.48), wood)]
    parts.append(block((-half, 0.18, 0.5), (half, 0.24, 0.88), wood))
    parts += [block((x - 0.04, -0.2, 0), (x + 0.04, 0.2, 0.42), wood) for x in (-half, half)]
    return joined(parts)


def _planter(rng: np.random.Generator) -> Mesh:
    half, height = rng.uniform(0.25, 0.6), rng.uniform(0.35, 0.7)
    tub = block((-half, -half, 0), (half, half, height), _stone(rng), 1.1)
    top = height + rng.uniform(0.2, 0.9)
    radii = (0.9 * half, 0.9 * half, (top - height) / 2 + 0.15)
    return joined([tub, ellipsoid((0, 0, (top + height) / 2), radii, _leaves(rng), 8)])


def _advertising_column(rng: np.random.Generator) -> Mesh:
    radius = rng.uniform(0.3, 0.6)
    return tube((0, 0, 0), (0, 0, rng.uniform(2.2, 3.4)), radius, _stone(rng), 14)


def _board(rng: np.random.Generator) -> Mesh:
    """Builds a board on two posts; some are traffic signs, which retroreflect."""
    is_sign = rng.random() < 0.5
    plate = Material(tinted(_PAINTED, rng), 1.0, 1.0) if is_sign else _painted(rng)
    half, low = rng.uniform(0.3, 1.2), rng.uniform(0.4, 1.6)
    face = block((-half, -0.02, low), (half, 0.02, low + rng.uniform(0.5, 1.4)), plate)
    posts = [tube((x, 0, 0), (x, 0, low + 0.4), 0.03, _painted(rng), 6) for x in (-half, half)]
    return joined([face, *posts])


def _steps(rng: np.random.Generator) -> Mesh:
    stone, half = _stone(rng), rng.uniform(0.6, 1.4)
    count = int(rng.integers(2, 6))
    rises = [(0.16 * (k + 1), -0.4 + 0.8 * k / count) for k in range(count)]
    return joined([block((-half, y, 0), (half, 0.4, top), stone) for top, y in rises])


def _pole(rng: np.random.Generator) -> Mesh:
    material = _wood(rng) if rng.random() < 0.3 else _painted(rng)
    return tube((0, 0, 0), (0, 0, rng.uniform(2.0, 7.0)), rng.uniform(0.03, 0.16), material, 8)


def _trunk(rng: np.random.Generator) -> Mesh:
    return tube((0, 0, 0), (0, 0, rng.uniform(1.2, 4.0)), (0.22, 0.14), _wood(rng), 8)


def _boxes(rng: np.random.Generator) -> Mesh:
    """Builds a stack of boxes, crates or sacks."""
    parts, z = [], 0.0
    for _ in range(int(rng.integers(1, 4))):
        x, y, height = rng.uniform(0.15, 0.6), rng.uniform(0.15, 0.35), rng.uniform(0.2, 0.6)
        parts.append(block((-x, -y, z), (x, y, z + height), _wood(rng)))
        z += height
    return joined(parts)


def _bins(rng: np.random.Generator) -> Mesh:
    """Builds a row of one to four wheeled bins or a skip."""
    count, width, height = int(rng.integers(1, 5)), rng.uniform(0.45, 1.2), rng.uniform(0.9, 1.4)
    parts = []
    for k in range(count):
        x = (k - (count - 1) / 2) * (width + 0.06)
        low, high = (x - width / 2, -0.33, 0.05), (x + width / 2, 0.33, height)
        parts.append(block(low, high, _painted(rng), 1.08))
    return joined(parts)


def _statue(rng: np.random.Generator) -> Mesh:
    """Builds a figure of stone or a dummy before a shop: the size of a person, on a base."""
    stone, base = _stone(rng), rng.uniform(0.05, 0.9)
    tall = rng.uniform(1.2, 1.8)
    body = ellipsoid((0, 0, base + tall / 2), (0.24, 0.2, tall / 2), stone, 8)
    return joined([block((-0.35, -0.3, 0), (0.35, 0.3, base), stone), body])


def _parasol(rng: np.random.Generator) -> Mesh:
    """Builds a closed or open parasol over a round table."""
    spread = rng.uniform(0.12, 1.2)
    cloth = Material(tinted(_PAINTED, rng), float(rng.uniform(0.1, 0.5)), 0.4)
    canopy = tube((0, 0, 1.9), (0, 0, 2.4), (spread, 0.05), cloth, 8)
    pole = tube((0, 0, 0), (0, 0, 2.3), 0.03, _painted(rng), 6)
    return joined([pole, canopy, tube((0, 0, 0.7), (0, 0, 0.75), 0.4, _wood(rng), 10)])


_BUILDERS: tuple[Callable[[np.random.Generator], Mesh], ...] = (
    _bush, _bush, _hedge, _wall, _fence, _cabinet, _post_box, _bench, _planter,
    _advertising_column, _board, _steps, _pole, _pole, _trunk, _boxes, _bins, _statue, _parasol,
)  # fmt: skip
