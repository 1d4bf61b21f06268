"""Meshes of barriers and pillars: x along them, z up, the ground at z = 0."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from leapai.types.vocabulary import FloatArray
from leapai_world.actors.colours import CONCRETE, DARK, METAL, ORANGE, RED, TAIL_LAMP, WHITE, YELLOW
from leapai_world.meshes import Material, Mesh, block, ellipsoid, joined, loft, tube

Generator = np.random.Generator


def _slab(half_length: float, half_width: float, z: float) -> FloatArray:
    x, y = half_length, half_width
    return np.array([(-x, -y, z), (x, -y, z), (x, y, z), (-x, y, z)])


def _profile(half_length: float, steps: list[tuple[float, float]], of: Material) -> Mesh:
    """Builds a bar whose cross-section is given from below: (half width, z)."""
    return loft([_slab(half_length, y, z) for y, z in steps], of)


def jersey(size: FloatArray, rng: Generator) -> Mesh:
    """Builds a concrete wall with a wide foot; some carry reflectors."""
    length, w, h = size
    steps = [(w / 2, 0), (w / 2, 0.10 * h), (0.27 * w, 0.40 * h), (0.17 * w, h)]
    parts = [
        _profile(length / 2, steps, CONCRETE),
        *(block((x - 0.12, -0.51 * w, 0), (x + 0.12, 0.51 * w, 0.06 * h), DARK)
          for x in (-0.25 * length, 0.25 * length)),
    ]  # fmt: skip
    if rng.random() < 0.6:
        for x in (-0.4 * length, 0.0, 0.4 * length):
            parts.append(block((x - 0.05, -0.2 * w, 0.8 * h), (x + 0.05, 0.2 * w, 0.9 * h), ORANGE))
    return joined(parts)


def water_filled(size: FloatArray, rng: Generator) -> Mesh:
    """Builds a hollow plastic block with a waist, feet, a filler cap and a coupling; red, white or
    orange."""
    length, w, h = size
    of, cap = ((RED, DARK), (WHITE, RED), (ORANGE, WHITE))[rng.integers(3)]
    half, y = 0.46 * length, w / 2
    steps = [(y, 0.08 * h), (y, 0.30 * h), (0.62 * y, 0.48 * h), (0.62 * y, 0.60 * h)]
    steps += [(0.72 * y, 0.78 * h), (0.50 * y, 0.96 * h)]
    return joined(
        [
            _profile(half, steps, of),
            *(block((x - 0.16, -0.9 * y, 0), (x + 0.16, 0.9 * y, 0.1 * h), of)
              for x in (-0.55 * half, 0.55 * half)),
            *(tube((x, 0, 0.2 * h), (x, 0, 0.85 * h), 0.04 * length, of, 8)
              for x in (-half, half)),
            tube((0, 0, 0.95 * h), (0, 0, h), 0.09, cap, 8),
            block((-0.3 * half, -1.01 * y, 0.14 * h), (0.3 * half, 1.01 * y, 0.24 * h), WHITE),
        ]
    )  # fmt: skip


def _stripes(ends_x: tuple[float, float], half_y: float, z: tuple[float, float]) -> list[Mesh]:
    """Builds a board of six red and white fields."""
    return [
        block((x0, -half_y, z[0]), (x1, half_y, z[1]), (RED, WHITE)[i % 2])
        for i, (x0, x1) in enumerate(pairwise(np.linspace(*ends_x, 7)))
    ]


def board_gate(size: FloatArray, rng: Generator) -> Mesh:
    """Builds the gate that closes a lane for works: two feet, two posts, striped boards and a
    lamp."""
    length, w, h = size
    posts = (-0.4 * length, 0.4 * length)
    parts = [block((x - 0.06, -w / 2, 0), (x + 0.06, w / 2, 0.07), DARK) for x in posts]
    parts += [tube((x, 0, 0), (x, 0, 0.93 * h), 0.03, METAL, 6) for x in posts]
    for z in (0.42 * h, 0.78 * h):
        parts += _stripes((-length / 2, length / 2), 0.02, (z - 0.09 * h, z + 0.09 * h))
    lamp = YELLOW if rng.random() < 0.6 else TAIL_LAMP
    return joined([*parts, tube((posts[0], 0, 0.9 * h), (posts[0], 0, h), 0.07, lamp, 8)])


def crowd_fence(size: FloatArray, rng: Generator) -> Mesh:
    """Builds a steel frame of thin upright bars on two flat feet."""
    length, w, h = size
    half, low, bars = length / 2, 0.18 * h, int(rng.integers(9, 13))
    return joined(
        [
            tube((-half, 0, h - 0.02), (half, 0, h - 0.02), 0.02, METAL, 6),
            tube((-half, 0, low), (half, 0, low), 0.02, METAL, 6),
            *(tube((x, 0, low), (x, 0, h - 0.02), 0.009, METAL, 4)
              for x in np.linspace(-half + 0.1, half - 0.1, bars)),
            *(tube((x, 0, 0), (x, 0, h - 0.02), 0.022, METAL, 6)
              for x in (-half + 0.02, half - 0.02)),
            *(block((x - 0.03, -w / 2, 0), (x + 0.03, w / 2, 0.03), METAL)
              for x in (-0.7 * half, 0.7 * half)),
            *(tube((x, 0, 0), (x, 0, low), 0.015, METAL, 4) for x in (-0.7 * half, 0.7 * half)),
        ]
    )  # fmt: skip


def boom(size: FloatArray, rng: Generator) -> Mesh:
    """Builds a gate with its arm down: a cabinet at the rear end, the arm along x, a rest at the
    front."""
    length, w, h = size
    rear, front, arm = -length / 2, length / 2, 0.84 * h
    cabinet = (YELLOW, ORANGE, WHITE)[rng.integers(3)]
    return joined(
        [
            block((rear, -w / 2, 0), (rear + 0.34, w / 2, 0.94 * h), cabinet),
            block((rear + 0.06, -0.3 * w, 0.94 * h), (rear + 0.26, 0.3 * w, h), DARK),
            *_stripes((rear + 0.34, front), 0.03, (arm - 0.05, arm + 0.05)),
            tube((front - 0.1, 0, 0), (front - 0.1, 0, arm - 0.05), 0.03, METAL, 6),
        ]
    )


_BANDED = ((DARK, WHITE), (CONCRETE, RED), (YELLOW, DARK), (METAL, YELLOW))


def round_bollard(size: FloatArray, rng: Generator) -> Mesh:
    """Builds a post with a reflecting band and a rounded head."""
    r, h = size[0] / 2, size[2]
    body, band = _BANDED[rng.integers(len(_BANDED))]
    return joined(
        [
            tube((0, 0, 0), (0, 0, 0.70 * h), 0.92 * r, body, 12),
            tube((0, 0, 0.70 * h), (0, 0, 0.84 * h), r, band, 12),
            tube((0, 0, 0.84 * h), (0, 0, 0.93 * h), 0.92 * r, body, 12),
            ellipsoid((0, 0, 0.92 * h), (0.9 * r, 0.9 * r, 0.08 * h), body, 12),
        ]
    )


def square_bollard(size: FloatArray, rng: Generator) -> Mesh:
    """Builds a square post with a band and a bevelled head."""
    r, h = size[0] / 2, size[2]
    body, band = _BANDED[rng.integers(len(_BANDED))]
    return joined(
        [
            block((-r, -r, 0), (r, r, 0.04 * h), body),
            block((-0.9 * r, -0.9 * r, 0), (0.9 * r, 0.9 * r, 0.66 * h), body),
            block((-r, -r, 0.66 * h), (r, r, 0.80 * h), band),
            block((-0.9 * r, -0.9 * r, 0.80 * h), (0.9 * r, 0.9 * r, h), body, 0.4),
        ]
    )


def round_column(size: FloatArray, rng: Generator) -> Mesh:
    """Builds a column that carries a ceiling: a shaft with a coloured belt, on a plinth."""
    r, h = size[0] / 2, size[2]
    belt = (RED, YELLOW, WHITE)[rng.integers(3)]
    return joined(
        [
            tube((0, 0, 0), (0, 0, 0.06 * h), r, DARK, 16),
            tube((0, 0, 0.06 * h), (0, 0, h), 0.93 * r, CONCRETE, 16),
            tube((0, 0, 0.30 * h), (0, 0, 0.42 * h), 0.95 * r, belt, 16),
        ]
    )


def square_column(size: FloatArray, rng: Generator) -> Mesh:
    """Builds a square shaft with bevelled edges and black and yellow guards at the corners."""
    del rng
    r, h = size[0] / 2, size[2]
    corner = 0.7 * r
    outline = [(r, -corner), (r, corner), (corner, r), (-corner, r), (-r, corner), (-r, -corner)]
    outline += [(-corner, -r), (corner, -r)]
    shaft = loft(
        [np.array([(0.97 * x, 0.97 * y, z) for x, y in outline]) for z in (0, h)], CONCRETE
    )
    guards = [
        block((x - 0.14 * r, y - 0.14 * r, z0 * h), (x + 0.14 * r, y + 0.14 * r, z1 * h), of)
        for x in (-0.86 * r, 0.86 * r)
        for y in (-0.86 * r, 0.86 * r)
        for z0, z1, of in ((0.04, 0.16, YELLOW), (0.16, 0.28, DARK), (0.28, 0.40, YELLOW))
    ]
    return joined([shaft, *guards])
