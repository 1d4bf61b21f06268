"""Neck and head of the static task: shapes, places, thin lines."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from leapai.config import load_config
from leapai.models.build import build_model
from leapai.models.static.static_head import StaticHead, StaticNeck
from leapai.types import STATIC_CLASSES
from tests.scenes import joint_config, make_batch, seeded_model, static_config

CONFIGS = Path(__file__).resolve().parents[2] / "projects" / "perception" / "configs"
FULL = CONFIGS / "lpperception_current_hpa_step2_static.py"


def test_the_full_size_has_the_documented_shapes():
    config = load_config(FULL)
    neck, head = StaticNeck(config).eval(), StaticHead(config).eval()
    with torch.no_grad():
        features = neck(torch.zeros(1, 256, 112, 128))
        predicted = head(features)
    assert features.shape == (1, 128, 56, 104)
    assert predicted.lane_markings.shape == (1, 9, 224, 416)
    assert predicted.road_elements.shape == (1, 5, 224, 416)


def test_map_classes_that_the_vocabulary_lacks_are_nowhere():
    classes = {"car": "MOD"}
    config = static_config(vocabulary={"classes": classes, "map": ["DashedLine", "Curb"]})
    head = StaticHead(config).eval()
    assert head.logits.out_channels == 4 * 2
    features = torch.rand(1, config.static.channels, 14, 26, requires_grad=True)
    probability = head(features).logits.sigmoid()
    there = [STATIC_CLASSES.index(name) for name in ("DashedLine", "Curb")]
    others = [i for i in range(len(STATIC_CLASSES)) if i not in there]
    assert probability.shape[1] == len(STATIC_CLASSES)
    assert (probability[:, others] < 1e-8).all()
    assert (probability[:, there] > 1e-4).all()
    probability[:, there].sum().backward()
    assert features.grad.abs().max() > 0


@pytest.mark.parametrize(("row", "column"), [(20, 30), (21, 31), (40, 77)])
def test_a_logit_looks_at_the_bev_cell_of_its_own_place(row, column):
    """What it depends on is centred on the cell that covers it, in metres."""
    config = joint_config()
    torch.manual_seed(0)
    neck, head = StaticNeck(config).eval(), StaticHead(config).eval()
    bev, region = config.bev.grid(), config.static.region()
    features = torch.rand(1, config.bev.channels, bev.rows, bev.columns, requires_grad=True)
    head(neck(features)).logits[0, :, row, column].sum().backward()
    rows, columns = features.grad[0].abs().sum(0).nonzero().unbind(1)
    for at, near, axis in (
        (region.row_centres_m()[row], bev.row_centres_m()[rows], bev.cell_m),
        (region.column_centres_m()[column], bev.column_centres_m()[columns], bev.cell_m),
    ):
        middle = (near.min() + near.max()) / 2
        assert abs(middle - at) <= axis / 2
        assert near.max() - near.min() > 3 * axis, "some context is seen"


def test_what_lies_outside_the_region_beyond_reach_changes_nothing():
    config = joint_config()
    network = seeded_model(config)
    bev = torch.rand(1, config.bev.channels, 28, 32)
    with torch.no_grad():
        before = network.bev_static_head(network.bev_static_neck(bev)).logits
        rows, columns = network.bev_static_neck.rows, network.bev_static_neck.columns
        outside = torch.ones(28, 32, dtype=torch.bool)
        outside[rows, columns] = False
        bev[:, :, outside] = 100.0
        after = network.bev_static_head(network.bev_static_neck(bev)).logits
    assert outside.any()
    assert torch.equal(before, after)


def test_lines_of_one_cell_are_told_apart_from_their_neighbours():
    """A head that has learnt a frame by heart draws lines thinner than the BEV's cells."""
    config = joint_config(static={"cell_m": 0.8, "channels": 32})
    torch.manual_seed(0)
    neck, head = StaticNeck(config).train(), StaticHead(config).train()
    bev = torch.rand(1, config.bev.channels, 28, 32)
    gt = torch.zeros(1, 14, 56, 104)
    gt[0, 0, 10], gt[0, 1, :, 33], gt[0, 10, 30::2, 60] = 1, 1, 1
    weights = [*neck.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(weights, 1e-2)
    for _ in range(150):
        cost = torch.nn.functional.binary_cross_entropy_with_logits(head(neck(bev)).logits, gt)
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
    predicted = head(neck(bev)).logits > 0
    assert (predicted & (gt > 0)).sum() / (predicted | (gt > 0)).sum() > 0.9


def test_either_task_alone_is_what_it_is_beside_the_other():
    """The same trunk and head, whether the other task is there or not."""
    both, alone = seeded_model(joint_config()), build_model(static_config()).eval()
    names = alone.state_dict().keys()
    alone.load_state_dict({n: v for n, v in both.state_dict().items() if n in names})
    of_both, of_alone = both.initial_state(2), alone.initial_state(2)
    with torch.no_grad():
        for index in range(4):
            batch = make_batch(index, seeds=(0, 1))
            joint, of_both = both(batch, of_both)
            single, of_alone = alone(batch, of_alone)
            assert torch.equal(joint.static.logits, single.static.logits)
    assert joint.dynamic is not None
    assert single.dynamic is None
    assert torch.equal(of_both.static.bev, of_alone.static.bev)
    assert torch.equal(of_both.last_ego2global, of_alone.last_ego2global)


def test_the_road_s_weights_do_not_reach_the_objects():
    network = seeded_model(joint_config())
    batch = make_batch(0)
    with torch.no_grad():
        plain, _ = network(batch, network.initial_state(1))
        other = seeded_model(joint_config())
        for name, parameter in other.named_parameters():
            if name.startswith("bev_static"):
                parameter.add_(1.0)
        changed, _ = other(batch, other.initial_state(1))
    assert torch.equal(plain.dynamic.boxes, changed.dynamic.boxes)
    assert not torch.equal(plain.static.logits, changed.static.logits)
