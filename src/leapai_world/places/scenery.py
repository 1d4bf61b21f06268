"""Scenery of a street, which stands still and carries no label: road, markings, kerbs, pavements,
buildings, trees, poles, bins.

It is made in blocks along the street, each from a seed of its own, so that any block can be built
without the ones before it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from leapai.data.static_labels import DRIVABLE_LAYER
from leapai.types.map_elements import MapLine, VectorMap
from leapai.types.vocabulary import FloatArray
from leapai_world import meshes
from leapai_world.meshes import Material, Mesh, block, joined, surface
from leapai_world.places.clutter import clutter
from leapai_world.places.furniture import house, lamp, litter_bin, sign, tinted, tree
from leapai_world.places.kerbside import PARKING_PITCH_M, furniture_kind, kerb_slots, zebra_slots
from leapai_world.places.road_markings import MARK, MARK_Z_M, element, mark, painted, pieces
from leapai_world.places.street import KERB_HEIGHT_M, LANE_M, Street
from leapai_world.random_generators import random_generator

BLOCK_M = 50.0
ROAD = Material((0.33, 0.33, 0.345), 0.055, 0.6, meshes.TARMAC)
_PARKING = Material((0.39, 0.38, 0.37), 0.065, 0.6, meshes.TARMAC)
_CYCLE = Material((0.44, 0.28, 0.25), 0.07, 0.6, meshes.TARMAC)
PAVEMENT = Material((0.60, 0.58, 0.55), 0.09, 0.6, meshes.PAVING)
STONE = Material((0.70, 0.69, 0.67), 0.13, 0.5)
LAWN = Material((0.36, 0.46, 0.24), 0.22, 0.7, meshes.GRASS)


def marks(street: Street) -> list[tuple[str, float]]:
    """Returns the kind (docs/design.md, section 11) and the distance from the centreline of every
    lane marking along the road."""
    section, lines = street.section, [(street.section.divider, 0.0)]
    for side in (-1, 1):
        lines += [(section.separator, side * LANE_M * n) for n in range(1, street.lanes_each_way)]
        lines.append((section.edge, side * street.lanes_each_way * LANE_M))
        if section.cycle_m:
            lines.append(("ShortDashedLine", side * street.carriageway_m))
    return lines


def map_lines(street: Street, low_m: float, high_m: float) -> VectorMap:
    """Returns lane markings, kerbs, middles of lanes and the drivable ground between the kerbs,
    from s = `low_m` to `high_m`, as polylines in the local frame, a point every 2 m."""
    s = np.arange(low_m, high_m + 1.0, 2.0)
    right, left = (street.local(s, side * street.kerb_m) for side in (-1, 1))
    top = np.array([0.0, 0.0, KERB_HEIGHT_M])
    middles = [side * LANE_M * (n + 0.5) for side in (-1, 1) for n in range(street.lanes_each_way)]
    return (
        MapLine("Drivable", DRIVABLE_LAYER, np.concatenate([right, left[::-1], right[:1]])),
        *(mark(kind, street.local, d, low_m, high_m) for kind, d in marks(street)),
        *(element("Lane", street.local(s, d)) for d in middles),
        *(element("Curb", kerb + top) for kerb in (right, left)),
    )


def build_block(street: Street, number: int, first_m: float = 0.0) -> Mesh:
    """Builds the scenery of 50 m of street from s = `first_m` + 50 m x `number` on, local frame."""
    low = first_m + number * BLOCK_M
    high = low + BLOCK_M
    # The first block of an arm has the zebra crossing of its junction.
    is_arm = first_m > 0 and number == 0
    parts = [*_ground(street, low, high), *([] if is_arm else _zebras(street, low, high))]
    for kind, d in marks(street):
        parts += painted(kind, street.local, d, low, high)
    for side in (-1, 1):
        parts += _buildings(street, side, number, first_m)
    for side, slot in kerb_slots(low, high):
        if low <= slot * PARKING_PITCH_M < high:
            parts += _furniture(street, side, slot)
    return joined(parts)


def _ribbon(
    street: Street, edges_m: FloatArray, right: tuple[float, float], left: tuple[float, float]
) -> FloatArray:
    """Returns bands along the street between two lines (d, z), from `edges_m` [K, 2] to each:
    triangles [2 K, 3, 3] that face up."""
    a, b = street.local(edges_m, *right), street.local(edges_m, *left)
    return meshes.quads(np.stack([a[:, 0], a[:, 1], b[:, 1], b[:, 0]], 1))


def _ground(street: Street, low: float, high: float) -> list[Mesh]:
    """Builds the surfaces of the block. Pieces are about as long as they are wide: long, thin
    triangles make ray casting slow."""
    lanes, edge = street.lanes_each_way * LANE_M, street.carriageway_m
    kerb, top, front = street.kerb_m, KERB_HEIGHT_M, street.frontage_m
    profile = [
        (ROAD, (0.0, 0.0), (lanes, 0.0), 5.0),
        (_CYCLE, (lanes, 0.0), (edge, 0.0), 2.5),
        (_PARKING, (edge, 0.0), (kerb - 0.02, 0.0), 2.5),
        (STONE, (kerb - 0.02, 0.0), (kerb, top), 2.5),
        (STONE, (kerb, top), (kerb + 0.25, top), 2.5),
        (PAVEMENT, (kerb + 0.25, top), (front, top), 5.0),
        (LAWN, (front, top), (front + 20.0, top), 12.5),
        (LAWN, (front + 20.0, top), (front + street.section.lawn_m, top), 25.0),
    ]
    parts = []
    for material, (d0, z0), (d1, z1), length in profile:
        if d1 - d0 < 0.01:
            continue
        s = pieces(low, high, length)
        parts.append(surface(_ribbon(street, s, (d0, z0), (d1, z1)), material))
        parts.append(surface(_ribbon(street, s, (-d1, z1), (-d0, z0)), material))
    return parts


def _zebras(street: Street, low: float, high: float) -> list[Mesh]:
    parts = []
    for slot in zebra_slots(street.seed, low, high):
        s = slot * PARKING_PITCH_M
        if low <= s < high:
            for d in np.arange(-street.carriageway_m + 0.3, street.carriageway_m - 0.5, 1.1):
                stripe = np.array([[s - 2.0, s + 2.0]])
                right, left = (d, MARK_Z_M + 0.003), (d + 0.55, MARK_Z_M + 0.003)
                parts.append(surface(_ribbon(street, stripe, right, left), MARK))
    return parts


def _standing(street: Street, s_m: float, d_m: float, mesh: Mesh) -> Mesh:
    """Returns a mesh turned along the street and put on the pavement."""
    return mesh.turned(float(street.heading(s_m)), street.local(s_m, d_m, KERB_HEIGHT_M))


def _buildings(street: Street, side: int, number: int, first_m: float) -> list[Mesh]:
    """Builds four plots of a block: each a house of its own height and colour, or a garden with a
    hedge."""
    parts, plot = [], BLOCK_M / 4
    for place in range(4):
        rng = random_generator(street.seed, 20, side, number, place)
        s = first_m + number * BLOCK_M + (place + 0.5) * plot
        parts += _before_the_front(
            street, side, s, random_generator(street.seed, 22, side, number, place)
        )
        if rng.random() < 0.18:
            parts += _garden(street, side, s, plot, rng)
            continue
        half, depth = plot / 2 + rng.uniform(-0.6, 0.3), rng.uniform(9, 14)
        d = street.frontage_m + depth / 2 + rng.uniform(0, 1.2)
        parts.append(_standing(street, s, side * d, house(half, depth, rng)))
    return parts


def _before_the_front(street: Street, side: int, s: float, rng: np.random.Generator) -> list[Mesh]:
    """Builds what stands along the building line of a plot, behind the people on the pavement."""
    parts: list[Mesh] = []
    at, d = s - BLOCK_M / 8, side * (street.frontage_m - 0.4)
    while True:
        at += rng.exponential(3.5)
        if at > s + BLOCK_M / 8:
            return parts
        parts.append(_standing(street, at, d, clutter(rng)))


def _garden(
    street: Street, side: int, s: float, plot: float, rng: np.random.Generator
) -> list[Mesh]:
    green = Material(tinted(((0.22, 0.36, 0.14),), rng), 0.3, 0.6, meshes.LEAVES)
    hedge = block((-plot / 2, -0.4, 0), (plot / 2, 0.4, rng.uniform(1.0, 1.7)), green, 0.95)
    trees = [tree(rng).turned(0.0, (x, side * 5.0, 0.0)) for x in (-3.0, 3.0)]
    things = [
        clutter(rng, 3.0).turned(
            rng.uniform(-np.pi, np.pi), (rng.uniform(-5, 5), side * rng.uniform(1.5, 9.0), 0.0)
        )
        for _ in range(int(rng.integers(2, 8)))
    ]
    parts = joined([hedge, *trees, *things])
    return [_standing(street, s, side * (street.frontage_m + 0.6), parts)]


def _furniture(street: Street, side: int, slot: int) -> list[Mesh]:
    rng = random_generator(street.seed, 21, side, slot)
    kind = furniture_kind(street.seed, side, slot)
    builders: dict[str, Callable[[], Mesh]] = {
        "tree": lambda: tree(rng),
        "lamp": lambda: lamp(side),
        "bin": lambda: litter_bin(rng),
        "sign": lambda: sign(rng),
    }
    if not kind and rng.random() >= 0.5:  # an empty slot
        builders[kind] = lambda: clutter(rng, 0.8)
    if kind not in builders:
        return []
    mesh = builders[kind]()
    return [_standing(street, slot * PARKING_PITCH_M, side * (street.kerb_m + 0.85), mesh)]
