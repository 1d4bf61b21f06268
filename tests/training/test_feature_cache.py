"""Features on disk: the same training as without, made once, never of other weights."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from leapai.config import AugmentationConfig, BatchSizes, StreamingConfig, TaskConfig
from leapai.config.checks import TRUNK_MODULES
from leapai.config.training import CacheConfig
from leapai.data.array_store import ArrayStore
from leapai.data.clip_mixture import ClipShare
from leapai.data.loading import window_loader
from leapai.data.log import DrivingLog
from leapai.data.reading import SensorError, read_bytes
from leapai.data.samplers import StreamingDataset
from leapai.data.static_labels import rasterise
from leapai.data.transforms import collate
from leapai.distributed import Ranks
from leapai.models.tensors import FrameBatch
from leapai.training.criterion import DynamicCriterion
from leapai.training.feature_cache import CachedFeatures
from leapai.training.feature_filling import cached_features, compact, fill
from leapai.training.freezing import freeze
from leapai.training.frozen_trunk import features_fingerprint
from leapai.training.targets import TargetMaker
from leapai.types import Frame, Labels
from tests.scenes import JOINT, ROAD_MAP, make_frame, seeded_model, small_config

QUIET = Console(quiet=True)
STILL = AugmentationConfig(
    rotation_deg=0, mirror_probability=0, photometric=0, calibration_deg=0, calibration_m=0,
    lidar_dropout=0, cameras_dropout=0, camera_dropout=0,
)  # fmt: skip


class StubLog(DrivingLog):
    """A drive of random frames with two labelled boxes."""

    version = "1"

    def __init__(self, length: int, name: str) -> None:
        self.name = name
        self.length = length

    @property
    def timestamps_us(self) -> np.ndarray:
        return 1_000_000 + np.arange(self.length) * 100_000

    def __getitem__(self, index: int) -> Frame:
        boxes = np.array([[10.0, 1, 0.5, 4, 2, 1.5, 0.1], [-6.0, 4, 0.9, 0.6, 0.6, 1.8, 1.0]])
        labels = Labels.unlabelled(boxes, np.array([0, 3]))
        return replace(make_frame(index, sequence=self.name), labels=labels)


def logs() -> list[StubLog]:
    return [StubLog(5, "a"), StubLog(3, "b")]


def make_config(folder: Path, **changes: Any) -> TaskConfig:
    values = {
        "freeze_module_schedules": dict.fromkeys(TRUNK_MODULES, 0),
        "batch_sizes": BatchSizes(train=2),
        "streaming": StreamingConfig(
            clip_frames=4, frames_without_gradient=1, frames_with_gradient=2
        ),
        "augmentation": STILL,
        "cache": CacheConfig(folder=str(folder), features_gb=0.5),
        "training": {"workers": 0},
    }
    return small_config(**(values | changes))


def make_model(config: TaskConfig) -> torch.nn.Module:
    model = seeded_model(config)
    for name in TRUNK_MODULES:
        freeze(model.get_submodule(name))
    return model.train()


def made(config: TaskConfig, variants: int = 1) -> tuple[torch.nn.Module, CachedFeatures]:
    config = config.replace(cache={"feature_variants": variants})
    model = make_model(config)
    return model, cached_features(model, logs(), config, Ranks(), QUIET)


class CountingTrunk:
    """Counts the frames that a model's trunk sees, and may be killed."""

    def __init__(self, model: Any, dies_after: int = 10**6) -> None:
        self.inner, self.frames, self.dies_after = model.trunk, 0, dies_after
        model.trunk = self

    def __call__(self, batch: FrameBatch) -> torch.Tensor:
        if self.frames >= self.dies_after:
            raise KeyboardInterrupt
        self.frames += batch.streams
        return self.inner(batch)


def losses_and_gradients(
    model: Any, config: TaskConfig, windows: list[list[FrameBatch]]
) -> tuple[list[float], torch.Tensor]:
    """Totals of every frame, memory carried, and the gradient of their sum."""
    torch.manual_seed(0)  # for the memory's random choice
    criterion, targets = DynamicCriterion(config), TargetMaker(config)
    state, totals = model.initial_state(2), []
    for batch in (batch for window in windows for batch in window):
        predictions, state = model(batch, state)
        totals.append(criterion(predictions.dynamic, targets.make(batch), None)["total"])
    model.zero_grad()
    sum(totals).backward()
    gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return [total.item() for total in totals], torch.cat(gradients)


def test_losses_and_gradients_are_those_without_the_cache(tmp_path):
    config = make_config(tmp_path)
    model, cached = made(config)
    plain = StreamingDataset(logs(), config)
    expected, gradient = losses_and_gradients(model, config, [plain.window(s) for s in (0, 1)])
    windows = [cached.window(s) for s in (0, 1)]
    found, other = losses_and_gradients(model, config, windows)
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    assert float((gradient - other).norm() / gradient.norm()) < 1e-2


def test_a_window_brings_everything_that_the_head_and_the_losses_read(tmp_path):
    config = make_config(tmp_path)
    model, cached = made(config)
    plain = StreamingDataset(logs(), config)
    for batch, expected in zip(cached.window(3), plain.window(3), strict=True):
        for name in ("timestamp_us", "ego2global", "is_first", "camera_valid", "lidar_valid"):
            assert torch.equal(getattr(batch, name), getattr(expected, name))
        for frame, other in zip(batch.frames, expected.frames, strict=True):
            assert frame.sequence == other.sequence
            np.testing.assert_allclose(frame.labels.boxes, other.labels.boxes, rtol=1e-12)
            assert [c.name for c in frame.cameras] == [c.name for c in other.cameras]
        with torch.no_grad():
            features = model.trunk(expected)
        assert batch.fused_bev.dtype == torch.float32
        torch.testing.assert_close(batch.fused_bev, features, rtol=1e-3, atol=1e-3)
        assert batch.images.numel() == 0
        assert len(batch.points) == 0


def test_features_are_made_once_and_other_processes_read_them(tmp_path):
    config = make_config(tmp_path, training={"workers": 1})
    model = make_model(config)
    trunk = CountingTrunk(model)
    for _ in range(2):
        cached = cached_features(model, logs(), config, Ranks(), QUIET)
        assert trunk.frames == 8
    windows = list(window_loader(cached, range(3), 2))
    for window, step in zip(windows, range(3), strict=True):
        for batch, expected in zip(window, cached.window(step), strict=True):
            assert torch.equal(batch.fused_bev, expected.fused_bev)


class FileLog(StubLog):
    """A drive whose sensors are one file, which may change or be away."""

    def __init__(self, path: Path) -> None:
        super().__init__(4, "on_disk")
        self.path = path

    def __getitem__(self, index: int) -> Frame:
        frame = super().__getitem__(index)
        try:
            read_bytes(self.path)
        except SensorError as error:
            return replace(frame, points=None, faults=(str(error),))
        return frame


def test_features_of_files_that_changed_or_were_away_are_made_again(tmp_path):
    config = make_config(tmp_path / "cache")
    model, path = make_model(config), tmp_path / "0.bin"
    trunk = CountingTrunk(model)
    seen = []
    for content in (b"one", b"one", None, None, b"three", b"three"):
        path.unlink(missing_ok=True) if content is None else path.write_bytes(content)
        os.utime(path, (1, 1)) if content else None
        cached_features(model, [FileLog(path)], config, Ranks(), QUIET)
        seen.append(trunk.frames)
    assert seen == [4, 4, 8, 12, 16, 16]


def test_a_pass_that_was_killed_goes_on_where_it_was(tmp_path):
    config = make_config(tmp_path)
    model = make_model(config)
    model.fuser.train()
    trunk = CountingTrunk(model, dies_after=4)
    with pytest.raises(KeyboardInterrupt):
        cached_features(model, logs(), config, Ranks(), QUIET)
    assert model.training, "the network is left as it was"
    trunk.dies_after = 10**6
    cached_features(model, logs(), config, Ranks(), QUIET)
    assert trunk.frames == 8


def test_ranks_share_the_work_whenever_each_of_them_looks(tmp_path):
    config = make_config(tmp_path)
    model = make_model(config)
    trunk = CountingTrunk(model)
    store = ArrayStore(tmp_path / "shared", {}, 10**9)
    datasets = [CachedFeatures(logs(), config, store, Ranks(r, 2)) for r in (0, 1)]
    counts = []
    for rank, dataset in enumerate(datasets):  # the second looks when the first has written
        before = trunk.frames
        fill(dataset, model, Ranks(rank, 2), QUIET)
        counts.append(trunk.frames - before)
    assert sum(counts) == 8
    assert min(counts) >= 3
    assert all(datasets[0].key(entry) in store for entry in datasets[0].entries())


def test_other_weights_of_the_trunk_or_other_data_are_another_cache_the_heads_are_not(tmp_path):
    config = make_config(tmp_path)
    model = make_model(config)
    before = features_fingerprint(model, config, "1")
    with torch.no_grad():
        next(model.bev_dynamic_head.parameters()).add_(1)
        next(model.bev_dynamic_neck.parameters()).add_(1)
    assert features_fingerprint(model, config, "1") == before
    assert features_fingerprint(model, config, "2") != before
    other = config.model_copy(update={"data": config.data.model_copy(update={"train": "x"})})
    assert features_fingerprint(model, other, "1") != before
    statistics = next(b for b in model.fuser.buffers() if b.is_floating_point())
    statistics.add_(1)
    assert features_fingerprint(model, config, "1") != before


def test_too_little_room_is_said_with_what_is_needed(tmp_path):
    config = make_config(tmp_path, cache=CacheConfig(folder=str(tmp_path), features_gb=1e-4))
    with (
        pytest.warns(UserWarning, match="keeps no more"),
        pytest.raises(ValueError, match=r"all 8 frames need about 0\.000\d+ GB.*features_gb"),
    ):
        made(config)


def test_a_trunk_that_learns_cannot_be_kept(tmp_path):
    schedule = dict.fromkeys(TRUNK_MODULES, 0) | {"lidar_vfe": 3}
    config = make_config(tmp_path, freeze_module_schedules=schedule)
    with pytest.raises(ValueError, match="does not freeze lidar_vfe at step 0"):
        made(config)
    assert not (tmp_path / "features").exists()


def test_features_that_are_gone_are_named(tmp_path):
    _, cached = made(make_config(tmp_path))
    for path in cached.store.folder.glob("*/*"):
        if path.parent.name != "temporary":
            path.unlink()
    with pytest.raises(ValueError, match=r"[ab], frame \d: its features are gone"):
        cached.window(0)


def test_variants_are_augmented_and_last_through_a_clip(tmp_path):
    turning = STILL.model_copy(update={"rotation_deg": 20.0, "lidar_dropout": 0.5})
    config = make_config(tmp_path, augmentation=turning)
    model, cached = made(config, variants=3)
    assert len(cached.entries()) == 24
    turned, poses_of_clip = 0, {}
    for step in range(20):
        for samples, batch in zip(cached.samples(step), cached.window(step), strict=True):
            for sample, pose in zip(samples, batch.ego2global, strict=True):
                plain = cached.logs[sample.sequence][sample.frame].ego2global
                turn = np.linalg.inv(plain) @ pose.numpy()
                turned += not np.allclose(turn, np.eye(4))
                np.testing.assert_allclose(
                    turn, poses_of_clip.setdefault(sample.clip, turn), atol=1e-9
                )
    assert 40 < turned < 110, "two variants of three are turned"
    for variant in (0, 1, 2):
        (frame,) = cached.frames_of([(0, 2, variant)])
        with torch.no_grad():
            expected = model.trunk(collate([frame], [True]))[0]
        kept = torch.from_numpy(cached.store.get(cached.key((0, 2, variant)))["fused_bev"])
        torch.testing.assert_close(kept.float(), expected, rtol=1e-3, atol=1e-3)


def test_half_precision_is_used_where_it_fits():
    values = np.array([1.0, -60_000.0, 1e-3], np.float32)
    assert compact(values).dtype == np.float16
    np.testing.assert_allclose(compact(values), values, rtol=1e-3)
    for beyond in (70_000.0, np.inf, np.nan):
        kept = compact(np.array([1.0, beyond], np.float32))
        assert kept.dtype == np.float32
        np.testing.assert_array_equal(kept, np.array([1.0, beyond], np.float32))


def test_drives_of_one_name_in_two_sources_do_not_meet(tmp_path):
    config = make_config(tmp_path)
    model = make_model(config)
    two = [StubLog(4, "same"), StubLog(4, "same")]
    shares = (ClipShare(1, 1.0), ClipShare(1, 1.0))
    cached = cached_features(model, two, config, Ranks(), QUIET, shares)
    assert len({cached.key(entry) for entry in cached.entries()}) == 8
    assert all(cached.key(entry) in cached.store for entry in cached.entries())


def test_weights_of_sources_change_no_feature():
    model, prints = None, []
    for train in (("a@1", "b@2"), ("a@3", "b")):
        config = make_config(Path("unused"), data={"train": train})
        model = model or make_model(config)
        prints.append(features_fingerprint(model, config, None))
    assert prints[0] == prints[1]
    assert prints[0]["data"] == ["a", "b"]


def test_the_map_of_a_scaled_variant_is_scaled(tmp_path):
    growing = STILL.model_copy(update={"scaling": 0.2})
    config = make_config(tmp_path, augmentation=growing, **JOINT)
    _, cached = made(config, variants=2)
    for log in cached.logs:
        log.vector_map = lambda: ROAD_MAP
    scales = set()
    for step in range(6):
        for samples, batch in zip(cached.samples(step), cached.window(step), strict=True):
            for sample, frame in zip(samples, batch.frames, strict=True):
                plain = cached.logs[sample.sequence][sample.frame]
                scale = frame.labels.boxes[0, 3] / plain.labels.boxes[0, 3]
                scales.add(round(scale, 6))
                larger = tuple(replace(line, points_m=line.points_m * scale) for line in ROAD_MAP)
                expected = rasterise(larger, frame.ego2global, config.static.region())
                np.testing.assert_array_equal(frame.static_labels.planes, expected.planes)
    assert len(scales) > 2


def test_heads_that_only_losses_read_change_no_feature(tmp_path):
    plain, dense = (make_config(tmp_path, loss={"dense_weight": w}) for w in (0.0, 1.0))
    one, other = make_model(plain), make_model(dense)
    other.load_state_dict({**other.state_dict(), **one.state_dict()})
    found = [
        features_fingerprint(model, config, "1") for model, config in ((one, plain), (other, dense))
    ]
    assert found[0] == found[1]
    with torch.no_grad():
        other.fuser.missing.add_(1.0)
    assert features_fingerprint(other, dense, "1") != found[0]
