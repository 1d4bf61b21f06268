"""Attention over queries and memory, and what it pools of the slots' geometry, against plain
twins."""

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from leapai.models.dynamic.self_attention import (
    LENGTH_M,
    SPEED_MPS,
    History,
    QueryPlaces,
    TemporalSelfAttention,
    read_attention,
    visible_queries,
)
from leapai.models.tensors import DenoisingQueries, MemoryReport

LANES, QUERIES, SLOTS, CHANNELS, HEADS = 2, 6, 4, 8, 2


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def slots(valid, count=SLOTS, **fields):
    """Memory's report, as far as attention reads it; what is not valid is far from zero, to be
    noticed."""
    streams = len(valid)
    fields = {
        "history_query": torch.randn(streams, count, CHANNELS),
        "reference_m": torch.randn(streams, count, 3) * 3,
        "velocity_mps": torch.randn(streams, count, 3) * 5,
        "age_s": torch.rand(streams, count) + 0.1,
        "confidence": torch.rand(streams, count),
        "valid": torch.as_tensor(valid),
    } | fields
    names = MemoryReport.__dataclass_fields__
    return MemoryReport(**{name: fields.get(name, torch.zeros(0)) for name in names})


def places(position_m=None, streams=LANES, queries=QUERIES):
    if position_m is None:
        position_m = torch.randn(streams, queries, 3) * 3
    return QueryPlaces(
        position_m, position_m, torch.randn(len(position_m), position_m.shape[1], CHANNELS)
    )


def history_of(report):
    encoding = torch.randn(*report.valid.shape, CHANNELS)
    return History(report, encoding, visible=None)


def module_with_all_parts():
    """Nothing in it is zero, so that every part shows."""
    module = TemporalSelfAttention(CHANNELS, HEADS)
    for parameter in module.from_pooled.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return module


def slow_attention(module, query, where, history):
    """Lane by stream, head by head and query by query, over queries and valid slots only."""
    report, out = history.slots, []
    for b in range(len(query)):
        ok = report.valid[b]
        keys = torch.cat([query[b], report.history_query[b][ok]])
        encoding = torch.cat([where.encoding[b], history.encoding[b][ok]])
        q = module.to_query(query[b] + where.encoding[b])
        k, v = module.to_key(keys + encoding), module.to_value(keys)
        width = CHANNELS // HEADS
        rows = []
        for i in range(len(query[b])):
            attended, pooled = [], []
            for h in range(HEADS):
                part = slice(h * width, (h + 1) * width)
                logits = (k[:, part] * q[i, part]).sum(-1) / math.sqrt(width)
                offset = report.reference_m[b][ok] - where.position_m[b, i]
                scale = module.log_scale[h].exp()
                near = -(offset[:, :2] ** 2).sum(-1) / (2 * scale**2) + module.slot_logit[h]
                of_slots = logits[len(query[b]) :] + near
                logits = torch.cat([logits[: len(query[b])], of_slots])
                attended.append(logits.softmax(0) @ v[:, part])
                weight = of_slots.exp() / (1 + of_slots.exp().sum())
                age = report.age_s[b][ok][:, None]
                values = [
                    torch.ones_like(age),
                    offset / LENGTH_M,
                    report.velocity_mps[b][ok] / SPEED_MPS,
                    -offset / age / SPEED_MPS,
                    report.confidence[b][ok][:, None],
                    age,
                ]
                pooled.append((weight[:, None] * torch.cat(values, -1)).sum(0))
            rows.append(module.out(torch.cat(attended)) + module.from_pooled(torch.cat(pooled)))
        out.append(torch.stack(rows))
    return torch.stack(out)


def test_attention_by_content_and_place_equals_its_twin():
    module = module_with_all_parts()
    query, where = torch.randn(LANES, QUERIES, CHANNELS), places()
    history = history_of(slots([[True, False, True, False], [False] * 4]))
    fast, _ = module(query, where, history)
    slow = slow_attention(module, query, where, history)
    torch.testing.assert_close(fast, slow, atol=1e-5, rtol=1e-4)
    parameters = list(module.parameters())
    for a, b in zip(
        torch.autograd.grad((fast**2).sum(), parameters),
        torch.autograd.grad((slow**2).sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)


def test_without_memory_it_is_plain_attention():
    module = TemporalSelfAttention(CHANNELS, HEADS)
    query, where = torch.randn(LANES, QUERIES, CHANNELS), places()
    empty = torch.zeros(LANES, 0, dtype=torch.bool)
    for report in (slots(empty, count=0), slots([[False] * SLOTS] * LANES)):
        out, recollection = module(query, where, history_of(report))
        torch.testing.assert_close(out, slow_attention(module, query, where, history_of(report)))
        assert all((value == 0).all() for value in vars(recollection).values())


def test_a_slot_nearby_tells_both_velocities_and_one_far_away_nothing():
    """An object was seen at 4 m/s half a second ago and expected at x = 10 m; it is at 10.5 m."""
    module = TemporalSelfAttention(CHANNELS, HEADS)
    at = torch.tensor([[[10.5, 0.0, 0.0], [60.0, 0.0, 0.0]]])
    report = slots(
        [[True]],
        count=1,
        reference_m=torch.tensor([[[10.0, 0.0, 0.0]]]),
        velocity_mps=torch.tensor([[[4.0, 0.0, 0.0]]]),
        age_s=torch.tensor([[0.5]]),
    )
    _, found = module(torch.zeros(1, 2, CHANNELS), places(at), history_of(report))
    presence = found.pooled[0, 0, :, :1]
    assert (presence > 0.9).all()
    torch.testing.assert_close(found.velocity_mps[0, 0], presence * torch.tensor([4.0, 0.0, 0.0]))
    torch.testing.assert_close(
        found.displacement_mps[0, 0], presence * torch.tensor([5.0, 0.0, 0.0])
    )
    torch.testing.assert_close(found.per_s[0, 0], presence * 2)
    assert all((value[0, 1].abs() < 1e-2).all() for value in vars(found).values())


def test_far_slots_weigh_as_an_exponential_without_bounds_and_none_underflows():
    """exp below -87 gives numbers that a CPU is thirty times slower with; they count for nothing
    next to the 1 of "no slot"."""
    report = slots([[True] * SLOTS] * LANES)
    position_m = torch.randn(LANES, QUERIES, 3)
    logits = -torch.linspace(0, 200, LANES * HEADS * QUERIES * SLOTS)
    logits = logits.view(LANES, HEADS, QUERIES, SLOTS)
    with _Exponents() as exponents:
        read = read_attention(logits, position_m, report)
    assert exponents.least >= -87
    weight = logits.exp()[..., None] / (1 + logits.exp().sum(-1, keepdim=True)[..., None])
    velocity = (weight * report.velocity_mps[:, None, None]).sum(3).transpose(1, 2)
    torch.testing.assert_close(read.velocity_mps, velocity, rtol=1e-5, atol=1e-30)
    assert (read.velocity_mps[1, -1, -1] == 0).all()
    torch.testing.assert_close(1 + read.velocity_mps, 1 + velocity, rtol=0, atol=0)


class _Exponents(TorchDispatchMode):
    """Notes the least number that goes into an exponential."""

    least = math.inf

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.exp.default:
            self.least = min(self.least, float(args[0].min()))
        return func(*args, **(kwargs or {}))


def test_who_may_look_at_whom_with_denoising_queries():
    """Two queries, two groups of denoising queries; one place of the second is padding."""
    denoising = DenoisingQueries(
        reference=torch.rand(1, 3, 3),
        class_id=torch.zeros(1, 3, dtype=torch.int64),
        group=torch.tensor([0, 0, 1]),
        target=torch.zeros(1, 3, dtype=torch.int64),
        valid=torch.tensor([[True, True, False]]),
    )
    visible = visible_queries(2, denoising)
    assert visible is not None
    assert visible[0, 0].int().tolist() == [
        [1, 1, 0, 0, 0],  # queries see queries
        [1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0],  # a denoising query sees its group, too
        [1, 1, 1, 1, 0],
        [1, 1, 0, 0, 0],
    ]
