"""Several processes that share one job: who this process is, and what all of them must agree on.

torchrun sets RANK, LOCAL_RANK, WORLD_SIZE and LOCAL_WORLD_SIZE. Without it there is one rank, and
every function here is that rank's own answer.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

_T = TypeVar("_T")
PATIENCE = timedelta(days=1)
"""How long ranks wait for each other: their shares of features and sequences are unequal."""


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
    reported = torch.tensor([int(flag)], device=_device_of_group())
    dist.all_reduce(reported, op=dist.ReduceOp.MAX)
    return bool(reported.item())


def all_gather(value: _T) -> list[_T]:
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


@contextmanager
def joined_ranks() -> Iterator[tuple[int, int]]:
    """Joins the processes that torchrun started, over gloo; gives `rank_and_world()`.

    Where a group exists already, or there is one process, nothing is joined and nothing is left.
    """
    joins = int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized()
    if joins:
        dist.init_process_group("gloo", timeout=PATIENCE)
    try:
        yield rank_and_world()
    finally:
        if joins:
            dist.destroy_process_group()


def rank_and_world() -> tuple[int, int]:
    """The number of this process and how many there are: (0, 1) where none are joined."""
    if not dist.is_initialized():
        return 0, 1
    return dist.get_rank(), dist.get_world_size()


def local_device() -> str:
    """A GPU of one's own for each process of a machine, or the CPU."""
    if not torch.cuda.is_available():
        return "cpu"
    number = int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count()
    return f"cuda:{number}"


def shard(items: Sequence[_T]) -> Iterator[tuple[int, _T]]:
    """What this process is to do of `items`, each with its number among all."""
    rank, world = rank_and_world()
    return ((number, items[number]) for number in range(rank, len(items), world))


def gather(value: _T) -> list[_T] | None:
    """The values of all processes in the order of ranks, on the first; None on the others. All
    must call."""
    rank, world = rank_and_world()
    if world == 1:
        return [value]
    values: list[_T] | None = [value] * world if rank == 0 else None
    dist.gather_object(value, values)
    return values


def broadcast(value: _T | None) -> _T:
    """What the first process gives, on all. All must call."""
    box = [value]
    if rank_and_world()[1] > 1:
        dist.broadcast_object_list(box)
    shared = box[0]
    assert shared is not None
    return shared
