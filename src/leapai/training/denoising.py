"""Denoising queries (DN-DETR; Li et al., CVPR 2022; with negatives as in DINO; Zhang et al., ICLR
2023): ground truth with noise, decoded along with the learnt queries and paired without a search,
so that the decoder learns to correct boxes before matching has settled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from leapai.config.training import LossConfig
from leapai.models.tensors import DenoisingQueries
from leapai.training.targets import Targets
from leapai.types import DESIGN, BevGrid

MAX_QUERIES = 200
"""Queries of one stream at most; a group draws some of the objects where there are more."""
CENTRE_NOISE = 0.5
"""Largest offset of a positive's centre as a fraction of the object's size, ..."""
MIN_NOISE_M = 1.0
"""... and the least that this largest offset may be."""
WRONG_CLASS_PROBABILITY = 0.2
"""Probability that the class of a query is a wrong one."""


def noise_seed(seed: int, stream: int, step: int, frame: int = 0) -> int:
    """Returns the seed of a stream's noise, made of the run's seed, the stream counted over all
    ranks, the optimiser step and the frame in it. So ranks draw what one process would, and there
    is nothing to save."""
    state = np.random.SeedSequence([seed, stream, step, frame]).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


def make_denoising_queries(
    targets: Sequence[Targets],
    grid: BevGrid,
    config: LossConfig,
    seeds: Sequence[int],
    classes: int = len(DESIGN),
) -> DenoisingQueries | None:
    """Makes the denoising queries of streams, on the CPU as their targets are; None where
    `denoising_groups` is 0.

    `seeds`: one a stream (`noise_seed`); `classes`: their number, which stands for none. In each
    group every object that is seen now appears twice: near its place, to become that object, and
    farther off, to become nothing. An object that is only remembered does not: nothing in the frame
    distinguishes the two.
    """
    groups = config.denoising_groups
    if groups == 0:
        return None
    most = max(1, MAX_QUERIES // (2 * groups))
    streams = [
        _of_stream(stream, grid, (groups, most, classes), torch.Generator().manual_seed(seed))
        for stream, seed in zip(targets, seeds, strict=True)
    ]
    # Also without any object there is a query of padding: every rank takes the same path.
    width = max(1, *(target.shape[1] for _, _, target in streams))
    reference = torch.full((len(streams), groups, width, 3), 0.5)
    class_id = torch.full((len(streams), groups, width), classes)
    target = torch.full_like(class_id, -1)
    valid = torch.zeros_like(class_id, dtype=torch.bool)
    for i, made in enumerate(streams):
        count = made[2].shape[1]
        reference[i, :, :count], class_id[i, :, :count], target[i, :, :count] = made
        valid[i, :, :count] = True
    return DenoisingQueries(
        reference=reference.flatten(1, 2),
        class_id=class_id.flatten(1, 2),
        group=torch.arange(groups).repeat_interleave(width),
        target=target.flatten(1, 2),
        valid=valid.flatten(1, 2),
    )


def _of_stream(
    targets: Targets, grid: BevGrid, limits: tuple[int, int, int], generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns reference [G, 2K, 3], class [G, 2K] and target [G, 2K] of a stream: K positives, then
    K negatives. `limits`: number of groups, largest K, number of classes."""
    groups, most, classes = limits
    seen = targets.seen.nonzero()[:, 0]
    count = min(len(seen), most)
    order = torch.rand(groups, len(seen), generator=generator).argsort(1)[:, :count]
    chosen = seen[order].repeat(1, 2)  # [G, 2K]
    negative = torch.arange(2 * count) >= count
    boxes, class_id = targets.boxes[chosen], targets.class_id[chosen]
    centre = boxes[..., :3] + _centre_noise(boxes, negative, generator)
    reference = grid.normalise(centre).clamp(0, 1)
    target = torch.where(negative, -1, chosen)
    return reference, _with_wrong_classes(class_id, classes, generator), target


def _centre_noise(boxes: Tensor, negative: Tensor, generator: torch.Generator) -> Tensor:
    """Draws offsets [G, 2K, 3] in metres: along each axis of the box by up to its scale, or by one
    to two times its scale where `negative` [2K]."""
    draw = torch.rand(2, *boxes.shape[:-1], 3, generator=generator)
    size = draw[0] + negative[:, None]
    scale = (CENTRE_NOISE * boxes[..., 3:6]).clamp(min=MIN_NOISE_M)
    along, across, up = (size * torch.where(draw[1] < 0.5, -1, 1) * scale).unbind(-1)
    cos, sin = boxes[..., 6].cos(), boxes[..., 6].sin()
    return torch.stack([cos * along - sin * across, sin * along + cos * across, up], -1)


def _with_wrong_classes(class_id: Tensor, classes: int, generator: torch.Generator) -> Tensor:
    """Replaces some of the classes by another one, where there is another."""
    if classes == 1:
        return class_id
    is_wrong = torch.rand(class_id.shape, generator=generator) < WRONG_CLASS_PROBABILITY
    step = torch.randint(1, classes, class_id.shape, generator=generator)
    return torch.where(is_wrong, (class_id + step) % classes, class_id)
