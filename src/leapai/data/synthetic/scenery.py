"""All that stands still and carries no label: road, marks, kerbs, pavements, buildings, trees,
poles, bins.

Made in blocks along the street, each from its own seed, so that any place can be had without the
ones before it.
"""

from __future__ import annotations

import numpy as np

from leapai.data.static_labels import DRIVABLE_LAYER
from leapai.data.synthetic import meshes
from leapai.data.synthetic.kerbside import (
    PARKING_PITCH_M,
    furniture_kind,
    kerb_slots,
    zebra_slots,
)
from leapai.data.synthetic.meshes import Material, Mesh, block, ellipsoid, joined, surface, tube
from leapai.data.synthetic.street import KERB_HEIGHT_M, LANE_M, Street, random_generator
from leapai.types import FloatArray, MapLine, VectorMap

BLOCK_M = 50.0
_MARK_Z_M = 0.006
_ROAD = Material((0.33, 0.33, 0.345), 0.12, meshes.TARMAC)
_PARKING = Material((0.39, 0.38, 0.37), 0.15, meshes.TARMAC)
_CYCLE = Material((0.44, 0.28, 0.25), 0.15, meshes.TARMAC)
_PAVEMENT = Material((0.60, 0.58, 0.55), 0.25, meshes.PAVING)
_STONE = Material((0.70, 0.69, 0.67), 0.35)
_MARK = Material((0.92, 0.92, 0.90), 0.75)
_LAWN = Material((0.36, 0.46, 0.24), 0.35, meshes.GRASS)
_BARK = Material((0.34, 0.26, 0.19), 0.3)
_POLE = Material((0.42, 0.44, 0.45), 0.4)
_LAMP_GLASS = Material((0.95, 0.94, 0.85), 0.3)
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


def marks(street: Street) -> list[tuple[str, float]]:
    """Kind (design, section 11) and distance from the centreline of every line of paint along the
    road."""
    divider = "DoubleSolidLine" if street.lanes_each_way == 2 else "DashedLine"
    lines = [(divider, 0.0)]
    for side in (-1, 1):
        lines += [("DashedLine", side * LANE_M * n) for n in range(1, street.lanes_each_way)]
        lines.append(("SolidLine", side * street.lanes_each_way * LANE_M))
        lines.append(("ShortDashedLine", side * street.carriageway_m))
    return lines


def vector_map(street: Street, low_m: float, high_m: float) -> VectorMap:
    """Marks, kerbs and the drivable ground between the kerbs, from s = `low_m` to `high_m`, as
    polylines in the global frame, a point every 2 m."""
    s = np.arange(low_m, high_m + 1.0, 2.0)

    def line(kind: str, layer: str, d_m: float, z_m: float = 0.0) -> MapLine:
        return MapLine(kind, layer, street.local(s, d_m, z_m) + street.global_origin_m)

    right, left = (line("", "", side * street.kerb_m).points_m for side in (-1, 1))
    between = np.concatenate([right, left[::-1], right[:1]])
    return (
        MapLine("Drivable", DRIVABLE_LAYER, between),
        *(line(kind, "lane_boundary", d) for kind, d in marks(street)),
        *(line("Curb", "road_edge", side * street.kerb_m, KERB_HEIGHT_M) for side in (-1, 1)),
    )


def build_block(street: Street, number: int) -> Mesh:
    """The scenery from s = 50 m x `number` on, local frame."""
    low, high = number * BLOCK_M, (number + 1) * BLOCK_M
    parts = [*_ground(street, low, high), *_paint(street, low, high), *_zebras(street, low, high)]
    for side in (-1, 1):
        parts += _buildings(street, side, number)
    for side, slot in kerb_slots(low, high - PARKING_PITCH_M):
        if low <= slot * PARKING_PITCH_M < high:
            parts += _furniture(street, side, slot)
    return joined(parts)


def _ribbon(
    street: Street, edges_m: FloatArray, right: tuple[float, float], left: tuple[float, float]
) -> FloatArray:
    """Bands along the street between two lines (d, z), from `edges_m` [K, 2] to each: triangles
    [2 K, 3, 3] that face up."""
    a, b = street.local(edges_m, *right), street.local(edges_m, *left)
    return meshes.quads(np.stack([a[:, 0], a[:, 1], b[:, 1], b[:, 0]], 1))


def _pieces(low: float, high: float, length_m: float) -> FloatArray:
    """Both ends [K, 2] of pieces of about `length_m` that fill `low` to `high`."""
    s = np.linspace(low, high, round((high - low) / length_m) + 1)
    return np.stack([s[:-1], s[1:]], -1)


def _ground(street: Street, low: float, high: float) -> list[Mesh]:
    """Surfaces of the block. Pieces are about as long as they are wide: slivers make a slow scene
    to cast at."""
    lanes, edge = street.lanes_each_way * LANE_M, street.carriageway_m
    kerb, top, front = street.kerb_m, KERB_HEIGHT_M, street.frontage_m
    profile = [
        (_ROAD, (0.0, 0.0), (lanes, 0.0), 5.0),
        (_CYCLE, (lanes, 0.0), (edge, 0.0), 2.5),
        (_PARKING, (edge, 0.0), (kerb - 0.02, 0.0), 2.5),
        (_STONE, (kerb - 0.02, 0.0), (kerb, top), 2.5),
        (_STONE, (kerb, top), (kerb + 0.25, top), 2.5),
        (_PAVEMENT, (kerb + 0.25, top), (front, top), 5.0),
        (_LAWN, (front, top), (front + 20.0, top), 12.5),
        (_LAWN, (front + 20.0, top), (front + 90.0, top), 25.0),
    ]
    parts = []
    for material, (d0, z0), (d1, z1), length in profile:
        s = _pieces(low, high, length)
        parts.append(surface(_ribbon(street, s, (d0, z0), (d1, z1)), material))
        parts.append(surface(_ribbon(street, s, (-d1, z1), (-d0, z0)), material))
    return parts


_DASHES_M = {"DashedLine": (3.0, 6.0), "ShortDashedLine": (1.0, 1.0)}


def _paint(street: Street, low: float, high: float) -> list[Mesh]:
    parts = []
    for kind, d in marks(street):
        offsets = (-0.12, 0.12) if kind == "DoubleSolidLine" else (0.0,)
        for centre in (d + offset for offset in offsets):
            right, left = (centre - 0.07, _MARK_Z_M), (centre + 0.07, _MARK_Z_M)
            if kind in _DASHES_M:
                dash, gap = _DASHES_M[kind]
                starts = np.arange(np.ceil(low / (dash + gap)) * (dash + gap), high, dash + gap)
                edges = np.stack([starts, starts + dash], -1)
            else:
                edges = _pieces(low, high, 2.5)
            triangles = _ribbon(street, edges, right, left)
            parts.append(surface(triangles, _MARK))
    return parts


def _zebras(street: Street, low: float, high: float) -> list[Mesh]:
    parts = []
    for slot in zebra_slots(street.seed, low, high):
        s = slot * PARKING_PITCH_M
        if low <= s < high:
            for d in np.arange(-street.carriageway_m + 0.3, street.carriageway_m - 0.5, 1.1):
                stripe = np.array([[s - 2.0, s + 2.0]])
                right, left = (d, _MARK_Z_M + 0.003), (d + 0.55, _MARK_Z_M + 0.003)
                parts.append(surface(_ribbon(street, stripe, right, left), _MARK))
    return parts


def _standing(street: Street, s_m: float, d_m: float, mesh: Mesh) -> Mesh:
    """A mesh turned along the street and put on the pavement."""
    return mesh.turned(float(street.heading(s_m)), street.local(s_m, d_m, KERB_HEIGHT_M))


def _buildings(street: Street, side: int, number: int) -> list[Mesh]:
    """Four plots a block: a house of its own height and colour, or a garden with a hedge."""
    parts, plot = [], BLOCK_M / 4
    for place in range(4):
        rng = random_generator(street.seed, 20, side, number, place)
        s = number * BLOCK_M + (place + 0.5) * plot
        if rng.random() < 0.18:
            parts += _garden(street, side, s, plot, rng)
            continue
        depth, height = rng.uniform(9, 14), 3.2 * rng.integers(2, 8) + 0.8
        colour = _tinted(_FACADES, rng)
        half, d = (
            plot / 2 + rng.uniform(-0.6, 0.3),
            street.frontage_m + depth / 2 + rng.uniform(0, 1.2),
        )
        wall = block(
            (-half, -depth / 2, 0), (half, depth / 2, height), Material(colour, 0.3, meshes.FACADE)
        )
        red, green, blue = (0.6 * c for c in colour)
        low = (-half - 0.2, -depth / 2 - 0.3, height)
        high = (half + 0.2, depth / 2 + 0.3, height + 0.35)
        eaves = block(low, high, Material((red, green, blue), 0.3))
        parts.append(_standing(street, s, side * d, joined([wall, eaves])))
    return parts


def _garden(
    street: Street, side: int, s: float, plot: float, rng: np.random.Generator
) -> list[Mesh]:
    green = Material(_tinted(((0.22, 0.36, 0.14),), rng), 0.35, meshes.LEAVES)
    hedge = block((-plot / 2, -0.4, 0), (plot / 2, 0.4, rng.uniform(1.0, 1.7)), green, 0.95)
    trees = [_tree(rng).turned(0.0, (x, side * 5.0, 0.0)) for x in (-3.0, 3.0)]
    return [_standing(street, s, side * (street.frontage_m + 0.6), joined([hedge, *trees]))]


def _tinted(
    colours: tuple[tuple[float, float, float], ...], rng: np.random.Generator
) -> tuple[float, float, float]:
    shade = rng.normal(0, 0.03, 3) + rng.normal(0, 0.03)
    red, green, blue = np.clip(np.array(colours[rng.integers(len(colours))]) + shade, 0.05, 0.95)
    return float(red), float(green), float(blue)


def _tree(rng: np.random.Generator) -> Mesh:
    height, crown = rng.uniform(4.7, 7.0), rng.uniform(1.2, 1.7)
    leaves = Material(_tinted(((0.26, 0.42, 0.15), (0.34, 0.44, 0.16)), rng), 0.35, meshes.LEAVES)
    parts = [tube((0, 0, 0), (0, 0, height), (0.16, 0.07), _BARK, 7)]
    for _ in range(4):
        x, y = rng.uniform(-0.45, 0.45, 2) * crown
        z = height + rng.uniform(-0.6, 1.1)
        radii = crown * rng.uniform(0.6, 0.95, 3)
        parts.append(ellipsoid((x, y, z), radii, leaves, 9))
    return joined(parts)


def _lamp(side: int) -> Mesh:
    reach = -side * 1.6
    return joined(
        [
            tube((0, 0, 0), (0, 0, 6.6), (0.09, 0.05), _POLE, 8),
            tube((0, 0, 6.5), (0, reach, 6.8), 0.04, _POLE, 6),
            block((-0.12, reach - 0.3, 6.74), (0.12, reach + 0.3, 6.84), _POLE),
            block((-0.10, reach - 0.25, 6.70), (0.10, reach + 0.25, 6.74), _LAMP_GLASS),
        ]
    )


def _bin(rng: np.random.Generator) -> Mesh:
    colour = Material(_tinted(_BINS, rng), 0.25)
    low = block((-0.29, -0.33, 0.06), (0.29, 0.33, 0.95), colour, 1.12)
    lid = block((-0.35, -0.38, 0.95), (0.35, 0.38, 1.05), colour, 0.85)
    return joined([low, lid])


def _sign(rng: np.random.Generator) -> Mesh:
    plate = Material(_tinted(_SIGNS, rng), 0.95)
    face = tube((-0.015, 0, 2.45), (0.015, 0, 2.45), 0.34, plate, int(rng.choice([3, 4, 8, 12])))
    return joined([tube((0.04, 0, 0), (0.04, 0, 2.7), 0.035, _POLE, 6), face])


def _furniture(street: Street, side: int, slot: int) -> list[Mesh]:
    rng = random_generator(street.seed, 21, side, slot)
    kind = furniture_kind(street.seed, side, slot)
    mesh = {
        "tree": lambda: _tree(rng),
        "lamp": lambda: _lamp(side),
        "bin": lambda: _bin(rng),
        "sign": lambda: _sign(rng),
    }.get(kind)
    if mesh is None:
        return []
    return [_standing(street, slot * PARKING_PITCH_M, side * (street.kerb_m + 0.85), mesh())]
