"""Intensity relative to the ground, against a loop, and over the conventions of sensors."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from leapai.config import LidarConfig
from leapai.models.intensity import GROUND, relative_to_ground
from tests.scenes import make_batch, seeded_model, small_config


def street(gain=1.0, ground=200, seed=0):
    """Points [P, 5]: a dark street, and brighter things that stand on it."""
    rng = np.random.default_rng(seed)
    low = np.column_stack(
        [
            rng.uniform(4, 20, (ground, 2)),
            rng.normal(0, 0.05, ground),
            rng.uniform(0.02, 0.08, ground),
        ]
    )
    high = np.column_stack(
        [rng.uniform(4, 20, (100, 2)), rng.uniform(1, 3, 100), rng.uniform(0, 1, 100)]
    )
    points = np.column_stack([np.concatenate([low, high]), np.zeros(ground + 100)])
    points[:, 3] *= gain
    return torch.from_numpy(rng.permutation(points).astype(np.float32))


def slow(points):
    """One stream, one point after another."""
    near = [p for p in points.tolist() if 3 < math.hypot(p[0], p[1]) < 30 and abs(p[2]) < 0.4]
    levels = sorted(max(p[3], 0.0) for p in near)
    ground = max(levels[(len(levels) - 1) // 2], 1e-4) if len(levels) >= 50 else GROUND
    ratios = (max(p[3], 0.0) / ground for p in points.tolist())
    return torch.tensor([min(math.log(1 + r) / math.log(26), 1.0) for r in ratios])


def alone(points):
    return relative_to_ground(points, torch.zeros(len(points), dtype=torch.int64), 1)


def test_equals_the_loop_in_every_stream():
    clouds = [street(), street(gain=0.3, seed=1), street(ground=20, seed=2)]
    stream = torch.tensor([0, 2, 3]).repeat_interleave(torch.tensor([len(c) for c in clouds]))
    order = torch.randperm(len(stream), generator=torch.Generator().manual_seed(0))
    together = relative_to_ground(torch.cat(clouds)[order], stream[order], 4)
    for number, cloud in zip((0, 2, 3), clouds, strict=True):
        found = together[stream[order] == number][:, 3].sort().values
        torch.testing.assert_close(found, slow(cloud).sort().values, atol=1e-5, rtol=1e-4)
    rest = [0, 1, 2, 4]
    assert torch.equal(together[:, rest], torch.cat(clouds)[order][:, rest])


@pytest.mark.parametrize("gain", [0.1, 7.5, 255.0])
def test_sensors_of_any_gain_look_alike(gain):
    """0 to 255 is a convention, and so is a ground at 0.3."""
    plain, other = alone(street()), alone(street(gain))
    torch.testing.assert_close(plain[:, 3], other[:, 3], atol=1e-5, rtol=1e-4)
    assert plain[:, 3].std() > 0.1
    assert float(plain[:, 3].max()) <= 1


def test_the_ground_itself_is_a_fifth():
    found = alone(street())[:, 3]
    assert float(found.median()) == pytest.approx(math.log(2) / math.log(26), abs=0.15)


def test_with_little_ground_a_common_one_is_assumed():
    few = street(ground=49)
    assert float((alone(few)[:, 3] - slow(few)).abs().max()) < 1e-5
    expected = (torch.log1p(few[:, 3] / 0.04) / math.log(26)).clamp(max=1)
    torch.testing.assert_close(alone(few)[:, 3], expected)


def test_a_sensor_without_intensity_gives_zeros_and_nothing_gives_nothing():
    blind = street(gain=0.0)
    assert (alone(blind)[:, 3] == 0).all()
    assert alone(torch.zeros(0, 5)).shape == (0, 5)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_point_without_a_number_spoils_no_other(value):
    points = street()
    broken = points.clone()
    broken[::3, 3] = value
    found = alone(broken)[:, 3]
    kept = torch.arange(len(points)) % 3 != 0
    assert found[kept].isfinite().all()
    assert found[kept].std() > 0.1


@pytest.mark.parametrize("convention", ["reported", "ground"])
def test_the_network_reads_it_as_configured(convention):
    lidar = LidarConfig(
        pillar_m=0.8, max_pillars=500, pillar_channels=8, middle_channels=8, intensity=convention
    )
    model, batch = seeded_model(small_config(lidar=lidar)), make_batch(0)
    batch.points[:, 2] *= 0.1  # enough ground
    bright = batch.points.clone()
    bright[:, 3] *= 255
    plain, other = model.lidar_bev(batch), model.lidar_bev(replace(batch, points=bright))
    same = torch.allclose(plain, other, atol=1e-4)
    assert same == (convention == "ground")
