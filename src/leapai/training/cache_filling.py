"""Filling of the caches that a training reads, before it starts, by any number of processes.

The frames of all data are one long list, and each process makes one run of it: as many frames as
the others, of as few sequences as possible, since a sequence may be expensive to open. Processes
need not know of each other. What is there already stays, so a process that was stopped goes on
where it was.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from leapai.config.options import CacheOptions
from leapai.config.schema import TaskConfig
from leapai.data.frame_cache import CachedLog, FrameKept
from leapai.data.loading import as_it_is, read_through, start_worker, worker_count
from leapai.data.log import DrivingLog
from leapai.distributed import Ranks
from leapai.training.adapted_config import adapted
from leapai.training.feature_cache import open_features
from leapai.training.feature_filling import fill
from leapai.training.starting_network import starting_network
from leapai.training.training_data import TrainingLogs, logs_of, training_logs

_T = TypeVar("_T")
_Place = tuple[CachedLog, int]
"""A log, and the number of a frame in it."""


def fill_caches(config: TaskConfig, options: CacheOptions, ranks: Ranks, console: Console) -> None:
    """Makes this process's share of what a training with the same configuration and options reads
    from its caches: frames and, where it keeps them, features.

    The frames of training that features are made of are kept as these are made. Raises ValueError
    where the configuration has no cache, where features have no weights, where data cannot be
    opened, and where there is no room.
    """
    config = adapted(config, options.of_training())
    _check(config, options)
    console.print(
        f"[bold]{config.job_name}[/], process {ranks.rank} of {ranks.count}, fills "
        f"{config.cache.folder}",
        highlight=False,
    )
    training, validation = training_logs(config), logs_of(config.data.val, config)
    if config.cache.features_gb:
        _make_features(training, config, options, (ranks, console))
    else:
        validation = [*training.logs, *validation]
    if config.cache.frames_gb:
        _make_frames(validation, config, ranks, console)


def run_of(items: Sequence[_T], number: int, count: int) -> Sequence[_T]:
    """Returns run `number` of `count` runs of equal length that are all items together."""
    return items[len(items) * number // count : len(items) * (number + 1) // count]


def _check(config: TaskConfig, options: CacheOptions) -> None:
    """Raises ValueError where there is nothing to fill, or nothing to fill it with."""
    cache = config.cache
    if not cache.frames_gb and not cache.features_gb:
        raise ValueError(
            f"{config.job_name} keeps neither frames nor features: set cache.frames_gb, for "
            "example --set cache.frames_gb=12, here and in the training"
        )
    if cache.features_gb and options.checkpoint is None:
        raise ValueError(
            f"{config.job_name} keeps the features of a frozen trunk (cache.features_gb = "
            f"{cache.features_gb:g}), which need its weights: name those of Step 1 with --ckpt, or "
            "set cache.features_gb=0 to keep frames alone"
        )


def _make_features(
    training: TrainingLogs, config: TaskConfig, options: CacheOptions, by: tuple[Ranks, Console]
) -> None:
    ranks, console = by
    model = starting_network(config, options.checkpoint, None, console)
    dataset = open_features(model, training.logs, config, ranks, training.shares)
    made = fill(dataset, model, ranks, console)
    console.print(f"features of the frozen trunk: {made} made", highlight=False)


def _make_frames(
    logs: Sequence[DrivingLog], config: TaskConfig, ranks: Ranks, console: Console
) -> None:
    """Keeps this process's run of the frames of all logs; prints what became of them."""
    cached = [log for log in logs if isinstance(log, CachedLog)]
    places = [(log, index) for log in cached for index in range(len(log))]
    share = run_of(places, ranks.rank, ranks.count)
    counts: Counter[str] = Counter()
    for kept in _with_progress(_kept(share, worker_count(config.training)), len(share), console):
        if kept.state == "no room":
            raise ValueError(
                f"{len(places)} frames need about {len(places) * kept.size / 1e9:.3g} GB in "
                f"{Path(config.cache.folder) / 'frames'}, and there is no room: raise "
                f"cache.frames_gb = {config.cache.frames_gb:g}, or delete what other runs left "
                "there"
            )
        counts[kept.state] += 1
    console.print(
        f"frames: {counts['made']} made, {counts['there']} were there"
        + (f", {counts['faulty']} with a failed sensor are not kept" if counts["faulty"] else ""),
        highlight=False,
    )


def _kept(places: Sequence[_Place], workers: int) -> Iterator[FrameKept]:
    """Keeps frames in processes of their own; yields what became of each."""
    loader: DataLoader[FrameKept] = DataLoader(
        _Frames(places),
        batch_size=None,
        num_workers=workers,
        collate_fn=as_it_is,
        worker_init_fn=start_worker,
    )
    return read_through(loader)


def _with_progress(kept: Iterator[FrameKept], total: int, console: Console) -> Iterator[FrameKept]:
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    # Drawn by no thread of its own: workers are forked while it is shown.
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as progress:
        for each in progress.track(kept, total=total, description="frames"):
            progress.refresh()
            yield each


class _Frames(IterableDataset[FrameKept]):
    """Frames that are kept as one goes through them; each process of a loader has its own run."""

    def __init__(self, places: Sequence[_Place]) -> None:
        self._places = places

    def __iter__(self) -> Iterator[FrameKept]:
        worker = get_worker_info()
        places = run_of(self._places, worker.id, worker.num_workers) if worker else self._places
        for log, index in places:
            yield _keep(log, index)


def _keep(log: CachedLog, index: int) -> FrameKept:
    """Keeps one frame. Raises ValueError that names log and frame."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "the cache .* keeps no more")  # becomes an error
            return log.keep(index)
    except (ValueError, OSError) as error:
        raise ValueError(f"{log.name}, frame {index}: {error}") from error
