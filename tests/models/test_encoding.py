"""Encodings against loops, and the layer norm that knows about motion."""

import math

import numpy as np
import torch

from leapai.models.dynamic.encoding import (
    MOTION_FREQUENCIES,
    CellEncoding,
    MotionAwareLayerNorm,
    motion_values,
    sine_encoding,
)


def slow_sine(position, channels_per_axis):
    """One number after another, as the paper writes it."""
    half = channels_per_axis // 2
    encoded = []
    for x in position:
        angles = [2 * math.pi * x / 10000 ** (i / half) for i in range(half)]
        encoded += [math.sin(a) for a in angles] + [math.cos(a) for a in angles]
    return encoded


def test_sine_encoding_equals_the_formula():
    positions = torch.tensor([[0.0, 0.3, 1.0], [0.9, 0.51, 0.02]])
    expected = [slow_sine(p, 8) for p in positions.tolist()]
    np.testing.assert_allclose(sine_encoding(positions, 8).numpy(), expected, atol=1e-6)


def test_cells_are_encoded_row_by_row_from_their_own_y_and_x():
    torch.manual_seed(0)
    encoding = CellEncoding(rows=3, columns=5, channels=6, channels_per_axis=8)
    got = encoding()
    for row in range(3):
        for column in range(5):
            y = torch.tensor(slow_sine([(row + 0.5) / 3], 8))
            x = torch.tensor(slow_sine([(column + 0.5) / 5], 8))
            expected = encoding.mlp_y(y) + encoding.mlp_x(x)
            torch.testing.assert_close(got[row * 5 + column], expected, atol=1e-5, rtol=1e-5)


def test_motion_aware_norm_starts_as_a_plain_layer_norm():
    norm = MotionAwareLayerNorm(8)
    features, motion = torch.randn(2, 5, 8), torch.randn(2, 5, 16)
    plain = torch.nn.functional.layer_norm(features, (8,))
    torch.testing.assert_close(norm(features, motion), plain)


def test_motion_aware_norm_equals_its_definition_slot_by_slot():
    torch.manual_seed(0)
    norm = MotionAwareLayerNorm(8)
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    features, motion = torch.randn(2, 5, 8), torch.randn(2, 5, 16)
    got = norm(features, motion)
    for b in range(2):
        for s in range(5):
            values = motion[b, s].tolist()
            waves = [
                [f(2**i * v) for v in values]
                for i in range(MOTION_FREQUENCIES)
                for f in (math.sin, math.cos)
            ]
            condition = torch.relu(norm.reduce(torch.tensor(sum(waves, values))))
            feature = features[b, s]
            normed = (feature - feature.mean()) / (feature.var(unbiased=False) + 1e-5).sqrt()
            expected = normed * (1 + norm.scale(condition)) + norm.shift(condition)
            torch.testing.assert_close(got[b, s], expected, atol=1e-4, rtol=1e-4)


def test_motion_values_hold_pose_age_and_velocity():
    pose = torch.eye(4).repeat(1, 1, 1, 1)
    pose[0, 0, :3, 3] = torch.tensor([10.0, -20.0, 1.0])
    values = motion_values(pose, torch.tensor([[0.3]]), torch.tensor([[[5.0, 0.0, -1.0]]]))[0, 0]
    rotation = [1, 0, 0, 0, 1, 0, 0, 0, 1]
    expected = torch.tensor([*rotation, 1.0, -2.0, 0.1, 0.3, 0.5, 0.0, -0.1])
    torch.testing.assert_close(values, expected)
