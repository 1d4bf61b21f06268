"""Losses of the dynamic task (docs/design.md, section 7), each a function of tensors.

Nothing here depends on queries, streams or layers: `criterion` pairs predictions with ground truth,
weights and sums. M: paired objects of all layers and streams together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from leapai.geometry import angles
from leapai.types import DESIGN, BevGrid

SYMMETRIC_CLASS_IDS = (*DESIGN.half_turn_ids, *DESIGN.round_ids)
"""Barrier and pillar look the same from both sides: their yaw counts modulo pi. nuScenes evaluates
barriers so; the yaw of a pillar means little, but as a cuboid it has this symmetry, too."""
MIN_SIZE_M = 0.01
"""A labelled side shorter than this has no useful logarithm."""


def focal(logits: Tensor, gt: Tensor, alpha: float, gamma: float) -> Tensor:
    """Focal loss of every element: -alpha_t (1 - p_t)^gamma log p_t (Lin et al., ICCV 2017, eq. 5).

    Logits and ground truth in [0, 1] (here 0 or 1) of one shape [...] -> [...]. Written in
    logarithms, so that neither a sure right nor a sure wrong answer loses its gradient.
    """
    signed = torch.where(gt > 0.5, logits, -logits)  # p_t = sigmoid(signed)
    alpha_t = torch.where(gt > 0.5, alpha, 1 - alpha)
    return -alpha_t * torch.exp(gamma * F.logsigmoid(-signed)) * F.logsigmoid(signed)


def centre_and_size(centre_m: Tensor, log_size: Tensor, boxes: Tensor) -> Tensor:
    """L1 [M] of centres (metres) and log sizes: [M, 3], [M, 3] against boxes [M, 7]."""
    true_log_size = boxes[:, 3:6].clamp(min=MIN_SIZE_M).log()
    return (centre_m - boxes[:, :3]).abs().sum(-1) + (log_size - true_log_size).abs().sum(-1)


def residual_angle(residual_rad: Tensor, yaw_rad: Tensor, overlap: float) -> Tensor:
    """L1 [M] of the residual angles [M, 8] on every bin that covers the yaw [M].

    The difference is wrapped: a residual that is off by a whole turn decodes to the same yaw.
    (Mousavian et al., CVPR 2017, section 4, who maximise the cosine of the same difference.)
    """
    _, target, covers = angles.encode(yaw_rad, residual_rad.shape[-1], overlap)
    difference = angles.wrap_tensor(residual_rad - target).abs()
    return torch.where(covers, difference, 0.0).sum(-1)


def angle_bin(bin_logits: Tensor, yaw_rad: Tensor, overlap: float) -> Tensor:
    """Cross-entropy [M] of bins [M, 8] against the bins that cover the yaw [M], in equal shares.

    Where two bins overlap either decodes to the right yaw, since both learn their residual; to
    insist on the nearer one would punish a right answer.
    """
    _, _, covers = angles.encode(yaw_rad, bin_logits.shape[-1], overlap)
    share = covers / covers.sum(-1, keepdim=True).clamp(min=1)
    return -(share * F.log_softmax(bin_logits, -1)).sum(-1)


def nearer_yaw(
    yaw_rad: Tensor,
    predicted_rad: Tensor,
    class_id: Tensor,
    symmetric_ids: Sequence[int] = SYMMETRIC_CLASS_IDS,
) -> Tensor:
    """True yaw [M], turned by pi where the class is symmetric and that is nearer to the prediction
    [M]."""
    far = angles.wrap_tensor(predicted_rad - yaw_rad).abs() > math.pi / 2
    symmetric = torch.zeros_like(class_id, dtype=torch.bool)
    for number in symmetric_ids:  # a tensor of them would be one more copy to the device
        symmetric |= class_id == number
    return torch.where(symmetric & far, angles.wrap_tensor(yaw_rad + math.pi), yaw_rad)


def velocity(
    predicted_mps: Tensor, gt_mps: Tensor, occlusion_level: Tensor, by_occlusion: Tensor
) -> Tensor:
    """L1 [M] of velocities [M, 3], weighted by occlusion level [M] with weights [4].

    The more occluded, the less; an object whose occlusion is not labelled (-1) counts as visible.
    """
    weight = by_occlusion[occlusion_level.clamp(min=0)]
    return weight * (predicted_mps - gt_mps).abs().sum(-1)


def occlusion(
    score: Tensor, thresholds: Tensor, level: Tensor, alpha: float, gamma: float
) -> Tensor:
    """Focal loss [M] of ordinal scores [M] with thresholds [3] against levels [M] in 0..3.

    Level > k has probability sigmoid(score - threshold k): three binary questions (CORAL; Cao et
    al., Pattern Recognition Letters 2020, eq. 4, with focal in place of cross-entropy).
    """
    above = level[:, None] > torch.arange(len(thresholds), device=level.device)
    return focal(score[:, None] - thresholds, above.float(), alpha, gamma).sum(-1)


CENTRE_OVERLAP = 0.1
MIN_RADIUS_CELLS = 2.0
"""Smallest radius of a Gaussian, as in CenterPoint (Yin et al., CVPR 2021)."""


def centre_radius_m(length_m: Tensor, width_m: Tensor) -> Tensor:
    """Returns how far a box [T] may slide along both sides and still overlap itself by
    `CENTRE_OVERLAP`.

    The first of the three cases of CornerNet (Law & Deng, ECCV 2018, section 3.2): the others
    change the size, which a map of centres does not show. With shift r the overlap is
    (l - r)(w - r) / (2 l w - (l - r)(w - r)).
    """
    total = length_m + width_m
    spare = 4 * length_m * width_m * (1 - CENTRE_OVERLAP) / (1 + CENTRE_OVERLAP)
    return (total - (total**2 - spare).clamp(min=0).sqrt()) / 2


def centre_map(
    boxes: Tensor,
    class_id: Tensor,
    stream: Tensor,
    streams: int,
    grid: BevGrid,
    classes: int = len(DESIGN),
) -> Tensor:
    """Map [B, classes, rows, columns] of Gaussians at the centres of boxes [T, 7] of classes [T]
    and streams [T]: 1 in the cell of a centre; where two meet, the higher counts (Zhou et al.,
    "Objects as Points", 2019, section 3)."""
    x, y = boxes[:, :1] - grid.x_range_m[0], boxes[:, 1:2] - grid.y_range_m[0]
    cell = (torch.cat([x, y], 1) / grid.cell_m).floor()  # [T, 2] column, row
    radius = centre_radius_m(boxes[:, 3], boxes[:, 4]) / grid.cell_m
    variance = ((2 * radius.clamp(min=MIN_RADIUS_CELLS) + 1) / 6)[:, None] ** 2
    columns = torch.arange(grid.columns, device=boxes.device) - cell[:, :1]
    rows = torch.arange(grid.rows, device=boxes.device) - cell[:, 1:]
    along_x, along_y = (torch.exp(-(d**2) / (2 * variance)) for d in (columns, rows))
    splat = along_y[:, :, None] * along_x[:, None, :]  # [T, rows, columns]
    flat = boxes.new_zeros(streams * classes, grid.rows, grid.columns)
    index = (stream * classes + class_id)[:, None, None].expand_as(splat)
    return flat.scatter_reduce(0, index, splat, "amax").view(streams, classes, *flat.shape[1:])


def centre_focal(logits: Tensor, gt: Tensor) -> Tensor:
    """Loss of every cell of a map of centres, one shape [...] (Zhou et al., "Objects as Points",
    2019, eq. 1; alpha 2, beta 4): near a centre a false centre costs little."""
    away = (1 - gt) ** 4 * torch.exp(2 * F.logsigmoid(logits)) * F.logsigmoid(-logits)
    at_centre = torch.exp(2 * F.logsigmoid(-logits)) * F.logsigmoid(logits)
    return -torch.where(gt == 1, at_centre, away)
