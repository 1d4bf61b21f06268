"""Materials and colours of what moves and stands in the street."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from leapai_world import meshes
from leapai_world.meshes import Material

Colour = tuple[float, float, float]
BODY, COAT, TROUSER = 1, 2, 3
"""`Material.paint` of surfaces that have a colour of the actor's own, row by row of `own_colours`:
bodywork; coats, loads and hulls of buses; trousers."""
GLASS = Material((0.13, 0.17, 0.21), 0.08, meshes.GLASS)
TYRE = Material((0.06, 0.06, 0.07), 0.06)
RIM = Material((0.55, 0.56, 0.58), 0.4)
DARK = Material((0.12, 0.12, 0.13), 0.12)
METAL = Material((0.45, 0.46, 0.48), 0.45)
WOOD = Material((0.52, 0.39, 0.25), 0.3)
HEADLAMP = Material((0.97, 0.96, 0.88), 0.7)
TAIL_LAMP = Material((0.75, 0.06, 0.06), 0.8)
AMBER = Material((0.95, 0.55, 0.08), 0.7)
PLATE = Material((0.92, 0.92, 0.88), 0.9)
CONCRETE = Material((0.62, 0.61, 0.58), 0.35)
RUBBLE = Material((0.46, 0.40, 0.33), 0.3)
RED = Material((0.80, 0.12, 0.10), 0.4)
ORANGE = Material((0.93, 0.42, 0.08), 0.45)
WHITE = Material((0.90, 0.90, 0.90), 0.6)
YELLOW = Material((0.95, 0.75, 0.10), 0.6)
DISPLAY = Material((0.95, 0.62, 0.12), 0.3)
PAINTS: tuple[Colour, ...] = (
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
BRIGHT: tuple[Colour, ...] = (
    (0.86, 0.20, 0.12),
    (0.95, 0.62, 0.10),
    (0.14, 0.42, 0.72),
    (0.16, 0.52, 0.34),
    (0.90, 0.90, 0.88),
)
CLOTHES: tuple[Colour, ...] = (
    *PAINTS,
    (0.82, 0.42, 0.14),
    (0.55, 0.22, 0.45),
    (0.85, 0.78, 0.25),
)
TROUSERS: tuple[Colour, ...] = (
    (0.12, 0.13, 0.16),
    (0.18, 0.24, 0.38),
    (0.30, 0.36, 0.46),
    (0.40, 0.36, 0.30),
    (0.55, 0.50, 0.42),
)
SKINS: tuple[Colour, ...] = ((0.87, 0.68, 0.56), (0.72, 0.52, 0.38), (0.48, 0.32, 0.22))
HAIRS: tuple[Colour, ...] = (
    (0.08, 0.07, 0.06),
    (0.24, 0.16, 0.10),
    (0.55, 0.42, 0.24),
    (0.62, 0.62, 0.62),
)


def pick(colours: tuple[Colour, ...], rng: np.random.Generator, paint: int = 0) -> Material:
    """Draws one of the colours, changed a little, as paint or cloth."""
    shade = rng.normal(0.0, 0.025, 3)
    red, green, blue = np.clip(np.array(colours[rng.integers(len(colours))]) + shade, 0.03, 0.97)
    colour = (float(red), float(green), float(blue))
    return Material(colour, float(rng.uniform(0.25, 0.6)), meshes.PLAIN, paint)


_BODY_SHARES = np.array([0.23, 0.15, 0.14, 0.18, 0.09, 0.08, 0.03, 0.04, 0.06])
"""Share of each of `PAINTS`, about as on European roads."""


def own_colours(rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Draws the colours [3, 3] of one actor: a row of RGB each for `BODY`, `COAT` and `TROUSER`."""
    body = PAINTS[rng.choice(len(PAINTS), p=_BODY_SHARES)]
    coats = (*CLOTHES, *BRIGHT)
    chosen = [body, coats[rng.integers(len(coats))], TROUSERS[rng.integers(len(TROUSERS))]]
    return np.clip(chosen + rng.normal(0.0, 0.025, (3, 3)), 0.03, 0.97).astype(np.float32)
