"""Exponential moving average of the weights of a training."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

_WARM_UP = 10
"""The decay after n steps is (n + 1) / (n + 10) at most: first weights are forgotten."""


class AveragedWeights:
    """Averages the weights and the statistics of batch norm of a network over its steps.

    Averages of decay d are those of about 1 / (1 - d) steps (Tarvainen and Valpola, NeurIPS 2017,
    section 2), of fewer at the beginning. Whole numbers, such as counters, are the network's own.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state_dict: dict[str, Tensor] = _cloned(model.state_dict())
        """Averages, by the names of the network."""

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Takes the weights after optimiser step `step` (0 is the first) into the average."""
        averages, weights = [], []
        for name, weight in model.state_dict().items():
            if weight.is_floating_point():
                averages.append(self.state_dict[name])
                weights.append(weight)
            else:
                self.state_dict[name].copy_(weight)
        decay = min(self.decay, (1 + step) / (_WARM_UP + step))
        average_into = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        average_into(averages, weights, step)

    def restore(self, averages: Mapping[str, Tensor]) -> None:
        """Continues from averages that a checkpoint held. Raises RuntimeError where a shape
        differs, and KeyError where one is missing."""
        for name, average in self.state_dict.items():
            average.copy_(averages[name])


def _cloned(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in weights.items()}
