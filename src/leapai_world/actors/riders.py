"""Meshes of two- and three-wheelers, with and without a rider: x forward, z up, the ground at z =
0."""

from __future__ import annotations

import numpy as np

from leapai.types.vocabulary import FloatArray
from leapai_world.actors.colours import (
    BODY,
    BRIGHT,
    COAT,
    DARK,
    GLASS,
    HEADLAMP,
    METAL,
    PAINTS,
    PLATE,
    TAIL_LAMP,
    TYRE,
    pick,
)
from leapai_world.actors.people import Clothes, Pose, arms_and_legs, trunk
from leapai_world.meshes import Mesh, block, extrusion, hoop, joined, tube

Generator = np.random.Generator
PEDAL_PHASES = 6
"""Number of meshes of one turn of the cranks."""


def bicycle(rng: Generator, crank_angle: float = 0.4) -> list[Mesh]:
    """Builds frame, wheels with spokes, saddle, bars and cranks of a bicycle; some have a
    basket."""
    paint, basket = pick(PAINTS[3:], rng, BODY), rng.random() < 0.35
    rear, front, crank = (-0.54, 0.0, 0.34), (0.54, 0.0, 0.34), (-0.06, 0.0, 0.30)
    seat, head = (-0.20, 0.0, 0.82), (0.36, 0.0, 0.84)
    tubes = [(rear, seat), (rear, crank), (crank, seat), (crank, head), (seat, head), (head, front)]
    parts = [
        hoop(rear, 0.34, 0.028, TYRE),
        hoop(front, 0.34, 0.028, TYRE),
        *(tube(a, b, 0.022, paint, 5) for a, b in tubes),
        *(_spoke(hub, angle) for hub in (rear, front) for angle in (0.3, 1.35, 2.4)),
        tube(head, (0.33, 0.0, 1.02), 0.018, METAL, 5),
        tube((0.33, -0.29, 1.03), (0.33, 0.29, 1.03), 0.018, DARK, 5),
        block((-0.34, -0.07, 0.88), (-0.08, 0.07, 0.95), DARK, 0.7),
        tube(seat, (-0.21, 0.0, 0.90), 0.016, METAL, 5),
        block((-0.90, -0.03, 0.60), (-0.86, 0.03, 0.68), TAIL_LAMP),
        block((-0.86, -0.05, 0.70), (-0.40, 0.05, 0.73), METAL),
    ]
    for (x, z), side in zip(pedals(crank_angle), (1, -1), strict=True):
        parts.append(tube((-0.06, 0.06 * side, 0.30), (x, 0.10 * side, z), 0.015, METAL, 4))
    if basket:
        parts.append(block((0.40, -0.16, 0.78), (0.66, 0.16, 1.0), METAL, 1.2))
    return parts


def _spoke(hub: tuple[float, float, float], angle: float) -> Mesh:
    x, z = 0.31 * np.cos(angle), 0.31 * np.sin(angle)
    return tube((hub[0] - x, 0.0, hub[2] - z), (hub[0] + x, 0.0, hub[2] + z), 0.006, METAL, 3)


def pedals(crank_angle: float) -> list[tuple[float, float]]:
    """Returns x, z of the left and the right pedal."""
    turn = (crank_angle, crank_angle + np.pi)
    return [(float(-0.06 + 0.16 * np.cos(a)), float(0.30 - 0.16 * np.sin(a))) for a in turn]


def moped(rng: Generator) -> list[Mesh]:
    """Builds a motor scooter: leg shield, foot board, seat, lamps, plate, mirrors; some have a
    box."""
    paint, boxed = pick(PAINTS[3:], rng, BODY), rng.random() < 0.4
    parts = [
        tube((-0.60, -0.06, 0.24), (-0.60, 0.06, 0.24), 0.24, TYRE, 12),
        tube((0.62, -0.05, 0.24), (0.62, 0.05, 0.24), 0.24, TYRE, 12),
        extrusion(
            [(-0.85, 0.42), (-0.80, 0.68), (-0.15, 0.74), (0.0, 0.30), (-0.55, 0.30)], 0.17, paint
        ),
        block((-0.75, -0.14, 0.72), (-0.10, 0.14, 0.82), DARK, 0.9),
        block((-0.20, -0.16, 0.26), (0.45, 0.16, 0.33), DARK),
        extrusion([(0.34, 0.30), (0.30, 0.86), (0.40, 0.90), (0.52, 0.30)], 0.18, paint),
        extrusion([(0.44, 0.42), (0.48, 0.52), (0.78, 0.52), (0.84, 0.40)], 0.07, paint),
        tube((0.36, 0.0, 0.85), (0.32, 0.0, 1.02), 0.03, METAL, 6),
        tube((0.31, -0.31, 1.03), (0.31, 0.31, 1.03), 0.02, DARK, 6),
        block((0.40, -0.07, 0.88), (0.48, 0.07, 0.98), HEADLAMP),
        block((-0.88, -0.08, 0.56), (-0.82, 0.08, 0.64), TAIL_LAMP),
        block((-0.90, -0.09, 0.40), (-0.87, 0.09, 0.52), PLATE),
        *(tube((0.32, y, 1.03), (0.30, 1.1 * y, 1.16), 0.03, DARK, 4) for y in (-0.25, 0.25)),
    ]
    if boxed:
        parts.append(block((-1.0, -0.2, 0.80), (-0.62, 0.2, 1.2), pick(BRIGHT, rng, COAT)))
    return parts


def kick_scooter(rng: Generator) -> list[Mesh]:
    """Builds an electric scooter to stand on."""
    accent = pick(BRIGHT, rng, BODY)
    return [
        tube((-0.45, -0.03, 0.11), (-0.45, 0.03, 0.11), 0.11, TYRE, 10),
        tube((0.45, -0.03, 0.11), (0.45, 0.03, 0.11), 0.11, TYRE, 10),
        block((-0.40, -0.08, 0.10), (0.34, 0.08, 0.17), DARK),
        block((-0.56, -0.05, 0.20), (-0.34, 0.05, 0.24), accent),
        tube((0.42, 0.0, 0.14), (0.32, 0.0, 1.10), 0.028, accent, 6),
        tube((0.31, -0.24, 1.12), (0.31, 0.24, 1.12), 0.018, DARK, 5),
        block((0.36, -0.03, 0.98), (0.41, 0.03, 1.04), HEADLAMP),
        block((-0.58, -0.03, 0.15), (-0.55, 0.03, 0.19), TAIL_LAMP),
    ]


def tricycle(rng: Generator) -> list[Mesh]:
    """Builds a cargo tricycle: handlebar and seat in front, a box or an open tray over the rear
    axle."""
    paint = pick(BRIGHT, rng, BODY)
    parts = [
        tube((0.95, -0.05, 0.25), (0.95, 0.05, 0.25), 0.25, TYRE, 12),
        *(tube((-0.75, y - 0.05, 0.25), (-0.75, y + 0.05, 0.25), 0.25, TYRE, 12)
          for y in (-0.42, 0.42)),
        block((-1.2, -0.46, 0.42), (0.15, 0.46, 0.52), DARK),
        block((0.05, -0.20, 0.30), (0.80, 0.20, 0.44), DARK),
        extrusion([(0.68, 0.32), (0.66, 0.90), (0.76, 0.92), (0.98, 0.50)], 0.20, paint),
        block((0.05, -0.28, 0.52), (0.38, 0.28, 0.74), DARK),
        tube((0.70, 0.0, 0.88), (0.62, 0.0, 1.04), 0.03, METAL, 6),
        tube((0.60, -0.34, 1.05), (0.60, 0.34, 1.05), 0.02, DARK, 6),
        block((0.82, -0.07, 0.74), (0.92, 0.07, 0.84), HEADLAMP),
        *(block((-1.23, y - 0.06, 0.44), (-1.19, y + 0.06, 0.52), TAIL_LAMP)
          for y in (-0.38, 0.38)),
    ]  # fmt: skip
    if rng.random() < 0.6:
        return [*parts, block((-1.2, -0.47, 0.52), (0.0, 0.47, 1.30), paint)]
    walls = [block((-1.2, y - 0.02, 0.52), (0.0, y + 0.02, 0.86), paint) for y in (-0.45, 0.45)] + [
        block((x - 0.02, -0.45, 0.52), (x + 0.02, 0.45, 0.86), paint) for x in (-1.18, -0.02)
    ]
    crate = block((-1.0, -0.3, 0.52), (-0.3, 0.3, rng.uniform(0.8, 1.2)), pick(PAINTS, rng, COAT))
    return [*parts, *walls, crate]


def _seated(
    hip: tuple[float, float],
    lean_m: float,
    feet: list[tuple[float, float]],
    hands: tuple[float, float],
    rng: Generator,
) -> list[Mesh]:
    """Builds a rider from hip, feet and hands (x, z), with shoulders `lean_m` ahead of the hip;
    most wear a helmet."""
    (hx, hz), shoulder = hip, (hip[0] + lean_m, hip[1] + 0.53)
    knees = tuple(((hx + fx) / 2 + 0.13, (hz + fz) / 2 + 0.08) for fx, fz in feet)
    elbow = ((shoulder[0] + hands[0]) / 2 - 0.04, (shoulder[1] + hands[1]) / 2 - 0.05)
    of = Clothes.draw(rng)
    if rng.random() < 0.6:
        of = Clothes(of.top, of.bottom, of.skin, pick(BRIGHT, rng), of.shoes)
    pose = Pose(hip, shoulder, knees, tuple(feet), (elbow, elbow), (hands, hands))
    return [*trunk(hip, shoulder, of), *arms_and_legs(pose, of)]


def cyclist(size: FloatArray, rng: Generator, phase: int) -> Mesh:
    """Builds a bicycle with a person who pedals."""
    del size
    angle = 2 * np.pi * phase / PEDAL_PHASES
    bike = bicycle(rng, angle)
    feet = [(x - 0.05, z + 0.02) for x, z in pedals(angle)]
    return joined([*bike, *_seated((-0.20, 0.98), 0.28, feet, (0.31, 1.06), rng)])


def moped_rider(size: FloatArray, rng: Generator) -> Mesh:
    """Builds a motor scooter with a rider, feet on the board."""
    del size
    machine = moped(rng)
    return joined([*machine, *_seated((-0.32, 0.86), 0.10, [(0.2, 0.33)] * 2, (0.29, 1.05), rng)])


def kick_scooter_rider(size: FloatArray, rng: Generator) -> Mesh:
    """Builds an electric scooter with a rider who stands on it."""
    del size
    feet = [(0.08, 0.17), (-0.24, 0.17)]
    return joined([*kick_scooter(rng), *_seated((-0.10, 1.06), 0.06, feet, (0.29, 1.13), rng)])


def tricycle_rider(size: FloatArray, rng: Generator) -> Mesh:
    """Builds a cargo tricycle with its driver; some have a windscreen."""
    del size
    parts = [*tricycle(rng), *_seated((0.20, 0.80), 0.08, [(0.58, 0.38)] * 2, (0.58, 1.05), rng)]
    if rng.random() < 0.3:
        parts.append(block((0.72, -0.28, 0.90), (0.75, 0.28, 1.45), GLASS))
    return joined(parts)


def parked_bicycle(size: FloatArray, rng: Generator) -> Mesh:
    """Builds a bicycle on its stand."""
    del size
    return joined([*bicycle(rng), tube((-0.25, 0.02, 0.3), (-0.32, 0.22, 0.0), 0.015, METAL, 4)])


def racked_bicycle(size: FloatArray, rng: Generator) -> Mesh:
    """Builds a bicycle next to the hoop that it is locked to."""
    del size
    posts = [tube((x, -0.16, 0.0), (x, -0.16, 0.85), 0.025, METAL, 6) for x in (-0.4, 0.4)]
    rail = tube((-0.42, -0.16, 0.85), (0.42, -0.16, 0.85), 0.025, METAL, 6)
    return joined([*bicycle(rng), *posts, rail])


def fallen_bicycle(size: FloatArray, rng: Generator) -> Mesh:
    """Builds a bicycle that lies on its side."""
    del size
    return joined(bicycle(rng)).laid_down()


def parked_moped(size: FloatArray, rng: Generator) -> Mesh:
    """Builds a motor scooter on its stand."""
    del size
    return joined([*moped(rng), block((-0.3, -0.18, 0.0), (-0.22, 0.18, 0.28), METAL)])


def parked_kick_scooter(size: FloatArray, rng: Generator) -> Mesh:
    """Builds an electric scooter on its stand."""
    del size
    return joined([*kick_scooter(rng), tube((-0.1, 0.03, 0.1), (-0.14, 0.16, 0), 0.012, METAL, 4)])


def parked_tricycle(size: FloatArray, rng: Generator) -> Mesh:
    """Builds a cargo tricycle without its driver."""
    del size
    return joined(tricycle(rng))
