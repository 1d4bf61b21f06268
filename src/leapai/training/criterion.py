"""The loss of the dynamic task for a frame (docs/design.md, section 7): pairs predictions with
ground truth, weights, sums, averages.

Letters: L layers, B streams, Q queries, M pairs of all layers and streams together.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor

from leapai.config.schema import TaskConfig
from leapai.geometry import angles
from leapai.models.grid_range import GridRange
from leapai.models.tensors import DenoisingQueries, DynamicPredictions, LayerOutputs, moved
from leapai.training import losses
from leapai.training.query_matching import Assignment, known, match
from leapai.training.targets import Targets, VisibleObjects, visible_objects

Parts = dict[str, Tensor]


def summed(count: Tensor) -> tuple[Tensor, int]:
    """Returns counts [...] summed over ranks, and the number of ranks. All ranks must call."""
    if not (dist.is_available() and dist.is_initialized()):
        return count, 1
    count = count.clone()
    dist.all_reduce(count)
    return count, dist.get_world_size()


def mean_count(count: Tensor) -> Tensor:
    """Returns counts [...] averaged over ranks, never zero.

    Sums of a rank divided by it make gradients whose mean over ranks (what DDP forms) is that of
    the joint batch.
    """
    total, ranks = summed(count)
    return total.clamp(min=1) / ranks


class DynamicCriterion:
    """Predictions and ground truth -> named parts of the loss and their sum."""

    def __init__(self, config: TaskConfig) -> None:
        self.loss = config.loss
        self.grid = config.bev.grid()
        self.range = GridRange(self.grid)
        self.overlap = config.dynamic.angle_overlap
        self.task_weight = config.task_loss_weights["dynamic"]
        vocabulary = config.vocabulary
        self.symmetric_ids = (*vocabulary.half_turn_ids, *vocabulary.round_ids)

    def __call__(
        self,
        predictions: DynamicPredictions,
        targets: Sequence[Targets],
        denoising: DenoisingQueries | None = None,
    ) -> Parts:
        """Returns weighted parts (detached) and their "total", scaled by the task's weight.

        Each is a sum over layers of what is averaged over the objects matched in a layer, on all
        ranks. A stream without labels costs nothing. The total is not finite wherever an output is
        not; such a step must be skipped.
        """
        device = predictions.class_logits.device
        self.range.to(device)
        joined, counts = Targets.joined(targets), [len(stream) for stream in targets]
        gt = joined.to(device)
        labelled = moved(torch.tensor([stream.labelled for stream in targets]), device)

        matched = match(predictions, self._centre_m(predictions), gt, counts, self.loss)
        sums = self._layer_sums(predictions, predictions, gt, matched, labelled[:, None])
        count = torch.zeros(3, device=device)
        count[0] = len(matched) / len(predictions.class_logits)
        denoising_sums: Parts = {}
        if denoising is not None:
            assert predictions.denoising is not None, (
                "denoising queries were given, but not decoded"
            )
            pairs = known(denoising, counts, len(predictions.class_logits)).to(device)
            denoising_sums = self._layer_sums(
                predictions.denoising, predictions, gt, pairs, moved(denoising.valid, device)
            )
            count[1] = len(pairs) / len(predictions.class_logits)
        map_sums: Parts = {}
        if predictions.heat_map is not None:
            seen = visible_objects(targets).to(device)
            map_sums["heat_map"] = self._map_sum(predictions.heat_map, seen, labelled)
            count[2] = len(seen.stream)
        per_object, per_denoising, per_centre = mean_count(
            count
        )  # one exchange, on every rank alike
        parts = {name: value / per_object for name, value in sums.items()}
        parts |= {f"noisy_{name}": value / per_denoising for name, value in denoising_sums.items()}
        parts |= {name: value / per_centre for name, value in map_sums.items()}
        total = self.task_weight * torch.stack(list(parts.values())).sum()
        return {name: value.detach() for name, value in parts.items()} | {"total": total}

    def _centre_m(self, outputs: LayerOutputs) -> Tensor:
        """Decodes the centres [L, B, Q, 3] in metres."""
        return self.range.denormalise(outputs.regression[..., :3].float().sigmoid())

    def _layer_sums(
        self,
        outputs: LayerOutputs,
        predictions: DynamicPredictions,
        gt: Targets,
        pairs: Assignment,
        trained: Tensor,
    ) -> Parts:
        """Returns weighted parts, summed over layers and queries. `trained` [B, Q or 1]: queries
        whose class has a loss."""
        target = pairs.target
        sums = {
            "class": self._class_sum(outputs, gt, pairs, trained) + _zero_if_finite(outputs),
            **self._box_sums(outputs, gt, pairs),
            "occlusion": self._occlusion_sum(outputs, predictions, gt, pairs),
        }
        predicted_mps = pairs.pick(outputs.regression)[:, 6:9].float()
        by_occlusion = moved(torch.tensor(self.loss.velocity_by_occlusion), predicted_mps.device)
        levels, valid = gt.occlusion_level[target], gt.velocity_valid[target]
        true_mps = torch.where(valid[:, None], gt.velocity_mps[target], 0.0)
        cost = losses.velocity(predicted_mps, true_mps, levels, by_occlusion)
        cost = torch.where(valid, cost * gt.weight[target], 0.0)
        sums["velocity"] = self.loss.velocity_weight * cost.sum()
        return sums

    def _class_sum(
        self, outputs: LayerOutputs, gt: Targets, pairs: Assignment, trained: Tensor
    ) -> Tensor:
        logits = outputs.class_logits.float()
        target, weight = torch.zeros_like(logits), torch.ones_like(logits[..., :1])
        where = (pairs.layer, pairs.stream, pairs.query)
        target[(*where, gt.class_id[pairs.target])] = 1.0
        weight[where] = gt.weight[pairs.target, None]
        cost = losses.focal(logits, target, self.loss.focal_alpha, self.loss.focal_gamma)
        return self.loss.class_weight * (cost * weight * trained[..., None]).sum()

    def _box_sums(self, outputs: LayerOutputs, gt: Targets, pairs: Assignment) -> Parts:
        regression = pairs.pick(outputs.regression).float()
        bins = pairs.pick(outputs.angle_logits).float()
        boxes, weight = gt.boxes[pairs.target], gt.weight[pairs.target]
        residual = regression[:, 9:]
        predicted_yaw = angles.decode(bins.detach(), residual.detach())
        class_id = gt.class_id[pairs.target]
        yaw = losses.nearer_yaw(boxes[:, 6], predicted_yaw, class_id, self.symmetric_ids)
        centre_m = self.range.denormalise(regression[:, :3].sigmoid())
        box = losses.centre_and_size(centre_m, regression[:, 3:6], boxes)
        box = box + losses.residual_angle(residual, yaw, self.overlap)
        angle = losses.angle_bin(bins, yaw, self.overlap)
        return {
            "box": self.loss.box_weight * (box * weight).sum(),
            "angle_bin": self.loss.angle_bin_weight * (angle * weight).sum(),
        }

    def _occlusion_sum(
        self,
        outputs: LayerOutputs,
        predictions: DynamicPredictions,
        gt: Targets,
        pairs: Assignment,
    ) -> Tensor:
        level = gt.occlusion_level[pairs.target]
        some_level = level.clamp(min=0)
        score = pairs.pick(outputs.occlusion_score)[:, 0].float()
        cost = losses.occlusion(
            score,
            predictions.occlusion_thresholds,
            some_level,
            self.loss.focal_alpha,
            self.loss.focal_gamma,
        )
        by_level = moved(torch.tensor(self.loss.occlusion_by_level), score.device)
        cost = cost * gt.weight[pairs.target] * by_level[some_level]
        return self.loss.occlusion_weight * torch.where(level >= 0, cost, 0.0).sum()

    def _map_sum(self, logits: Tensor, seen: VisibleObjects, labelled: Tensor) -> Tensor:
        """Returns the loss of the heat map. Its target holds objects that are seen now: a map of
        one frame cannot show others."""
        target = losses.centre_map(*seen, len(labelled), self.grid, logits.shape[1])
        cost = losses.centre_focal(logits.float(), target) * labelled[:, None, None, None]
        return self.loss.heat_map_weight * cost.sum()


def _zero_if_finite(outputs: LayerOutputs) -> Tensor:
    """Returns 0, or NaN where any output is not finite: also an output that no pair picks spoils
    the gradients, so it must show in the loss. It also joins every branch to the graph when there
    is no pair."""
    values = (outputs.regression, outputs.angle_logits, outputs.occlusion_score)
    return 0.0 * torch.stack([value.float().sum() for value in values]).sum()
