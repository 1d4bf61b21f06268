"""The intensity of the ground, found by one sort, against a loop over streams."""

from __future__ import annotations

import math

import torch

from leapai.models.intensity import GROUND, relative_to_ground


def slow(points, stream, streams):
    """Intensities [P], stream by stream with torch's median."""
    out = torch.zeros(len(points))
    for b in range(streams):
        own = stream == b
        x, y, z, intensity, _ = points[own].unbind(-1)
        distance = (x**2 + y**2).sqrt()
        level = (distance > 3) & (distance < 30) & (z.abs() < 0.4) & intensity.isfinite()
        ground = intensity.clamp(min=0)[level]
        scale = ground.median().clamp(min=1e-4) if len(ground) >= 50 else torch.tensor(GROUND)
        out[own] = (torch.log1p(intensity.clamp(min=0) / scale) / math.log1p(25)).clamp(max=1)
    return out


def cloud(seed=0, count=900):
    """Points of three streams whose sensors have different gains; the last has few."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(count, 5, generator=generator) * torch.tensor([40.0, 40, 2, 1, 1])
    points = points - torch.tensor([20.0, 20, 1, 0.1, 0])
    stream = torch.randint(0, 3, (count,), generator=generator)
    points[:, 3] *= torch.tensor([1.0, 255.0, 0.1])[stream]
    few = (stream == 2) & (torch.rand(count, generator=generator) < 0.9)
    return points[~few], stream[~few]


def test_equals_the_loop():
    points, stream = cloud()
    got = relative_to_ground(points, stream, 4)
    torch.testing.assert_close(got[:, 3], slow(points, stream, 4))
    kept = [0, 1, 2, 4]
    assert torch.equal(got[:, kept], points[:, kept])


def test_an_intensity_that_is_no_number_spoils_no_other():
    points, stream = cloud()
    points[::7, 3] = torch.nan
    points[1::7, 3] = torch.inf
    got = relative_to_ground(points, stream, 3)[:, 3]
    rest = points[:, 3].isfinite()
    torch.testing.assert_close(got[rest], slow(points, stream, 3)[rest])
    assert got[rest].isfinite().all()


def test_a_gain_changes_nothing_and_no_points_are_valid():
    points, stream = cloud()
    louder = points * torch.tensor([1, 1, 1, 3.0, 1])
    enough = stream < 2
    one, other = (relative_to_ground(p, stream, 3)[enough] for p in (points, louder))
    torch.testing.assert_close(one[:, 3], other[:, 3])
    assert relative_to_ground(points[:0], stream[:0], 2).shape == (0, 5)
