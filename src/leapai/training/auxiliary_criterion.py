"""Losses of the trunk by itself: what each sensor shows alone, without what the other explains.

Depth and class of the cells of the cameras' feature maps come from LiDAR points and the boxes in
which they lie, so that any labelled data with points serves. Heat maps of object centres are
trained on the BEV of the cameras and on that of the LiDAR.

Letters: B streams, N cameras, P points of a stream, H W size of a feature map, D depth bins.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from leapai.config.schema import TaskConfig
from leapai.geometry import boxes as box_geometry
from leapai.geometry import cameras, poses
from leapai.models.camera import STRIDES
from leapai.models.pixel_head import DepthBins
from leapai.models.tensors import AuxiliaryPredictions, FrameBatch, PixelPredictions
from leapai.training import losses
from leapai.training.criterion import Parts, mean_count
from leapai.training.targets import Targets
from leapai.types import CLASS_NAMES

BACKGROUND = len(CLASS_NAMES)
"""Class of a cell whose nearest point lies in no box."""


class AuxiliaryCriterion:
    """Auxiliary predictions and ground truth -> named parts of the loss and their sum."""

    def __init__(self, config: TaskConfig) -> None:
        self.loss, self.grid = config.loss, config.bev.grid()

    def __call__(
        self, predictions: AuxiliaryPredictions, batch: FrameBatch, targets: Sequence[Targets]
    ) -> Parts:
        """Returns weighted parts (detached) and their "total"."""
        parts: Parts = {}
        if predictions.pixels is not None:
            parts |= self._pixel_parts(predictions.pixels, batch)
        if predictions.heat_maps is not None:
            parts |= self._heat_parts(predictions.heat_maps, batch, targets)
        total = torch.stack(list(parts.values())).sum()
        return {name: value.detach() for name, value in parts.items()} | {"total": total}

    def _pixel_parts(self, pixels: PixelPredictions, batch: FrameBatch) -> Parts:
        depth_m, class_id = pixel_targets(batch, pixels.depth.shape[-2:])
        known = depth_m.isfinite()
        position = DepthBins(pixels.depth.shape[1]).position(depth_m[known])
        low = position.floor().clamp(max=pixels.depth.shape[1] - 2).long()
        share = position - low
        log_p = pixels.depth.float().log_softmax(1).permute(0, 2, 3, 1)[known]  # [K, D]
        near, far = (log_p.gather(1, b[:, None])[:, 0] for b in (low, low + 1))
        depth = -((1 - share) * near + share * far).sum()
        logits = pixels.classes.float().permute(0, 2, 3, 1)[known]
        one_hot = F.one_hot(class_id[known], BACKGROUND + 1)[:, :BACKGROUND].float()
        cost = losses.focal(logits, one_hot, self.loss.focal_alpha, self.loss.focal_gamma)
        per_cell, per_object_cell = mean_count(torch.stack([known.sum(), one_hot.sum()]).float())
        return {
            "depth": self.loss.depth_weight * depth / per_cell,
            "pixel_class": self.loss.pixel_class_weight * cost.sum() / per_object_cell,
        }

    def _heat_parts(self, logits: Tensor, batch: FrameBatch, targets: Sequence[Targets]) -> Parts:
        gt, counts = Targets.joined(targets).to(logits.device), [len(stream) for stream in targets]
        stream = torch.arange(len(counts), device=logits.device)
        stream = stream.repeat_interleave(torch.tensor(counts, device=logits.device))
        seen = gt.seen
        centres = losses.centre_map(
            gt.boxes[seen], gt.class_id[seen], stream[seen], len(counts), self.grid
        )
        labelled = torch.tensor([each.labelled for each in targets], device=logits.device)
        present = [batch.camera_valid.any(1), batch.lidar_valid]
        per_centre = mean_count(seen.sum().float())
        parts = {}
        for name, of_sensor, here in zip(("camera", "lidar"), logits, present, strict=False):
            used = (labelled & here)[:, None, None, None]
            cost = losses.centre_focal(of_sensor.float(), centres) * used
            parts[f"{name}_heat_map"] = self.loss.dense_weight * cost.sum() / per_centre
        return parts


@torch.no_grad()
def pixel_targets(batch: FrameBatch, size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Returns for every cell of the feature maps, `size` (H, W), the depth of the nearest point
    that lies in it [B * N, H, W] in metres, NaN where there is none, and the class of the box in
    which that point lies [B * N, H, W], `BACKGROUND` where it lies in none.

    A failed camera has no targets.
    """
    B, N = batch.camera_valid.shape
    height, width = size
    device = batch.points.device
    depth = torch.full((B, N, height * width), torch.inf, device=device)
    class_id = torch.full((B, N, height * width), BACKGROUND, device=device)
    fold = cameras.fold_radius2(batch.distortion.double().cpu().numpy())
    limit = torch.from_numpy(np.asarray(fold)).to(batch.intrinsics)
    camera_from_ego = poses.invert(batch.ego_from_camera)
    for stream in range(B):
        points = batch.points[batch.point_stream == stream, :3]
        of_point = _class_of(points, batch, stream)
        in_camera = poses.apply(camera_from_ego[stream], points[None])  # [N, P, 3]
        pixels, seen = cameras.project_tensor(
            in_camera, batch.intrinsics[stream], batch.distortion[stream], limit[stream]
        )
        column, row = (pixels / STRIDES[0]).floor().long().unbind(-1)
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        seen = seen & inside & batch.camera_valid[stream, :, None]
        cell = torch.where(seen, row * width + column, 0)
        far = torch.where(seen, in_camera[..., 2], torch.inf)
        depth[stream].scatter_reduce_(1, cell, far, "amin")
        nearest = seen & (far == depth[stream].gather(1, cell))
        camera, point = nearest.nonzero(as_tuple=True)
        class_id[stream, camera, cell[camera, point]] = of_point[point]
    depth = torch.where(depth.isfinite(), depth, torch.nan)
    return depth.view(B * N, height, width), class_id.view(B * N, height, width)


def _class_of(points: Tensor, batch: FrameBatch, stream: int) -> Tensor:
    """Returns the class [P] of the box in which each point [P, 3] lies."""
    labels = batch.frames[stream].labels
    of_point = torch.full((len(points),), BACKGROUND, device=points.device)
    if labels is None or not len(labels):
        return of_point
    xyz = points.cpu().numpy().astype(np.float64)
    for box, class_id in zip(labels.boxes, labels.class_id.tolist(), strict=True):
        reach = np.linalg.norm(box[3:6]) / 2
        near = np.flatnonzero((np.abs(xyz - box[:3]) <= reach).all(1))
        inside = box_geometry.points_inside(xyz[near], box[None]).reshape(-1)
        of_point[torch.from_numpy(near[inside]).to(points.device)] = class_id
    return of_point
