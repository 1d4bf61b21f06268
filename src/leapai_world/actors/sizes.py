"""Sizes of the kinds of actors, one table.

They are those of vehicles on sale and of design guides. Within them lie the tracks of the real log
that the tests use (Argoverse 2, 5th to 95th percentile: cars 4.0-4.9 x 1.7-2.4 x 1.4-2.1 m, people
0.6-1.0 x 0.6-1.0 x 1.5-1.9 m, bicycles 1.6-1.8 x 0.5-0.6 x 1.1-1.5 m, bollards 0.2-0.4 x 0.9-1.1
m), but for widths over mirrors that are folded out.
"""

# ruff: noqa: E501  # One kind a line.
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leapai.types.vocabulary import FloatArray

Spread = tuple[float, float, float, float]
"""Mean, standard deviation, least and most, in metres."""


@dataclass(frozen=True)
class SizeSpread:
    """Spread of the sizes of one kind; a kind whose length and width agree is as wide as long."""

    length: Spread
    width: Spread
    height: Spread

    @property
    def rows(self) -> tuple[Spread, Spread, Spread]:
        """Spreads of length, width and height."""
        return self.length, self.width, self.height

    def draw(self, rng: np.random.Generator) -> FloatArray:
        """Draws length, width and height [3] in metres."""
        spread = np.array(self.rows)
        size = np.clip(rng.normal(spread[:, 0], spread[:, 1]), spread[:, 2], spread[:, 3])
        if self.length == self.width:
            size[1] = size[0]
        return size


# fmt: off
SIZES: dict[str, SizeSpread] = {
    # kind                            length: mean, deviation, least, most    width                     height
    "saloon":              SizeSpread((4.65, 0.20, 4.20, 5.15),   (1.82, 0.05, 1.70, 1.97), (1.45, 0.03, 1.37, 1.53)),
    "hatchback":           SizeSpread((4.05, 0.22, 3.50, 4.45),   (1.76, 0.05, 1.60, 1.87), (1.50, 0.05, 1.40, 1.62)),
    "suv":                 SizeSpread((4.52, 0.20, 4.10, 5.05),   (1.88, 0.06, 1.76, 2.05), (1.68, 0.06, 1.56, 1.88)),
    "minivan":             SizeSpread((4.85, 0.30, 4.30, 5.50),   (1.93, 0.06, 1.80, 2.08), (1.95, 0.14, 1.72, 2.35)),
    "pickup":              SizeSpread((5.30, 0.15, 4.90, 5.50),   (1.92, 0.06, 1.80, 2.08), (1.82, 0.05, 1.72, 1.95)),
    "box_truck":           SizeSpread((7.60, 1.10, 5.60, 9.80),   (2.45, 0.08, 2.20, 2.60), (3.35, 0.28, 2.80, 3.80)),
    "flatbed":             SizeSpread((7.40, 0.90, 5.80, 9.50),   (2.45, 0.07, 2.25, 2.60), (2.75, 0.12, 2.50, 3.00)),
    "tipper":              SizeSpread((7.60, 0.70, 6.40, 9.20),   (2.50, 0.04, 2.40, 2.60), (3.05, 0.12, 2.80, 3.40)),
    "mixer":               SizeSpread((8.40, 0.40, 7.60, 9.40),   (2.50, 0.03, 2.40, 2.60), (3.65, 0.08, 3.45, 3.80)),
    "city_bus":            SizeSpread((11.60, 0.50, 10.20, 12.30), (2.62, 0.06, 2.50, 2.80), (3.12, 0.10, 2.90, 3.40)),
    "minibus":             SizeSpread((7.20, 0.50, 6.00, 8.20),   (2.22, 0.08, 2.05, 2.40), (2.75, 0.10, 2.55, 3.00)),
    "adult":               SizeSpread((0.68, 0.09, 0.48, 0.90),   (0.64, 0.06, 0.50, 0.80), (1.71, 0.09, 1.48, 1.98)),
    "child":               SizeSpread((0.52, 0.06, 0.38, 0.66),   (0.48, 0.05, 0.38, 0.60), (1.22, 0.13, 0.95, 1.48)),
    "with_umbrella":       SizeSpread((0.92, 0.03, 0.84, 0.98),   (0.88, 0.03, 0.80, 0.95), (1.98, 0.07, 1.84, 2.14)),
    "cyclist":             SizeSpread((1.78, 0.07, 1.60, 1.95),   (0.62, 0.04, 0.52, 0.74), (1.74, 0.08, 1.52, 1.95)),
    "moped_rider":         SizeSpread((1.86, 0.07, 1.70, 2.05),   (0.70, 0.04, 0.60, 0.80), (1.62, 0.07, 1.45, 1.80)),
    "kick_scooter_rider":  SizeSpread((1.16, 0.04, 1.05, 1.28),   (0.60, 0.04, 0.50, 0.70), (1.84, 0.08, 1.62, 2.04)),
    "tricycle_rider":      SizeSpread((2.40, 0.12, 2.10, 2.70),   (0.94, 0.03, 0.86, 1.00), (1.62, 0.06, 1.48, 1.80)),
    "parked_bicycle":      SizeSpread((1.74, 0.07, 1.55, 1.92),   (0.60, 0.04, 0.50, 0.70), (1.06, 0.05, 0.95, 1.22)),
    "racked_bicycle":      SizeSpread((1.74, 0.06, 1.58, 1.90),   (0.62, 0.03, 0.55, 0.70), (1.05, 0.03, 0.98, 1.15)),
    "fallen_bicycle":      SizeSpread((1.74, 0.06, 1.58, 1.90),   (1.04, 0.03, 0.95, 1.10), (0.54, 0.04, 0.45, 0.64)),
    "parked_moped":        SizeSpread((1.84, 0.07, 1.68, 2.02),   (0.68, 0.04, 0.58, 0.76), (1.16, 0.05, 1.05, 1.30)),
    "parked_kick_scooter": SizeSpread((1.14, 0.03, 1.05, 1.24),   (0.48, 0.03, 0.42, 0.56), (1.14, 0.04, 1.04, 1.24)),
    "parked_tricycle":     SizeSpread((2.10, 0.05, 1.95, 2.20),   (0.94, 0.03, 0.86, 1.00), (1.26, 0.06, 1.10, 1.40)),
    "jersey":              SizeSpread((2.20, 0.22, 1.60, 2.60),   (0.60, 0.02, 0.55, 0.66), (0.86, 0.06, 0.78, 1.07)),
    "water_filled":        SizeSpread((1.80, 0.28, 1.20, 2.20),   (0.46, 0.04, 0.38, 0.56), (0.86, 0.08, 0.70, 1.05)),
    "board_gate":          SizeSpread((2.00, 0.20, 1.50, 2.50),   (0.50, 0.05, 0.40, 0.62), (1.08, 0.07, 0.92, 1.25)),
    "crowd_fence":         SizeSpread((2.30, 0.10, 2.00, 2.50),   (0.52, 0.04, 0.42, 0.62), (1.10, 0.03, 1.00, 1.18)),
    "boom":                SizeSpread((3.20, 0.30, 2.60, 4.00),   (0.36, 0.02, 0.32, 0.42), (1.06, 0.03, 0.98, 1.14)),
    "round_bollard":       SizeSpread((0.22, 0.06, 0.12, 0.40),   (0.22, 0.06, 0.12, 0.40), (0.95, 0.11, 0.70, 1.25)),
    "square_bollard":      SizeSpread((0.22, 0.05, 0.14, 0.38),   (0.22, 0.05, 0.14, 0.38), (0.92, 0.11, 0.70, 1.25)),
    "round_column":        SizeSpread((0.62, 0.08, 0.45, 0.85),   (0.62, 0.08, 0.45, 0.85), (2.60, 0.12, 2.30, 3.00)),
    "square_column":       SizeSpread((0.64, 0.10, 0.45, 0.90),   (0.64, 0.10, 0.45, 0.90), (2.60, 0.12, 2.30, 3.00)),
}
# fmt: on
