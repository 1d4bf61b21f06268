"""Meshes of cars: x forward, z up, the ground at z = 0. Each is built to about its own size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leapai.types.vocabulary import FloatArray
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
from leapai_world.meshes import Material, Mesh, block, extrusion, joined, loft, tube

Generator = np.random.Generator


@dataclass(frozen=True)
class _Car:
    """Proportions of a kind of car: x as fractions of the length, z as fractions of the height."""

    rear_foot: float
    """x at which the rear window starts."""
    rear_roof: float
    front_roof: float
    front_foot: float
    waist: float
    """z at which the glass starts."""
    bonnet: float
    """z of the front end of the bonnet."""
    tail: float
    """z of the tail."""
    wheel_radius_m: float


# fmt: off
_CARS = {
    #                  rear foot, rear roof, front roof, front foot, waist, bonnet, tail, wheel (m)
    "saloon":    _Car(-0.36,  -0.20, 0.08, 0.26, 0.60, 0.52, 0.48, 0.32),
    "hatchback": _Car(-0.48,  -0.38, 0.06, 0.28, 0.60, 0.53, 0.52, 0.30),
    "suv":       _Car(-0.485, -0.42, 0.07, 0.25, 0.58, 0.55, 0.54, 0.37),
    "pickup":    _Car(-0.10,  -0.07, 0.13, 0.27, 0.58, 0.54, 0.50, 0.38),
    "minivan":   _Car(-0.49,  -0.46, 0.18, 0.40, 0.52, 0.44, 0.50, 0.34),
}
# fmt: on


def _ring(x0: float, x1: float, y: float, z: float) -> FloatArray:
    return np.array([(x0, -y, z), (x1, -y, z), (x1, y, z), (x0, y, z)])


def _glasshouse(size: FloatArray, car: _Car, paint: Material) -> list[Mesh]:
    """Builds glass on all sides between posts, and a roof."""
    length, half, h = size[0], size[1] / 2, size[2]
    foot_r, foot_f = car.rear_foot * length, car.front_foot * length
    roof_r, roof_f = car.rear_roof * length, car.front_roof * length
    waist, lid = car.waist * h, 0.955 * h
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
    """Builds wheels in dark arches."""
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


def _trim(size: FloatArray, car: _Car, paint: Material, bumper: Material) -> list[Mesh]:
    """Builds lamps, plates, grille, bumpers, door sills and mirrors."""
    length, w, h = size
    half, front, rear = w / 2, length / 2, -length / 2
    mirror = (car.front_foot - 0.07) * length
    return [
        *pair(front - 0.03, 0.70 * half, 0.44 * h, (0.10, 0.13 * w, 0.10), HEADLAMP),
        *pair(rear + 0.02, 0.76 * half, 0.50 * h, (0.08, 0.10 * w, 0.16), TAIL_LAMP),
        across(front - 0.01, 0.38 * h, (0.04, 0.42 * w, 0.09 * h), DARK),
        across(front - 0.03, 0.23 * h, (0.10, 0.90 * w, 0.09 * h), bumper),
        across(rear + 0.03, 0.25 * h, (0.10, 0.90 * w, 0.10 * h), bumper),
        across(front + 0.02, 0.25 * h, (0.02, 0.52, 0.11), PLATE),
        across(rear - 0.01, 0.40 * h, (0.02, 0.52, 0.11), PLATE),
        *pair(0.0, 0.985 * half, 0.165 * h, (0.42 * length, 0.05, 0.06 * h), DARK),
        *pair(mirror, half + 0.03, (car.waist + 0.03) * h, (0.10, 0.14, 0.12), paint),
    ]


def _body(size: FloatArray, car: _Car) -> list[tuple[float, float]]:
    """Returns the side view (x, z) of the body below the glass."""
    length, h = size[0], size[2]
    front, rear, waist = length / 2, -length / 2, car.waist * h
    return [
        (rear, 0.24 * h),
        (rear, car.tail * h),
        (rear + 0.03 * length, max(car.tail * h + 0.02, min(waist, car.tail * h + 0.16))),
        (car.rear_foot * length + 0.06 * length, waist),
        (car.front_foot * length, waist),
        (front - 0.05 * length, car.bonnet * h),
        (front, 0.42 * h),
        (front, 0.22 * h),
        (front - 0.04 * length, 0.13 * h),
        (rear + 0.04 * length, 0.13 * h),
    ]


def saloon(size: FloatArray, rng: Generator) -> Mesh:
    """Builds a car with four doors and a boot."""
    car, paint = _CARS["saloon"], pick(PAINTS, rng, BODY)
    return joined(
        [
            extrusion(_body(size, car), size[1] / 2, paint),
            *_glasshouse(size, car, paint),
            *_running_gear(size, car.wheel_radius_m),
            *_trim(size, car, paint, paint),
        ]
    )


def hatchback(size: FloatArray, rng: Generator) -> Mesh:
    """Builds a short car with a steep tail."""
    car, paint = _CARS["hatchback"], pick(PAINTS, rng, BODY)
    return joined(
        [
            extrusion(_body(size, car), size[1] / 2, paint),
            *_glasshouse(size, car, paint),
            *_running_gear(size, car.wheel_radius_m),
            *_trim(size, car, paint, DARK if rng.random() < 0.4 else paint),
        ]
    )


def suv(size: FloatArray, rng: Generator) -> Mesh:
    """Builds a high car with large wheels, dark bumpers and roof rails."""
    car, paint = _CARS["suv"], pick(PAINTS, rng, BODY)
    length, half, h = size[0], size[1] / 2, size[2]
    rails = pair(-0.16 * length, 0.70 * half, h + 0.01, (0.42 * length, 0.05, 0.05), METAL)
    return joined(
        [
            extrusion(_body(size, car), half, paint),
            *_glasshouse(size, car, paint),
            *_running_gear(size, car.wheel_radius_m),
            *_trim(size, car, paint, DARK),
            *rails,
        ]
    )


def minivan(size: FloatArray, rng: Generator) -> Mesh:
    """Builds a high body with a short bonnet; a delivery van has sheet metal instead of rear
    windows."""
    car, paint = _CARS["minivan"], pick(PAINTS, rng, BODY)
    length, half, h = size[0], size[1] / 2, size[2]
    parts = [
        extrusion(_body(size, car), half, paint),
        *_glasshouse(size, car, paint),
        *_running_gear(size, car.wheel_radius_m),
        *_trim(size, car, paint, DARK),
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
    """Builds a cabin in front of an open bed, in which a load may lie."""
    car, paint = _CARS["pickup"], pick(PAINTS, rng, BODY)
    length, half, h = size[0], size[1] / 2, size[2]
    rear, cab, floor, rim = -length / 2, -0.11 * length, 0.38 * h, 0.57 * h
    nose = _body(size, car)[4:8]
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
            *_glasshouse(size, car, paint),
            *_running_gear(size, car.wheel_radius_m),
            *_trim(size, car, paint, DARK),
        ]
    )
