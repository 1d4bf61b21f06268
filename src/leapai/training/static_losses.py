"""Losses of the static task, each a function of tensors; `static_criterion` weighs and averages.

Letters: B lanes, K = 14 classes, R x W the cells of the region.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def positive_weight(positive: Tensor, negative: Tensor) -> Tensor:
    """Weight [K] of the cells that are of a class beside those that are not, of which there are so
    many [K]: sqrt(negative / positive), at least 1.

    The whole ratio (Xie & Tu, ICCV 2015, eq. 2) would count a cell as the line's where that is
    still unlikely, and make lines fat; its square root (Mahajan et al., ECCV 2018, section 2.2, for
    images of rare tags) lets rare classes begin without it.
    """
    return (negative.clamp(min=1) / positive.clamp(min=1)).sqrt().clamp(min=1)


def balanced_cross_entropy(logits: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Sums [B, K] over cells of -w y log p - (1 - y) log(1 - p), of logits and truth [B, K, R, W]
    with weights w [K] of a class' own cells (Xie & Tu, ICCV 2015, eq. 2)."""
    cost = F.binary_cross_entropy_with_logits(
        logits, truth.to(logits.dtype), pos_weight=weight[:, None, None], reduction="none"
    )
    return cost.sum((2, 3))


def dice(logits: Tensor, truth: Tensor) -> Tensor:
    """Loss [B, K]: 1 - (2 sum p y + 1) / (sum p^2 + sum y + 1) over cells (Milletari et al., 3DV
    2016, section 3, smoothed by 1), of logits and truth [B, K, R, W].

    It weighs what is right against what is said and what is true, however few cells those are: a
    thin line counts as much as an area.
    """
    said = logits.sigmoid()
    right = (said * truth).sum((2, 3))
    total = said.square().sum((2, 3)) + truth.sum((2, 3))
    return 1 - (2 * right + 1) / (total + 1)
