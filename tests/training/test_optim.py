"""The rate at each step, and what decays."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from leapai.training.optim import build_optimizer, layer_scales, learning_rate, scale_of, set_rate
from tests.scenes import seeded_model, small_config


def test_the_rate_rises_falls_twice_and_knows_the_ranks():
    config = small_config(
        train_steps=0,
        finetune_steps=1000,
        max_steps=1000,
        optimizer={"learning_rate": 2e-4, "warmup_steps": 100},
    )
    rate = [learning_rate(config, step, ranks=8) for step in range(1000)]
    assert rate[0] == pytest.approx(2e-6)
    assert rate[49] == pytest.approx(1e-4)
    assert rate[99:650] == pytest.approx([2e-4] * 551)
    assert rate[650:900] == pytest.approx([2e-5] * 250)
    assert rate[900:] == pytest.approx([2e-6] * 100)
    assert learning_rate(config, 500, ranks=2) == pytest.approx(1e-4)


def test_the_longest_prefix_scales():
    scales = {"stage1": 0.5, "stage1_backbone": 0.1}
    assert scale_of("stage1_backbone3.net.stem", scales) == 0.1
    assert scale_of("stage1_neck0.smooth.bias", scales) == 0.5
    assert scale_of("fuser.missing", scales) == 1.0


def test_norms_and_biases_do_not_decay_and_groups_keep_their_scale():
    config = small_config(group_lr_scale={"stage1_backbone": 0.1})
    model = seeded_model(config)
    model.fuser.requires_grad_(requires_grad=False)
    optimizer = build_optimizer(model, config)
    set_rate(optimizer, 1e-3)
    group_of = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        if name.startswith("fuser"):
            assert id(parameter) not in group_of
            continue
        group = group_of.pop(id(parameter))
        assert group["lr"] == pytest.approx(1e-4 if name.startswith("stage1_backbone") else 1e-3)
        is_vector = name.endswith("bias") or "norm" in name
        assert not (is_vector and group["weight_decay"])
        if parameter.ndim > 1:
            assert group["weight_decay"] == config.optimizer.weight_decay
    assert not group_of
    assert isinstance(optimizer, torch.optim.AdamW)


def test_a_cosine_falls_from_the_end_of_the_warm_up_to_its_floor():
    config = small_config(
        train_steps=0,
        finetune_steps=1101,
        max_steps=1101,
        optimizer={
            "learning_rate": 2e-4,
            "warmup_steps": 100,
            "schedule": "cosine",
            "cosine_floor": 0.1,
            "milestones": (0.5,),
        },
    )
    rate = [learning_rate(config, step, ranks=8) for step in range(1101)]
    assert rate[49] == pytest.approx(1e-4)
    assert rate[99] == rate[100] == pytest.approx(2e-4)
    assert rate[600] == pytest.approx(1.1e-4)  # half way, between 2e-4 and 2e-5
    assert rate[350] == pytest.approx(2e-4 * (0.1 + 0.9 * (1 + 0.5**0.5) / 2))
    assert rate[1100] == pytest.approx(2e-5)
    assert all(later <= earlier for earlier, later in pairwise(rate[99:]))


def test_layers_of_a_backbone_learn_the_slower_the_earlier_they_are():
    config = small_config(
        group_lr_scale={"stage1_backbone": 0.5}, optimizer={"backbone_layer_decay": 0.8}
    )
    model = seeded_model(config)
    optimizer = build_optimizer(model, config)
    scale_by = {id(p): g["scale"] for g in optimizer.param_groups for p in g["params"]}
    scales = {name: scale_by[id(p)] for name, p in model.named_parameters()}
    layers = ["stem_conv", *(f"stages_{s}.blocks.{b}" for s in range(4) for b in range(2))]
    for before, layer in enumerate(reversed(layers)):
        name = f"stage1_backbone1.net.{layer}"
        found = [scale for n, scale in scales.items() if n.startswith(f"{name}.")]
        assert found == pytest.approx([0.5 * 0.8**before] * len(found)), layer
        assert found
    others = {scale for name, scale in scales.items() if not name.startswith("stage1_backbone")}
    assert others == {1.0}


def test_blocks_of_networks_of_timm_are_layers():
    names = [
        f"stage1_backbone0.net.{name}.weight"
        for name in ("conv1", "layer1.0.conv1", "layer1.0.downsample.0", "layer1.1.conv1",
                     "s2.b1.conv1.conv", "stages_3.blocks.0.mlp.fc1")
    ]  # fmt: skip
    scales = layer_scales(["fuser.missing", *names], 0.5)
    assert [scales[name] * 16 for name in names] == [1, 2, 2, 4, 8, 16]
    assert "fuser.missing" not in scales
