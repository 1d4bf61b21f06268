"""Meshes of cars, trucks and buses: x forward, z up, the ground at z = 0."""

from __future__ import annotations

import numpy as np

from leapai.data.synthetic.meshes import (
    Material,
    Mesh,
    block,
    ellipsoid,
    extrusion,
    joined,
    loft,
    tube,
)
from leapai.data.synthetic.palette import (
    CONCRETE,
    DARK,
    DISPLAY,
    GLASS,
    HEADLAMP,
    PAINTS,
    PLATE,
    RIM,
    TAIL_LAMP,
    TYRE,
    pick,
)
from leapai.types import FloatArray

Generator = np.random.Generator


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


# Cabins as fractions of the length: foot of the rear window, the roof's rear and front end, foot of
# the windscreen.
_CABINS = {
    "saloon": (-0.36, -0.20, 0.08, 0.26),
    "hatchback": (-0.48, -0.40, 0.06, 0.27),
    "van": (-0.49, -0.47, 0.20, 0.38),
}


def car(size: FloatArray, rng: Generator) -> Mesh:
    """A saloon, a hatchback or, where it is high, a van."""
    length, w, h = size
    kind = "van" if h > 1.75 else ("saloon", "hatchback")[rng.integers(2)]
    paint, half = pick(PAINTS, rng), w / 2
    foot_r, roof_r, roof_f, foot_f = (x * length for x in _CABINS[kind])
    waist = 0.60 * h
    front, rear = length / 2, -length / 2
    body = [
        (rear, 0.24 * h),
        (rear, 0.50 * h),
        (rear + 0.03 * length, waist),
        (foot_f, waist),
        (front - 0.04 * length, 0.50 * h),
        (front, 0.42 * h),
        (front, 0.22 * h),
        (front - 0.04 * length, 0.13 * h),
        (rear + 0.04 * length, 0.13 * h),
    ]

    def ring(x0: float, x1: float, y: float, z: float) -> FloatArray:
        return np.array([(x0, -y, z), (x1, -y, z), (x1, y, z), (x0, y, z)])

    lid = 0.955 * h
    glass = [
        ring(foot_r, foot_f, 0.90 * half, waist - 0.02),
        ring(roof_r, roof_f, 0.74 * half, lid),
    ]
    roof = [
        ring(roof_r - 0.02 * length, roof_f + 0.02 * length, 0.765 * half, lid - 0.01),
        ring(roof_r + 0.01 * length, roof_f - 0.02 * length, 0.70 * half, h),
    ]
    posts = [
        tube((x0, side * 0.91 * half, waist), (x1, side * 0.75 * half, lid), 0.035, paint, 4)
        for side in (-1, 1)
        for x0, x1 in ((foot_r, roof_r), (foot_f, roof_f), (-0.06 * length, -0.06 * length))
    ]
    return joined(
        [
            extrusion(body, half, paint),
            loft(glass, GLASS),
            loft(roof, paint),
            *posts,
            *_wheels((-0.30 * length, 0.31 * length), half - 0.01, 0.33, 0.22),
            *_pair(front - 0.02, 0.66 * half, 0.44 * h, (0.10, 0.26 * w / 2, 0.10), HEADLAMP),
            *_pair(rear + 0.03, 0.70 * half, 0.50 * h, (0.08, 0.24 * w / 2, 0.12), TAIL_LAMP),
            *(
                block((x - 0.01, -0.26, 0.27 * h), (x + 0.01, 0.26, 0.35 * h), PLATE)
                for x in (rear, front)
            ),
            *_pair(0.18 * length, 0.99 * half, 0.62 * h, (0.14, 0.16, 0.12), paint),
        ]
    )


def truck(size: FloatArray, rng: Generator) -> Mesh:
    """A cab with a box or with a tipper full of rubble."""
    length, w, h = size
    paint, load, half = pick(PAINTS, rng), pick((*PAINTS[:2], *PAINTS[4:]), rng), w / 2
    front, rear, cab_h = length / 2, -length / 2, min(0.86 * h, 2.75)
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
            *_wheels(
                (rear + 0.16 * length, rear + 0.30 * length, front - 1.1), 0.97 * half, 0.48, 0.30
            ),
            *_pair(front, 0.72 * half, 0.75, (0.06, 0.36, 0.16), HEADLAMP),
            *_pair(rear, 0.78 * half, 0.85, (0.06, 0.30, 0.16), TAIL_LAMP),
        ]
    )


def bus(size: FloatArray, rng: Generator) -> Mesh:
    """A city bus."""
    length, w, h = size
    paint, half, front, rear = pick(PAINTS, rng), w / 2, length / 2, -length / 2
    stripe = pick(PAINTS[4:], rng)
    body = [
        (rear, 0.32), (rear, h - 0.15), (rear + 0.12, h), (front - 0.3, h), (front, 0.75 * h),
        (front, 0.32) ]  # fmt: skip
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
            *_pair(0.0, half, 0.30 * h, (length - 0.6, 0.02, 0.16), stripe),
            block(
                (front - 0.06, -0.86 * half, 0.36 * h), (front + 0.02, 0.86 * half, 0.74 * h), GLASS
            ),
            block(
                (front - 0.3, -0.6 * half, 0.80 * h), (front - 0.03, 0.6 * half, 0.92 * h), DISPLAY
            ),
            block(
                (rear - 0.02, -0.75 * half, 0.5 * h), (rear + 0.02, 0.75 * half, 0.78 * h), GLASS
            ),
            *_wheels((rear + 0.24 * length, front - 0.22 * length), half + 0.005, 0.48, 0.30),
            *_pair(front, 0.74 * half, 0.24 * h, (0.05, 0.34, 0.16), HEADLAMP),
            *_pair(rear, 0.80 * half, 0.30 * h, (0.05, 0.22, 0.30), TAIL_LAMP),
        ]
    )
