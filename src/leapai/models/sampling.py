"""Bilinear sampling as weighted row sums: the one gather that view transfer and decoder share.

A feature map becomes a table of rows, padded by a border of zeros. A sample is four rows (taps) and
four weights; a weighted sum of samples is then one `embedding_bag`, which every backend has as a
fused kernel. No [samples, channels] tensor is ever formed, which is where deformable attention
written with `grid_sample` spends its time and memory. Sums are in float32.
`tests/models/test_sampling.py` keeps the `grid_sample` twin.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from leapai.models.precision import in_float32

_EXPORTED_WIDTH = 64
"""Columns of rows that an exported graph samples at once: it forms a [samples, columns] tensor,
which would take 700 MB for all columns of the full-size network."""
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
    if torch.compiler.is_exporting():  # other runtimes have no `embedding_bag`
        parts = torch.split(rows, _EXPORTED_WIDTH, 1)
        return torch.cat([(weight[:, None] @ F.embedding(index, part))[:, 0] for part in parts], 1)
    if _learns_on_cpu(rows, weight):
        sums: Tensor = _WeightedRows.apply(rows, index, weight)
        return sums
    return F.embedding_bag(index, rows, mode="sum", per_sample_weights=weight)


def attended(
    value: Tensor, location: Tensor, attention: Tensor, map_index: Tensor, size: tuple[int, int]
) -> Tensor:
    """Sums what heads attend to, deformably -> [G, C]. Letters: G groups, K heads, P points.

    `value` [R, C] of `to_rows` maps of `size`, of whose channels each head has its share;
    `location` [..., K, P, 2] in cells, `attention` [..., K, P], `map_index` as `bilinear_taps`
    takes it; G is the number of all that stands before K.
    """
    heads, points = attention.shape[-2:]
    index, weight = bilinear_taps(location, map_index, size)
    weight = weight * attention[..., None]
    shape = (-1, heads, points * 4)
    index, weight = index.view(shape), weight.view(shape)
    if torch.compiler.is_exporting():  # one head after another, so that one's samples exist at once
        of_heads = value.view(len(value), heads, -1).unbind(1)
        sums = [weighted_rows(v, index[:, k], weight[:, k]) for k, v in enumerate(of_heads)]
        return torch.cat(sums, 1)
    head = torch.arange(heads, device=value.device, dtype=torch.int32)
    rows = value.view(-1, value.shape[1] // heads)  # one row a head
    index = (index * heads + head[:, None]).flatten(0, 1)
    sampled: Tensor = weighted_rows(rows, index, weight.flatten(0, 1))
    return sampled.view(-1, value.shape[1])


class _WeightedRows(torch.autograd.Function):
    """`weighted_rows` whose gradient of the rows is a weighted sum of rows, too, and that of the
    weights a product of matrices at some of its elements."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, index: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(rows, index, weight)
        return F.embedding_bag(index, rows, mode="sum", per_sample_weights=weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, Tensor | None]:
        rows, index, weight = ctx.saved_tensors
        of_rows, of_weight = ctx.needs_input_grad[0], ctx.needs_input_grad[2]
        return (
            _scattered(gradient, index, weight, len(rows)) if of_rows else None,
            None,
            _products(rows, index, gradient) if of_weight else None,
        )


def _scattered(groups: Tensor, index: Tensor, weight: Tensor, count: int) -> Tensor:
    """Adds weight [G, T] times groups [G, C] to rows index [G, T] of zeros -> [count, C]."""
    row, order = index.flatten().sort(stable=True)
    first = torch.searchsorted(row, torch.arange(count, device=row.device, dtype=row.dtype))
    of_group = order.div(index.shape[1], rounding_mode="floor")
    by_row = weight.flatten()[order]
    return F.embedding_bag(of_group, groups, first, mode="sum", per_sample_weights=by_row)


def _products(rows: Tensor, index: Tensor, groups: Tensor) -> Tensor:
    """Returns the products [G, T] of rows[index [G, T]] with groups [G, C]: the elements at `index`
    of the matrix of all products."""
    first = torch.arange(0, index.numel() + 1, index.shape[1], dtype=index.dtype)
    zeros, shape = rows.new_zeros(index.numel()), (len(groups), len(rows))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        where = torch.sparse_csr_tensor(
            first, index.flatten(), zeros, shape, check_invariants=False
        )
    products: Tensor = torch.sparse.sampled_addmm(where, groups, rows.t(), beta=0.0)
    return products.values().view(index.shape)


@in_float32
def segment_sum(rows: Tensor, offsets: Tensor, weight: Tensor | None = None) -> Tensor:
    """Sums of consecutive rows [M, C] -> [G, C]; segment g holds rows offsets[g] up to offsets[g +
    1].

    `offsets` [G] of the segments' first rows; empty segments give zeros.
    """
    if rows.shape[0] == 0:
        zeros = rows.new_zeros(offsets.shape[0], rows.shape[1])
        return zeros.index_add(0, offsets[:0], rows)  # a part of the graph, as above
    if torch.compiler.is_exporting():
        weighted = rows if weight is None else rows * weight[:, None]
        sums_of = rows.new_zeros(offsets.shape[0], rows.shape[1])
        return sums_of.index_add(0, _segments(offsets, rows), weighted)
    if _learns_on_cpu(rows, weight):
        sums: Tensor = _SegmentSum.apply(rows, offsets, weight)
        return sums
    index = torch.arange(rows.shape[0], device=rows.device, dtype=offsets.dtype)
    return F.embedding_bag(index, rows, offsets, mode="sum", per_sample_weights=weight)


def _segments(offsets: Tensor, rows: Tensor) -> Tensor:
    """Returns the segment [M] of each of M rows: how many segments start up to it, less one."""
    starts = offsets.new_zeros(rows.shape[0] + 1)
    starts = starts.index_add(0, offsets, torch.ones_like(offsets))
    return starts.cumsum(0)[:-1] - 1


def _learns_on_cpu(rows: Tensor, weight: Tensor | None) -> bool:
    """Returns whether gradients are needed on a CPU: there those of `embedding_bag`, which sort and
    take one product at a time, are three times slower than those below."""
    learns = rows.requires_grad or (weight is not None and weight.requires_grad)
    return rows.is_cpu and learns and torch.is_grad_enabled()


class _SegmentSum(torch.autograd.Function):
    """`segment_sum` with the gradient of consecutive rows, which needs no sorting: each row's is
    that of its segment."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, offsets: Tensor, weight: Tensor | None) -> Tensor:
        ctx.save_for_backward(rows, offsets, weight)
        index = torch.arange(rows.shape[0], device=rows.device, dtype=offsets.dtype)
        return F.embedding_bag(index, rows, offsets, mode="sum", per_sample_weights=weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, Tensor | None]:
        rows, offsets, weight = ctx.saved_tensors
        counts = torch.diff(offsets, append=offsets.new_full((1,), len(rows)))
        of_rows = gradient.repeat_interleave(counts, 0, output_size=len(rows))
        if weight is None:
            return of_rows, None, None
        return of_rows * weight[:, None], None, (of_rows * rows).sum(1)
