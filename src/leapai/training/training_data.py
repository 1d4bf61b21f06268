"""The windows that a training reads, from sensors or from cached features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from torch.utils.data import DataLoader

from leapai.config.schema import TaskConfig
from leapai.data.class_balance import sequence_weights
from leapai.data.clip_mixture import ClipShare
from leapai.data.frame_cache import open_cached_logs
from leapai.data.loading import window_loader, worker_count
from leapai.data.log import DrivingLog
from leapai.data.samplers import StreamingDataset
from leapai.distributed import Ranks
from leapai.models.perception import Perception
from leapai.models.tensors import FrameBatch
from leapai.training.feature_filling import cached_features

LOOKED_AT = 200
"""Frames in which labels are looked for: data of which less is labelled is no training data."""


@dataclass(frozen=True)
class TrainingLogs:
    """Logs of all sources of the training data, one source after another."""

    logs: tuple[DrivingLog, ...]
    shares: tuple[ClipShare, ...]


def logs_of(data: str, config: TaskConfig, *, reduce_images: bool = False) -> list[DrivingLog]:
    """Opens data with images of the configuration's size, through its cache of frames; decoded at a
    reduced scale where `reduce_images` allows it."""
    return open_cached_logs(
        data,
        image_size_px=config.camera.image_size_px,
        cache=config.cache,
        label_range_m=config.bev.label_range_m,
        vocabulary=config.vocabulary,
        reduce_images=reduce_images,
    )


def training_logs(config: TaskConfig) -> TrainingLogs:
    """Opens all sources of `data.train`. Raises ValueError for one that cannot be opened."""
    opened = [
        (logs_of(source.data, config, reduce_images=True), source.weight)
        for source in config.data.sources
    ]
    balance = config.streaming.class_balance
    return TrainingLogs(
        logs=tuple(log for logs, _ in opened for log in logs),
        shares=tuple(
            ClipShare(len(logs), weight, sequence_weights(logs, balance) if balance else ())
            for logs, weight in opened
        ),
    )


def windows_from(
    first: int,
    data: TrainingLogs,
    config: TaskConfig,
    model: Perception,
    ranks: Ranks,
    console: Console,
) -> DataLoader[list[FrameBatch]]:
    """Returns the windows from optimiser step `first` on. All ranks must call.

    With `cache.features_gb` the features of `model`'s frozen trunk are computed here as far as they
    are missing. Raises ValueError where there are no frames, no ground truth for a task that is on,
    or no room for features.
    """
    check_ground_truth(data.logs, config)
    dataset: StreamingDataset
    if config.cache.features_gb:
        dataset = cached_features(model, data.logs, config, ranks, console, data.shares)
    else:
        rank, count = ranks.rank, ranks.count
        dataset = StreamingDataset(data.logs, config, data.shares, rank=rank, world_size=count)
    parts = config.accumulate_grad_batches
    steps = range(first * parts, config.max_steps * parts)
    return window_loader(dataset, steps, worker_count(config.training), config.training.prefetch)


def check_ground_truth(logs: Sequence[DrivingLog], config: TaskConfig) -> None:
    """Raises ValueError where there is nothing to learn: no frame has labels for the dynamic task,
    or no drive has a map for a static task that stands alone.

    Of large data `LOOKED_AT` frames, evenly spread, are looked at until one has labels.
    """
    places = [(log, index) for log in logs for index in range(len(log))]
    if not places:
        return  # an error of the sampler
    spread = np.linspace(0, len(places) - 1, min(LOOKED_AT, len(places))).round().astype(int)
    if config.dynamic_task and not any(
        log.ground_truth(index).labels is not None for log, index in (places[i] for i in spread)
    ):
        raise ValueError(
            f"data.train = '{config.data.train}': none of {len(spread)} frames looked at, of "
            f"{len(places)}, has labels, so there are no objects to learn; name labelled data, or "
            "set dynamic_task = False"
        )
    if not config.dynamic_task and all(log.vector_map() is None for log in logs):
        raise ValueError(
            f"data.train = '{config.data.train}': no drive has a map, so there is none to learn; "
            "name data with one"
        )
