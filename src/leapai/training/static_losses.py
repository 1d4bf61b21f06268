"""Losses of the static task, each a function of tensors; `static_criterion` weighs and averages.

Letters: B streams, K = 14 classes, R x W the cells of the region.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

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


def balanced_cross_entropy(logits: Tensor, gt: Tensor, weight: Tensor) -> Tensor:
    """Returns sums [B, K] over cells of -w y log p - (1 - y) log(1 - p), of logits and ground truth
    [B, K, R, W] with weights w [K] of a class' own cells (Xie & Tu, ICCV 2015, eq. 2)."""
    cost = F.binary_cross_entropy_with_logits(
        logits, gt.to(logits.dtype), pos_weight=weight[:, None, None], reduction="none"
    )
    return cost.sum((2, 3))


def dice(logits: Tensor, gt: Tensor) -> Tensor:
    """Returns the loss [B, K]: 1 - (2 sum p y + 1) / (sum p^2 + sum y + 1) over cells (Milletari et
    al., 3DV 2016, section 3, smoothed by 1), of logits and ground truth [B, K, R, W].

    It weighs correct cells against predicted and true ones, however few those are: a thin line
    counts as much as an area.
    """
    probability = logits.sigmoid()
    right = (probability * gt).sum((2, 3))
    total = probability.square().sum((2, 3)) + gt.sum((2, 3))
    return 1 - (2 * right + 1) / (total + 1)


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
