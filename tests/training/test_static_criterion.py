"""Losses of the static task against slow twins, and what costs nothing."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from leapai.config import StaticLossConfig
from leapai.models.tensors import StaticPredictions
from leapai.training import static_losses
from leapai.training.static_criterion import StaticCriterion, StaticTargets, static_targets
from leapai.types import StaticLabels
from tests.scenes import make_batch, static_config
from tests.training.examples import mean_over_ranks

LANES, CLASSES, ROWS, COLUMNS = 3, 14, 6, 5
LOSS = StaticLossConfig(cross_entropy_weight=2.0, dice_weight=0.5, min_cells=4)
CRITERION = StaticCriterion(static_config(loss={"static": LOSS.model_dump()}))


def random_logits(streams=LANES):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(streams, CLASSES, ROWS, COLUMNS, generator=generator).requires_grad_()


def random_targets(streams=LANES):
    """Rare classes, frequent ones, one that is nowhere; some that a stream's map does not tell
    of."""
    generator = torch.Generator().manual_seed(1)
    share = torch.linspace(0, 0.4, CLASSES)[:, None, None]
    planes = torch.rand(streams, CLASSES, ROWS, COLUMNS, generator=generator) < share
    known = torch.rand(streams, CLASSES, generator=generator) < 0.8
    return StaticTargets(planes & known[:, :, None, None], known)


def slow_parts(logits, targets):
    """The formulas, one cell after another."""
    logits, entropy, overlaps = logits.detach(), [], []
    for k in range(CLASSES):
        streams = [b for b in range(len(logits)) if targets.known[b, k]]
        truths = [bool(t) for b in streams for t in targets.planes[b, k].flatten()]
        positive, negative = sum(truths), len(truths) - sum(truths)
        weight = max(1.0, math.sqrt(max(negative, 1) / max(positive, 1)))
        cost = 0.0
        for b in streams:
            right = marked = true = 0.0
            for x, t in zip(logits[b, k].flatten(), targets.planes[b, k].flatten(), strict=True):
                p = 1 / (1 + math.exp(-float(x)))
                cost -= weight * math.log(p) if t else math.log(1 - p)
                right, marked, true = right + p * bool(t), marked + p * p, true + bool(t)
            if true:
                overlaps.append(1 - (2 * right + 1) / (marked + true + 1))
        entropy.append(cost / (weight * max(positive, LOSS.min_cells)))
    return {
        "static_cross_entropy": LOSS.cross_entropy_weight * np.mean(entropy),
        "static_dice": LOSS.dice_weight * np.mean(overlaps),
    }


def test_the_parts_agree_with_their_slow_twins():
    logits, targets = random_logits(), random_targets()
    parts = CRITERION(StaticPredictions(logits), targets)
    expected = slow_parts(logits, targets)
    assert parts.keys() == {*expected, "total"}
    for name, value in expected.items():
        assert float(parts[name]) == pytest.approx(value, rel=1e-5), name
    total = sum(expected.values()) * CRITERION.task_weight
    assert float(parts["total"].detach()) == pytest.approx(total, rel=1e-5)


def test_the_gradient_is_that_of_the_slow_twin():
    logits, targets = random_logits(), random_targets()
    CRITERION(StaticPredictions(logits), targets)["total"].backward()
    step = 1e-3
    for where in ((0, 13, 2, 3), (1, 9, 0, 0), (2, 4, 5, 4)):
        ends = []
        for sign in (-1, 1):
            moved = logits.detach().double().clone()
            moved[where] += sign * step
            ends.append(sum(slow_parts(moved, targets).values()) * CRITERION.task_weight)
        slope = (ends[1] - ends[0]) / (2 * step)
        assert float(logits.grad[where]) == pytest.approx(slope, rel=1e-3, abs=1e-7)


@pytest.mark.parametrize("size", [(1, 1), (9, 13), (8, 16)])
def test_sums_over_cells_and_their_gradients_are_those_of_the_formulas(size):
    """Also where a logit is far from zero, where one class is everywhere, and where the number of
    cells is no multiple of those whose logarithms are taken together."""
    generator = torch.Generator().manual_seed(0)
    logits = (torch.randn(3, 4, *size, generator=generator) * 12).requires_grad_()
    gt = (
        torch.rand(3, 4, *size, generator=generator) < torch.tensor([0, 0.1, 0.5, 1])[:, None, None]
    )
    weight = torch.tensor([1.0, 2.0, 7.0, 30.0])
    exact = logits.detach().double().requires_grad_()
    p = exact.sigmoid()
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(
        exact, gt.double(), pos_weight=weight[:, None, None].double(), reduction="none"
    )
    expected = [each.sum((2, 3)) for each in (entropy, p * gt, p.square())]
    sums = static_losses.cell_sums(logits, gt, weight)
    upstream = [torch.randn(3, 4, generator=generator) for _ in sums]
    for ours, theirs in zip(sums, expected, strict=True):
        torch.testing.assert_close(ours, theirs.float(), rtol=2e-6, atol=2e-5)
    (slope,) = torch.autograd.grad(sums, logits, upstream)
    (true_slope,) = torch.autograd.grad(expected, exact, [each.double() for each in upstream])
    torch.testing.assert_close(slope, true_slope.float(), rtol=1e-5, atol=1e-5)


def test_what_a_map_does_not_tell_of_costs_nothing():
    logits, targets = random_logits(), random_targets()
    CRITERION(StaticPredictions(logits), targets)["total"].backward()
    for stream in range(LANES):
        for k in range(CLASSES):
            assert logits.grad[stream, k].any() == targets.known[stream, k]


def test_a_batch_without_maps_costs_nothing_but_is_joined_to_the_graph():
    logits = random_logits()
    nothing = StaticTargets(
        torch.zeros(LANES, CLASSES, ROWS, COLUMNS, dtype=torch.bool),
        torch.zeros(LANES, CLASSES, dtype=torch.bool),
    )
    total = CRITERION(StaticPredictions(logits), nothing)["total"]
    assert total == 0
    total.backward()
    assert not logits.grad.any()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_one_logit_that_is_no_number_shows_in_the_total(value):
    logits, targets = random_logits(), random_targets()
    stream, k = (~targets.known).nonzero()[0].tolist()
    with torch.no_grad():
        logits[stream, k, 0, 0] = value
    assert not CRITERION(StaticPredictions(logits), targets)["total"].isfinite()


def test_gt_told_back_costs_almost_nothing():
    targets = random_targets()
    logits = torch.where(targets.planes, 20.0, -20.0)
    assert CRITERION(StaticPredictions(logits), targets)["total"] < 1e-4


def test_a_missed_line_costs_more_than_a_missed_cell_of_an_area():
    """Balance: one cell of three weighs more than one of twenty."""
    planes = torch.zeros(1, CLASSES, ROWS, COLUMNS, dtype=torch.bool)
    planes[0, 0, :3, 0], planes[0, 1, :4] = True, True
    targets = StaticTargets(planes, torch.ones(1, CLASSES, dtype=torch.bool))
    logits = torch.full(planes.shape, -2.0).requires_grad_()
    CRITERION(StaticPredictions(logits), targets)["total"].backward()
    assert logits.grad[0, 0, 0, 0] < 2 * logits.grad[0, 1, 0, 0] < 0


def test_ranks_that_share_streams_average_to_the_joint_gradient(monkeypatch):
    logits, targets = random_logits(4), random_targets(4)

    def gradient(streams):
        share = StaticTargets(targets.planes[streams], targets.known[streams])
        total = CRITERION(StaticPredictions(logits[streams]), share)["total"]
        return torch.autograd.grad(total, logits)[0]

    joint = gradient(slice(0, 4))
    mean = mean_over_ranks(gradient, (slice(0, 1), slice(1, 4)), monkeypatch)
    torch.testing.assert_close(mean, joint)


def test_targets_are_the_rasters_of_the_frames():
    config = static_config()
    region = config.static.region()
    rng = np.random.default_rng(0)
    planes = rng.random((14, region.rows, region.columns)) < 0.1
    known = np.arange(14) != 11
    labels = StaticLabels(planes[:9], planes[9:], known=known)
    batch = make_batch(0, seeds=(0, 1))
    frames = (batch.frames[0], replace(batch.frames[1], static_labels=labels))
    targets = static_targets(replace(batch, frames=frames), config)
    assert not targets.known[0].any()
    assert not targets.planes[0].any()
    np.testing.assert_array_equal(targets.planes[1].numpy(), planes)
    np.testing.assert_array_equal(targets.known[1].numpy(), known)


def test_rare_classes_weigh_more_but_less_than_their_rarity():
    weight = static_losses.positive_weight(
        torch.tensor([1.0, 100, 900]), torch.tensor([999.0, 900, 100])
    )
    assert weight.tolist() == pytest.approx([math.sqrt(999), 3.0, 1.0])
