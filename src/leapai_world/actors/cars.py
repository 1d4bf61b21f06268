"""Meshes of cars: x forward, z up, the ground at z = 0. Each is built about its own size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leapai.types import FloatArray
from leapai_world.actors.colours import (
    BODY,
    DARK,
    GLASS,
    HEADLAMP,
    METAL,
    PAINTS,
    PLATE,
    TAIL_LAMP,
    pick,
)
from leapai_world.actors.vehicle_parts import across, pair, wheels
from leapai_world.meshes import (
    Material,
    Mesh,
    block,
    extrusion,
    joined,
    loft,
    tube,
)

Generator = np.random.Generator


@dataclass(frozen=True)
class _Cabin:
    """Where the glass stands: x as fractions of the length, `waist` of the height."""

    rear_foot: float
    rear_roof: float
    front_roof: float
    front_foot: float
    waist: float = 0.60


_SALOON = _Cabin(-0.36, -0.20, 0.08, 0.26)
_HATCHBACK = _Cabin(-0.48, -0.38, 0.06, 0.28)
_SUV = _Cabin(-0.485, -0.42, 0.07, 0.25, 0.58)
_PICKUP = _Cabin(-0.10, -0.07, 0.13, 0.27, 0.58)
_MINIVAN = _Cabin(-0.49, -0.46, 0.18, 0.40, 0.52)


def _ring(x0: float, x1: float, y: float, z: float) -> FloatArray:
    return np.array([(x0, -y, z), (x1, -y, z), (x1, y, z), (x0, y, z)])


def _glasshouse(size: FloatArray, cabin: _Cabin, paint: Material) -> list[Mesh]:
    """Glass on all sides between posts, and a roof."""
    length, half, h = size[0], size[1] / 2, size[2]
    foot_r, foot_f = cabin.rear_foot * length, cabin.front_foot * length
    roof_r, roof_f = cabin.rear_roof * length, cabin.front_roof * length
    waist, lid = cabin.waist * h, 0.955 * h
    glass = [
        _ring(foot_r, foot_f, 0.90 * half, waist - 0.02),
        _ring(roof_r, roof_f, 0.76 * half, lid),
    ]
    roof = [
        _ring(roof_r - 0.02 * length, roof_f + 0.02 * length, 0.785 * half, lid - 0.015),
        _ring(roof_r + 0.01 * length, roof_f - 0.02 * length, 0.70 * half, h),
    ]
    middle = 0.5 * (roof_r + roof_f)
    feet = ((foot_r, roof_r, 0.06), (foot_f, roof_f, 0.035), (middle, middle, 0.035))
    posts = [
        tube((x0, side * 0.91 * half, waist), (x1, side * 0.77 * half, lid), r, paint, 4)
        for side in (-1, 1)
        for x0, x1, r in feet
    ]
    return [loft(glass, GLASS), loft(roof, paint), *posts]


def _running_gear(size: FloatArray, radius: float) -> list[Mesh]:
    """Wheels in dark arches."""
    length, half = size[0], size[1] / 2
    axles = (-0.30 * length, 0.31 * length)
    arches = [
        tube(
            (x, side * 0.5 * half, radius),
            (x, side * (half + 0.006), radius),
            1.17 * radius,
            DARK,
            12,
        )
        for x in axles
        for side in (-1.0, 1.0)
    ]
    return [*arches, *wheels(axles, half + 0.012, radius, 0.22)]


def _trim(size: FloatArray, cabin: _Cabin, paint: Material, bumper: Material) -> list[Mesh]:
    """Lamps, plates, grille, bumpers, door sills and mirrors."""
    length, w, h = size
    half, front, rear = w / 2, length / 2, -length / 2
    mirror = (cabin.front_foot - 0.07) * length
    return [
        *pair(front - 0.03, 0.70 * half, 0.44 * h, (0.10, 0.13 * w, 0.10), HEADLAMP),
        *pair(rear + 0.02, 0.76 * half, 0.50 * h, (0.08, 0.10 * w, 0.16), TAIL_LAMP),
        across(front - 0.01, 0.38 * h, (0.04, 0.42 * w, 0.09 * h), DARK),
        across(front - 0.03, 0.23 * h, (0.10, 0.90 * w, 0.09 * h), bumper),
        across(rear + 0.03, 0.25 * h, (0.10, 0.90 * w, 0.10 * h), bumper),
        across(front + 0.02, 0.25 * h, (0.02, 0.52, 0.11), PLATE),
        across(rear - 0.01, 0.40 * h, (0.02, 0.52, 0.11), PLATE),
        *pair(0.0, 0.985 * half, 0.165 * h, (0.42 * length, 0.05, 0.06 * h), DARK),
        *pair(mirror, half + 0.03, (cabin.waist + 0.03) * h, (0.10, 0.14, 0.12), paint),
    ]


def _body(size: FloatArray, cabin: _Cabin, bonnet: float, tail: float) -> list[tuple[float, float]]:
    """Side view of what is below the glass; heights of bonnet and tail as fractions."""
    length, h = size[0], size[2]
    front, rear, waist = length / 2, -length / 2, cabin.waist * h
    return [
        (rear, 0.24 * h),
        (rear, tail * h),
        (rear + 0.03 * length, max(tail * h + 0.02, min(waist, tail * h + 0.16))),
        (cabin.rear_foot * length + 0.06 * length, waist),
        (cabin.front_foot * length, waist),
        (front - 0.05 * length, bonnet * h),
        (front, 0.42 * h),
        (front, 0.22 * h),
        (front - 0.04 * length, 0.13 * h),
        (rear + 0.04 * length, 0.13 * h),
    ]


def saloon(size: FloatArray, rng: Generator) -> Mesh:
    """Four doors and a boot."""
    paint = pick(PAINTS, rng, BODY)
    return joined(
        [
            extrusion(_body(size, _SALOON, 0.52, 0.48), size[1] / 2, paint),
            *_glasshouse(size, _SALOON, paint),
            *_running_gear(size, 0.32),
            *_trim(size, _SALOON, paint, paint),
        ]
    )


def hatchback(size: FloatArray, rng: Generator) -> Mesh:
    """Short, with a steep tail."""
    paint = pick(PAINTS, rng, BODY)
    return joined(
        [
            extrusion(_body(size, _HATCHBACK, 0.53, 0.52), size[1] / 2, paint),
            *_glasshouse(size, _HATCHBACK, paint),
            *_running_gear(size, 0.30),
            *_trim(size, _HATCHBACK, paint, DARK if rng.random() < 0.4 else paint),
        ]
    )


def suv(size: FloatArray, rng: Generator) -> Mesh:
    """High, with large wheels, dark bumpers and roof rails."""
    paint = pick(PAINTS, rng, BODY)
    length, half, h = size[0], size[1] / 2, size[2]
    rails = pair(-0.16 * length, 0.70 * half, h + 0.01, (0.42 * length, 0.05, 0.05), METAL)
    return joined(
        [
            extrusion(_body(size, _SUV, 0.55, 0.54), half, paint),
            *_glasshouse(size, _SUV, paint),
            *_running_gear(size, 0.37),
            *_trim(size, _SUV, paint, DARK),
            *rails,
        ]
    )


def minivan(size: FloatArray, rng: Generator) -> Mesh:
    """A high body with a short bonnet; a delivery van has sheet metal instead of rear windows."""
    paint = pick(PAINTS, rng, BODY)
    length, half, h = size[0], size[1] / 2, size[2]
    parts = [
        extrusion(_body(size, _MINIVAN, 0.44, 0.50), half, paint),
        *_glasshouse(size, _MINIVAN, paint),
        *_running_gear(size, 0.34),
        *_trim(size, _MINIVAN, paint, DARK),
    ]
    if rng.random() < 0.5:
        low, high = 0.50 * h, 0.965 * h
        walls = [
            _ring(-0.495 * length, 0.10 * length, 0.97 * half, low),
            _ring(-0.485 * length, 0.10 * length, 0.83 * half, high),
        ]
        parts.append(loft(walls, paint))
    return joined(parts)


def pickup(size: FloatArray, rng: Generator) -> Mesh:
    """A cabin in front of an open bed, in which a load may lie."""
    paint = pick(PAINTS, rng, BODY)
    length, half, h = size[0], size[1] / 2, size[2]
    rear, cab, floor, rim = -length / 2, -0.11 * length, 0.38 * h, 0.57 * h
    nose = _body(size, _PICKUP, 0.54, 0.50)[4:8]
    front_half = [(cab, 0.20 * h), (cab, 0.58 * h), *nose, (length / 2 - 0.2, 0.15 * h)]
    bed = [
        block((rear, -half, 0.22 * h), (cab, half, floor), paint),
        block((rear, -half, floor), (rear + 0.07, half, rim), paint),
        *pair(
            (rear + cab) / 2, half - 0.04, (floor + rim) / 2, (cab - rear, 0.08, rim - floor), paint
        ),
    ]
    if rng.random() < 0.5:
        top = rng.uniform(0.55, 0.75) * h
        bed.append(
            block((rear + 0.2, -0.6 * half, floor), (cab - 0.3, 0.5 * half, top), METAL, 0.9)
        )
    return joined(
        [
            extrusion(front_half, half, paint),
            *bed,
            *_glasshouse(size, _PICKUP, paint),
            *_running_gear(size, 0.38),
            *_trim(size, _PICKUP, paint, DARK),
        ]
    )
