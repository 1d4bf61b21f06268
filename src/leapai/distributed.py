"""Several processes that share one job: who this process is, and what all of them must agree on.

torchrun sets RANK, LOCAL_RANK and WORLD_SIZE. Without it there is one process, and
every function here returns that process's own answer.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import torch

_T = TypeVar("_T")
PATIENCE = timedelta(days=1)
"""Longest wait of ranks for each other: their shares of features and sequences are unequal."""


@dataclass(frozen=True)
class Ranks:
    """The number of this process among all, and on its machine."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    """Number of this process on its machine; it picks the GPU."""

    @property
    def is_first(self) -> bool:
        """Whether this is the process that prints and writes."""
        return self.rank == 0

    @property
    def device(self) -> torch.device:
        """The GPU of this process, or the CPU where there is none."""
        import torch  # late: a process without a network of PyTorch has ranks, too

        if not torch.cuda.is_available():
            return torch.device("cpu")
        return torch.device("cuda", self.local_rank % torch.cuda.device_count())


def current_ranks() -> Ranks:
    """Returns who this process is: as the process group has it, or, before there is one, as
    torchrun's environment announces it."""
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    if _group():
        return Ranks(*_rank_and_count(), local_rank)
    rank, count = (int(os.environ.get(*of)) for of in (("RANK", "0"), ("WORLD_SIZE", "1")))
    return Ranks(rank, count, local_rank)


def cores_of_rank() -> int:
    """Returns how many cores each rank of this machine has for itself, at least 1."""
    has_affinity = hasattr(os, "sched_getaffinity")  # containers and Slurm give fewer than all
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return max(cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")), 1)


@contextmanager
def joined_ranks() -> Iterator[Ranks]:
    """Joins the processes that torchrun started, and leaves them at the end.

    Tensors on a CPU travel over gloo, those on a GPU over nccl. Where there is a process group
    already, or only one process, nothing is joined and nothing is left.
    """
    ranks = current_ranks()
    joins = ranks.count > 1 and not _group()
    if joins:
        import torch
        import torch.distributed as dist

        on_gpu = ranks.device.type == "cuda"
        if on_gpu:
            torch.cuda.set_device(ranks.device)
        dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout=PATIENCE)
    try:
        yield ranks
    finally:
        if joins:
            dist.destroy_process_group()


def shard(items: Sequence[_T]) -> Iterator[tuple[int, _T]]:
    """Returns this process's share of `items`, each with its number among all."""
    rank, count = _rank_and_count()
    return ((number, items[number]) for number in range(rank, len(items), count))


def broadcast(value: _T | None) -> _T:
    """Returns the value of the first process on all of them. All must call."""
    box, dist = [value], _group()
    if _rank_and_count()[1] > 1:
        dist.broadcast_object_list(box)
    shared = box[0]
    assert shared is not None
    return shared


def gather(value: _T) -> list[_T] | None:
    """Returns the values of all processes, in order of rank, on the first; None on the others. All
    must call."""
    rank, count = _rank_and_count()
    if count == 1:
        return [value]
    values: list[_T] | None = [value] * count if rank == 0 else None
    _group().gather_object(value, values)
    return values


def all_gather(value: _T) -> list[_T]:
    """Returns the values of all processes, in order of rank, on each of them. All must call."""
    count = _rank_and_count()[1]
    values: list[_T] = [value] * count
    if count > 1:
        _group().all_gather_object(values, value)
    return values


def any_rank(flag: bool) -> bool:
    """Returns whether `flag` is true on at least one process. All must call."""
    if _rank_and_count()[1] == 1:
        return flag
    import torch
    import torch.distributed as dist

    on_gpu = "nccl" in dist.get_backend()  # which reduces on GPUs only
    device = torch.device("cuda", torch.cuda.current_device()) if on_gpu else torch.device("cpu")
    flags = torch.tensor([int(flag)], device=device)
    dist.all_reduce(flags, op=dist.ReduceOp.MAX)
    return bool(flags.item())


def _rank_and_count() -> tuple[int, int]:
    """Returns the number of this process and of all in the process group; (0, 1) without one."""
    dist = _group()
    return (dist.get_rank(), dist.get_world_size()) if dist else (0, 1)


def _group() -> Any:
    """Returns `torch.distributed` where there is a process group, else None. Whoever made one has
    imported it, so that nothing is imported here."""
    dist = sys.modules.get("torch.distributed")
    return dist if dist and dist.is_available() and dist.is_initialized() else None
