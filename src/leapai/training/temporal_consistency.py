"""Temporal consistency loss of the static task: a place should have the same classes in successive
frames."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from leapai.config.schema import TaskConfig
from leapai.evaluation.map.map_flicker import MAX_GAP_S
from leapai.geometry import poses
from leapai.geometry.grid import cells_in
from leapai.models.tensors import FrameBatch, StaticPredictions
from leapai.training.criterion import Parts, summed
from leapai.training.static_losses import flicker_sums
from leapai.training.targets import US_PER_S

MAX_GAP_US = round(MAX_GAP_S * US_PER_S)
"""Longest gap between successive frames, the same as in the metric."""


class LastPredictions(NamedTuple):
    """Predictions of the last frame of each stream."""

    probability: Tensor
    """[B, K, R, W] float16."""
    ego2global: Tensor
    """[B, 4, 4] float64."""
    timestamp_us: Tensor
    """[B] int64."""


class TemporalConsistencyLoss:
    """Predictions of successive frames -> the share of marked cells that appear or disappear.

    It needs no ground truth, so that frames without a map count, too. It keeps the last
    predictions.
    """

    def __init__(self, config: TaskConfig) -> None:
        self.weight = config.loss.static.steadiness_weight
        self.task_weight = config.task_loss_weights["static"]
        self.min_cells = config.loss.static.min_cells
        self.grid = config.static.region()
        self.last: LastPredictions | None = None

    def remember(self, predictions: StaticPredictions, batch: FrameBatch) -> Tensor:
        """Keeps the predictions for the frame to come; returns their probabilities."""
        probability = predictions.logits.float().sigmoid()
        self.last = _kept(probability, batch)
        return probability

    def __call__(self, predictions: StaticPredictions, batch: FrameBatch) -> Parts:
        """Returns the weighted part (detached) and its "total", scaled by the task's weight: the
        mean over classes of flips over all marked probabilities of a class on all ranks, which
        count as `min_cells` at least. Zero in streams that have no frame before."""
        last = self.last
        probability = self.remember(predictions, batch)
        if last is None:
            last = _kept(probability, batch)
        gap_us = batch.timestamp_us - last.timestamp_us
        follows = (gap_us > 0) & (gap_us <= MAX_GAP_US) & ~batch.is_first
        eye = torch.eye(4, dtype=torch.float64, device=follows.device)
        then_from_now = poses.invert(last.ego2global) @ batch.ego2global
        then_from_now = torch.where(follows[:, None, None], then_from_now, eye).float()
        cell, inside = cells_in(self.grid, then_from_now)
        shape = (len(probability), self.grid.rows, self.grid.columns)
        cell = cell.floor().long().flip(-1).view(*shape, 2)
        covered = (inside & follows[:, None]).view(shape)
        flipped, marked = flicker_sums(probability, last.probability.float(), cell, covered)
        marked, ranks = summed(marked)
        part = self.weight * (flipped / marked.clamp(min=self.min_cells)).mean() * ranks
        return {"static_steadiness": part.detach(), "total": self.task_weight * part}

    def state(self) -> dict[str, Any]:
        """Returns the last predictions as tensors by name, for a checkpoint."""
        return {} if self.last is None else self.last._asdict()

    def restore(self, state: dict[str, Any], device: torch.device) -> None:
        """Continues from what `state` returned."""
        fields = LastPredictions._fields
        self.last = LastPredictions(*(state[n].to(device) for n in fields)) if state else None


def _kept(probability: Tensor, batch: FrameBatch) -> LastPredictions:
    return LastPredictions(probability.detach().half(), batch.ego2global, batch.timestamp_us)
