"""Losses of the trunk by itself: what each sensor shows alone, without what the other explains.

Depth and class of the cells of the cameras' feature maps (`data.pixel_labels`), and heat maps of
object centres on the BEV of the cameras and on that of the LiDAR.

Letters: B streams, N cameras, H W size of a feature map, D depth bins, K labelled cells.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from leapai.config.schema import TaskConfig
from leapai.models.pixel_head import DepthBins
from leapai.models.tensors import AuxiliaryPredictions, FrameBatch, PixelPredictions, moved
from leapai.training import losses
from leapai.training.criterion import Parts, mean_count
from leapai.training.targets import Targets, visible_objects


class AuxiliaryCriterion:
    """Auxiliary predictions and ground truth -> named parts of the loss and their sum."""

    def __init__(self, config: TaskConfig) -> None:
        self.loss, self.grid = config.loss, config.bev.grid()

    def __call__(
        self, predictions: AuxiliaryPredictions, batch: FrameBatch, targets: Sequence[Targets]
    ) -> Parts:
        """Returns weighted parts (detached) and their "total". What nobody labelled costs
        nothing."""
        parts: Parts = {}
        if predictions.pixels is not None:
            parts |= self._pixel_parts(predictions.pixels, batch)
        if predictions.heat_maps is not None:
            parts |= self._heat_parts(predictions.heat_maps, batch, targets)
        total = torch.stack(list(parts.values())).sum()
        return {name: value.detach() for name, value in parts.items()} | {"total": total}

    def _pixel_parts(self, pixels: PixelPredictions, batch: FrameBatch) -> Parts:
        depth_m, class_id = _pixel_labels(batch, pixels)
        known = depth_m.isfinite()  # [B * N, H, W]
        bins = DepthBins(pixels.depth.shape[1])
        low, share = (v[:, None] for v in bins.between(torch.where(known, depth_m, 1.0)))
        log_p = pixels.depth.float().log_softmax(1)  # [B * N, D, H, W]
        log_p = (1 - share) * log_p.gather(1, low) + share * log_p.gather(1, low + 1)
        depth = -torch.where(known, log_p[:, 0], 0.0).sum()
        classes = torch.arange(pixels.classes.shape[1], device=class_id.device)[:, None, None]
        one_hot = ((class_id[:, None] == classes) & known[:, None]).float()  # [B * N, K, H, W]
        gamma = self.loss.focal_gamma
        cost = losses.focal(pixels.classes.float(), one_hot, self.loss.focal_alpha, gamma)
        cost = torch.where(known[:, None], cost, 0.0)
        per_cell, per_object_cell = mean_count(torch.stack([known.sum(), one_hot.sum()]).float())
        return {
            "depth": self.loss.depth_weight * depth / per_cell,
            "pixel_class": self.loss.pixel_class_weight * cost.sum() / per_object_cell,
        }

    def _heat_parts(self, logits: Tensor, batch: FrameBatch, targets: Sequence[Targets]) -> Parts:
        seen = visible_objects(targets).to(logits.device)
        centres = losses.centre_map(*seen, len(targets), self.grid, logits.shape[2])
        labelled = moved(torch.tensor([each.labelled for each in targets]), logits.device)
        present = [batch.camera_valid.any(1), batch.lidar_valid]
        per_centre = mean_count(labelled.new_full((), len(seen.stream), dtype=torch.float32))
        parts = {}
        for name, of_sensor, here in zip(("camera", "lidar"), logits, present, strict=False):
            used = (labelled & here)[:, None, None, None]
            cost = losses.centre_focal(of_sensor.float(), centres) * used
            parts[f"{name}_heat_map"] = self.loss.dense_weight * cost.sum() / per_centre
        return parts


def _pixel_labels(batch: FrameBatch, pixels: PixelPredictions) -> tuple[Tensor, Tensor]:
    """Returns depth, NaN where not labelled, and class [B * N, H, W] of the cells."""
    if batch.pixel_depth_m is None or batch.pixel_class is None:
        nothing = torch.full_like(pixels.depth[:, 0], torch.nan)
        return nothing, torch.zeros_like(nothing, dtype=torch.int64)
    return batch.pixel_depth_m.flatten(0, 1), batch.pixel_class.flatten(0, 1)
