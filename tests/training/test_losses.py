"""Each loss against its formula written out in plain numbers, forward and backward."""

import math

import numpy as np
import pytest
import torch

from leapai.geometry import angles
from leapai.training import losses
from leapai.types import BevGrid

GRID = BevGrid((-8.0, 16.0), (-8.0, 8.0), (-3.0, 5.0), 0.8)
OVERLAP = 1 / 36
BARRIER, CAR = 6, 0


def randn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(shape, generator=generator, dtype=torch.float64)).requires_grad_()


def assert_agree(value, twin, *inputs, tolerance=1e-9):
    """Same value and same gradients."""
    torch.testing.assert_close(value, twin, rtol=tolerance, atol=tolerance)
    got = torch.autograd.grad(value.sum(), inputs)
    torch.testing.assert_close(got, torch.autograd.grad(twin.sum(), inputs), rtol=1e-7, atol=1e-9)


def focal_twin(logit, gt, alpha, gamma):
    p = 1 / (1 + torch.exp(-logit))
    if gt:
        return -alpha * (1 - p) ** gamma * torch.log(p)
    return -(1 - alpha) * p**gamma * torch.log(1 - p)


@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_focal_is_equation_5(gamma):
    logits, gt = randn(20), (torch.arange(20) % 3 == 0).double()
    twin = torch.stack([focal_twin(z, t, 0.25, gamma) for z, t in zip(logits, gt, strict=True)])
    assert_agree(losses.focal(logits, gt, 0.25, gamma), twin, logits)


def test_focal_of_a_coin_is_known():
    value = losses.focal(torch.zeros(2), torch.tensor([1.0, 0.0]), 0.25, 2.0)
    expected = [0.25 * 0.25 * math.log(2), 0.75 * 0.25 * math.log(2)]
    np.testing.assert_allclose(value, expected, rtol=1e-6)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_stays_finite_for_sure_answers(gamma):
    logits = torch.tensor([200.0, -200.0, 200.0, -200.0], requires_grad=True)
    value = losses.focal(logits, torch.tensor([1.0, 1.0, 0.0, 0.0]), 0.25, gamma)
    value.sum().backward()
    np.testing.assert_allclose(value.detach(), [0, 0.25 * 200, 0.75 * 200, 0], atol=1e-6)
    np.testing.assert_allclose(logits.grad, [0, -0.25, 0.75, 0], atol=1e-6)


def test_centre_and_size_is_l1_in_metres_and_log_sizes():
    centre, size = randn(5, 3), randn(5, 3, seed=1)
    boxes = torch.cat([randn(5, 3, seed=2), randn(5, 3, seed=3).exp(), randn(5, 1)], 1).detach()
    twin = torch.stack(
        [
            sum(abs(centre[i, k] - boxes[i, k]) for k in range(3))
            + sum(abs(size[i, k] - math.log(boxes[i, 3 + k])) for k in range(3))
            for i in range(5)
        ]
    )
    assert_agree(losses.centre_and_size(centre, size, boxes), twin, centre, size)


def test_a_box_labelled_flat_costs_a_finite_sum():
    boxes = torch.zeros(1, 7)
    assert losses.centre_and_size(torch.zeros(1, 3), torch.zeros(1, 3), boxes).isfinite().all()


def covering_bins(yaw):
    """Bins whose centre is at most half a bin and half the overlap away."""
    covering = []
    for k in range(8):
        residual = (yaw - k * math.pi / 4 + math.pi) % (2 * math.pi) - math.pi
        if abs(residual) <= math.pi / 8 + OVERLAP * math.pi / 2:
            covering.append((k, residual))
    return covering


YAWS = torch.tensor(
    [0.0, 0.2, math.pi / 8, -math.pi / 8 + 0.03, 3.1, -3.1, 1.5], dtype=torch.float64
)


def test_residual_angles_are_judged_on_every_covering_bin():
    residual = randn(len(YAWS), 8)
    rows = []
    for row, yaw in zip(residual, YAWS.tolist(), strict=True):
        terms = []
        for k, wanted in covering_bins(yaw):
            difference = row[k] - wanted
            terms.append(torch.atan2(difference.sin(), difference.cos()).abs())
        rows.append(sum(terms))
    assert [len(covering_bins(yaw)) for yaw in YAWS.tolist()] == [1, 1, 2, 2, 1, 1, 1]
    value = losses.residual_angle(residual, YAWS, OVERLAP)
    assert_agree(value, torch.stack(rows), residual, tolerance=1e-6)  # bin centres are float32


def test_angle_bin_is_cross_entropy_with_equal_shares():
    logits = randn(len(YAWS), 8)
    rows = []
    for row, yaw in zip(logits, YAWS.tolist(), strict=True):
        log_p = row - torch.log(torch.exp(row).sum())
        bins = [k for k, _ in covering_bins(yaw)]
        rows.append(-sum(log_p[k] for k in bins) / len(bins))
    assert_agree(losses.angle_bin(logits, YAWS, OVERLAP), torch.stack(rows), logits)


def test_what_costs_nothing_decodes_to_the_true_yaw():
    yaw = torch.linspace(-math.pi, math.pi, 200)
    _, residual, covers = angles.encode(yaw)
    assert losses.residual_angle(residual + 2 * math.pi, yaw, OVERLAP).max() < 1e-5
    garbage = torch.where(covers, residual, 9.0)
    assert losses.residual_angle(garbage, yaw, OVERLAP).max() < 1e-5  # other bins are free
    predicted = angles.decode(torch.where(covers, 5.0, 0.0), garbage)
    assert angles.wrap_tensor(predicted - yaw).abs().max() < 1e-5


def test_bins_that_share_nothing_leave_no_gap():
    edge = torch.tensor([math.pi / 8, -1.9634954929351807])  # float32 puts the last in no bin
    assert losses.angle_bin(torch.zeros(2, 8), edge, 0.0).isfinite().all()


def test_only_symmetric_classes_take_the_nearer_yaw():
    yaw, predicted = torch.tensor([0.3, 0.3, 0.3, 3.0]), torch.tensor([-2.9, -2.9, 0.5, -0.1])
    class_id = torch.tensor([BARRIER, CAR, BARRIER, 7])
    turned = losses.nearer_yaw(yaw, predicted, class_id)
    np.testing.assert_allclose(turned, [0.3 - math.pi, 0.3, 0.3, 3.0 - math.pi], atol=1e-6)


def test_velocity_counts_less_the_more_is_hidden():
    predicted, gt = randn(5, 3), randn(5, 3, seed=1).detach()
    weights = torch.tensor([1.0, 0.8, 0.6, 0.3], dtype=torch.float64)
    level = torch.tensor([0, 1, 2, 3, -1])
    factors = [1.0, 0.8, 0.6, 0.3, 1.0]  # what is not labelled counts as visible
    twin = torch.stack([f * (predicted[i] - gt[i]).abs().sum() for i, f in enumerate(factors)])
    assert_agree(losses.velocity(predicted, gt, level, weights), twin, predicted)


def test_occlusion_asks_three_questions():
    score, thresholds = randn(4), torch.tensor([-1.0, 0.5, 2.0], dtype=torch.float64)
    thresholds.requires_grad_()
    level = torch.tensor([0, 1, 2, 3])
    twin = torch.stack(
        [
            sum(focal_twin(score[i] - thresholds[k], i > k, 0.25, 2.0) for k in range(3))
            for i in range(4)
        ]
    )
    value = losses.occlusion(score, thresholds, level, 0.25, 2.0)
    assert_agree(value, twin, score, thresholds)


def test_occlusion_is_cheapest_at_its_own_level():
    thresholds, scores = torch.tensor([-3.0, 0.0, 3.0]), torch.tensor([-4.5, -1.5, 1.5, 4.5])
    cost = torch.stack(
        [losses.occlusion(scores, thresholds, torch.full((4,), k), 0.5, 2.0) for k in range(4)]
    )
    assert cost.argmin(1).tolist() == [0, 1, 2, 3]


def centre_boxes():
    boxes = torch.zeros(5, 7)
    boxes[:, :2] = torch.tensor([[0.1, 0.1], [15.9, 7.9], [-7.9, -7.9], [1.5, 0.3], [4.0, -3.0]])
    boxes[:, 3:5] = torch.tensor([[4.5, 1.9], [0.6, 0.6], [12.0, 3.0], [0.5, 0.5], [2.0, 0.8]])
    return boxes, torch.tensor([0, 3, 2, 0, 7]), torch.tensor([0, 0, 1, 0, 1])


def test_the_map_of_centres_is_the_highest_gaussian_of_each_cell():
    boxes, class_id, stream = centre_boxes()
    expected = np.zeros((2, 8, GRID.rows, GRID.columns))
    for box, k, b in zip(boxes.double(), class_id.tolist(), stream.tolist(), strict=True):
        column, row = math.floor((box[0] + 8) / 0.8), math.floor((box[1] + 8) / 0.8)
        total, area = float(box[3] + box[4]), float(box[3] * box[4])
        radius = (total - math.sqrt(total**2 - 4 * area * 0.9 / 1.1)) / 2 / 0.8
        sigma = (2 * max(radius, 2) + 1) / 6
        for r in range(GRID.rows):
            for c in range(GRID.columns):
                value = math.exp(-((r - row) ** 2 + (c - column) ** 2) / (2 * sigma**2))
                expected[b, k, r, c] = max(expected[b, k, r, c], value)
    made = losses.centre_map(boxes, class_id, stream, 2, GRID)
    np.testing.assert_allclose(made, expected, atol=1e-6)
    assert int((made == 1).sum()) == len(boxes)


def test_a_map_without_objects_is_empty():
    nothing = torch.zeros(0, dtype=torch.long)
    assert not losses.centre_map(torch.zeros(0, 7), nothing, nothing, 2, GRID).any()


def test_a_box_shifted_by_its_radius_overlaps_a_tenth():
    length, width = torch.tensor([4.5, 0.6, 12.0]), torch.tensor([1.9, 0.6, 3.0])
    shift = losses.centre_radius_m(length, width)
    common = (length - shift) * (width - shift)
    np.testing.assert_allclose(common / (2 * length * width - common), 0.1, rtol=1e-4)


def test_centre_focal_is_equation_1():
    logits, gt = randn(12), torch.rand(12, dtype=torch.float64)
    gt[::4] = 1.0
    p = 1 / (1 + torch.exp(-logits))
    rows = [
        -((1 - p[i]) ** 2) * torch.log(p[i])
        if gt[i] == 1
        else -((1 - gt[i]) ** 4) * p[i] ** 2 * torch.log(1 - p[i])
        for i in range(12)
    ]
    assert_agree(losses.centre_focal(logits, gt), torch.stack(rows), logits)
