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
from typing import TYPE_CHECKING

import numpy as np
import torch

from leapai.config.schema import TaskConfig
from leapai.data.array_store import Arrays, ArrayStore
from leapai.data.augmentation import Augmentation, apply, draw_augmentation
from leapai.data.cache_sources import NEVER, FileState, are_unchanged, note_states, sources_of
from leapai.data.frame_cache import arrays_of_files, files_of, frame_of
from leapai.data.samplers import SampleRef, StreamingDataset
from leapai.data.transforms import collate, on_one_rig, prepare, read_frame
from leapai.distributed import Ranks
from leapai.models.perception import Perception
from leapai.models.tensors import FrameBatch
from leapai.training.frozen_trunk import check_trunk_is_frozen, features_fingerprint
from leapai.types import BoolArray, Frame

if TYPE_CHECKING:
    from leapai.data.clip_mixture import ClipShare
    from leapai.data.log import DrivingLog

FEATURES = "fused_bev"
VALID = ("camera_valid", "lidar_valid")
"""Tensors of a batch that are kept with the features."""
_VARIANT_OF_CLIP, _VARIANT_OF_SEQUENCE = 2, 3
"""Purposes of random generators: the second number of a seed (`data.samplers` has 0 and 1)."""

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
        return apply(frame, self._augmentation(frame, sequence, variant)) if variant else frame

    def _augmentation(self, frame: Frame, sequence: int, variant: int) -> Augmentation:
        """Draws the augmentation of a variant, from 1 on, of the sequence of a frame."""
        seed = [self.config.training.seed, _VARIANT_OF_SEQUENCE, sequence, variant]
        names = [camera.name for camera in frame.cameras]
        return draw_augmentation(self.config.augmentation, np.random.default_rng(seed), names)

    def batch_of(self, samples: Sequence[SampleRef]) -> FrameBatch:
        """Collates one frame of each stream. Raises ValueError for one whose features are gone."""
        arrays = [self._read(sample) for sample in samples]
        frames = tuple(self._labelled(a, v) for a, v in zip(arrays, samples, strict=True))
        features = [torch.from_numpy(a[FEATURES]).float() for a in arrays]
        prepared = [
            _without_pixels(f, a["camera_valid"]) for f, a in zip(frames, arrays, strict=True)
        ]
        batch = collate(on_one_rig(prepared), [v.is_first for v in samples])
        lidar = torch.tensor([bool(a["lidar_valid"]) for a in arrays])
        return replace(batch, lidar_valid=lidar, frames=frames, fused_bev=torch.stack(features))

    def _labelled(self, arrays: Arrays, sample: SampleRef) -> Frame:
        """Returns the kept frame with its static labels."""
        vocabulary, variant = self.config.vocabulary, self._variant(sample)
        frame = frame_of(arrays, vocabulary)
        scale = self._augmentation(frame, sample.sequence, variant).scale if variant else 1.0
        return self.with_map(frame, sample.sequence, scale)

    def _variant(self, sample: SampleRef) -> int:
        """Draws the variant that a clip walks through."""
        seed = [self.config.training.seed, _VARIANT_OF_CLIP, sample.clip]
        return int(np.random.default_rng(seed).integers(self.variants))

    def _read(self, sample: SampleRef) -> Arrays:
        arrays = self.store.get(self.key((sample.sequence, sample.frame, self._variant(sample))))
        if arrays is None:
            name = self.logs[sample.sequence].name
            raise ValueError(
                f"{name}, frame {sample.frame}: its features are gone from {self.store.folder}; "
                "start again with --resume auto, which makes what is missing"
            )
        return arrays


def open_features(
    model: Perception,
    logs: Sequence[DrivingLog],
    config: TaskConfig,
    ranks: Ranks,
    shares: Sequence[ClipShare] = (),
) -> CachedFeatures:
    """Returns the training data as features, as far as they are kept. Raises ValueError where the
    trunk is not frozen from step 0."""
    check_trunk_is_frozen(config)
    fingerprint = features_fingerprint(model, config, sources_of(logs))
    folder = Path(config.cache.folder).expanduser() / "features"
    store = ArrayStore(folder, fingerprint, int(config.cache.features_gb * 1e9))
    return CachedFeatures(logs, config, store, ranks, shares)


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
