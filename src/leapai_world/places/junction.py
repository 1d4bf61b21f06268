"""The junction: four arms of straight road that meet at right angles, and the ways through it."""

from __future__ import annotations

import numpy as np

from leapai.types.vocabulary import FloatArray
from leapai_world.places.street import LANE_M, REACH_M, Bend, Section, Street
from leapai_world.random_generators import random_generator
from leapai_world.traffic.routes import rounded

ZEBRA_M = 2.8
"""A zebra crossing lies this far outside the junction; the stop line lies 4 m farther."""
STOP_M = ZEBRA_M + 4.0


class Junction:
    """Four half streets whose s runs outward from the middle; traffic comes in where d > 0."""

    def __init__(self, seed: int, duration_s: float) -> None:
        rng = random_generator(seed, 0)
        self.seed, self.lanes = seed, int(rng.integers(1, 3))
        self.ego_lane = int(rng.integers(self.lanes))
        turns = [out for out in exits(0, self.ego_lane, self.lanes) if out != 2]
        self.ego_out = int(rng.choice(turns)) if rng.random() < 0.8 else 2
        section = Section(
            self.lanes,
            divider=str(rng.choice(["DoubleSolidLine", "WideSolidLine"])),
            separator=str(rng.choice(["DashedLine", "WideDashedLine"])),
            lawn_m=20.0,
        )
        self.heading_rad = rng.uniform(-np.pi, np.pi)
        self.length_m = REACH_M + 10.0 * duration_s
        self.arms = [
            Street(seed * 4 + arm, self.length_m, section, Bend(self.heading_rad + arm * np.pi / 2))
            for arm in range(4)
        ]
        self.half_m = self.arms[0].frontage_m
        """Half the side of the square that is the junction; arms begin at its edge."""

    def reach_m(self, arm: int) -> float:
        """Returns s up to which an arm has actors: far where the ego leaves by it."""
        return self.length_m if arm == self.ego_out else REACH_M

    def place(self, points_m: FloatArray) -> FloatArray:
        """Returns points [..., 2 or 3] along the axes of the arms in the local frame."""
        c, s = np.cos(self.heading_rad), np.sin(self.heading_rad)
        points = np.array(points_m, float)
        points[..., :2] = points[..., :2] @ np.array([[c, s], [-s, c]])
        return points

    def way(self, arm: int, out: int, lane: int) -> FloatArray:
        """Returns points [P, 2] of the lane that comes in by an arm and goes out by another."""
        d = LANE_M * (lane + 0.5)
        comes, goes = (np.array([np.cos(a), np.sin(a)]) for a in (arm * np.pi / 2, out * np.pi / 2))
        left_of_comes, right_of_goes = (
            np.array([-comes[1], comes[0]]),
            np.array([goes[1], -goes[0]]),
        )
        start = comes * self.length_m + left_of_comes * d
        end = goes * self.length_m + right_of_goes * d
        if (out - arm) % 4 == 2:
            return self.place(rounded([tuple(start), tuple(end)], 1.0))
        corner = left_of_comes * d + right_of_goes * d
        radius = 7.0 if (out - arm) % 4 == 1 else self.half_m - 1.0
        # Right turns hug the kerb, left turns pass the middle.
        return self.place(rounded([tuple(start), tuple(corner), tuple(end)], radius))


def exits(arm: int, lane: int, lanes: int) -> list[int]:
    """Returns the arms that a lane leads to: the outermost turns right, the innermost left, all go
    ahead."""
    right = [(arm + 1) % 4] if lane == lanes - 1 else []
    return [*right, (arm + 2) % 4, *([(arm + 3) % 4] if lane == 0 else [])]
