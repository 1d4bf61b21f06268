"""Batch norm over the joint batch of all ranks.

The statistics of a small batch on each rank would be another network's than those of the joint
batch on one. On GPUs they are those of torch.nn.SyncBatchNorm, which keeps its input alone and has
fused kernels. It does not run on a CPU; there `SyncedBatchNorm2d` does the same. In both a rank
without an image of a group takes part with nothing.
Letters: M images or maps of this rank (0 is allowed), C channels, H x W their size.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """`nn.BatchNorm2d` whose training statistics are those of all ranks; in eval mode as ever.

    What a kind of it applies afterwards, such as an activation, are its children in their order
    (`NormAct` of `models/resnet.py`, timm's `BatchNormAct2d`). Its names in a checkpoint are those
    of what it replaces.
    """

    def __init__(self, norm: nn.BatchNorm2d, group: dist.ProcessGroup) -> None:
        assert norm.momentum is not None
        super().__init__(norm.num_features, norm.eps, norm.momentum)
        self.weight, self.bias = norm.weight, norm.bias
        self.running_mean, self.running_var = norm.running_mean, norm.running_var
        self.num_batches_tracked = norm.num_batches_tracked
        self.after = nn.Sequential(*norm.children())
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        """Normalises [M, C, H, W] -> [M, C, H, W]; M may be 0 in training."""
        y = self._joint(x) if self.training else super().forward(x)
        out: Tensor = self.after(y)
        return out

    def _joint(self, x: Tensor) -> Tensor:
        """Normalises by the statistics of all ranks (Ioffe and Szegedy, ICML 2015, algorithm 1):
        first the mean, then the squares around it, because E[x^2] - E[x]^2 loses digits."""
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        local = wide.new_tensor([x.numel() / x.shape[1]])
        sums = _SumOverRanks.apply(torch.cat([wide.sum((0, 2, 3)), local]), self.group)
        count = sums[-1].detach().clamp(min=1)
        mean = sums[:-1] / count
        centred = wide - mean[:, None, None]
        var = _SumOverRanks.apply(centred.square().sum((0, 2, 3)), self.group) / count
        self._track(mean.detach(), var.detach(), count)
        scale = self.weight * (var + self.eps).rsqrt()
        y: Tensor = centred * scale[:, None, None] + self.bias[:, None, None]
        return y.to(x.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, var: Tensor, count: Tensor) -> None:
        """Moves the running statistics; where no rank had an image there is nothing to learn."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        momentum = (count > 1).to(count.dtype) * float(self.momentum or 0.0)
        unbiased = var * count / (count - 1).clamp(min=1)
        self.running_mean += momentum * (mean - self.running_mean)
        self.running_var += momentum * (unbiased - self.running_var)
        self.num_batches_tracked += 1


class _SumOverRanks(torch.autograd.Function):
    """Sums over ranks. Each rank's loss depends on each rank's term, so the gradient of a term is
    the sum over ranks of the gradients of the sum."""

    @staticmethod
    def forward(ctx: Any, local: Tensor, group: dist.ProcessGroup) -> Tensor:
        ctx.group = group
        total = local.clone()
        dist.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total, group=ctx.group)
        return total, None


class FusedBatchNorm2d(nn.SyncBatchNorm):
    """`nn.SyncBatchNorm` in the place of a batch norm and of what a kind of it applies
    afterwards."""

    def __init__(self, norm: nn.BatchNorm2d, group: dist.ProcessGroup) -> None:
        assert norm.momentum is not None
        super().__init__(norm.num_features, norm.eps, norm.momentum, process_group=group)
        self.weight, self.bias = norm.weight, norm.bias
        self.running_mean, self.running_var = norm.running_mean, norm.running_var
        self.num_batches_tracked = norm.num_batches_tracked
        self.after = nn.Sequential(*norm.children())

    def forward(self, input: Tensor) -> Tensor:
        """Normalises [M, C, H, W] -> [M, C, H, W]; M may be 0 in training."""
        out: Tensor = self.after(super().forward(input))
        return out


class _StatisticsGuard:
    """Keeps the running statistics of a backbone in a frame in which no rank has an image of its
    cameras: torch's kernels would move them towards zero."""

    def __init__(self, backbone: nn.Module, group: dist.ProcessGroup) -> None:
        self.backbone, self.group = backbone, group
        self._images = torch.tensor(0)
        self._kept: list[tuple[Tensor, Tensor]] = []
        backbone.register_forward_pre_hook(self._before)
        backbone.register_forward_hook(self._after)

    def _before(self, _: nn.Module, given: tuple[Tensor, ...]) -> None:
        """Counts the images [M, 3, H, W] of all ranks, on the device, and keeps the statistics."""
        if self.backbone.training:
            self._images = torch.tensor(len(given[0]), device=given[0].device)
            dist.all_reduce(self._images, group=self.group)
            self._kept = [(buffer, buffer.clone()) for buffer in self.backbone.buffers()]

    def _after(self, *_: object) -> None:
        for buffer, kept in self._kept:
            buffer.copy_(torch.where(self._images > 0, buffer, kept))
        self._kept = []


def synchronise(model: nn.Module, device: torch.device) -> None:
    """Puts a batch norm over all ranks in the place of every one of `model` that learns. All ranks
    must call.

    They communicate in a group of their own: the gradients' reduction, which runs at the same time,
    may begin at another moment on each rank.
    """
    kind = FusedBatchNorm2d if device.type == "cuda" else SyncedBatchNorm2d
    group = dist.new_group()
    assert isinstance(group, dist.ProcessGroup)
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d) and child.training:
                setattr(parent, name, kind(child, group))
    if kind is FusedBatchNorm2d:
        for name, backbone in model.named_children():
            if name.startswith("stage1_backbone"):
                _StatisticsGuard(backbone, group)
