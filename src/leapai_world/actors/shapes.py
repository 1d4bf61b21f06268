"""Shapes of actors in unit boxes (x forward, z up), and the draw of a shape for an actor."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from leapai.types.vocabulary import CLASS_NAMES, FloatArray, IntArray
from leapai_world.actors.kinds import KINDS, Gait, Generator, Kind
from leapai_world.meshes import Mesh

VARIANTS = 12
"""Number of shapes of each class."""
_AT_REST_MPS = 0.15


def draw(class_id: int, rng: Generator, kind: str = "") -> tuple[FloatArray, int]:
    """Draws the size [3] in metres and the shape (index into `prototypes`) of an actor of a class,
    or of one of its kinds."""
    kinds = KINDS[CLASS_NAMES[class_id]]
    shares = [float(k.name == kind) if kind else k.share for k in kinds]
    number = int(rng.choice(len(kinds), p=np.array(shares) / sum(shares)))
    first = class_id * VARIANTS + sum(k.variants for k in kinds[:number])
    size = kinds[number].draw_size(rng)
    return size, first + int(rng.integers(kinds[number].variants))


def draw_size(class_id: int, rng: Generator) -> FloatArray:
    """Draws length, width and height [3] in metres from the spread of the class."""
    return draw(class_id, rng)[0]


def kind_of(shape: int) -> Kind:
    """Returns the kind of a shape that `draw` gave."""
    class_id, variant = divmod(shape, VARIANTS)
    kinds = KINDS[CLASS_NAMES[class_id]]
    ends = np.cumsum([kind.variants for kind in kinds])
    return kinds[int(np.searchsorted(ends, variant, side="right"))]


@cache
def prototypes() -> tuple[Mesh, ...]:
    """Builds all shapes in a unit box around the origin: `VARIANTS` of class 0, then of class 1,
    ...; then the further phases of those with a gait.

    The phases of a body share the box of the first, which touches all sides of it; the others touch
    bottom and top.
    """
    bodies = [_body(shape) for shape in range(len(CLASS_NAMES) * VARIANTS)]
    return tuple([phases[0] for phases in bodies] + [mesh for b in bodies for mesh in b[1:]])


def posed(
    shape: IntArray, height_m: FloatArray, travelled_m: FloatArray, speed_mps: FloatArray
) -> IntArray:
    """Returns the index into `prototypes` [N] of bodies by the distance that they have travelled
    and by their speed; all arrays are [N].

    `shape` is what `draw` gave. Bodies without a gait keep it.
    """
    first, phases, cycle, stands = _cycles()
    share = travelled_m / np.maximum(cycle[shape] * height_m, 1e-9)
    phase = np.floor(share * phases[shape]).astype(np.int64) % phases[shape]
    phase = np.where(stands[shape] & (speed_mps < _AT_REST_MPS), phases[shape], phase)
    return np.where(phase > 0, first[shape] + phase - 1, shape)


def _body(shape: int) -> tuple[Mesh, ...]:
    """Builds all phases of a shape, in their unit box."""
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
    """Fits a phase into the unit box of a body whose first phase reaches from `low` to `high`. The
    phase is pressed where it reaches farther, and stretched to the height of the first."""
    own_low, own_high = mesh.extent()
    to_low, to_high = np.maximum(own_low, low), np.minimum(own_high, high)
    to_low[2], to_high[2] = low[2], high[2]
    pressed = to_low + (mesh.triangles_m - own_low) * (to_high - to_low) / (own_high - own_low)
    return replace(mesh, triangles_m=(pressed - (low + high) / 2) / (high - low))


@cache
def _cycles() -> tuple[IntArray, IntArray, FloatArray, IntArray]:
    """Returns for each shape of `draw` its second phase in `prototypes`, its number of phases, its
    heights a cycle, and whether it stands."""
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
