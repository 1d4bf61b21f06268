"""Confidences follow which sensors a frame has, and nothing else of the network does."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from leapai.config.network_sections import ConfidenceConfig, DynamicConfig
from leapai.models.dynamic.sensor_confidence import SensorConfidence
from tests.scenes import make_batch, seeded_model, small_config

FITTED = {"cameras_alone": (0.8, -0.5), "lidar_alone": (1.1, 0.2)}


def without(batch, *, lidar=(), cameras=()):
    """The batch with a sensor of these streams lost."""
    lidar_valid, camera_valid = batch.lidar_valid.clone(), batch.camera_valid.clone()
    lidar_valid[list(lidar)], camera_valid[list(cameras)] = False, False
    return replace(batch, lidar_valid=lidar_valid, camera_valid=camera_valid)


def test_each_stream_is_changed_by_its_own_sensors():
    batch = without(make_batch(0, (0, 1, 2, 3)), lidar=(1, 3), cameras=(2, 3))
    logits = torch.randn(3, 4, 5, 8, generator=torch.Generator().manual_seed(0))
    moved = SensorConfidence(ConfidenceConfig(**FITTED))(logits, batch)
    of_stream = [(1.0, 0.0), FITTED["cameras_alone"], FITTED["lidar_alone"], (1.0, 0.0)]
    for stream, (scale, shift) in enumerate(of_stream):
        torch.testing.assert_close(moved[:, stream], logits[:, stream] * scale + shift)


def test_one_camera_that_works_is_enough():
    batch = make_batch(0)
    batch.camera_valid[0, 1:] = False
    logits = torch.randn(1, 1, 5, 8)
    moved = SensorConfidence(ConfidenceConfig(**FITTED))(logits, batch)
    assert torch.equal(moved, logits)


def test_logits_alone_change_and_memory_stays_as_it_was():
    plain = small_config()
    dynamic = DynamicConfig(**{**plain.dynamic.model_dump(), "confidence": FITTED})
    fitted = plain.replace(dynamic=dynamic)
    results = []
    for config in (plain, fitted):
        model = seeded_model(config)
        with torch.no_grad():
            _, state = model(without(make_batch(0), lidar=(0,)), model.initial_state(1))
            results.append(model(without(make_batch(1), lidar=(0,)), state))
    (before, kept), (after, kept_too) = results
    scale, shift = FITTED["cameras_alone"]
    torch.testing.assert_close(
        after.dynamic.class_logits, before.dynamic.class_logits * scale + shift
    )
    assert torch.equal(after.dynamic.boxes, before.dynamic.boxes)
    for name in ("query", "reference_m", "confidence", "query_index", "class_id"):
        assert torch.equal(getattr(kept, name), getattr(kept_too, name)), name


def test_it_adds_nothing_to_the_weights():
    plain = small_config()
    assert not [name for name in seeded_model(plain).state_dict() if "by_sensors" in name]


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
def test_a_scale_that_would_turn_the_order_around_is_refused(scale):
    with pytest.raises(ValueError, match="cameras_alone"):
        ConfidenceConfig(cameras_alone=(scale, 0.0))
