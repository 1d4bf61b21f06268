"""Several processes that share the drives of a run; torchrun starts them. One process is the
first of one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

_T = TypeVar("_T")
_PATIENCE = timedelta(days=1)
"""Ranks have unequal drives, and wait for each other only at the end."""


@contextmanager
def joined_ranks() -> Iterator[tuple[int, int]]:
    """Joins the processes that torchrun started, over gloo; gives `rank_and_world()`.

    Where a group exists already, or there is one process, nothing is joined and nothing is left.
    """
    joins = int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized()
    if joins:
        dist.init_process_group("gloo", timeout=_PATIENCE)
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


def dealt(items: Sequence[_T]) -> Iterator[tuple[int, _T]]:
    """What this process is to do of `items`, each with its number among all."""
    rank, world = rank_and_world()
    return ((number, items[number]) for number in range(rank, len(items), world))


def gather_to_first(value: _T) -> list[_T] | None:
    """The values of all processes in the order of ranks, on the first; None on the others. All
    must call."""
    rank, world = rank_and_world()
    if world == 1:
        return [value]
    values: list[_T] | None = [value] * world if rank == 0 else None
    dist.gather_object(value, values)
    return values


def share_from_first(value: _T | None) -> _T:
    """What the first process gives, on all. All must call."""
    box = [value]
    if rank_and_world()[1] > 1:
        dist.broadcast_object_list(box)
    shared = box[0]
    assert shared is not None
    return shared
