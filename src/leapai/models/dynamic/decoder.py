"""The decoder: queries look at each other, at memory and at BEV.

Letters: B lanes, Q queries, S history slots, C channels, D BEV channels, K heads, P points a head,
R x W the BEV grid's rows x columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leapai.config import DynamicConfig
from leapai.models import sampling
from leapai.types import NoisyQueries


@dataclass(frozen=True)
class History:
    """What queries may attend to beside each other."""

    query: Tensor
    """[B, S, C]"""
    position: Tensor
    """[B, S, C] encoding of the slots' aligned reference points."""
    visible: Tensor | None
    """[B, 1, Q, Q + S] bool, True where a query may look (`visible_keys`); None: everywhere."""


@dataclass(frozen=True)
class BevRows:
    """BEV features as padded rows (see `sampling.to_rows`)."""

    rows: Tensor
    """[B * (R+3) * (W+3), D]"""
    size: tuple[int, int]
    """R, W"""


def visible_keys(valid: Tensor, queries: int, noisy: NoisyQueries | None) -> Tensor | None:
    """[B, 1, Q + D, Q + D + S]: which keys each query may look at; None: all of them.

    Invalid slots [B, S] are hidden from all. Of D denoising queries each sees its own group, the Q
    queries and memory; the Q queries do not see them, or the truth would leak (DN-DETR, section
    3.4).
    """
    B, S = valid.shape
    if noisy is None:
        if S == 0:
            return None
        own = valid.new_ones(B, queries)
        return torch.cat([own, valid], 1)[:, None, None].expand(-1, -1, queries, -1)
    D = len(noisy.group)
    same_group = (noisy.group[:, None] == noisy.group) & noisy.valid[:, None]  # [B, D, D]
    own = valid.new_zeros(B, queries + D, queries + D)
    own[:, :, :queries] = True
    own[:, queries:, queries:] = same_group
    return torch.cat([own, valid[:, None].expand(-1, queries + D, -1)], 2)[:, None]


class TemporalSelfAttention(nn.Module):
    """Attention of queries [B, Q, C] to queries and history: keys [B, Q + S, C], invalid slots
    masked out."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_query = nn.Linear(channels, channels)
        self.to_key = nn.Linear(channels, channels)
        self.to_value = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, query: Tensor, position: Tensor, history: History) -> Tensor:
        """[B, Q, C]."""
        memory = torch.cat([query, history.query], 1)  # [B, Q + S, C]
        memory_position = torch.cat([position, history.position], 1)
        attended = F.scaled_dot_product_attention(
            self._split(self.to_query(query + position)),
            self._split(self.to_key(memory + memory_position)),
            self._split(self.to_value(memory)),
            attn_mask=history.visible,
        )
        merged: Tensor = self.out(attended.transpose(1, 2).flatten(2))
        return merged

    def _split(self, x: Tensor) -> Tensor:
        """[B, T, C] -> [B, K, T, C / K]."""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


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
        """Each head looks in its own direction, its points farther and farther out, weights
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
        """Queries with position [B, Q, C], reference points [B, Q, 3] in [0, 1] -> [B, Q, C]."""
        B, Q, C = query.shape
        shape = (B, Q, self.heads, self.points)
        location = self._centres(reference, bev.size) + self.offsets(query).view(*shape, 2)
        attention = self.logits(query).view(shape).float().softmax(-1)
        lane = torch.arange(B, device=query.device, dtype=torch.int32).view(B, 1, 1, 1)
        index, weight = sampling.bilinear_taps(location, lane, bev.size)
        head = torch.arange(self.heads, device=query.device, dtype=torch.int32).view(-1, 1, 1)
        index = index * self.heads + head
        weight = weight * attention[..., None]
        value = self.value(bev.rows).view(-1, C // self.heads)  # one row a head
        taps = self.points * 4
        sampled = sampling.weighted_rows(value, index.view(-1, taps), weight.view(-1, taps))
        out: Tensor = self.out(sampled.view(B, Q, C))
        return out

    def _centres(self, reference: Tensor, size: tuple[int, int]) -> Tensor:
        """Reference points [B, Q, 3] as cells x y [B, Q, 1, 1, 2]."""
        extent = reference.new_tensor([size[1], size[0]])
        return (reference[..., :2] * extent - 0.5)[:, :, None, None]


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
        self, query: Tensor, position: Tensor, reference: Tensor, history: History, bev: BevRows
    ) -> Tensor:
        """Queries [B, Q, C] with encodings of their reference points [B, Q, 3] -> [B, Q, C]."""
        query = self.norms[0](query + self.self_attention(query, position, history))
        query = self.norms[1](query + self.cross_attention(query + position, reference, bev))
        out: Tensor = self.norms[2](query + self.ffn(query))
        return out
