"""Meshes of the eight classes, in box axes: x forward, z up, filling exactly a box about the origin."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from leapai.data.synthetic.meshes import (
    Material,
    Mesh,
    block,
    ellipsoid,
    extrusion,
    hoop,
    joined,
    loft,
    tube,
)
from leapai.types import CLASS_NAMES, FloatArray

Generator = np.random.Generator

GLASS = Material((0.13, 0.17, 0.21), 0.08)
TYRE = Material((0.06, 0.06, 0.07), 0.06)
RIM = Material((0.55, 0.56, 0.58), 0.4)
DARK = Material((0.12, 0.12, 0.13), 0.12)
METAL = Material((0.45, 0.46, 0.48), 0.45)
HEADLAMP = Material((0.97, 0.96, 0.88), 0.7)
TAIL_LAMP = Material((0.75, 0.06, 0.06), 0.8)
PLATE = Material((0.92, 0.92, 0.88), 0.9)
CONCRETE = Material((0.62, 0.61, 0.58), 0.35)
RED = Material((0.80, 0.12, 0.10), 0.4)
WHITE = Material((0.90, 0.90, 0.90), 0.6)
YELLOW = Material((0.95, 0.75, 0.10), 0.6)
BLUE_LIT = Material((0.95, 0.62, 0.12), 0.3)
PAINTS = (
    (0.86, 0.87, 0.88),
    (0.68, 0.70, 0.72),
    (0.38, 0.40, 0.43),
    (0.09, 0.09, 0.10),
    (0.14, 0.25, 0.48),
    (0.60, 0.10, 0.10),
    (0.20, 0.36, 0.28),
    (0.72, 0.62, 0.44),
    (0.28, 0.48, 0.66),
)
CLOTHES = (*PAINTS, (0.82, 0.42, 0.14), (0.55, 0.22, 0.45), (0.85, 0.78, 0.25))
SKINS = ((0.87, 0.68, 0.56), (0.72, 0.52, 0.38), (0.48, 0.32, 0.22))

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


def _pick(colours: tuple[tuple[float, float, float], ...], rng: Generator) -> Material:
    shade = rng.normal(0.0, 0.025, 3)
    red, green, blue = np.clip(np.array(colours[rng.integers(len(colours))]) + shade, 0.03, 0.97)
    return Material((float(red), float(green), float(blue)), float(rng.uniform(0.25, 0.6)))


def _wheels(xs: tuple[float, ...], half_width: float, radius: float, tyre: float) -> list[Mesh]:
    parts = []
    for x in xs:
        for side in (-1.0, 1.0):
            outer, inner = side * half_width, side * (half_width - tyre)
            parts.append(tube((x, inner, radius), (x, outer, radius), radius, TYRE, 12))
            rim = (x, outer + side * 0.004, radius)
            parts.append(tube((x, outer, radius), rim, 0.6 * radius, RIM, 8))
    return parts


def _pair(
    x: float, y: float, z: float, size: tuple[float, float, float], of: Material
) -> list[Mesh]:
    """The same block left and right, centred on (x, +-y, z)."""
    half = np.array(size) / 2
    return [block(centre - half, centre + half, of) for centre in (np.array([x, y, z]), [x, -y, z])]


# Cabins as fractions of the length: foot of the rear window, roof's rear end, roof's front end, foot of the windscreen.
_CABINS = {
    "saloon": (-0.36, -0.20, 0.08, 0.26),
    "hatchback": (-0.48, -0.40, 0.06, 0.27),
    "van": (-0.49, -0.47, 0.20, 0.38),
}


def _car(size: FloatArray, rng: Generator) -> Mesh:
    l, w, h = size
    kind = "van" if h > 1.75 else ("saloon", "hatchback")[rng.integers(2)]
    paint, half = _pick(PAINTS, rng), w / 2
    foot_r, roof_r, roof_f, foot_f = (x * l for x in _CABINS[kind])
    waist = 0.60 * h
    front, rear = l / 2, -l / 2
    body = [
        (rear, 0.24 * h),
        (rear, 0.50 * h),
        (rear + 0.03 * l, waist),
        (foot_f, waist),
        (front - 0.04 * l, 0.50 * h),
        (front, 0.42 * h),
        (front, 0.22 * h),
        (front - 0.04 * l, 0.13 * h),
        (rear + 0.04 * l, 0.13 * h),
    ]

    def ring(x0: float, x1: float, y: float, z: float) -> FloatArray:
        return np.array([(x0, -y, z), (x1, -y, z), (x1, y, z), (x0, y, z)])

    lid = 0.955 * h
    glass = [
        ring(foot_r, foot_f, 0.90 * half, waist - 0.02),
        ring(roof_r, roof_f, 0.74 * half, lid),
    ]
    roof = [
        ring(roof_r - 0.02 * l, roof_f + 0.02 * l, 0.765 * half, lid - 0.01),
        ring(roof_r + 0.01 * l, roof_f - 0.02 * l, 0.70 * half, h),
    ]
    posts = [
        tube((x0, side * 0.91 * half, waist), (x1, side * 0.75 * half, lid), 0.035, paint, 4)
        for side in (-1, 1)
        for x0, x1 in ((foot_r, roof_r), (foot_f, roof_f), (-0.06 * l, -0.06 * l))
    ]
    return joined(
        [
            extrusion(body, half, paint),
            loft(glass, GLASS),
            loft(roof, paint),
            *posts,
            *_wheels((-0.30 * l, 0.31 * l), half - 0.01, 0.33, 0.22),
            *_pair(front - 0.02, 0.66 * half, 0.44 * h, (0.10, 0.26 * w / 2, 0.10), HEADLAMP),
            *_pair(rear + 0.03, 0.70 * half, 0.50 * h, (0.08, 0.24 * w / 2, 0.12), TAIL_LAMP),
            *(
                block((x - 0.01, -0.26, 0.27 * h), (x + 0.01, 0.26, 0.35 * h), PLATE)
                for x in (rear, front)
            ),
            *_pair(0.18 * l, 0.99 * half, 0.62 * h, (0.14, 0.16, 0.12), paint),
        ]
    )


def _truck(size: FloatArray, rng: Generator) -> Mesh:
    l, w, h = size
    paint, load, half = _pick(PAINTS, rng), _pick((*PAINTS[:2], *PAINTS[4:]), rng), w / 2
    front, rear, cab_h = l / 2, -l / 2, min(0.86 * h, 2.75)
    cab_x = front - 1.9
    body = [
        (cab_x, 0.45), (cab_x, cab_h), (front - 0.35, cab_h), (front, 0.55 * cab_h), (front, 0.45)
    ]  # fmt: skip
    if rng.random() < 0.6:
        top = h
        cargo = [block((rear, -half, 1.0), (cab_x - 0.12, half, top), load)]
    else:
        cargo = [
            block((rear, -half, 1.0), (cab_x - 0.12, half, 1.75), load),
            ellipsoid(
                ((rear + cab_x) / 2, 0, 1.7), (0.42 * (cab_x - rear), 0.8 * half, h - 1.7), CONCRETE
            ),
        ]
    screen = [
        (front - 0.33, cab_h - 0.15),
        (front + 0.005, 0.57 * cab_h),
        (front - 0.4, 0.57 * cab_h),
    ]
    return joined(
        [
            extrusion(body, 0.97 * half, paint),
            extrusion(screen, 0.86 * half, GLASS),
            *_pair(front - 0.85, 0.965 * half, 0.72 * cab_h, (0.8, 0.04, 0.28 * cab_h), GLASS),
            *cargo,
            block((rear + 0.1, -0.4 * half, 0.6), (front - 0.3, 0.4 * half, 1.02), DARK),
            block((rear, -0.9 * half, 0.55), (rear + 0.1, 0.9 * half, 0.75), DARK),
            *_wheels((rear + 0.16 * l, rear + 0.30 * l, front - 1.1), 0.97 * half, 0.48, 0.30),
            *_pair(front, 0.72 * half, 0.75, (0.06, 0.36, 0.16), HEADLAMP),
            *_pair(rear, 0.78 * half, 0.85, (0.06, 0.30, 0.16), TAIL_LAMP),
        ]
    )


def _bus(size: FloatArray, rng: Generator) -> Mesh:
    l, w, h = size
    paint, half, front, rear = _pick(PAINTS, rng), w / 2, l / 2, -l / 2
    stripe = _pick(PAINTS[4:], rng)
    body = [
        (rear, 0.32), (rear, h - 0.15), (rear + 0.12, h), (front - 0.3, h), (front, 0.75 * h), (front, 0.32)
    ]  # fmt: skip
    low, high = 0.42 * h, 0.80 * h
    windows = [
        part
        for x in np.arange(rear + 0.9, front - 1.2, 1.45)
        for part in _pair(x + 0.62, half, (low + high) / 2, (1.28, 0.03, high - low), GLASS)
    ]
    return joined(
        [
            extrusion(body, half, paint),
            *windows,
            *_pair(0.0, half, 0.30 * h, (l - 0.6, 0.02, 0.16), stripe),
            block(
                (front - 0.06, -0.86 * half, 0.36 * h), (front + 0.02, 0.86 * half, 0.74 * h), GLASS
            ),
            block(
                (front - 0.3, -0.6 * half, 0.80 * h), (front - 0.03, 0.6 * half, 0.92 * h), BLUE_LIT
            ),
            block(
                (rear - 0.02, -0.75 * half, 0.5 * h), (rear + 0.02, 0.75 * half, 0.78 * h), GLASS
            ),
            *_wheels((rear + 0.24 * l, front - 0.22 * l), half + 0.005, 0.48, 0.30),
            *_pair(front, 0.74 * half, 0.24 * h, (0.05, 0.34, 0.16), HEADLAMP),
            *_pair(rear, 0.80 * half, 0.30 * h, (0.05, 0.22, 0.30), TAIL_LAMP),
        ]
    )


def _figure(hip: tuple[float, float], feet: list[tuple[float, float]], hands: list[tuple[float, float]],
            lean_m: float, rng: Generator) -> list[Mesh]:  # fmt: skip
    """A person of about 1.75 m: hip (x, z), feet and hands (x, z), shoulders `lean_m` ahead of the hip."""
    top, bottom, skin = _pick(CLOTHES, rng), _pick(CLOTHES[:5], rng), _pick(SKINS, rng)
    hx, hz = hip
    sx, sz = hx + lean_m, hz + 0.54
    parts = [
        loft([_oval(hx, hz - 0.08, 0.11, 0.16), _oval(hx, hz + 0.14, 0.11, 0.15)], bottom),
        loft([_oval(hx, hz + 0.08, 0.11, 0.15), _oval(sx, sz - 0.06, 0.13, 0.20), _oval(sx, sz, 0.08, 0.14)], top),
        tube((sx, 0, sz), (sx + 0.02, 0, sz + 0.10), 0.055, skin, 6),
        ellipsoid((sx + 0.03, 0, sz + 0.20), (0.10, 0.085, 0.125), skin),
        ellipsoid((sx + 0.01, 0, sz + 0.24), (0.105, 0.09, 0.10), _pick(PAINTS[2:4], rng)),
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


def _person(size: FloatArray, rng: Generator) -> Mesh:
    stride = size[0] / 2 - 0.06
    feet = [(stride - 0.12, 0.0), (-stride, 0.05)]
    hands = [(-0.7 * stride, 0.86), (0.8 * stride, 0.90)]
    parts = _figure((0.0, 0.92), feet, hands, 0.03, rng)
    if rng.random() < 0.3:
        parts.append(block((-0.30, -0.13, 1.05), (-0.11, 0.13, 1.42), _pick(CLOTHES, rng), 0.9))
    return joined(parts)


def _bicycle(rng: Generator) -> list[Mesh]:
    paint = _pick(PAINTS[3:], rng)
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
    paint = _pick(PAINTS[3:], rng)
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


def _non_motor(size: FloatArray, rng: Generator) -> Mesh:
    del size
    if rng.random() < 0.7:
        feet = [(0.02, 0.17), (-0.10, 0.36)]
        return joined(_bicycle(rng) + _figure((-0.20, 0.98), feet, [(0.31, 1.06)] * 2, 0.28, rng))
    feet = [(0.22, 0.33), (0.22, 0.33)]
    return joined(_scooter(rng) + _figure((-0.32, 0.88), feet, [(0.29, 1.06)] * 2, 0.10, rng))


def _riderless_non_motor(size: FloatArray, rng: Generator) -> Mesh:
    del size
    return joined(_bicycle(rng) if rng.random() < 0.7 else _scooter(rng))


def _barrier(size: FloatArray, rng: Generator) -> Mesh:
    l, w, h = size
    kind = rng.integers(3)
    if kind == 2:  # A gate: two feet, two posts, striped boards.
        parts = [
            block((x - 0.06, -w / 2, 0), (x + 0.06, w / 2, 0.07), DARK) for x in (-0.4 * l, 0.4 * l)
        ] + [tube((x, 0, 0), (x, 0, h), 0.03, METAL, 6) for x in (-0.4 * l, 0.4 * l)]
        for row, z in enumerate((0.48 * h, 0.84 * h)):
            edges = np.linspace(-l / 2, l / 2, 7)
            for i, (x0, x1) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
                board = (RED, WHITE)[(i + row) % 2]
                parts.append(block((x0, -0.02, z - 0.09 * h), (x1, 0.02, z + 0.09 * h), board))
        return joined(parts)
    lower, upper = (CONCRETE, CONCRETE) if kind == 0 else (RED, WHITE)
    return joined(
        [
            block((-l / 2, -w / 2, 0), (l / 2, w / 2, 0.12 * h), lower),
            loft([_slab(l, w, 0.12 * h), _slab(l, 0.52 * w, 0.40 * h)], lower),
            loft([_slab(l, 0.52 * w, 0.40 * h), _slab(l * 0.99, 0.30 * w, h)], upper),
        ]
    )


def _slab(l: float, w: float, z: float) -> FloatArray:
    return np.array(
        [(-l / 2, -w / 2, z), (l / 2, -w / 2, z), (l / 2, w / 2, z), (-l / 2, w / 2, z)]
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
            block((-r, -r, 0), (r, r, 0.75 * h), body),
            block((-r, -r, 0.75 * h), (r, r, 0.88 * h), band),
            block((-r, -r, 0.88 * h), (r, r, h), body, 0.6),
        ]
    )


_BUILDERS: dict[str, Callable[[FloatArray, Generator], Mesh]] = {
    "car": _car,
    "truck": _truck,
    "bus": _bus,
    "person": _person,
    "non_motor": _non_motor,
    "riderless_non_motor": _riderless_non_motor,
    "barrier": _barrier,
    "pillar": _pillar,
}
