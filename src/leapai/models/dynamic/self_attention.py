"""Self-attention of queries over each other and over memory, by content and by place.

A slot holds of an object mostly *where* it is and how it moves, relative to the query. Values of
attention do not carry that: they are the same for every query. So attention over slots also weighs
by distance, and pools the slots' geometry relative to the query: how far off they are, how old, how
fast. From it follow two estimates of the query's velocity: the slot's own, and its displacement
since over time; the head's velocity starts from them.

Letters: B streams, Q queries, S history slots, C channels, K heads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from leapai.models.precision import in_float32
from leapai.models.tensors import DenoisingQueries, MemoryReport

SLOT_VALUES = 12
"""Values pooled of a slot: presence, offset 3, velocity 3, displacement over time 3, confidence,
age."""
LENGTH_M, SPEED_MPS = 4.0, 10.0
"""Scales that bring pooled lengths and speeds to the order of 1."""
MIN_AGE_S = 0.05
"""The displacement of a younger slot gives no velocity."""
FAR_M = 1e4
"""Distance of an invalid slot from every query: its weight is zero, and its gradient, too."""
MAX_LOGIT = 30.0
"""Above it a slot is as good as sure, and exponentials come near the end of float32."""
FIRST_SLOT_LOGIT = 3.0
"""Initial logit of a slot at the query's own place, against 0 for no slot."""


@dataclass(frozen=True)
class QueryPlaces:
    """Positions of the queries, in all forms."""

    reference: Tensor
    """[B, Q, 3] in [0, 1] of the BEV range."""
    position_m: Tensor
    """[B, Q, 3] the same in metres."""
    encoding: Tensor
    """[B, Q, C]"""


@dataclass(frozen=True)
class History:
    """Memory slots that queries may attend to in addition to each other."""

    slots: MemoryReport
    encoding: Tensor
    """[B, S, C] of the slots' aligned reference points."""
    visible: Tensor | None
    """[B, 1, Q, Q] bool: the queries that a query may attend to (`visible_queries`); None: all."""


@dataclass(frozen=True)
class AttentionReadout:
    """Geometry of the slots that each head read for each query; all zero where it found none."""

    pooled: Tensor
    """[B, Q, K, 12] (`SLOT_VALUES`)"""
    velocity_mps: Tensor
    """[B, Q, K, 3] the slots' own velocity."""
    displacement_mps: Tensor
    """[B, Q, K, 3] velocity from where they were seen to where the query is."""
    per_s: Tensor
    """[B, Q, K, 1] by how much the latter grows for each metre that the query moves on."""


def visible_queries(queries: int, denoising: DenoisingQueries | None) -> Tensor | None:
    """Returns which queries each query may attend to [B, 1, Q + D, Q + D]; None: all of them.

    Of D denoising queries each sees its own group and the Q queries; these do not see them, or the
    ground truth would leak (DN-DETR, section 3.4).
    """
    if denoising is None:
        return None
    D = len(denoising.group)
    same_group = (denoising.group[:, None] == denoising.group) & denoising.valid[
        :, None
    ]  # [B, D, D]
    visible = same_group.new_zeros(len(same_group), queries + D, queries + D)
    visible[:, :, :queries] = True
    visible[:, queries:, queries:] = same_group
    return visible[:, None]


class TemporalSelfAttention(nn.Module):
    """Attention of queries [B, Q, C] to queries and history: keys [B, Q + S, C], invalid slots
    masked out; logits in float32.

    A slot's logit falls with the square of its distance to the query, in each head at its own
    scale. What is pooled of its geometry enters through a layer that starts at zero.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_query = nn.Linear(channels, channels)
        self.to_key = nn.Linear(channels, channels)
        self.to_value = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, channels)
        scales_m = 2.0 ** torch.linspace(0, 3, heads)  # 1 m to 8 m
        self.log_scale = nn.Parameter(scales_m.log())
        self.slot_logit = nn.Parameter(torch.full((heads,), FIRST_SLOT_LOGIT))
        last = nn.Linear(channels, channels)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.from_pooled = nn.Sequential(nn.Linear(heads * SLOT_VALUES, channels), nn.ReLU(), last)

    @in_float32
    def forward(
        self, query: Tensor, places: QueryPlaces, history: History
    ) -> tuple[Tensor, AttentionReadout]:
        """Returns [B, Q, C], and what was read from memory about the queries' motion."""
        slots = history.slots
        q = self._split(self.to_query(query + places.encoding)).float()
        q = q / math.sqrt(q.shape[-1])
        to_queries = q @ self._keys(query + places.encoding)  # [B, K, Q, Q]
        if history.visible is not None:
            to_queries = to_queries.masked_fill(~history.visible, -torch.inf)
        to_slots = q @ self._keys(slots.history_query + history.encoding)  # [B, K, Q, S]
        to_slots = to_slots + self._by_distance(places.position_m, slots)
        weight = torch.cat([to_queries, to_slots], -1).softmax(-1)
        values = self.to_value(torch.cat([query, slots.history_query], 1))
        attended = weight @ self._split(values)
        readout = read_attention(to_slots, places.position_m, slots)
        out: Tensor = self.out(attended.transpose(1, 2).flatten(2))
        return out + self.from_pooled(readout.pooled.flatten(2)), readout

    def _keys(self, x: Tensor) -> Tensor:
        """Maps [B, T, C] -> keys [B, K, C / K, T] in float32."""
        return self._split(self.to_key(x)).transpose(2, 3).float()

    def _split(self, x: Tensor) -> Tensor:
        """Splits channels into heads: [B, T, C] -> [B, K, T, C / K]."""
        return x.view(*x.shape[:2], self.heads, x.shape[-1] // self.heads).transpose(1, 2)

    def _by_distance(self, query_m: Tensor, slots: MemoryReport) -> Tensor:
        """Returns what distance adds to each head's logits: [B, K, Q, S]."""
        squared = (query_m[:, :, None, :2] - slots.reference_m[:, None, :, :2]).square().sum(-1)
        squared = torch.where(slots.valid[:, None], squared, FAR_M**2)[:, None]  # [B, 1, Q, S]
        precision = (-2 * self.log_scale).exp()[:, None, None]
        return self.slot_logit[:, None, None] - squared * precision / 2


def read_attention(logits: Tensor, query_m: Tensor, slots: MemoryReport) -> AttentionReadout:
    """Pools the geometry of slots by logits [B, K, Q, S], relative to queries at [B, Q, 3].

    Weights are a softmax over the slots and "none of them", whose logit is 0: where no slot is
    near, all is zero. Offsets are pooled as positions, minus each query's share: no tensor of
    Q x S x 3 is made.
    """
    per_s = 1 / slots.age_s.clamp(min=MIN_AGE_S)[..., None]  # [B, S, 1]
    values = [
        torch.ones_like(per_s),
        slots.reference_m,
        slots.velocity_mps,
        slots.reference_m * per_s,
        per_s,
        slots.confidence[..., None],
        slots.age_s[..., None],
    ]
    # The first column sums the weights themselves.
    sums = logits.clamp(max=MAX_LOGIT).exp() @ torch.cat(values, -1)[:, None]  # [B, K, Q, 13]
    sums = (sums / (1 + sums[..., :1])).transpose(1, 2)  # [B, Q, K, 13]
    present, place, velocity, place_per_s, rate, confidence, age = torch.split(
        sums, [value.shape[-1] for value in values], -1
    )
    query = query_m[:, :, None]  # [B, Q, 1, 3]
    offset = place - query * present
    moved = query * rate - place_per_s
    pooled = torch.cat(
        [present, offset / LENGTH_M, velocity / SPEED_MPS, moved / SPEED_MPS, confidence, age], -1
    )
    return AttentionReadout(pooled, velocity, velocity + moved, rate)
