"""Weighted row sums against `grid_sample`, forward and backward."""

import pytest
import torch
import torch.nn.functional as F

from leapai.models import sampling


def twin(maps, xy, map_index):
    """One `grid_sample` call a sample: [..., C]."""
    height, width = maps.shape[-2:]
    grid = torch.stack([(xy[..., 0] + 0.5) / width, (xy[..., 1] + 0.5) / height], -1) * 2 - 1
    samples = [
        F.grid_sample(maps[m][None], g[None, None, None], align_corners=False)[0, :, 0, 0]
        for g, m in zip(grid.flatten(0, -2), map_index.flatten(), strict=True)
    ]
    return torch.stack(samples).view(*xy.shape[:-1], -1)


def test_agrees_with_grid_sample_inside_at_and_beyond_the_border():
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(2, 3, 5, 7, generator=generator)
    xy = torch.rand(40, 4, 2, generator=generator) * torch.tensor([13.0, 11.0]) - 3
    # Near cell centres, not on them: there the bilinear kernel has a kink and no one gradient.
    xy[0] = torch.tensor([[0.01, 0.01], [5.99, 3.99], [-0.5, 2.3], [1e4, -1e4]])
    map_index = torch.randint(0, 2, (40, 4), generator=generator)
    weight = torch.rand(40, 4, generator=generator)
    inputs = [maps, xy, weight]
    gradients = []
    for sample in (sampled, slow):
        leaves = [x.clone().requires_grad_() for x in inputs]
        out = sample(*leaves, map_index)
        gradients.append((out.detach(), *torch.autograd.grad((out**2).sum(), leaves)))
    for fast, obvious in zip(*gradients, strict=True):
        torch.testing.assert_close(fast, obvious, atol=1e-4, rtol=1e-4)


def sampled(maps, xy, weight, map_index):
    index, bilinear = sampling.bilinear_taps(xy, map_index, tuple(maps.shape[-2:]))
    taps = (bilinear * weight[..., None]).flatten(1)
    return sampling.weighted_rows(sampling.to_rows(maps), index.flatten(1), taps)


def slow(maps, xy, weight, map_index):
    return (twin(maps, xy, map_index) * weight[..., None]).sum(1)


def test_segment_sum_equals_a_loop_with_empty_segments():
    rows = torch.arange(12.0).view(6, 2).requires_grad_()
    weight = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    offsets = torch.tensor([0, 0, 2, 6, 6])
    got = sampling.segment_sum(rows, offsets, weight)
    ends = [*offsets.tolist()[1:], 6]
    for g, (low, high) in enumerate(zip(offsets.tolist(), ends, strict=True)):
        expected = (rows[low:high] * weight[low:high, None]).sum(0)
        torch.testing.assert_close(got[g], expected)
    assert sampling.segment_sum(rows[:0], offsets * 0).shape == (5, 2)


def gradients(sums, *inputs):
    """Gradients of a sum in which every element has its own weight."""
    generator = torch.Generator().manual_seed(1)
    upstream = torch.randn(sums.shape, generator=generator)
    return torch.autograd.grad(sums, inputs, upstream)


@pytest.mark.parametrize("groups", [1, 7, 90])
def test_gradients_of_weighted_rows_are_those_of_the_gathered_rows(groups):
    """Some rows are in no group, some twice in one."""
    generator = torch.Generator().manual_seed(groups)
    rows = torch.randn(40, 6, generator=generator).requires_grad_()
    index = torch.randint(0, 30, (groups, 5), generator=generator, dtype=torch.int32)
    index[:, 1] = index[:, 0]
    weight = torch.rand(groups, 5, generator=generator).requires_grad_()
    fast = sampling.weighted_rows(rows, index, weight)
    slow = (rows[index.long()] * weight[..., None]).sum(1)
    torch.testing.assert_close(fast, slow)
    for ours, expected in zip(
        gradients(fast, rows, weight), gradients(slow, rows, weight), strict=True
    ):
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("weighted", [True, False])
def test_gradients_of_segment_sums_are_those_of_a_loop(weighted):
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(9, 4, generator=generator).requires_grad_()
    weight = torch.rand(9, generator=generator).requires_grad_() if weighted else None
    offsets, ends = [0, 0, 2, 7, 9, 9], [0, 2, 7, 9, 9, 9]
    values = rows if weight is None else rows * weight[:, None]
    slow = torch.stack([values[a:b].sum(0) for a, b in zip(offsets, ends, strict=True)])
    fast = sampling.segment_sum(rows, torch.tensor(offsets), weight)
    inputs = (rows,) if weight is None else (rows, weight)
    for ours, expected in zip(gradients(fast, *inputs), gradients(slow, *inputs), strict=True):
        torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("exporting", [False, True])
def test_what_heads_attend_to_is_a_sum_of_samples_of_their_channels(monkeypatch, exporting):
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: exporting)
    generator = torch.Generator().manual_seed(2)
    heads, points, maps = 3, 5, torch.randn(2, 12, 6, 8, generator=generator)
    location = torch.rand(7, heads, points, 2, generator=generator) * 10 - 1
    attention = torch.rand(7, heads, points, generator=generator)
    map_index = torch.randint(0, 2, (7, 1, 1), generator=generator, dtype=torch.int32)
    value = sampling.to_rows(maps)
    found = sampling.attended(value, location, attention, map_index, (6, 8))
    samples = twin(maps, location, map_index.expand(7, heads, points))  # [7, K, P, C]
    weighted = (samples * attention[..., None]).sum(2).view(7, heads, heads, 4)
    expected = torch.cat([weighted[:, k, k] for k in range(heads)], 1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_an_exported_graph_samples_wide_rows_a_part_at_a_time(monkeypatch):
    generator = torch.Generator().manual_seed(3)
    rows = torch.randn(30, 150, generator=generator)
    index, weight = torch.randint(0, 30, (9, 4)), torch.rand(9, 4, generator=generator)
    expected = sampling.weighted_rows(rows, index, weight)
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    widths, embedding = [], F.embedding
    monkeypatch.setattr(
        F, "embedding", lambda i, part: widths.append(part.shape[1]) or embedding(i, part)
    )
    torch.testing.assert_close(sampling.weighted_rows(rows, index, weight), expected)
    assert widths == [64, 64, 22]
