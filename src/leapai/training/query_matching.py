"""Matching of queries with objects: one optimal assignment a layer and stream (DETR; Carion et al.,
ECCV 2020, eq. 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from leapai.config.training import LossConfig
from leapai.models.tensors import DenoisingQueries, LayerOutputs, Tensors, moved
from leapai.training.losses import MIN_SIZE_M
from leapai.training.targets import Targets

WORST_COST = 1e6
"""Stands for a cost that is not a number: SciPy refuses NaN."""


@dataclass(frozen=True)
class Assignment(Tensors):
    """M pairs of a query and an object."""

    layer: Tensor
    """[M] int64."""
    stream: Tensor
    """[M] int64."""
    query: Tensor
    """[M] int64."""
    target: Tensor
    """[M] int64, into the objects of all streams one after another (`Targets.joined`)."""

    def __len__(self) -> int:
        return len(self.target)

    def pick(self, outputs: Tensor) -> Tensor:
        """Selects the predictions of the paired queries: [L, B, Q, ...] -> [M, ...]."""
        return outputs[self.layer, self.stream, self.query]


def class_costs(class_logits: Tensor, alpha: float, gamma: float) -> Tensor:
    """Returns the cost [..., 8] of each class for a query: focal loss of yes minus that of no
    (Deformable DETR; Zhu et al., ICLR 2021)."""
    yes, no = F.logsigmoid(class_logits), F.logsigmoid(-class_logits)
    return (1 - alpha) * torch.exp(gamma * yes) * no - alpha * torch.exp(gamma * no) * yes


@torch.no_grad()
def pairing_costs(
    outputs: LayerOutputs, centre_m: Tensor, gt: Targets, counts: Sequence[int], loss: LossConfig
) -> Tensor:
    """Returns the cost [L, B, Q, T] of each query, with centres [L, B, Q, 3] in metres, for each
    object of its stream, padded to T = max(counts) with zeros. `gt`: the objects of all streams
    together."""
    box = torch.cat([gt.boxes[:, :3], gt.boxes[:, 3:6].clamp(min=MIN_SIZE_M).log()], -1)
    padded_box = _padded(box, counts)  # [B, T, 6]
    padded_class = _padded(gt.class_id, counts)  # [B, T]
    predicted_box = torch.cat([centre_m, outputs.regression[..., 3:6].float()], -1)
    classes = class_costs(outputs.class_logits.float(), loss.focal_alpha, loss.focal_gamma)
    index = padded_class[None, :, None].expand(*classes.shape[:3], -1)
    distance = torch.cdist(predicted_box, padded_box.expand(len(predicted_box), -1, -1, -1), p=1)
    return loss.matching.classes * classes.gather(-1, index) + loss.matching.box * distance


def _padded(values: Tensor, counts: Sequence[int]) -> Tensor:
    """Pads each stream with zeros: [sum(counts), ...] -> [B, max(counts), ...]."""
    streams = list(torch.split(values, list(counts)))
    return torch.nn.utils.rnn.pad_sequence(streams, batch_first=True)


def match(
    outputs: LayerOutputs, centre_m: Tensor, gt: Targets, counts: Sequence[int], loss: LossConfig
) -> Assignment:
    """Finds the cheapest pairing of each layer and stream; arguments as of `pairing_costs`.

    Every object gets a query of its own, as long as there are queries. Outputs that are not finite
    are paired last: they show in the loss, and SciPy would refuse them. The costs of all layers and
    streams come to the host in one copy, the one time that a frame's losses wait.
    """
    device = centre_m.device
    pairs: list[np.ndarray] = [np.zeros((4, 0), np.int64)]
    if sum(counts):
        raw = pairing_costs(outputs, centre_m, gt, counts, loss)
        costs = raw.nan_to_num(WORST_COST, WORST_COST, -WORST_COST).cpu().numpy()
        starts = np.cumsum([0, *counts])
        for layer, stream in np.ndindex(*costs.shape[:2]):
            query, target = linear_sum_assignment(costs[layer, stream, :, : counts[stream]])
            where = [np.full_like(query, layer), np.full_like(query, stream)]
            pairs.append(np.stack([*where, query, target + starts[stream]]))
    return Assignment(*moved(torch.from_numpy(np.concatenate(pairs, 1)), device))


def known(denoising: DenoisingQueries, counts: Sequence[int], layers: int) -> Assignment:
    """Returns the pairing of denoising queries, which is known from their making, in every layer;
    on the CPU, as they are."""
    stream, query = (denoising.valid & (denoising.target >= 0)).nonzero(as_tuple=True)
    starts = torch.tensor([0, *counts], device=stream.device).cumsum(0)
    target = starts[stream] + denoising.target[stream, query]
    layer = torch.arange(layers, device=stream.device).repeat_interleave(len(target))
    return Assignment(layer, stream.repeat(layers), query.repeat(layers), target.repeat(layers))
