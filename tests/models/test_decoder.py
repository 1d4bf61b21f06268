"""Attention of the decoder against plain twins."""

import math

import pytest
import torch
import torch.nn.functional as F

from leapai.config import DynamicConfig
from leapai.models.dynamic.decoder import (
    BevCrossAttention,
    BevRows,
    History,
    TemporalSelfAttention,
    visible_keys,
)
from leapai.models.sampling import to_rows
from leapai.types import NoisyQueries

CONFIG = DynamicConfig(neck_channels=12, queries=6, embed=8, heads=2, points=3, ffn=8)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def slow_self_attention(module, query, position, history, valid_slots):
    """Softmax over queries and valid slots only, head by head."""
    lanes = []
    for b in range(len(query)):
        valid = valid_slots[b]
        memory = torch.cat([query[b], history.query[b][valid]])
        where = torch.cat([position[b], history.position[b][valid]])
        q = module.to_query(query[b] + position[b])
        k, v = module.to_key(memory + where), module.to_value(memory)
        width = q.shape[-1] // module.heads
        heads = []
        for h in range(module.heads):
            part = slice(h * width, (h + 1) * width)
            logits = q[:, part] @ k[:, part].T / math.sqrt(width)
            heads.append(logits.softmax(-1) @ v[:, part])
        lanes.append(module.out(torch.cat(heads, -1)))
    return torch.stack(lanes)


def test_self_attention_sees_queries_and_valid_slots_only():
    module = TemporalSelfAttention(8, 2)
    query, position = torch.randn(2, 6, 8), torch.randn(2, 6, 8)
    valid = torch.tensor([[True, False, True, False], [False] * 4])
    visible = visible_keys(valid, 6, None)
    history = History(torch.randn(2, 4, 8), torch.randn(2, 4, 8), visible)
    fast = module(query, position, history)
    slow = slow_self_attention(module, query, position, history, valid)
    torch.testing.assert_close(fast, slow, atol=1e-5, rtol=1e-4)
    parameters = list(module.parameters())
    for a, b in zip(
        torch.autograd.grad((fast**2).sum(), parameters),
        torch.autograd.grad((slow**2).sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)


def slow_cross_attention(module, query, reference, bev):
    """Deformable attention with one `grid_sample` a head."""
    B, Q, C = query.shape
    height, width = bev.shape[-2:]
    value = torch.einsum("dc,bchw->bdhw", module.value.weight, bev)
    offsets = module.offsets(query).view(B, Q, module.heads, module.points, 2)
    attention = module.logits(query).view(B, Q, module.heads, module.points).softmax(-1)
    part = C // module.heads
    heads = []
    for h in range(module.heads):
        centre = reference[..., :2] * torch.tensor([width, height]) - 0.5
        at = centre[:, :, None] + offsets[:, :, h]
        grid = (at + 0.5) / torch.tensor([width, height]) * 2 - 1
        maps = value[:, h * part : (h + 1) * part]
        sampled = F.grid_sample(maps, grid, align_corners=False)  # [B, part, Q, P]
        heads.append((sampled * attention[:, None, :, h]).sum(-1).transpose(1, 2))
    return module.out(torch.cat(heads, -1))


def test_cross_attention_equals_grid_sample_forward_and_backward():
    module = BevCrossAttention(CONFIG)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    query, reference = torch.randn(2, 6, 8), torch.rand(2, 6, 3)
    bev = torch.randn(2, 12, 5, 7, requires_grad=True)
    fast = module(query, reference, BevRows(to_rows(bev), (5, 7)))
    slow = slow_cross_attention(module, query, reference, bev)
    torch.testing.assert_close(fast, slow, atol=1e-5, rtol=1e-4)
    leaves = [bev, *module.parameters()]
    for a, b in zip(
        torch.autograd.grad((fast**2).sum(), leaves),
        torch.autograd.grad((slow**2).sum(), leaves),
        strict=True,
    ):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)


def test_who_may_look_at_whom_with_denoising_queries():
    """Two queries, two groups of denoising queries (one place of the second is padding), two
    slots."""
    noisy = NoisyQueries(
        reference=torch.rand(1, 3, 3),
        class_id=torch.zeros(1, 3, dtype=torch.int64),
        group=torch.tensor([0, 0, 1]),
        target=torch.zeros(1, 3, dtype=torch.int64),
        valid=torch.tensor([[True, True, False]]),
    )
    visible = visible_keys(torch.tensor([[True, False]]), 2, noisy)
    assert visible is not None
    assert visible[0, 0].int().tolist() == [
        [1, 1, 0, 0, 0, 1, 0],  # queries see queries and valid memory
        [1, 1, 0, 0, 0, 1, 0],
        [1, 1, 1, 1, 0, 1, 0],  # a denoising query sees its group, too
        [1, 1, 1, 1, 0, 1, 0],
        [1, 1, 0, 0, 0, 1, 0],
    ]
