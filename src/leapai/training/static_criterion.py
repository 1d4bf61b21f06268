"""The loss of the static task for a frame: logits and rasters -> named parts and their sum.

Letters: B streams, K = 14 classes, R x W the cells of the region.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from leapai.config.schema import TaskConfig
from leapai.models.tensors import FrameBatch, StaticPredictions, moved
from leapai.training import static_losses
from leapai.training.criterion import Parts, summed
from leapai.types import STATIC_CLASSES


@dataclass(frozen=True)
class StaticTargets:
    """Ground truth of all streams."""

    planes: Tensor
    """[B, K, R, W] bool."""
    known: Tensor
    """[B, K] bool: the stream's map has labels of the class; other classes have no loss."""


def static_targets(batch: FrameBatch, config: TaskConfig) -> StaticTargets:
    """Returns the ground truth of the frames that a batch was made of, on its device."""
    region = config.static.region()
    shape = (batch.streams, len(STATIC_CLASSES), region.rows, region.columns)
    planes, known = np.zeros(shape, bool), np.zeros(shape[:2], bool)
    for stream, frame in enumerate(batch.frames):
        labels = frame.static_labels
        if labels is not None:
            np.concatenate([labels.lane_markings, labels.road_elements], out=planes[stream])
            known[stream] = labels.known
    device = batch.timestamp_us.device
    return StaticTargets(*(moved(torch.from_numpy(values), device) for values in (planes, known)))


class StaticCriterion:
    """Predictions and ground truth -> named parts of the loss and their sum."""

    def __init__(self, config: TaskConfig) -> None:
        self.loss = config.loss.static
        self.task_weight = config.task_loss_weights["static"]

    def __call__(self, predictions: StaticPredictions, targets: StaticTargets) -> Parts:
        """Returns weighted parts (detached) and their "total", scaled by the task's weight.

        Cross-entropy: of each class its sum over streams divided by the weighted number of its
        cells on all ranks, so that a rare class counts as much as a frequent one; then the mean
        over classes. Dice: the mean over the classes that there are in a stream. The total is not
        finite wherever a logit is not.
        """
        logits, gt, known = predictions.logits.float(), targets.planes, targets.known
        all_cells = gt.sum((2, 3))  # [B, K]
        cells = all_cells * known
        counts, ranks = summed(
            torch.stack([cells.sum(0), known.sum(0) * gt[0, 0].numel(), (cells > 0).sum(0)])
        )
        positive, of = counts[:2].float()
        weight = static_losses.positive_weight(positive, of - positive)
        per_class = weight * positive.clamp(min=self.loss.min_cells) / ranks
        entropy, right, squares = static_losses.cell_sums(logits, gt, weight)
        overlap = static_losses.dice(right, squares, all_cells)
        parts = {
            "static_cross_entropy": self.loss.cross_entropy_weight
            * (_where(known, entropy).sum(0) / per_class).mean(),
            "static_dice": self.loss.dice_weight
            * (_where(cells > 0, overlap).sum() / (counts[2].sum().clamp(min=1) / ranks)),
        }
        # What no map has labels of costs nothing, but it must show where it is not finite.
        total = self.task_weight * torch.stack(list(parts.values())).sum() + 0.0 * entropy.sum()
        return {name: value.detach() for name, value in parts.items()} | {"total": total}


def _where(mask: Tensor, values: Tensor) -> Tensor:
    return torch.where(mask, values, 0.0)
