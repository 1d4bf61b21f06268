"""Attention of queries to BEV against a plain twin."""

import pytest
import torch
import torch.nn.functional as F

from leapai.config import DynamicConfig
from leapai.models.dynamic.decoder import BevCrossAttention, BevRows
from leapai.models.sampling import to_rows

CONFIG = DynamicConfig(neck_channels=12, queries=6, embed=8, heads=2, points=3, ffn=8)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


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
