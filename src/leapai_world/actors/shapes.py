"""The shapes of actors in unit boxes (x forward, z up), and who gets which."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from leapai.types import CLASS_NAMES, FloatArray, IntArray
from leapai_world.actors.kinds import (
    KINDS,
    Gait,
    Generator,
    Kind,
)
from leapai_world.meshes import Mesh

VARIANTS = 12
"""Shapes of each class."""
_AT_REST_MPS = 0.15


def draw(class_id: int, rng: Generator, kind: str = "") -> tuple[FloatArray, int]:
    """Size [3] in metres and shape (index into `prototypes`) of somebody of a class, or of one of
    its kinds."""
    kinds = KINDS[CLASS_NAMES[class_id]]
    shares = [float(k.name == kind) if kind else k.share for k in kinds]
    number = int(rng.choice(len(kinds), p=np.array(shares) / sum(shares)))
    first = class_id * VARIANTS + sum(k.variants for k in kinds[:number])
    size = kinds[number].draw_size(rng)
    return size, first + int(rng.integers(kinds[number].variants))


def draw_size(class_id: int, rng: Generator) -> FloatArray:
    """Length, width and height [3] in metres from the spread of the class."""
    return draw(class_id, rng)[0]


def kind_of(shape: int) -> Kind:
    """The kind of a shape that `draw` gave."""
    class_id, variant = divmod(shape, VARIANTS)
    kinds = KINDS[CLASS_NAMES[class_id]]
    ends = np.cumsum([kind.variants for kind in kinds])
    return kinds[int(np.searchsorted(ends, variant, side="right"))]


@cache
def prototypes() -> tuple[Mesh, ...]:
    """All shapes in a unit box about the origin: `VARIANTS` of class 0, then of class 1, ...; then
    the further phases of those with limbs.

    The phases of a body share the box of the first, which touches all sides of it; the others touch
    bottom and top.
    """
    bodies = [_body(shape) for shape in range(len(CLASS_NAMES) * VARIANTS)]
    return tuple([phases[0] for phases in bodies] + [mesh for b in bodies for mesh in b[1:]])


def posed(
    shape: IntArray, height_m: FloatArray, travelled_m: FloatArray, speed_mps: FloatArray
) -> IntArray:
    """Index into `prototypes` [N] of bodies that have come so far and are so fast; all are [N].

    `shape` is what `draw` gave. Those without limbs keep it.
    """
    first, phases, cycle, stands = _cycles()
    share = travelled_m / np.maximum(cycle[shape] * height_m, 1e-9)
    phase = np.floor(share * phases[shape]).astype(np.int64) % phases[shape]
    phase = np.where(stands[shape] & (speed_mps < _AT_REST_MPS), phases[shape], phase)
    return np.where(phase > 0, first[shape] + phase - 1, shape)


def _body(shape: int) -> tuple[Mesh, ...]:
    """All phases of a shape, in their unit box."""
    kind, seed = kind_of(shape), [shape // VARIANTS, shape % VARIANTS]
    size = kind.draw_size(np.random.default_rng([*seed, 1]))
    if not isinstance(kind.shape, Gait):
        return (kind.shape(size, np.random.default_rng(seed)).fitted(np.ones(3)),)
    gait = kind.shape
    meshes = [
        gait.build(size, np.random.default_rng(seed), phase)
        for phase in range(gait.phases + gait.stands)
    ]
    low, high = meshes[0].extent()
    return tuple(_unit(mesh, low, high) for mesh in meshes)


def _unit(mesh: Mesh, low: FloatArray, high: FloatArray) -> Mesh:
    """A phase in the unit box of a body whose first phase reaches from `low` to `high`: pressed
    where it reaches farther, stretched to its height."""
    own_low, own_high = mesh.extent()
    to_low, to_high = np.maximum(own_low, low), np.minimum(own_high, high)
    to_low[2], to_high[2] = low[2], high[2]
    pressed = to_low + (mesh.triangles_m - own_low) * (to_high - to_low) / (own_high - own_low)
    return replace(mesh, triangles_m=(pressed - (low + high) / 2) / (high - low))


@cache
def _cycles() -> tuple[IntArray, IntArray, FloatArray, IntArray]:
    """For each shape of `draw`: its second phase in `prototypes`, phases, heights a cycle, whether
    it stands."""
    count = len(CLASS_NAMES) * VARIANTS
    rows = []
    following = count
    for shape in range(count):
        gait = kind_of(shape).shape
        if isinstance(gait, Gait):
            rows.append((following, gait.phases, gait.cycle_heights, gait.stands))
            following += gait.phases + gait.stands - 1
        else:
            rows.append((shape, 1, 1.0, False))
    first, phases, cycle, stands = zip(*rows, strict=True)
    return np.array(first), np.array(phases), np.array(cycle), np.array(stands)
