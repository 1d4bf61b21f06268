"""What is said of a place of the road should be said again a frame later: the loss of flips."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from leapai.config import TaskConfig
from leapai.evaluation.map.map_flicker import MAX_GAP_S
from leapai.geometry import poses
from leapai.geometry.grid import cells_in
from leapai.models.tensors import FrameBatch, StaticPredictions
from leapai.training.criterion import Parts, summed
from leapai.training.static_losses import flips
from leapai.training.targets import US_PER_S

MAX_GAP_US = round(MAX_GAP_S * US_PER_S)
"""As the judge has it."""


class Said(NamedTuple):
    """What was said of the last frame of each stream."""

    probability: Tensor
    """[B, K, R, W] float16."""
    ego2global: Tensor
    """[B, 4, 4] float64."""
    timestamp_us: Tensor
    """[B] int64."""


class TemporalConsistencyLoss:
    """Answers of successive frames -> the share of what is said that comes or goes.

    Truth has no part in it, so that frames without a map count, too. It keeps the last answer.
    """

    def __init__(self, config: TaskConfig) -> None:
        self.weight = config.loss.static.steadiness_weight
        self.task_weight = config.task_loss_weights["static"]
        self.min_cells = config.loss.static.min_cells
        self.grid = config.static.region()
        self.last: Said | None = None

    def remember(self, predictions: StaticPredictions, batch: FrameBatch) -> Tensor:
        """Keeps the answer for the frame to come; returns its probabilities."""
        said = predictions.logits.float().sigmoid()
        self.last = Said(said.detach().half(), batch.ego2global, batch.timestamp_us)
        return said

    def __call__(self, predictions: StaticPredictions, batch: FrameBatch) -> Parts:
        """The weighted part (detached) and its "total", scaled by the task's weight: the mean over
        classes of flips over all that was said of a class on all ranks, of which there are at
        least `min_cells`. Zero in streams that have no frame before."""
        last = self.last
        said = self.remember(predictions, batch)
        if last is None:
            last = Said(said.detach().half(), batch.ego2global, batch.timestamp_us)
        gap_us = batch.timestamp_us - last.timestamp_us
        follows = (gap_us > 0) & (gap_us <= MAX_GAP_US) & ~batch.is_first
        eye = torch.eye(4, dtype=torch.float64, device=follows.device)
        then_from_now = poses.invert(last.ego2global) @ batch.ego2global
        then_from_now = torch.where(follows[:, None, None], then_from_now, eye).float()
        cell, inside = cells_in(self.grid, then_from_now)
        shape = (len(said), self.grid.rows, self.grid.columns)
        cell = cell.floor().long().flip(-1).view(*shape, 2)
        covered = (inside & follows[:, None]).view(shape)
        flipped, of = flips(said, last.probability.float(), cell, covered)
        of, ranks = summed(of)
        part = self.weight * (flipped / of.clamp(min=self.min_cells)).mean() * ranks
        return {"static_steadiness": part.detach(), "total": self.task_weight * part}

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {} if self.last is None else self.last._asdict()

    def restore(self, state: dict[str, Any], device: torch.device) -> None:
        """Goes on from `state()`."""
        self.last = Said(*(state[name].to(device) for name in Said._fields)) if state else None
