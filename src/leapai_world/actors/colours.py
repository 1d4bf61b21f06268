"""Materials and colours of what moves and stands in the street."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from leapai.types.vocabulary import FloatArray
from leapai_world import meshes
from leapai_world.meshes import Material

Colour = tuple[float, float, float]
BODY, COAT, TROUSER = 1, 2, 3
"""`Material.paint` of surfaces that have a colour of the actor's own, row by row of `own_colours`:
bodywork; coats, loads and hulls of buses; trousers."""
GLASS = Material((0.13, 0.17, 0.21), 0.01, texture=meshes.GLASS)
TYRE = Material((0.06, 0.06, 0.07), 0.03, 0.5)
RIM = Material((0.55, 0.56, 0.58), 0.12)
DARK = Material((0.12, 0.12, 0.13), 0.03, 0.3)
METAL = Material((0.45, 0.46, 0.48), 0.12)
WOOD = Material((0.52, 0.39, 0.25), 0.18, 0.4)
HEADLAMP = Material((0.97, 0.96, 0.88), 0.45, 0.6)
TAIL_LAMP = Material((0.75, 0.06, 0.06), 0.95, 1.0)
AMBER = Material((0.95, 0.55, 0.08), 0.9, 1.0)
PLATE = Material((0.92, 0.92, 0.88), 1.0, 1.0)
CONCRETE = Material((0.62, 0.61, 0.58), 0.12, 0.5)
RUBBLE = Material((0.46, 0.40, 0.33), 0.12, 0.6)
RED = Material((0.80, 0.12, 0.10), 0.25)
ORANGE = Material((0.93, 0.42, 0.08), 0.6, 0.6)
WHITE = Material((0.90, 0.90, 0.90), 0.5, 0.6)
YELLOW = Material((0.95, 0.75, 0.10), 0.35, 0.3)
DISPLAY = Material((0.95, 0.62, 0.12), 0.05)
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
    reflectivity = _between(_CLOTH, rng.random())
    return Material(colour, reflectivity, _ROUGH_CLOTH, paint=paint)


_BODY_SHARES = np.array([0.23, 0.15, 0.14, 0.18, 0.09, 0.08, 0.03, 0.04, 0.06])
"""Share of each of `PAINTS`, about as on European roads."""


_CLOTH = (0.02, 0.30)
"""Least and largest reflectivity of cloth and skin, near infrared."""
_ROUGH_CLOTH = 0.4
_DARK_PAINT, _LIGHT_PAINT = (0.004, 0.04), (0.03, 0.30)


def own_reflectivities(colours: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draws the reflectivity [3] of `BODY`, `COAT` and `TROUSER` of an actor whose colours are
    `colours` [3, 3]. Car paint reflects little, dark paint next to nothing; that of cloth does not
    follow its colour."""
    lightness = np.clip((colours[0].mean() - 0.1) / 0.6, 0, 1)
    low, high = (
        dark ** (1 - lightness) * light**lightness
        for dark, light in zip(_DARK_PAINT, _LIGHT_PAINT, strict=True)
    )
    ranges = ((low, high), _CLOTH, _CLOTH)
    return np.array([_between(limits, rng.random()) for limits in ranges])


def _between(limits: tuple[float, float], draw: float) -> float:
    """Returns the value at `draw` in [0, 1) between two limits, evenly in its logarithm."""
    low, high = limits
    return float(low * (high / low) ** draw)


def own_colours(rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Draws the colours [3, 3] of one actor: a row of RGB each for `BODY`, `COAT` and `TROUSER`."""
    body = PAINTS[rng.choice(len(PAINTS), p=_BODY_SHARES)]
    coats = (*CLOTHES, *BRIGHT)
    chosen = [body, coats[rng.integers(len(coats))], TROUSERS[rng.integers(len(TROUSERS))]]
    return np.clip(chosen + rng.normal(0.0, 0.025, (3, 3)), 0.03, 0.97).astype(np.float32)
