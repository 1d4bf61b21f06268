"""Necks at several scales against their stages called one by one."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from leapai.config import LidarConfig
from leapai.models.blocks import ConvResBlockNeck, PyramidNeck
from leapai.models.build import build_model
from tests.scenes import make_batch, seeded_model, small_config

SIZE = (7, 10)  # neither halves evenly


@pytest.fixture
def neck():
    torch.manual_seed(0)
    return PyramidNeck(4, 8, blocks=2, coarser=(6, 10)).eval()


@pytest.fixture
def bev():
    return torch.randn(2, 4, *SIZE, generator=torch.Generator().manual_seed(1))


def test_the_pyramid_equals_its_stages_one_by_one_forward_and_backward(neck, bev):
    bev.requires_grad_()
    fine = neck.blocks(bev)
    half = neck.coarser[0](fine)
    quarter = neck.coarser[1](half)
    assert half.shape[1:] == (6, 4, 5)
    assert quarter.shape[1:] == (10, 2, 3)
    lateral = neck.merge.lateral
    merged = lateral[1](half) + F.interpolate(lateral[2](quarter), size=half.shape[2:])
    merged = lateral[0](fine) + F.interpolate(merged, size=SIZE)
    slow, fast = neck.merge.smooth(merged), neck(bev)
    assert fast.shape == (2, 8, *SIZE)
    torch.testing.assert_close(fast, slow)
    leaves = [bev, *neck.parameters()]
    for a, b in zip(
        torch.autograd.grad(fast.square().sum(), leaves),
        torch.autograd.grad(slow.square().sum(), leaves),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


def test_the_pyramid_sees_farther_than_its_first_stage(neck, bev):
    far = bev.clone()
    far[:, :, :, -1] += 5
    assert torch.equal(neck.blocks(far)[..., 0], neck.blocks(bev)[..., 0])
    assert not torch.allclose(neck(far)[..., 0], neck(bev)[..., 0])


def test_a_network_has_coarser_stages_where_its_configuration_names_them():
    config = small_config()
    lidar = LidarConfig(**config.lidar.model_dump() | {"bev_coarser": (12,)})
    plain, pyramid = build_model(config), seeded_model(config.replace(lidar=lidar))
    assert type(plain.lidar_bev_backbone) is ConvResBlockNeck
    added = set(pyramid.state_dict()) - set(plain.state_dict())
    assert added
    assert all(name.startswith("lidar_bev_backbone.") for name in added)
    assert set(plain.state_dict()) <= set(pyramid.state_dict())
    batch = make_batch(0)
    predictions, _ = pyramid(batch, pyramid.initial_state(1))
    assert predictions.dynamic.boxes.isfinite().all()
