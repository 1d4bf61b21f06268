"""Loading: frames are read by processes of their own, ahead of what uses them."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

from leapai.config.training import TrainingConfig
from leapai.distributed import cores_of_rank
from leapai.models.tensors import FrameBatch

_T = TypeVar("_T")


def worker_count(config: TrainingConfig) -> int:
    """Returns the number of processes that read frames for this rank."""
    return max(cores_of_rank() - 1, 1) if config.workers is None else config.workers


def window_loader(
    dataset: Dataset[list[FrameBatch]], steps: range, workers: int, prefetch: int = 2
) -> DataLoader[list[FrameBatch]]:
    """Returns a loader of the windows of these steps, in order, read by `workers` processes, each
    `prefetch` windows ahead; 0: by this one. Where there is a GPU, they lie in pinned memory."""
    return DataLoader(
        dataset,
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        prefetch_factor=prefetch if workers else None,
        pin_memory=torch.cuda.is_available(),
        collate_fn=as_it_is,
        worker_init_fn=start_worker,
        persistent_workers=False,
    )


def read_through(loader: Iterable[_T]) -> Iterator[_T]:
    """Returns the items of a loader, whose processes start at once.

    Raises ValueError, as one line, for what a process of it could not read, and OSError with the
    remedy where one was killed.
    """
    return _with_clear_errors(iter(loader))


def _with_clear_errors(items: Iterator[_T]) -> Iterator[_T]:
    try:
        yield from items
    except RuntimeError as error:
        if not re.match(r"DataLoader worker \(pid", str(error)):
            raise
        raise OSError(
            "a process that reads frames was killed, most often because memory ran out; use fewer "
            "processes (--workers, 0: none) or smaller batch_sizes.train"
        ) from error
    except ValueError as error:
        if not str(error).startswith("Caught ValueError in DataLoader worker"):
            raise
        raise ValueError(str(error).rpartition("\nValueError: ")[2].strip()) from error


def as_it_is(item: Any) -> Any:
    """Returns the item, in the place of a loader's collation where items are batches already."""
    return item


def start_worker(_: int) -> None:
    """Sets a process that reads frames up: one thread, and deaf to Ctrl-C."""
    cv2.setNumThreads(0)  # as many processes as there are cores read already
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the training's to handle
