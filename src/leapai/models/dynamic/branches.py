"""Prediction branches of the decoder's layers (docs/design.md, section 6)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leapai.config.network_sections import DynamicConfig
from leapai.geometry import angles
from leapai.models.dynamic.self_attention import AttentionReadout, QueryPlaces
from leapai.models.grid_range import GridRange
from leapai.models.precision import in_float32
from leapai.types import BevGrid

NUM_REGRESSION = 9 + angles.NUM_BINS
"""Centre 3, log size 3, velocity 3, one residual angle a bin."""
CLASS_PRIOR = 0.01
"""Initial probability of a class (RetinaNet, section 4.1), so that focal loss starts calm."""


class Branches(nn.Module):
    """Prediction branches of one decoder layer: class, box, angle bins and occlusion of each
    query."""

    def __init__(self, config: DynamicConfig, grid: BevGrid, classes: int) -> None:
        super().__init__()
        channels, self.range = config.embed, GridRange(grid)
        self.classes = _branch(channels, classes, math.log(CLASS_PRIOR / (1 - CLASS_PRIOR)))
        self.regression = _branch(channels, NUM_REGRESSION)
        self.angle = _branch(channels, angles.NUM_BINS)
        self.occlusion = _branch(channels, 1)
        self.trust = nn.Linear(channels, 2 * config.heads)
        nn.init.zeros_(self.trust.weight)
        nn.init.zeros_(self.trust.bias)

    @in_float32
    def forward(
        self, features: Tensor, places: QueryPlaces, memory: AttentionReadout
    ) -> tuple[Tensor, ...]:
        """Predicts from features [B, Q, C], where the queries were, and what was read from memory:
        a logit a class, regression 17, angles 8, occlusion 1.

        The regression's centre becomes absolute: logit of the reference plus what the branch adds.
        So does its velocity: the gated estimates of memory plus what the branch adds.
        """
        regression = self.regression(features.float())
        centre = regression[..., :3] + torch.logit(places.reference, eps=1e-5)
        moved_m = self.range.denormalise(centre.detach().sigmoid()) - places.position_m
        velocity = regression[..., 6:9] + self._memory_velocity(features, moved_m, memory)
        regression = torch.cat([centre, regression[..., 3:6], velocity, regression[..., 9:]], -1)
        return self.classes(features), regression, self.angle(features), self.occlusion(features)

    def _memory_velocity(
        self, features: Tensor, moved_m: Tensor, memory: AttentionReadout
    ) -> Tensor:
        """Returns the velocity [B, Q, 3] by the two estimates of memory, for a centre that this
        layer moved by [B, Q, 3]."""
        gate: Tensor = self.trust(features.float())
        gate = gate.view(*gate.shape[:2], 2, -1, 1)  # [B, Q, 2, K, 1]
        displacement = memory.displacement_mps + moved_m[:, :, None] * memory.per_s
        guesses = torch.stack([memory.velocity_mps, displacement], 2)  # [B, Q, 2, K, 3]
        return (gate * guesses).sum((2, 3))


def _branch(channels: int, outputs: int, start: float = 0.0) -> nn.Sequential:
    """Returns two layers whose output begins near `start`."""
    last = nn.Linear(channels, outputs)
    nn.init.normal_(last.weight, std=0.01)
    nn.init.constant_(last.bias, start)
    return nn.Sequential(nn.Linear(channels, channels), nn.LayerNorm(channels), nn.ReLU(), last)


class OrderedThresholds(nn.Module):
    """Three learnt thresholds that stay in order: a first one and two positive steps.

    Level > k has probability sigmoid(score - threshold k): rank-consistent by construction
    (CORAL; Cao et al., Pattern Recognition Letters 2020).
    """

    def __init__(self, count: int = 3) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.tensor(-1.0))
        self.steps = nn.Parameter(torch.full((count - 1,), math.log(math.e - 1)))

    def forward(self) -> Tensor:
        """Returns the thresholds [3], increasing."""
        return torch.cat([self.first[None], self.first + F.softplus(self.steps).cumsum(0)])
