"""Bilinear sampling as weighted row sums: the one gather that view transfer and decoder share.

A feature map becomes a table of rows, padded by a border of zeros. A sample is four rows (taps) and
four weights; a weighted sum of samples is then one `embedding_bag`, which every backend has as a
fused kernel. No [samples, channels] tensor is ever formed, which is where deformable attention
written with `grid_sample` spends its time and memory. Sums are in float32.
`tests/models/test_sampling.py` keeps the `grid_sample` twin.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from leapai.models.precision import in_float32

PAD_LOW, PAD_HIGH = 1, 2
"""Zero rows before and after each axis: a clamped sample then reads zeros and needs no mask."""


def padded_size(height: int, width: int) -> tuple[int, int]:
    """Returns rows and columns of a map [height, width] with its border."""
    return height + PAD_LOW + PAD_HIGH, width + PAD_LOW + PAD_HIGH


def to_rows(maps: Tensor) -> Tensor:
    """Turns maps [M, C, H, W] into rows [M * (H + 3) * (W + 3), C], border zero."""
    padded = F.pad(maps.permute(0, 2, 3, 1), (0, 0, PAD_LOW, PAD_HIGH, PAD_LOW, PAD_HIGH))
    return padded.reshape(-1, maps.shape[1])


def bilinear_taps(
    xy: Tensor, map_index: Tensor | int, size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Returns where to read `to_rows` for samples at xy [..., 2] in cells; the centre of the first
    cell is (0, 0).

    `map_index` [...] selects the map. Samples outside read zeros, as `grid_sample` with zero
    padding. Returns row indices [..., 4] int32 and weights [..., 4], differentiable in xy.
    """
    height, width = size
    padded_height, padded_width = padded_size(height, width)
    x = xy[..., 0].clamp(-1, width)
    y = xy[..., 1].clamp(-1, height)
    x0, y0 = x.detach().floor(), y.detach().floor()
    fx, fy = x - x0, y - y0
    first = (y0.int() + PAD_LOW) * padded_width + (x0.int() + PAD_LOW)
    first = first + map_index * (padded_height * padded_width)
    index = torch.stack([first, first + 1, first + padded_width, first + padded_width + 1], -1)
    bottom, top = fy, 1 - fy
    left, right = 1 - fx, fx
    weight = torch.stack([top * left, top * right, bottom * left, bottom * right], -1)
    return index, weight


@in_float32
def weighted_rows(rows: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """Sums weight [G, T] times rows[index [G, T]] -> [G, C]."""
    if index.shape[0] == 0:
        return rows[:0]  # a part of the graph: gradients of all ranks meet in what comes before
    return F.embedding_bag(index, rows, mode="sum", per_sample_weights=weight)


@in_float32
def segment_sum(rows: Tensor, offsets: Tensor, weight: Tensor | None = None) -> Tensor:
    """Sums of consecutive rows [M, C] -> [G, C]; segment g holds rows offsets[g] up to offsets[g +
    1].

    `offsets` [G] of the segments' first rows; empty segments give zeros.
    """
    if rows.shape[0] == 0:
        zeros = rows.new_zeros(offsets.shape[0], rows.shape[1])
        return zeros.index_add(0, offsets[:0], rows)  # a part of the graph, as above
    index = torch.arange(rows.shape[0], device=rows.device, dtype=offsets.dtype)
    return F.embedding_bag(index, rows, offsets, mode="sum", per_sample_weights=weight)
