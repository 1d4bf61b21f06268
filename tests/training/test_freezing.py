"""Frozen modules: still, out of the optimiser, without a graph."""

from __future__ import annotations

import pytest
import torch

from leapai.config.checks import TRUNK_MODULES
from leapai.models.build import build_model
from leapai.training.freezing import FreezeSchedule, check_frozen, freeze, frozen_modules
from leapai.training.optim import build_optimizer
from tests.scenes import make_batch, small_config

SCHEDULE = {**dict.fromkeys(TRUNK_MODULES, 0), "bev_dynamic_neck": 3}


@pytest.fixture
def config():
    return small_config(
        freeze_module_schedules=SCHEDULE,
        freeze_modules=("stage1_*", "lidar_*", "view_transfer", "fuser"),
        trainable_modules=("bev_dynamic_head",),
    )


@pytest.fixture
def model(config):
    torch.manual_seed(0)
    return build_model(config).train()


def test_modules_freeze_when_their_step_has_come(config):
    assert set(frozen_modules(config, 0)) == set(TRUNK_MODULES)
    assert "bev_dynamic_neck" not in frozen_modules(config, 2)
    assert "bev_dynamic_neck" in frozen_modules(config, 3)
    assert frozen_modules(small_config(freeze_module_schedules={"fuser": 10}), 9) == ()


def test_frozen_normalisation_stays_in_eval_whatever_train_says(config, model):
    FreezeSchedule(model, config).advance(0)
    before = {n: b.clone() for n, b in model.named_buffers() if n.split(".")[0] in TRUNK_MODULES}
    model.train()
    assert not any(m.training for m in model.fuser.modules())
    assert all(m.training for m in model.bev_dynamic_neck.modules())
    model(make_batch(0), model.initial_state(1))
    after = dict(model.named_buffers())
    assert len(before) > 50
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_a_frozen_trunk_keeps_no_graph_and_gets_no_gradient(config, model):
    assert model.trunk(make_batch(0)).requires_grad
    FreezeSchedule(model, config).advance(0)
    assert not model.trunk(make_batch(0)).requires_grad
    predictions, _ = model(make_batch(0), model.initial_state(1))
    predictions.dynamic.class_logits.sum().backward()
    with_gradient = {n.split(".")[0] for n, p in model.named_parameters() if p.grad is not None}
    assert with_gradient == {"bev_dynamic_neck", "bev_dynamic_head"}


def test_what_freezes_later_leaves_the_optimiser_with_its_state(config, model):
    schedule = FreezeSchedule(model, config)
    schedule.advance(0)
    optimizer = build_optimizer(model, config)
    predictions, _ = model(make_batch(0), model.initial_state(1))
    predictions.dynamic.class_logits.sum().backward()
    optimizer.step()
    neck = set(model.bev_dynamic_neck.parameters())
    schedule.advance(2, optimizer)
    assert neck <= set(optimizer.state)
    schedule.advance(3, optimizer)
    kept = {p for group in optimizer.param_groups for p in group["params"]}
    assert not neck & kept
    assert not neck & set(optimizer.state)
    assert kept == set(model.bev_dynamic_head.parameters())
    assert all(p.grad is None for p in neck)


def test_the_check_notices_what_should_be_frozen_and_is_not(config, model):
    with pytest.raises(AssertionError, match="stage1_backbone0"):
        check_frozen(model, config, 0)
    FreezeSchedule(model, config).advance(0)
    check_frozen(model, config, 0)
    freeze(model.bev_dynamic_head)
    with pytest.raises(AssertionError, match="bev_dynamic_head should be trainable"):
        check_frozen(model, config, 0)


def test_norms_of_backbones_keep_what_they_begin_with():
    config = small_config(training={"frozen_backbone_norm": True})
    model = build_model(config).train()
    schedule = FreezeSchedule(model, config)
    schedule.advance(0)
    optimizer = build_optimizer(model, config)
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    predictions, _ = model(make_batch(0), model.initial_state(1))
    predictions.dynamic.class_logits.sum().backward()
    for group in optimizer.param_groups:
        group["lr"] = 0.1
    optimizer.step()
    moved = {n for n, value in model.state_dict().items() if not torch.equal(value, before[n])}
    norms = {n for n in before if n.startswith("stage1_backbone") and ".norm" in n}
    assert len(norms) > 100
    assert not moved & norms
    assert "stage1_backbone1.net.stem_conv.weight" in moved
    assert any(name.startswith("bev_dynamic_neck") and "running" in name for name in moved)
    schedule.advance(0, optimizer)  # the check accepts it
