"""Meshes of people and of what they ride: x forward, z up, the ground at z = 0."""

from __future__ import annotations

import numpy as np

from leapai.data.synthetic.meshes import Mesh, block, ellipsoid, extrusion, hoop, joined, loft, tube
from leapai.data.synthetic.palette import (
    CLOTHES,
    DARK,
    HEADLAMP,
    METAL,
    PAINTS,
    SKINS,
    TAIL_LAMP,
    TYRE,
    pick,
)
from leapai.types import FloatArray

Generator = np.random.Generator


def _figure(
    hip: tuple[float, float],
    feet: list[tuple[float, float]],
    hands: list[tuple[float, float]],
    lean_m: float,
    rng: Generator,
) -> list[Mesh]:
    """A person of about 1.75 m: hip (x, z), feet and hands (x, z), shoulders `lean_m` ahead of the
    hip."""
    top, bottom, skin = pick(CLOTHES, rng), pick(CLOTHES[:5], rng), pick(SKINS, rng)
    hx, hz = hip
    sx, sz = hx + lean_m, hz + 0.54
    trunk = [
        _oval(hx, hz + 0.08, 0.11, 0.15),
        _oval(sx, sz - 0.06, 0.13, 0.20),
        _oval(sx, sz, 0.08, 0.14),
    ]
    parts = [
        loft([_oval(hx, hz - 0.08, 0.11, 0.16), _oval(hx, hz + 0.14, 0.11, 0.15)], bottom),
        loft(trunk, top),
        tube((sx, 0, sz), (sx + 0.02, 0, sz + 0.10), 0.055, skin, 6),
        ellipsoid((sx + 0.03, 0, sz + 0.20), (0.10, 0.085, 0.125), skin),
        ellipsoid((sx + 0.01, 0, sz + 0.24), (0.105, 0.09, 0.10), pick(PAINTS[2:4], rng)),
    ]  # fmt: skip
    for (fx, fz), y in zip(feet, (0.09, -0.09), strict=True):
        knee = ((hx + fx) / 2 + 0.07, y, (hz + fz) / 2)
        parts += [
            tube((hx, y, hz), knee, (0.085, 0.065), bottom, 6),
            tube(knee, (fx, y, fz + 0.06), (0.065, 0.05), bottom, 6),
            block((fx - 0.07, y - 0.045, fz), (fx + 0.17, y + 0.045, fz + 0.08), DARK),
        ]
    for (ax, az), side in zip(hands, (1, -1), strict=True):
        elbow = ((sx + ax) / 2 - 0.05, side * 0.26, (sz + az) / 2 - 0.03)
        parts += [
            tube((sx, side * 0.20, sz - 0.04), elbow, (0.055, 0.045), top, 6),
            tube(elbow, (ax, side * 0.24, az), (0.045, 0.04), top, 6),
            ellipsoid((ax, side * 0.24, az), (0.05, 0.04, 0.05), skin, 6),
        ]
    return parts


def _oval(x: float, z: float, half_length: float, half_width: float) -> FloatArray:
    angle = np.arange(10) * (2 * np.pi / 10)
    return np.stack(
        [x + half_length * np.cos(angle), half_width * np.sin(angle), np.full(10, z)], -1
    )


def person(size: FloatArray, rng: Generator) -> Mesh:
    """Someone who walks, with a bag or without."""
    stride = size[0] / 2 - 0.06
    feet = [(stride - 0.12, 0.0), (-stride, 0.05)]
    hands = [(-0.7 * stride, 0.86), (0.8 * stride, 0.90)]
    parts = _figure((0.0, 0.92), feet, hands, 0.03, rng)
    if rng.random() < 0.3:
        parts.append(block((-0.30, -0.13, 1.05), (-0.11, 0.13, 1.42), pick(CLOTHES, rng), 0.9))
    return joined(parts)


def _bicycle(rng: Generator) -> list[Mesh]:
    paint = pick(PAINTS[3:], rng)
    rear, front, crank = (-0.54, 0.0, 0.34), (0.54, 0.0, 0.34), (-0.06, 0.0, 0.30)
    seat, head = (-0.20, 0.0, 0.82), (0.36, 0.0, 0.84)
    tubes = [(rear, seat), (rear, crank), (crank, seat), (crank, head), (seat, head), (head, front)]
    return [
        hoop(rear, 0.34, 0.028, TYRE),
        hoop(front, 0.34, 0.028, TYRE),
        *(tube(a, b, 0.022, paint, 5) for a, b in tubes),
        tube(head, (0.33, 0.0, 1.02), 0.018, METAL, 5),
        tube((0.33, -0.29, 1.03), (0.33, 0.29, 1.03), 0.018, DARK, 5),
        block((-0.34, -0.07, 0.88), (-0.08, 0.07, 0.95), DARK, 0.7),
        tube(seat, (-0.21, 0.0, 0.90), 0.016, METAL, 5),
        block((-0.10, -0.17, 0.28), (-0.02, 0.17, 0.32), METAL),
        block((-0.90, -0.03, 0.60), (-0.86, 0.03, 0.68), TAIL_LAMP),
    ]


def _scooter(rng: Generator) -> list[Mesh]:
    paint = pick(PAINTS[3:], rng)
    return [
        tube((-0.60, -0.06, 0.24), (-0.60, 0.06, 0.24), 0.24, TYRE, 12),
        tube((0.62, -0.05, 0.24), (0.62, 0.05, 0.24), 0.24, TYRE, 12),
        extrusion(
            [(-0.85, 0.42), (-0.80, 0.68), (-0.15, 0.74), (0.0, 0.30), (-0.55, 0.30)], 0.17, paint
        ),
        block((-0.75, -0.14, 0.72), (-0.10, 0.14, 0.82), DARK, 0.9),
        block((-0.20, -0.16, 0.26), (0.45, 0.16, 0.33), DARK),
        extrusion([(0.34, 0.30), (0.30, 0.86), (0.40, 0.90), (0.52, 0.30)], 0.18, paint),
        tube((0.36, 0.0, 0.85), (0.32, 0.0, 1.02), 0.03, METAL, 6),
        tube((0.31, -0.31, 1.03), (0.31, 0.31, 1.03), 0.02, DARK, 6),
        block((0.40, -0.07, 0.88), (0.48, 0.07, 0.98), HEADLAMP),
        block((-0.88, -0.08, 0.56), (-0.82, 0.08, 0.64), TAIL_LAMP),
    ]


def non_motor(size: FloatArray, rng: Generator) -> Mesh:
    """A rider on a bicycle or on a scooter."""
    del size
    if rng.random() < 0.7:
        feet = [(0.02, 0.17), (-0.10, 0.36)]
        return joined(_bicycle(rng) + _figure((-0.20, 0.98), feet, [(0.31, 1.06)] * 2, 0.28, rng))
    feet = [(0.22, 0.33), (0.22, 0.33)]
    return joined(_scooter(rng) + _figure((-0.32, 0.88), feet, [(0.29, 1.06)] * 2, 0.10, rng))


def riderless_non_motor(size: FloatArray, rng: Generator) -> Mesh:
    """A parked bicycle or scooter."""
    del size
    return joined(_bicycle(rng) if rng.random() < 0.7 else _scooter(rng))
