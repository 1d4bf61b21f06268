"""Several processes that train one network: who we are, and what all of them must agree on.

torchrun sets RANK, LOCAL_RANK, WORLD_SIZE and LOCAL_WORLD_SIZE. Without it there is one rank, and
every function here is that rank's own answer.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

_T = TypeVar("_T")
PATIENCE = timedelta(days=1)
"""Ranks have unequal shares where features are computed and where drives are validated."""


@dataclass(frozen=True)
class Ranks:
    """This process among all."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    """Among those of this machine: the number of its GPU."""
    local_count: int = 1

    @property
    def is_first(self) -> bool:
        """The one that speaks and writes."""
        return self.rank == 0

    @property
    def device(self) -> torch.device:
        """A GPU of one's own, or the CPU."""
        if torch.cuda.is_available():
            return torch.device("cuda", self.local_rank)
        return torch.device("cpu")


def ranks_of_launch() -> Ranks:
    """As torchrun's environment says."""

    def number(name: str, default: int) -> int:
        return int(os.environ.get(name, default))

    count = number("WORLD_SIZE", 1)
    return Ranks(
        number("RANK", 0), count, number("LOCAL_RANK", 0), number("LOCAL_WORLD_SIZE", count)
    )


def connect(ranks: Ranks) -> bool:
    """Joins the process group: gloo for tensors on a CPU, nccl for those on a GPU.

    Returns whether this call made the group, so that who called it ends it.
    """
    if ranks.count == 1 or dist.is_initialized():
        return False
    if torch.cuda.is_available():
        torch.cuda.set_device(ranks.device)
        dist.init_process_group("cpu:gloo,cuda:nccl", timeout=PATIENCE)
    else:
        dist.init_process_group("gloo", timeout=PATIENCE)
    return True


def any_rank(flag: bool) -> bool:
    """Whether it is so on one rank at least. All ranks must call."""
    if not dist.is_initialized():
        return flag
    told = torch.tensor([int(flag)], device=_device_of_group())
    dist.all_reduce(told, op=dist.ReduceOp.MAX)
    return bool(told.item())


def gathered(value: _T) -> list[_T]:
    """The values of all ranks, in order of rank, on each of them. All ranks must call."""
    if not dist.is_initialized():
        return [value]
    values: list[_T] = [value] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


def _device_of_group() -> torch.device:
    """nccl reduces on GPUs only."""
    on_gpu = "nccl" in dist.get_backend()
    return torch.device("cuda", torch.cuda.current_device()) if on_gpu else torch.device("cpu")
