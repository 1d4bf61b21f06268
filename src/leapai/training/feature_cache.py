"""Features of the training data, computed once by the frozen trunk and kept on disk.

Where all up to the fuser is frozen from step 0, as in Step 2, its output for a frame never changes:
it is computed in one pass before training, and windows then bring `FrameBatch.fused_bev` instead
of pixels and points. Features are kept in half precision where they fit: its rounding, 5e-4, is far
below what training adds as noise, and it halves disk and reading.

Augmentation changes what the trunk sees, so it cannot be drawn anew for each clip. Instead a frame
may be kept in several *variants*: variant 0 as it is, every other one under an augmentation drawn
once for the sequence (turned, mirrored, recoloured, with lost sensors, ...). A clip draws which
variant it walks through.

A pass that was stopped continues where it was; ranks share the work, and the entries.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.progress import Progress
from torch.utils.data import DataLoader, Dataset

from leapai.config.schema import TaskConfig
from leapai.data.array_store import Arrays, ArrayStore
from leapai.data.augmentation import apply, draw_augmentation
from leapai.data.cache_sources import (
    NEVER,
    FileState,
    are_unchanged,
    note_states,
    noting_files,
    sources_of,
)
from leapai.data.frame_cache import arrays_of, arrays_of_files, files_of, frame_of
from leapai.data.samplers import (
    SampleRef,
    StreamingDataset,
    as_it_is,
    read_through,
    without_sensors,
)
from leapai.data.transforms import collate, on_one_rig, prepare, read_frame
from leapai.distributed import Ranks, all_gather
from leapai.models.perception import Perception
from leapai.models.tensors import FrameBatch
from leapai.training.frozen_trunk import check_trunk_is_frozen, features_fingerprint
from leapai.types import BoolArray, Frame

if TYPE_CHECKING:
    from leapai.data.clip_mixture import ClipShare
    from leapai.data.log import DrivingLog

_FEATURES = "fused_bev"
_VALID = ("camera_valid", "lidar_valid")
"""Tensors of a batch that are kept with the features."""
_VARIANT_OF_CLIP, _VARIANT_OF_SEQUENCE = 2, 3
"""Purposes of random generators: the second number of a seed (`data.samplers` has 0 and 1)."""

_Chunk = tuple[FrameBatch, list[FileState]]
Entry = tuple[int, int, int]
"""Number of the sequence, number of the frame in it, variant."""


class CachedFeatures(StreamingDataset):
    """The windows of `StreamingDataset` with features instead of sensors.

    Same streams, clips, gaps and resets. `images` are of 0 x 0 pixels and there are no points:
    nothing reads them where `fused_bev` is there. `camera_valid` and `lidar_valid` are those of the
    frame that the trunk saw: targets depend on them.
    """

    def __init__(
        self,
        logs: Sequence[DrivingLog],
        config: TaskConfig,
        store: ArrayStore,
        ranks: Ranks,
        shares: Sequence[ClipShare] = (),
    ) -> None:
        super().__init__(logs, config, shares, rank=ranks.rank, world_size=ranks.count)
        self.store = store
        self.variants = config.cache.feature_variants
        # Logs of two sources may have one name.
        sources = enumerate(shares) if len(shares) > 1 else ()
        self._prefixes = [f"{source}:" for source, share in sources for _ in range(share.logs)]
        drawn = {"augmentation": config.augmentation.model_dump(), "seed": config.training.seed}
        self._drawn_as = hashlib.sha256(json.dumps(drawn, sort_keys=True).encode()).hexdigest()[:16]

    def key(self, entry: Entry) -> str:
        """Returns the key of an entry in the store."""
        sequence, frame, variant = entry
        prefix = self._prefixes[sequence] if self._prefixes else ""
        name = f"{prefix}{self.logs[sequence].name}/{frame}"
        return f"{name}/{variant}/{self._drawn_as}" if variant else name

    def holds(self, entry: Entry) -> bool:
        """Returns whether the store has an entry whose frame is still as it was read."""
        if self.key(entry) not in self.store:
            return False
        kept = self.store.get(f"{self.key(entry)}/files")
        return kept is not None and are_unchanged(files_of(kept))

    def keep_files(self, entries: Sequence[Entry], files: Sequence[FileState]) -> None:
        """Keeps with entries which files they are read from."""
        for entry in entries:
            self.store.put(f"{self.key(entry)}/files", arrays_of_files(files))

    def entries(self) -> list[Entry]:
        """Returns all entries that the cache must hold, frame by frame."""
        return [
            (sequence, frame, variant)
            for sequence, log in enumerate(self.logs)
            for frame in range(len(log))
            for variant in range(self.variants)
        ]

    def frames_of(self, entries: Sequence[Entry]) -> list[Frame]:
        """Reads frames as the trunk shall see them; successive variants of a frame are read
        once."""
        camera, frames = self.config.camera, []
        for (sequence, index), group in groupby(entries, key=lambda entry: entry[:2]):
            frame = read_frame(self.logs[sequence], index)
            if frame.faults:  # features without a failed sensor are made again the next time
                note_states(NEVER)
            frame = prepare(frame, camera.image_size_px, camera.groups)
            frames += [self._varied(frame, sequence, variant) for _, _, variant in group]
        return frames

    def _varied(self, frame: Frame, sequence: int, variant: int) -> Frame:
        if variant == 0:
            return frame
        seed = [self.config.training.seed, _VARIANT_OF_SEQUENCE, sequence, variant]
        names = [c.name for c in frame.cameras]
        rng = np.random.default_rng(seed)
        return apply(frame, draw_augmentation(self.config.augmentation, rng, names))

    def batch_of(self, samples: Sequence[SampleRef]) -> FrameBatch:
        """Collates one frame of each stream. Raises ValueError for one whose features are gone."""
        arrays = [self._read(sample) for sample in samples]
        frames = tuple(
            self.with_map(frame_of(a), v.sequence) for a, v in zip(arrays, samples, strict=True)
        )
        features = [torch.from_numpy(a[_FEATURES]).float() for a in arrays]
        prepared = [
            _without_pixels(f, a["camera_valid"]) for f, a in zip(frames, arrays, strict=True)
        ]
        batch = collate(on_one_rig(prepared), [v.is_first for v in samples])
        lidar = torch.tensor([bool(a["lidar_valid"]) for a in arrays])
        return replace(batch, lidar_valid=lidar, frames=frames, fused_bev=torch.stack(features))

    def _read(self, sample: SampleRef) -> Arrays:
        seed = [self.config.training.seed, _VARIANT_OF_CLIP, sample.clip]
        variant = int(np.random.default_rng(seed).integers(self.variants))
        arrays = self.store.get(self.key((sample.sequence, sample.frame, variant)))
        if arrays is None:
            name = self.logs[sample.sequence].name
            raise ValueError(
                f"{name}, frame {sample.frame}: its features are gone from {self.store.folder}; "
                "start again with --resume auto, which makes what is missing"
            )
        return arrays


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
    check_trunk_is_frozen(config)
    fingerprint = features_fingerprint(model, config, sources_of(logs))
    folder = Path(config.cache.folder).expanduser() / "features"
    store = ArrayStore(folder, fingerprint, int(config.cache.features_gb * 1e9))
    dataset = CachedFeatures(logs, config, store, ranks, shares)
    fill(dataset, model, ranks, console)
    all_gather(None)  # nobody begins before all is there
    return dataset


def fill(dataset: CachedFeatures, model: Perception, ranks: Ranks, console: Console) -> None:
    """Computes this rank's share of what the store does not hold. Raises ValueError where there is
    no room for all of it."""
    # Shares are of all entries, not of the missing: ranks do not look at the same moment.
    share = _chunks(dataset.entries(), dataset.config.batch_sizes.train)[ranks.rank :: ranks.count]
    looked = ([e for e in c if not dataset.holds(e)] for c in share)
    missing = [chunk for chunk in looked if chunk]
    if not missing:
        return
    loader: DataLoader[_Chunk] = DataLoader(
        _Chunks(dataset, missing),
        batch_size=None,
        num_workers=dataset.config.training.workers,
        collate_fn=as_it_is,
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


def _keep(
    dataset: CachedFeatures,
    chunk: Sequence[Entry],
    batch: FrameBatch,
    features: npt.NDArray[np.float32],
) -> None:
    for i, (entry, frame, values) in enumerate(zip(chunk, batch.frames, features, strict=True)):
        valid = {name: getattr(batch, name)[i].numpy() for name in _VALID}
        arrays = {_FEATURES: compact(values), **valid, **arrays_of(frame)}
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


def _without_pixels(frame: Frame, valid: BoolArray) -> Frame:
    """Returns the frame with images without pixels, for the cameras [N] that worked."""
    empty = np.zeros((0, 0, 3), np.uint8)
    cameras = zip(frame.cameras, valid.tolist(), strict=True)
    return replace(
        frame,
        cameras=tuple(
            replace(c, size_px=(0, 0), image=empty if worked else None) for c, worked in cameras
        ),
    )
