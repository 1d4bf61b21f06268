"""Angles and overlapping bins."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from leapai.geometry import angles

EVERY_YAW = torch.linspace(-math.pi, math.pi, 7201, dtype=torch.float64)
"""Steps of 0.05 degrees."""


def test_wrapping_keeps_the_direction_and_the_range():
    angle = np.linspace(-20, 20, 4001)
    wrapped = angles.wrap(angle)
    assert ((wrapped > -np.pi) & (wrapped <= np.pi)).all()
    np.testing.assert_allclose(np.exp(1j * wrapped), np.exp(1j * angle), atol=1e-13)
    np.testing.assert_allclose(angles.wrap_tensor(torch.from_numpy(angle)).numpy(), wrapped)


def test_both_ends_of_the_circle_are_plus_pi():
    assert angles.wrap(np.array([-np.pi, np.pi, 3 * np.pi])) == pytest.approx(np.pi)
    ends = angles.wrap_tensor(torch.tensor([-math.pi, math.pi]))
    assert ends.tolist() == pytest.approx([math.pi, math.pi])


def test_bins_start_along_x_and_go_counter_clockwise():
    degrees = torch.rad2deg(angles.bin_centres())
    assert degrees.tolist() == pytest.approx([0, 45, 90, 135, 180, -135, -90, -45])


def test_every_yaw_is_covered_by_one_or_two_bins_the_nearest_among_them():
    nearest, _, covers = angles.encode(EVERY_YAW)
    assert set(covers.sum(-1).tolist()) == {1, 2}
    assert covers.gather(-1, nearest[:, None]).all()


@pytest.mark.parametrize(("overlap", "degrees"), [(1 / 36, 5.0), (0.0, 0.0), (0.1, 18.0)])
def test_neighbouring_bins_share_the_overlap(overlap, degrees):
    step = 0.01
    between = torch.deg2rad(torch.arange(0, 45, step, dtype=torch.float64) + step / 2)
    _, _, covers = angles.encode(between, overlap=overlap)
    shared = (covers[:, 0] & covers[:, 1]).sum().item() * step
    assert shared == pytest.approx(degrees, abs=1e-6)
    assert covers[:, 2:].sum() == 0


def test_residuals_lead_back_from_every_bin():
    _, residual, _ = angles.encode(EVERY_YAW)
    back = angles.bin_centres().double() + residual
    np.testing.assert_allclose(
        np.exp(1j * back.numpy()), np.exp(1j * EVERY_YAW.numpy())[:, None].repeat(8, 1), atol=1e-6
    )


@pytest.mark.parametrize("num_bins", [4, 8, 12])
def test_decoding_inverts_encoding_from_any_covering_bin(num_bins):
    yaw = EVERY_YAW[1:].float()
    _, residual, covers = angles.encode(yaw, num_bins)
    for one_bin in range(num_bins):
        covered = covers[:, one_bin]
        logits = torch.zeros(int(covered.sum()), num_bins)
        logits[:, one_bin] = 1.0
        error = angles.wrap_tensor(angles.decode(logits, residual[covered]) - yaw[covered])
        assert error.abs().max() < 1e-5


def test_gradients_reach_the_residual_of_the_likeliest_bin_alone():
    residual = torch.zeros(3, 8, requires_grad=True)
    logits = torch.eye(8)[[0, 4, 7]]
    angles.decode(logits, residual).sum().backward()
    np.testing.assert_array_equal(residual.grad.numpy(), logits.numpy())


def test_the_gradient_of_wrapping_is_one_across_the_seam():
    angle = torch.tensor([-4.0, -3.0, 0.1, 3.0, 4.0], requires_grad=True)
    angles.wrap_tensor(angle).sum().backward()
    assert angle.grad.tolist() == [1.0] * 5
