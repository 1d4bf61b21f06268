"""Predictions to detections."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from leapai.config import EvaluationConfig
from leapai.geometry import angles
from leapai.models.dynamic.decode import decode, occlusion_levels
from leapai.models.dynamic.dynamic_head import OrderedThresholds, decode_boxes
from tests.scenes import make_batch, seeded_model, small_config

GRID = small_config().bev.grid()


def regression_of(centre_m, size_m, velocity_mps, yaw):
    """Regression [17] and angle logits [8] that say exactly this."""
    nearest, residual, _ = angles.encode(torch.tensor(yaw))
    centre = torch.logit(GRID.normalise(torch.tensor(centre_m)))
    parts = [centre, torch.tensor(size_m).log(), torch.tensor(velocity_mps), residual]
    return torch.cat(parts), torch.nn.functional.one_hot(nearest, 8) * 9.0


@pytest.mark.parametrize("yaw", [-3.1, -math.pi / 4, 0.0, 0.39, 1.5, math.pi])
def test_boxes_decode_to_what_was_encoded(yaw):
    regression, logits = regression_of([10.0, -5.0, 0.8], [4.5, 1.9, 1.6], [8.0, -1.0, 0.0], yaw)
    box = decode_boxes(regression, logits)
    assert box.shape == (11,)
    torch.testing.assert_close(GRID.denormalise(box[:3]), torch.tensor([10.0, -5.0, 0.8]))
    torch.testing.assert_close(box[3:6], torch.tensor([4.5, 1.9, 1.6]))
    torch.testing.assert_close(
        box[6:8], torch.tensor([math.sin(yaw), math.cos(yaw)]), atol=1e-6, rtol=0
    )
    torch.testing.assert_close(box[8:], torch.tensor([8.0, -1.0, 0.0]))


@pytest.fixture(scope="module")
def predictions():
    model = seeded_model(small_config())
    with torch.no_grad():
        return model(make_batch(0, seeds=(0, 1)), model.initial_state(2))[0].dynamic


def predicted(predictions, queries):
    """Predictions in which stream 1 says {query: (class, probability, regression, angle
    logits)}."""
    logits = torch.full_like(predictions.class_logits, -12.0)
    boxes = predictions.boxes.clone()
    for query, (class_id, probability, regression, bins) in queries.items():
        logits[-1, 1, query, class_id] = math.log(probability / (1 - probability))
        boxes[1, query] = decode_boxes(regression, bins)
    return replace(predictions, class_logits=logits, boxes=boxes)


def test_detections_are_metres_confidence_first_without_overlaps(predictions):
    car = regression_of([10.0, -5.0, 0.8], [4.5, 1.9, 1.6], [8.0, -1.0, 0.0], 0.3)
    beside = regression_of([10.2, -5.1, 0.8], [4.4, 1.9, 1.6], [8.0, -1.0, 0.0], 0.3)
    person = regression_of([10.1, -5.0, 0.9], [0.6, 0.6, 1.7], [0.0, 1.0, 0.0], 1.0)
    queries = {3: (0, 0.6, *beside), 7: (0, 0.9, *car), 9: (3, 0.5, *person), 11: (0, 0.02, *car)}
    batch = make_batch(0, seeds=(0, 1))
    nothing, found = decode(predicted(predictions, queries), batch, GRID, EvaluationConfig())
    assert len(nothing) == 0
    assert found.query_index.tolist() == [7, 9]  # 3 overlaps 7, 11 is not sure enough
    assert found.class_id.tolist() == [0, 3]
    np.testing.assert_allclose(found.score, [0.9, 0.5], atol=1e-6)
    np.testing.assert_allclose(found.boxes[0], [10.0, -5.0, 0.8, 4.5, 1.9, 1.6, 0.3], atol=1e-4)
    np.testing.assert_allclose(found.velocity_mps[0], [8.0, -1.0, 0.0], atol=1e-5)
    assert found.sequence == "drive1"
    assert found.timestamp_us == 1_000_000
    assert (found.track_id == -1).all()


def test_what_is_not_finite_is_not_reported(predictions):
    car = regression_of([10.0, -5.0, 0.8], [4.5, 1.9, 1.6], [8.0, -1.0, 0.0], 0.3)
    raw = predicted(predictions, {1: (0, 0.9, *car), 2: (1, 0.9, *car)})
    raw.boxes[1, 1, 8] = float("nan")
    found = decode(raw, make_batch(0, seeds=(0, 1)), GRID, EvaluationConfig())[1]
    assert found.query_index.tolist() == [2]


def test_occlusion_is_ordinal_with_ordered_thresholds():
    thresholds = OrderedThresholds()
    with torch.no_grad():
        thresholds.first.fill_(0.4)
        thresholds.steps.copy_(
            torch.tensor([-30.0, 2.0])
        )  # steps that training drove to an extreme
    order = thresholds()
    assert (order.diff() >= 0).all()
    levels = occlusion_levels(torch.linspace(-5, 5, 200)[:, None], order)
    assert (levels.diff() >= 0).all()
    assert levels[0] == 0
    assert levels[-1] == 3
