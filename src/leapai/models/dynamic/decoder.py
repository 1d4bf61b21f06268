"""The decoder: queries attend to each other, to memory and to BEV.

Letters: B streams, Q queries, C channels, D BEV channels, K heads, R x W the BEV grid's rows x
columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from leapai.config.network_sections import DynamicConfig
from leapai.models import sampling
from leapai.models.dynamic.self_attention import (
    AttentionReadout,
    History,
    QueryPlaces,
    TemporalSelfAttention,
)
from leapai.models.precision import in_float32


@dataclass(frozen=True)
class BevRows:
    """BEV features as padded rows (see `sampling.to_rows`)."""

    rows: Tensor
    """[B * (R+3) * (W+3), D]"""
    size: tuple[int, int]
    """R, W"""


class BevCrossAttention(nn.Module):
    """Deformable attention (Zhu et al., ICLR 2021, eq. 2) of queries to BEV around their reference
    points."""

    def __init__(self, config: DynamicConfig) -> None:
        super().__init__()
        channels = config.embed
        self.heads, self.points = config.heads, config.points
        self.offsets = nn.Linear(channels, config.heads * config.points * 2)
        self.logits = nn.Linear(channels, config.heads * config.points)
        # No bias: the zero border of the padded map must stay zero.
        self.value = nn.Linear(config.neck_channels, channels, bias=False)
        self.out = nn.Linear(channels, channels)
        self._initialise()

    def _initialise(self) -> None:
        """Points each head in its own direction, its points farther and farther out, weights
        uniform."""
        angle = torch.arange(self.heads) * (2 * torch.pi / self.heads)
        direction = torch.stack([angle.cos(), angle.sin()], -1)[:, None]
        radius = (torch.arange(self.points) + 1.0) * 8.0 / self.points
        nn.init.zeros_(self.offsets.weight)
        nn.init.zeros_(self.logits.weight)
        nn.init.zeros_(self.logits.bias)
        with torch.no_grad():
            self.offsets.bias.copy_((direction * radius[:, None]).flatten())

    def forward(self, query: Tensor, reference: Tensor, bev: BevRows) -> Tensor:
        """Attends to BEV: queries with position [B, Q, C], reference points [B, Q, 3] in [0, 1] ->
        [B, Q, C]."""
        B, Q, C = query.shape
        location, attention = self._locations(query, reference, bev.size)
        stream = torch.arange(B, device=query.device, dtype=torch.int32).view(B, 1, 1, 1)
        sampled = sampling.attended(self.value(bev.rows), location, attention, stream, bev.size)
        out: Tensor = self.out(sampled.view(B, Q, C))
        return out

    @in_float32
    def _locations(
        self, query: Tensor, reference: Tensor, size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Returns sampling locations [B, Q, K, P, 2] in cells of the map and attention
        [B, Q, K, P]."""
        shape = (*query.shape[:2], self.heads, self.points)
        location = self._centres(reference, size) + self.offsets(query).view(*shape, 2)
        return location, self.logits(query).view(shape).softmax(-1)

    def _centres(self, reference: Tensor, size: tuple[int, int]) -> Tensor:
        """Returns reference points [B, Q, 3] as cells x y [B, Q, 1, 1, 2]."""
        x, y = reference[..., 0] * size[1], reference[..., 1] * size[0]
        return (torch.stack([x, y], -1) - 0.5)[:, :, None, None]


class StreamTransformerLayer(nn.Module):
    """Self-attention over current and history, cross-attention to BEV, feed-forward; post-norm."""

    def __init__(self, config: DynamicConfig) -> None:
        super().__init__()
        channels = config.embed
        self.self_attention = TemporalSelfAttention(channels, config.heads)
        self.cross_attention = BevCrossAttention(config)
        self.ffn = nn.Sequential(
            nn.Linear(channels, config.ffn), nn.ReLU(), nn.Linear(config.ffn, channels)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(3))

    def forward(
        self, query: Tensor, places: QueryPlaces, history: History, bev: BevRows
    ) -> tuple[Tensor, AttentionReadout]:
        """Returns the refined queries [B, Q, C], and what attention read from memory about their
        motion."""
        attended, readout = self.self_attention(query, places, history)
        query = self.norms[0](query + attended)
        seen = self.cross_attention(query + places.encoding, places.reference, bev)
        query = self.norms[1](query + seen)
        return self.norms[2](query + self.ffn(query)), readout
