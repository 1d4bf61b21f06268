"""The loss of what comes and goes: its slow twin, the judge, and what does not count."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from leapai.config import EvaluationConfig
from leapai.evaluation.map.map_cells import Zones
from leapai.evaluation.map.map_flicker import FlickerCounts, MapView
from leapai.geometry import poses
from leapai.models.tensors import FrameBatch, StaticPredictions
from leapai.training import static_losses
from leapai.training.temporal_consistency import MAX_GAP_US, TemporalConsistencyLoss
from tests.scenes import make_batch, static_config
from tests.training.examples import mean_over_ranks

CONFIG = static_config(loss={"static": {"steadiness_weight": 2.0, "min_cells": 4}})
GRID = CONFIG.static.region()
CLASSES = 14
STEP_US = 250_000


def slow_flips(now, before, cell, covered):
    """The formula, one cell after another."""
    flips, marked = np.zeros(CLASSES), np.zeros(CLASSES)

    def highest(values, b, k, row, column):
        part = values[b, k, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        return float(part.max())

    for b, k, i, j in np.ndindex(*now.shape):
        if not covered[b, i, j]:
            continue
        row, column = (int(n) for n in cell[b, i, j])
        p, q = float(now[b, k, i, j]), float(before[b, k, row, column])
        if p >= static_losses.MARK_THRESHOLD:
            flips[k] += max(0.0, p - highest(before, b, k, row, column))
            marked[k] += p
        if q >= static_losses.MARK_THRESHOLD:
            flips[k] += max(0.0, q - highest(now, b, k, i, j))
            marked[k] += q
    return flips, marked


def random_case(seed=0, streams=2, rows=5, columns=6):
    generator = torch.Generator().manual_seed(seed)
    now, before = torch.rand(2, streams, CLASSES, rows, columns, generator=generator) ** 3
    size = torch.tensor([rows, columns])
    cell = torch.rand(streams, rows, columns, 2, generator=generator) * size
    covered = torch.rand(streams, rows, columns, generator=generator) < 0.8
    return now.double(), before.double(), cell.long(), covered


def test_flips_agree_with_their_slow_twin():
    case = random_case()
    for got, expected in zip(static_losses.flicker_sums(*case), slow_flips(*case), strict=True):
        np.testing.assert_allclose(got.numpy(), expected)
        assert (expected > 0.5).all()


def test_the_gradient_is_that_of_the_slow_twin_and_reaches_this_frame_only():
    now, before, cell, covered = random_case(1)
    now.requires_grad_()
    before.requires_grad_()
    static_losses.flicker_sums(now, before, cell, covered)[0].sum().backward()
    assert before.grad is None
    step, slopes = 1e-6, []
    for where in ((0, 0, 0, 0), (1, 3, 2, 5), (0, 13, 4, 2), (1, 7, 3, 3), (0, 5, 1, 4)):
        moved = now.detach().clone()
        moved[where] += step
        ends = [
            slow_flips(n, before.detach(), cell, covered)[0].sum() for n in (now.detach(), moved)
        ]
        slopes.append((ends[1] - ends[0]) / step)
        assert float(now.grad[where]) == pytest.approx(slopes[-1], abs=1e-4)
    assert any(abs(slope) > 0.5 for slope in slopes)


def frame(step: int, x_m: float = 0.0, **changes) -> FrameBatch:
    """One stream at x, far from the origin."""
    pose = poses.from_xyz_yaw(np.array([4e5 + x_m, -5e6, 30.0]), 0.7)
    batch = replace(
        make_batch(0, seeds=(0,)),
        timestamp_us=torch.tensor([STEP_US * (step + 1)]),
        ego2global=torch.from_numpy(pose)[None],
        is_first=torch.tensor([step == 0]),
    )
    return replace(batch, **changes)


def predicted(probability: torch.Tensor) -> StaticPredictions:
    """As an answer that can be learnt from."""
    return StaticPredictions(torch.logit(probability, eps=1e-6).requires_grad_())


def areas(seed: int) -> torch.Tensor:
    """Marks [1, 14, R, W]: of each class some cells, in probabilities of 0 or 1."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(1, CLASSES, GRID.rows, GRID.columns, generator=generator) < 0.02).float()


def part_of(*frames: tuple[torch.Tensor, FrameBatch]) -> dict[str, torch.Tensor]:
    """The loss of the last of them."""
    criterion = TemporalConsistencyLoss(CONFIG)
    for probability, batch in frames:
        parts = criterion(predicted(probability), batch)
    return parts


def test_it_is_the_flip_rate_of_the_judge():
    """Where probabilities are 0 or 1, and of all classes alike."""
    first, second, move = areas(0), areas(1), frame(1, x_m=1.7)
    first[0, 0, :10], second[0, 0, 5:20] = 1, 1
    counts = FlickerCounts.of(zones := Zones(GRID, EvaluationConfig()))
    views = [
        MapView("drive", int(b.timestamp_us[0]), b.ego2global[0].numpy(), p[0].numpy())
        for p, b in ((first, frame(0)), (second, move))
    ]
    counts.add(*views, GRID, zones)
    part = part_of((first, frame(0)), (second, move))["static_steadiness"]
    assert float(part) == pytest.approx(2.0 * counts.flip_rate().mean(), rel=1e-3)
    assert 0.5 < float(part) < 2.0


def test_what_is_said_again_costs_nothing_and_what_comes_and_goes_all():
    marks = areas(0)
    assert part_of((marks, frame(0)), (marks, frame(1)))["total"] < 1e-3
    gone = part_of((marks, frame(0)), (torch.zeros_like(marks), frame(1)))
    assert float(gone["total"].detach()) == pytest.approx(2.0, rel=1e-3)


@pytest.mark.parametrize(
    "apart",
    [
        {"is_first": torch.tensor([True])},
        {"timestamp_us": torch.tensor([STEP_US + MAX_GAP_US + 1])},
        {"timestamp_us": torch.tensor([STEP_US])},
    ],
)
def test_frames_that_do_not_follow_each_other_cost_nothing(apart):
    total = part_of((areas(0), frame(0)), (areas(1), frame(1, **apart)))["total"]
    assert total == 0
    total.backward()  # still part of the graph
    assert part_of((areas(0), frame(0)))["total"] == 0


def test_it_goes_on_from_its_state():
    criterion, other = TemporalConsistencyLoss(CONFIG), TemporalConsistencyLoss(CONFIG)
    criterion(predicted(areas(0)), frame(0))
    other.restore(criterion.state(), torch.device("cpu"))
    totals = [c(predicted(areas(1)), frame(1))["total"] for c in (criterion, other)]
    assert totals[0] == totals[1] > 0
    other.restore(TemporalConsistencyLoss(CONFIG).state(), torch.device("cpu"))
    assert other(predicted(areas(1)), frame(2))["total"] == 0


def test_ranks_that_share_streams_average_to_the_joint_gradient(monkeypatch):
    def both(streams: slice, of: int) -> FrameBatch:
        batch = frame(of)
        count = len(range(4)[streams])
        return replace(
            batch,
            timestamp_us=batch.timestamp_us.expand(count),
            ego2global=batch.ego2global.expand(count, 4, 4),
            is_first=batch.is_first.expand(count),
        )

    before = torch.cat([areas(i) for i in range(4)])
    logits = torch.logit(torch.cat([areas(9 - i) for i in range(4)]), eps=0.2).requires_grad_()

    def gradient(streams: slice) -> torch.Tensor:
        criterion = TemporalConsistencyLoss(CONFIG)
        criterion.remember(predicted(before[streams]), both(streams, 0))
        total = criterion(StaticPredictions(logits[streams]), both(streams, 1))["total"]
        return torch.autograd.grad(total, logits)[0]

    joint = gradient(slice(0, 4))
    mean = mean_over_ranks(gradient, (slice(0, 1), slice(1, 4)), monkeypatch)
    torch.testing.assert_close(mean, joint)
