"""The pass that computes features of the training data with the frozen trunk, before training.

A pass that was stopped continues where it was; ranks share the work, and the entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.progress import Progress
from torch.utils.data import DataLoader, Dataset

from leapai.config.schema import TaskConfig
from leapai.data.cache_sources import FileState, noting_files
from leapai.data.frame_cache import arrays_of
from leapai.data.loading import as_it_is, read_through, start_worker, worker_count
from leapai.data.samplers import without_sensors
from leapai.data.transforms import collate
from leapai.distributed import Ranks, all_gather
from leapai.models.perception import Perception
from leapai.models.tensors import FrameBatch
from leapai.training.feature_cache import FEATURES, VALID, CachedFeatures, Entry, open_features

if TYPE_CHECKING:
    from leapai.data.clip_mixture import ClipShare
    from leapai.data.log import DrivingLog

_Chunk = tuple[FrameBatch, list[FileState]]


def cached_features(
    model: Perception,
    logs: Sequence[DrivingLog],
    config: TaskConfig,
    ranks: Ranks,
    console: Console,
    shares: Sequence[ClipShare] = (),
) -> CachedFeatures:
    """Returns the training data as features, computed here as far as they are missing. All ranks
    must call.

    Raises ValueError where the trunk is not frozen from step 0, and where there is no room.
    """
    dataset = open_features(model, logs, config, ranks, shares)
    fill(dataset, model, ranks, console)
    all_gather(None)  # nobody begins before all is there
    return dataset


def fill(dataset: CachedFeatures, model: Perception, ranks: Ranks, console: Console) -> int:
    """Computes this rank's share of what the store does not hold; returns the number of entries
    that it made. Raises ValueError where there is no room for all of it."""
    # Shares are of all entries, not of the missing: ranks do not look at the same moment.
    share = _chunks(dataset.entries(), dataset.config.batch_sizes.train)[ranks.rank :: ranks.count]
    looked = ([e for e in c if not dataset.holds(e)] for c in share)
    missing = [chunk for chunk in looked if chunk]
    if not missing:
        return 0
    loader: DataLoader[_Chunk] = DataLoader(
        _Chunks(dataset, missing),
        batch_size=None,
        num_workers=worker_count(dataset.config.training),
        collate_fn=as_it_is,
        worker_init_fn=start_worker,
    )
    was_training = model.training
    model.to(ranks.device).eval()
    try:
        # Drawn by no thread of its own: workers are forked while it is shown.
        with Progress(console=console, transient=True, auto_refresh=False) as progress:
            task = progress.add_task("features of the frozen trunk", total=len(missing))
            for chunk, (batch, files) in zip(missing, read_through(loader), strict=True):
                with torch.inference_mode():
                    features = model.trunk(batch.to(ranks.device)).float().cpu().numpy()
                _keep(dataset, chunk, batch, features)
                dataset.keep_files(chunk, files)  # after the features that are of these files
                progress.advance(task)
                progress.refresh()
    finally:
        model.train(was_training)
    return sum(map(len, missing))


def _keep(
    dataset: CachedFeatures,
    chunk: Sequence[Entry],
    batch: FrameBatch,
    features: npt.NDArray[np.float32],
) -> None:
    for i, (entry, frame, values) in enumerate(zip(chunk, batch.frames, features, strict=True)):
        valid = {name: getattr(batch, name)[i].numpy() for name in VALID}
        arrays = {FEATURES: compact(values), **valid, **arrays_of(frame)}
        if not dataset.store.put(dataset.key(entry), arrays):
            entries = len(dataset.entries())
            needed = entries * sum(array.nbytes for array in arrays.values()) / 1e9
            raise ValueError(
                f"the features of all {entries} frames need about {needed:.3g} GB in "
                f"{dataset.store.root}, and there is no room: raise cache.features_gb = "
                f"{dataset.store.max_bytes / 1e9:g}, delete what other runs left there, or set it "
                "to 0 to train without"
            )


def compact(features: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    """Returns float16, or float32 as given where a value is beyond its range."""
    limit = np.finfo(np.float16).max
    fits = bool((np.abs(features) <= limit).all())
    return features.astype(np.float16) if fits else features


class _Chunks(Dataset[_Chunk]):
    """Batches of frames of one sequence each, with `frames` without sensors, and their files."""

    def __init__(self, dataset: CachedFeatures, chunks: Sequence[Sequence[Entry]]) -> None:
        self._dataset = dataset
        self._chunks = chunks

    def __len__(self) -> int:
        return len(self._chunks)

    def __getitem__(self, index: int) -> _Chunk:
        with noting_files() as files:
            frames = self._dataset.frames_of(self._chunks[index])
        batch = collate(frames, [True] * len(frames))
        small = tuple(without_sensors(frame) for frame in frames)
        return replace(batch, frames=small), files


def _chunks(entries: Sequence[Entry], size: int) -> list[list[Entry]]:
    """Groups entries by at most `size` of one sequence each: a batch has one rig."""
    chunks = []
    for _, group in groupby(entries, key=lambda entry: entry[0]):
        of_sequence = list(group)
        chunks += [of_sequence[i : i + size] for i in range(0, len(of_sequence), size)]
    return chunks
