"""Sizes of the eight classes, and their shapes in unit boxes: x forward, z up."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise

import numpy as np

from leapai.data.synthetic import people, vehicles
from leapai.data.synthetic.meshes import Mesh, block, joined, loft, tube
from leapai.data.synthetic.palette import CONCRETE, DARK, METAL, RED, WHITE, YELLOW
from leapai.types import CLASS_NAMES, FloatArray

Generator = np.random.Generator


# (mean, standard deviation, low, high) of length, width, height in metres.
_SPREAD = {
    "car": ((4.5, 0.40, 3.5, 5.3), (1.86, 0.08, 1.62, 2.05), (1.56, 0.14, 1.35, 2.05)),
    "truck": ((7.6, 1.0, 5.6, 9.8), (2.45, 0.08, 2.20, 2.60), (3.15, 0.35, 2.50, 3.80)),
    "bus": ((11.4, 0.5, 9.8, 12.3), (2.62, 0.06, 2.50, 2.80), (3.15, 0.12, 2.90, 3.45)),
    "person": ((0.62, 0.10, 0.40, 0.90), (0.58, 0.06, 0.45, 0.75), (1.71, 0.11, 1.35, 1.98)),
    "non_motor": ((1.80, 0.10, 1.55, 2.05), (0.64, 0.05, 0.52, 0.78), (1.72, 0.09, 1.50, 1.95)),
    "riderless_non_motor": (
        (1.76, 0.10, 1.50, 2.05),
        (0.60, 0.05, 0.48, 0.74),
        (1.06, 0.06, 0.92, 1.22),
    ),
    "barrier": ((2.0, 0.25, 1.4, 2.6), (0.56, 0.06, 0.42, 0.70), (0.90, 0.08, 0.75, 1.10)),
    "pillar": ((0.24, 0.06, 0.14, 0.40), (0.24, 0.06, 0.14, 0.40), (0.95, 0.12, 0.70, 1.30)),
}


def draw_size(class_id: int, rng: Generator) -> FloatArray:
    """Length, width and height [3] in metres from the spread of the class."""
    spread = np.array(_SPREAD[CLASS_NAMES[class_id]])
    size = np.clip(rng.normal(spread[:, 0], spread[:, 1]), spread[:, 2], spread[:, 3])
    if CLASS_NAMES[class_id] == "pillar":
        size[1] = size[0]
    return size


VARIANTS = 12
"""Shapes and colourings of each class."""


@cache
def prototypes() -> tuple[Mesh, ...]:
    """All shapes in a unit box about the origin: `VARIANTS` of class 0, then of class 1, ..."""
    meshes = []
    for class_id, name in enumerate(CLASS_NAMES):
        for variant in range(VARIANTS):
            rng = np.random.default_rng([class_id, variant])
            mesh = _BUILDERS[name](draw_size(class_id, rng), rng)
            meshes.append(mesh.fitted(np.ones(3)))
    return tuple(meshes)


def _barrier(size: FloatArray, rng: Generator) -> Mesh:
    length, w, h = size
    kind = rng.integers(3)
    if kind == 2:  # A gate: two feet, two posts, striped boards.
        parts = [
            block((x - 0.06, -w / 2, 0), (x + 0.06, w / 2, 0.07), DARK)
            for x in (-0.4 * length, 0.4 * length)
        ] + [tube((x, 0, 0), (x, 0, h), 0.03, METAL, 6) for x in (-0.4 * length, 0.4 * length)]
        for row, z in enumerate((0.48 * h, 0.84 * h)):
            edges = np.linspace(-length / 2, length / 2, 7)
            for i, (x0, x1) in enumerate(pairwise(edges)):
                board = (RED, WHITE)[(i + row) % 2]
                parts.append(block((x0, -0.02, z - 0.09 * h), (x1, 0.02, z + 0.09 * h), board))
        return joined(parts)
    lower, upper = (CONCRETE, CONCRETE) if kind == 0 else (RED, WHITE)
    return joined(
        [
            block((-length / 2, -w / 2, 0), (length / 2, w / 2, 0.12 * h), lower),
            loft([_slab(length, w, 0.12 * h), _slab(length, 0.52 * w, 0.40 * h)], lower),
            loft([_slab(length, 0.52 * w, 0.40 * h), _slab(length * 0.99, 0.30 * w, h)], upper),
        ]
    )


def _slab(length: float, w: float, z: float) -> FloatArray:
    return np.array(
        [
            (-length / 2, -w / 2, z),
            (length / 2, -w / 2, z),
            (length / 2, w / 2, z),
            (-length / 2, w / 2, z),
        ]
    )


def _pillar(size: FloatArray, rng: Generator) -> Mesh:
    r, h = size[0] / 2, size[2]
    body, band = ((DARK, WHITE), (CONCRETE, RED), (YELLOW, DARK))[rng.integers(3)]
    if rng.random() < 0.6:
        stack = [tube((0, 0, z0 * h), (0, 0, z1 * h), k * r, of, 12) for z0, z1, k, of in (
            (0.0, 0.72, 0.92, body), (0.72, 0.86, 1.0, band), (0.86, 1.0, 0.92, body))]  # fmt: skip
        return joined(stack)
    return joined(
        [
            block((-r, -r, 0), (r, r, 0.66 * h), body),
            block((-r, -r, 0.66 * h), (r, r, 0.80 * h), band),
            block((-r, -r, 0.80 * h), (r, r, h), body, 0.5),
        ]
    )


_BUILDERS: dict[str, Callable[[FloatArray, Generator], Mesh]] = {
    "car": vehicles.car,
    "truck": vehicles.truck,
    "bus": vehicles.bus,
    "person": people.person,
    "non_motor": people.non_motor,
    "riderless_non_motor": people.riderless_non_motor,
    "barrier": _barrier,
    "pillar": _pillar,
}
