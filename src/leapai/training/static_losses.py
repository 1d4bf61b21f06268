"""Losses of the static task, each a function of tensors; `static_criterion` weighs and averages.

Letters: B streams, K = 14 classes, R x W the cells of the region.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_TOGETHER = 64
"""Factors of 1 to 2 whose product is formed before its logarithm: at most 2^64."""
MARK_THRESHOLD = 0.1
"""Probability from which on a cell counts as marked with a class."""


def positive_weight(positive: Tensor, negative: Tensor) -> Tensor:
    """Returns the weight [K] of the cells that are of a class, relative to those that are not, from
    the numbers [K] of both: sqrt(negative / positive), at least 1.

    The whole ratio (Xie & Tu, ICCV 2015, eq. 2) would count a cell as the line's where that is
    still unlikely, and make lines fat; its square root (Mahajan et al., ECCV 2018, section 2.2, for
    images of rare tags) lets rare classes begin without it.
    """
    return (negative.clamp(min=1) / positive.clamp(min=1)).sqrt().clamp(min=1)


def cell_sums(logits: Tensor, gt: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns three sums [B, K] over cells, of logits and ground truth [B, K, R, W].

    The cross-entropy -w y log p - (1 - y) log(1 - p) with weights w [K] of a class' own cells
    (Xie & Tu, ICCV 2015, eq. 2), p y, and p^2.
    """
    entropy, right, squares = _CellSums.apply(logits, gt, weight)
    return entropy, right, squares


class _CellSums(torch.autograd.Function):
    """`cell_sums` with its gradients in closed form. On a CPU one stream at a time, which its cache
    holds: the planes of all streams are the largest tensors of a step."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, gt: Tensor, weight: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        ctx.save_for_backward(logits, gt, weight)
        parts = [_sums_of(x, y, weight) for x, y in _parts(logits, gt)]
        entropy, right, squares = (torch.cat(sums) for sums in zip(*parts, strict=True))
        return entropy, right, squares

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        logits, gt, weight = ctx.saved_tensors
        parts = zip(_parts(logits, gt), _parts(*(g[..., None] for g in gradients)), strict=True)
        slopes = [_slope(x, y, weight, of) for (x, y), of in parts]
        return torch.cat(slopes).view_as(logits), None, None


def _parts(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Splits tensors [B, K, ...] into those of single streams on a CPU; cells become one axis."""
    size = 1 if tensors[0].is_cpu else len(tensors[0])
    return zip(*(torch.split(tensor.flatten(2), size) for tensor in tensors), strict=True)


def _sums_of(x: Tensor, gt: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns `cell_sums` of logits [B, K, N]. With u = exp(-|x|), -log p is max(-x, 0) + log(1 +
    u), and -log(1 - p) is max(x, 0) + log(1 + u)."""
    y, p = gt.to(x.dtype), x.sigmoid()
    u, above = (-x.abs()).exp(), x.relu()
    of_class = u * y
    positive = ((above - x) * y).sum(-1) + _sum_log1p(of_class)
    negative = (above * (1 - y)).sum(-1) + _sum_log1p(u - of_class)
    return weight * positive + negative, (p * y).sum(-1), p.square().sum(-1)


def _slope(x: Tensor, gt: Tensor, weight: Tensor, of: tuple[Tensor, ...]) -> Tensor:
    """Returns the gradient of logits [B, K, N] from those `of` the three sums [B, K, 1]."""
    y, p = gt.to(x.dtype), x.sigmoid()
    of_entropy, of_right, of_squares = of
    entropy = p + y * (p * (weight[:, None] - 1) - weight[:, None])
    return of_entropy * entropy + (of_right * y + 2 * of_squares * p) * (p - p.square())


def _sum_log1p(u: Tensor) -> Tensor:
    """Returns the sums [B, K] of log(1 + u) of u [B, K, N] in [0, 1], with one logarithm for
    `_TOGETHER` cells: logarithms are what takes time."""
    padded = F.pad(u, (0, -u.shape[-1] % _TOGETHER))
    products = (1 + padded).view(*u.shape[:-1], _TOGETHER, -1).prod(-2)
    return products.log().sum(-1)


def dice(right: Tensor, squares: Tensor, cells: Tensor) -> Tensor:
    """Returns the loss [B, K]: 1 - (2 sum p y + 1) / (sum p^2 + sum y + 1) over cells (Milletari et
    al., 3DV 2016, section 3, smoothed by 1), of these three sums [B, K].

    It weighs correct cells against predicted and true ones, however few those are: a thin line
    counts as much as an area.
    """
    return 1 - (2 * right + 1) / (squares + cells + 1)


def flicker_sums(
    now: Tensor, before: Tensor, cell: Tensor, covered: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns the sums behind the flip rate (`evaluation.map.map_flicker`), with probabilities for
    marks: by class, sums [K] of max(0, p now - highest p before of the 3 x 3 cells there) and
    of max(0, p before - highest p now of the 3 x 3 cells here), over marked cells; and sums
    [K] of the marked probabilities in both.

    Probabilities `now` and `before` [B, K, R, W]; row and column [B, R, W, 2] int64 of each cell of
    now in the grid of before, and whether that covers it [B, R, W]. Gradients reach `now` only.
    """
    before, covered = before.detach(), covered[:, None]
    row, column = cell.unbind(-1)
    index = (row * now.shape[3] + column).flatten(1)[:, None].expand(-1, now.shape[1], -1)
    there = before.flatten(2).gather(2, index).view_as(now)
    flipped, marked = now.new_zeros(2, now.shape[1])
    for ours, others, around in ((now, before, cell), (there, now, None)):
        stream, kind, i, j = ((ours >= MARK_THRESHOLD) & covered).nonzero().unbind(1)
        at = (i, j) if around is None else around[stream, i, j].unbind(-1)
        value = ours[stream, kind, i, j]
        flip = (value - _highest_around(others, stream, kind, *at)).clamp(min=0)
        flipped = flipped.index_add(0, kind, flip)
        marked = marked.index_add(0, kind, value.detach())
    return flipped, marked


def _highest_around(values: Tensor, stream: Tensor, kind: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """Returns the highest of the 3 x 3 cells about cells [M] of values [B, K, R, W]; zero beyond
    them."""
    padded = F.pad(values, (1, 1, 1, 1))
    _, kinds, rows, columns = padded.shape
    first = ((stream * kinds + kind) * rows + i) * columns + j
    step = torch.arange(3, device=values.device)
    index = first[:, None] + (step[:, None] * columns + step).flatten()
    flat = padded.flatten()
    best = flat.detach()[index].argmax(1, keepdim=True)
    return flat[index.gather(1, best)[:, 0]]
