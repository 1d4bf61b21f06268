"""Queries that go on from the memory of the frame before."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from leapai.config import ConfigError, DynamicConfig
from tests.scenes import make_batch, seeded_model, small_config

CONFIG = small_config()
COUNT = 5


def with_propagated(count: int):
    dynamic = CONFIG.dynamic.model_copy(update={"propagated": count})
    return CONFIG.replace(dynamic=dynamic)


@pytest.fixture(scope="module")
def model():
    return seeded_model(with_propagated(COUNT)).eval()


@torch.no_grad()
def second_report(model, change=lambda state: state):
    """What the head begins the second frame with: queries, reference points, and its memory."""
    _, state = model(make_batch(0), model.initial_state(1))
    batch = make_batch(1)
    head = model.bev_dynamic_head
    report = head.memory.read(change(state), batch, head.query.expand(1, -1, -1))
    return *head._first(report), report


def test_the_last_queries_go_on_from_the_surest_slots_of_the_frame_before(model):
    query, reference, report = second_report(model)
    head, slots = model.bev_dynamic_head, CONFIG.topk_query
    assert torch.equal(query[0, :-COUNT], head.query[:-COUNT])
    assert torch.equal(reference[0, :-COUNT], head.reference.sigmoid()[:-COUNT])
    # The slow twin: one slot after another, the surest first.
    first = report.valid.shape[1] - slots
    inside = [
        s
        for s in range(first, first + slots)
        if report.valid[0, s] and all(0 < v < 1 for v in report.reference_clipped[0, s].tolist())
    ]
    inside.sort(key=lambda s: -float(report.confidence[0, s]))
    assert len(inside) >= COUNT
    for place, slot in enumerate(inside[:COUNT], start=len(head.query) - COUNT):
        assert torch.equal(query[0, place], report.history_query[0, slot])
        assert torch.equal(reference[0, place], report.reference_clipped[0, slot])


def test_learnt_queries_stand_in_where_memory_holds_nothing_or_only_what_left_the_range(model):
    head = model.bev_dynamic_head
    gone = [
        lambda state: replace(state, valid=torch.zeros_like(state.valid)),
        lambda state: replace(state, reference_m=state.reference_m + 500),
    ]
    for change in gone:
        query, reference, _ = second_report(model, change)
        assert torch.equal(query[0], head.query)
        assert torch.equal(reference[0], head.reference.sigmoid())


def test_memory_changes_where_these_queries_look_but_not_in_a_first_frame(
    model,
):
    plain = seeded_model(CONFIG).eval()
    plain.load_state_dict(model.state_dict())  # the weights are the same, by name and shape
    with torch.no_grad():
        (a, state), (b, _) = (m(make_batch(0), m.initial_state(1)) for m in (model, plain))
        assert torch.equal(a.dynamic.boxes, b.dynamic.boxes)
        a, b = (m(make_batch(1), state)[0].dynamic for m in (model, plain))
    assert not torch.equal(a.reference[0][:, -COUNT:], b.reference[0][:, -COUNT:])


def test_learnt_queries_that_made_room_have_no_gradient(model):
    _, state = model(make_batch(0), model.initial_state(1))
    predictions, _ = model(make_batch(1), state)
    predictions.dynamic.class_logits.square().sum().backward()
    gradient = model.bev_dynamic_head.query.grad.abs().sum(-1)
    model.zero_grad()
    assert (gradient[:-COUNT] > 0).all()
    assert (gradient[-COUNT:] == 0).all()


def test_more_than_memory_keeps_of_a_frame_is_refused():
    count = CONFIG.topk_query + 1
    with pytest.raises(ConfigError, match=rf"propagated = {count} exceeds topk_query"):
        with_propagated(count)


def test_more_than_there_are_queries_is_refused():
    with pytest.raises(ValueError, match="propagated = 385 exceeds queries = 384"):
        DynamicConfig(propagated=385)
