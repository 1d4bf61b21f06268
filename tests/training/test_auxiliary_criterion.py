"""Losses of the trunk by itself against slow twins, and what costs nothing."""

import math
from dataclasses import replace

import pytest
import torch

from leapai.models.tensors import AuxiliaryPredictions, PixelPredictions
from leapai.training import losses
from leapai.training.auxiliary_criterion import AuxiliaryCriterion
from tests.scenes import make_batch, small_config
from tests.training.examples import random_targets

BINS = 5
CONFIG = small_config(
    loss={"dense_weight": 0.7, "depth_weight": 1.3, "pixel_class_weight": 0.4},
    camera=small_config().camera.model_copy(update={"depth_bins": BINS}),
)
CRITERION = AuxiliaryCriterion(CONFIG)
NOBODY = [replace(random_targets(0), labelled=False)] * 2


def leaf(*shape, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator).requires_grad_()


def pixel_batch(known=0.3):
    """Two streams of which a share of the cells has labels."""
    batch, generator = make_batch(0, seeds=(0, 1)), torch.Generator().manual_seed(2)
    shape = (2, 7, 2, 3)
    depth = torch.rand(shape, generator=generator) * 100
    depth[torch.rand(shape, generator=generator) > known] = torch.nan
    class_id = torch.randint(0, 9, shape, generator=generator)
    return replace(batch, pixel_depth_m=depth, pixel_class=class_id)


def pixels():
    return PixelPredictions(leaf(14, BINS, 2, 3, seed=0), leaf(14, 8, 2, 3, seed=1))


def slow_pixel_parts(predicted, batch):
    """Sums over cells, one after another."""
    depths = [1.5 * (80 / 1.5) ** (i / (BINS - 1)) for i in range(BINS)]
    depth_sum, class_sum, cells, object_cells = 0.0, 0.0, 0, 0
    for image in range(14):
        for row in range(2):
            for column in range(3):
                at = (image // 7, image % 7, row, column)
                depth_m = float(batch.pixel_depth_m[at])
                if math.isnan(depth_m):
                    continue
                cells += 1
                place = math.log(min(max(depth_m, 1.5), 80) / 1.5) / math.log(depths[1] / 1.5)
                low = min(int(place), BINS - 2)
                log_p = predicted.depth[image, :, row, column].log_softmax(0)
                share = place - low
                depth_sum = depth_sum - (1 - share) * log_p[low] - share * log_p[low + 1]
                class_id = int(batch.pixel_class[at])
                object_cells += class_id < 8
                for k in range(8):
                    logit = predicted.classes[image, k, row, column]
                    gt = torch.tensor(float(k == class_id))
                    class_sum = class_sum + losses.focal(logit, gt, 0.25, 2.0)
    return {"depth": 1.3 * depth_sum / cells, "pixel_class": 0.4 * class_sum / object_cells}


def test_pixels_cost_what_the_slow_twin_says_forward_and_backward():
    predicted, batch = pixels(), pixel_batch()
    parts = CRITERION(AuxiliaryPredictions(predicted, None), batch, NOBODY)
    expected = slow_pixel_parts(predicted, batch)
    assert set(parts) == {*expected, "total"}
    for name, value in expected.items():
        torch.testing.assert_close(parts[name], value.detach(), rtol=1e-4, atol=1e-5)
    leaves = [predicted.depth, predicted.classes]
    for one, other in zip(
        torch.autograd.grad(parts["total"], leaves),
        torch.autograd.grad(sum(expected.values()), leaves),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)


def test_the_right_depth_and_class_cost_next_to_nothing():
    batch = pixel_batch(known=1.0)
    batch = replace(batch, pixel_depth_m=torch.full((2, 7, 2, 3), 80.0))
    depth = torch.full((14, BINS, 2, 3), -20.0)
    depth[:, -1] = 20.0
    one_hot = torch.nn.functional.one_hot(batch.pixel_class.flatten(0, 1), 9)[..., :8]
    classes = (one_hot.permute(0, 3, 1, 2) * 40.0 - 20.0).float()
    parts = CRITERION(AuxiliaryPredictions(PixelPredictions(depth, classes), None), batch, NOBODY)
    assert float(parts["total"]) < 1e-4


@pytest.mark.parametrize("labels", ["none", "all missing"])
def test_pixels_without_labels_cost_nothing_and_keep_the_parts(labels):
    """A window holds frames with and without LiDAR: all of them have the same parts, and a step of
    frames without any can go backward."""
    batch = pixel_batch(known=0.0) if labels == "all missing" else make_batch(0, seeds=(0, 1))
    predicted = pixels()
    parts = CRITERION(AuxiliaryPredictions(predicted, None), batch, NOBODY)
    assert set(parts) == {"depth", "pixel_class", "total"}
    assert float(parts["total"]) == 0
    (gradient,) = torch.autograd.grad(parts["total"], [predicted.depth])
    assert not gradient.any()


def test_heat_maps_are_of_what_is_seen_where_the_sensor_works():
    grid = CONFIG.bev.grid()
    logits = leaf(2, 2, 8, grid.rows, grid.columns, seed=3)
    seen = torch.tensor([True, False, True])
    targets = [random_targets(3, seed=4, seen=seen), random_targets(2, seed=5)]
    batch = make_batch(0, seeds=(0, 1))
    batch.camera_valid[1] = False  # the second stream lost its cameras
    batch.lidar_valid[0] = False  # and the first its LiDAR
    parts = CRITERION(AuxiliaryPredictions(None, logits), batch, targets)
    expected = {}
    for sensor, name, stream in ((0, "camera", 0), (1, "lidar", 1)):
        gt = targets[stream]
        kept = gt.seen
        here = torch.zeros(int(kept.sum()), dtype=torch.int64)
        centres = losses.centre_map(gt.boxes[kept], gt.class_id[kept], here, 1, grid)
        cost = losses.centre_focal(logits[sensor, stream], centres[0]).sum()
        expected[f"{name}_heat_map"] = 0.7 * cost / 4  # objects that are seen, of both streams
    assert set(parts) == {*expected, "total"}
    for name, value in expected.items():
        torch.testing.assert_close(parts[name], value.detach(), rtol=1e-4, atol=1e-6)
    (gradient,) = torch.autograd.grad(parts["total"], [logits])
    (twin,) = torch.autograd.grad(sum(expected.values()), [logits])
    torch.testing.assert_close(gradient, twin, rtol=1e-4, atol=1e-7)


def test_streams_that_nobody_labelled_have_no_heat_map_loss():
    grid = CONFIG.bev.grid()
    logits = leaf(2, 2, 8, grid.rows, grid.columns, seed=3)
    parts = CRITERION(AuxiliaryPredictions(None, logits), make_batch(0, seeds=(0, 1)), NOBODY)
    assert float(parts["total"]) == 0
