"""Depth bins and the head of single pixels against numbers worked out one by one."""

import itertools
import math

import pytest
import torch

from leapai.config import CameraConfig
from leapai.models.pixel_head import DepthBins, PixelHead


def test_bins_grow_by_one_factor_from_1_5_to_80_m():
    bins = DepthBins(24)
    depths = torch.tensor([1.5 * (80 / 1.5) ** (i / 23) for i in range(24)])
    torch.testing.assert_close(bins.position(depths), torch.arange(24.0), atol=1e-4, rtol=0)
    between = math.sqrt(float(depths[3] * depths[4]))  # the middle of two, by their ratio
    assert float(bins.position(torch.tensor(between))) == pytest.approx(3.5, abs=1e-4)


def test_depths_beyond_the_bins_belong_to_the_first_and_the_last():
    position = DepthBins(24).position(torch.tensor([-3.0, 0.0, 1.0, 81.0, 1e6]))
    assert position.tolist() == [0, 0, 0, 23, 23]


def test_one_bin_is_refused():
    with pytest.raises(ValueError, match=r"depth_bins = 1 .*set 0, or 2"):
        CameraConfig(depth_bins=1)


def test_each_cell_has_depth_and_classes_of_its_neighbourhood():
    torch.manual_seed(0)
    head = PixelHead(6, depth_bins=5, classes=8, heights=2)
    features, rays_m = torch.randn(3, 6, 4, 7), torch.rand(3, 2, 4, 7) * 50
    out = head(features, rays_m)
    assert out.depth.shape == (3, 5, 4, 7)
    assert out.classes.shape == (3, 8, 4, 7)
    changed = features.clone()
    changed[1, :, 0, 0] += 1
    moved = (head(changed, rays_m).depth != out.depth).any(1)
    assert moved[1, :2, :2].all()
    moved[1, :2, :2] = False
    assert not moved.any()


def test_classes_begin_rare_and_depth_unknown():
    head = PixelHead(6, depth_bins=5, classes=8, heights=2)
    nothing = head(torch.zeros(1, 6, 2, 2), torch.full((1, 2, 2, 2), 9.0))
    assert nothing.classes.sigmoid().mean() < 0.05
    assert nothing.depth.softmax(1).max() < 0.4


def test_a_height_that_a_cell_shows_makes_the_depth_of_its_ray_there_more_probable():
    """The slow twin looks at one cell and one bin at a time."""
    torch.manual_seed(1)
    head = PixelHead(6, depth_bins=5, classes=8, heights=2)
    features, rays_m = torch.randn(2, 6, 3, 4), torch.rand(2, 2, 3, 4) * 100
    plain = head(features, rays_m)  # as built it shows no height
    torch.nn.init.normal_(head.shown.weight)
    out, shown = head(features, rays_m), head.shown(head.hidden(features))
    assert torch.equal(out.classes, plain.classes)
    bins = DepthBins(5)
    for m, row, column in itertools.product(range(2), range(3), range(4)):
        logits = plain.depth[m, :, row, column].clone()
        for z in range(2):
            near, behind = bins.between(rays_m[m, z, row, column])
            logits[near] += 8 * shown[m, z, row, column] * (1 - behind)
            logits[near + 1] += 8 * shown[m, z, row, column] * behind
        torch.testing.assert_close(out.depth[m, :, row, column], logits, atol=1e-4, rtol=1e-4)
