"""Lanes: what they see, in what order, and that it depends on seed, stream and step alone."""

from __future__ import annotations

import os
import signal
from collections import Counter
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from leapai.config import AugmentationConfig, BatchSizes, StreamingConfig, TaskConfig
from leapai.config.training import TrainingConfig
from leapai.data.loading import read_through, window_loader, worker_count
from leapai.data.log import DrivingLog
from leapai.data.samplers import SampleRef, SequenceSampler, StreamingDataset
from leapai.data.static_labels import rasterise
from leapai.models.tensors import FrameBatch
from leapai.types import Frame, Labels, MapLine
from tests.scenes import IMAGE_SIZE_PX, JOINT, ROAD_MAP, make_frame, small_config

LENGTHS = (7, 1, 23, 40, 3)
SEQUENCES = StreamingConfig(clip_frames=8, frames_without_gradient=2, frames_with_gradient=1)


class StubLog(DrivingLog):
    """A drive of random frames, each with one labelled box."""

    def __init__(self, length: int, name: str, error: Exception | None = None) -> None:
        self.name = name
        self.length = length
        self.error = error

    @property
    def timestamps_us(self) -> np.ndarray:
        return 1_000_000 + np.arange(self.length) * 100_000

    def __getitem__(self, index: int) -> Frame:
        if self.error is not None:
            raise self.error
        box = np.array([[10.0, 1.0, 0.5, 4.0, 2.0, 1.5, 0.1]])
        frame = make_frame(index, sequence=self.name)
        return replace(frame, labels=Labels.unlabelled(box, np.array([0])))


def walk(
    stream: int, frames: int, lengths: tuple[int, ...] = LENGTHS, **changes: Any
) -> list[SampleRef]:
    streams, seed = changes.pop("streams", 3), changes.pop("seed", 0)
    walks = SequenceSampler(lengths, SEQUENCES.model_copy(update=changes), streams, seed)
    return [walks.sample(stream, t) for t in range(frames)]


def clips_of(samples: list[SampleRef]) -> list[list[SampleRef]]:
    clips: dict[int, list[SampleRef]] = {}
    for sample in samples:
        clips.setdefault(sample.clip, []).append(sample)
    return list(clips.values())


def make_config(streams: int = 2, **changes: Any) -> TaskConfig:
    values = {"batch_sizes": BatchSizes(train=streams), "streaming": SEQUENCES}
    return small_config(**(values | changes))


def assert_same_window(found: list[FrameBatch], expected: list[FrameBatch]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        for field in fields(FrameBatch):
            a, b = getattr(one, field.name), getattr(other, field.name)
            if isinstance(b, torch.Tensor):
                torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_a_clip_is_a_piece_of_a_drive_in_order_and_starts_anew():
    samples = walk(0, 400)
    for clip in clips_of(samples)[:-1]:
        assert len({v.sequence for v in clip}) == 1
        first = clip[0].frame
        assert [v.frame for v in clip] == list(range(first, first + len(clip)))
        assert [v.is_first for v in clip] == [True] + [False] * (len(clip) - 1)
        assert len(clip) <= 8
    starts = Counter(c[0].frame % 8 for c in clips_of(samples) if c[0].sequence == 3 and c[0].frame)
    assert len(starts) > 3, "drives are cut elsewhere in each epoch"
    assert any(len(c) == 8 for c in clips_of(samples))


def test_streams_walk_different_clips_and_epochs_differ():
    seen = [{v.clip for v in walk(stream, 300)} for stream in range(3)]
    assert not seen[0] & seen[1]
    assert not seen[1] & seen[2]
    samples = walk(0, 300)
    orders = [
        [(c[0].sequence, c[0].frame) for c in clips_of(samples)[i : i + 5]] for i in (0, 5, 10)
    ]
    assert orders[0] != orders[1] != orders[2]
    assert walk(0, 50) == walk(0, 50)
    assert walk(0, 50) != walk(0, 50, seed=1)


@pytest.mark.parametrize("streams", [1, 3, 16])
def test_single_frames_come_in_random_order_each_once_an_epoch_over_all_streams(streams):
    epoch = sum(LENGTHS)
    lengths = (*LENGTHS, 96 - epoch - 10, 10)  # 96 frames: a whole number for each stream
    walks = SequenceSampler(lengths, StreamingConfig(), streams, seed=0)
    for start in (0, 96 // streams, 50 * 96 // streams):
        times = range(start, start + 96 // streams)
        samples = [walks.sample(stream, t) for t in times for stream in range(streams)]
        assert all(v.is_first for v in samples)
        assert {(v.sequence, v.frame) for v in samples} == {
            (d, f) for d, n in enumerate(lengths) for f in range(n)
        }
        frames = [v.frame for v in samples if v.sequence == 3]
        assert frames != sorted(frames)


def test_in_the_long_run_every_frame_is_seen_about_equally_often():
    samples = [v for stream in range(3) for v in walk(stream, 5000)]
    counts = Counter((v.sequence, v.frame) for v in samples)
    assert len(counts) == sum(LENGTHS)
    expected = 15_000 / sum(LENGTHS)
    assert all(0.9 * expected < count < 1.1 * expected for count in counts.values())


def test_gaps_skip_frames_and_resets_forget_as_often_as_asked():
    clips = clips_of(walk(0, 6000, (500,), gap_probability=0.3, max_gap_frames=2, clip_frames=100))
    steps = np.concatenate([np.diff([v.frame for v in c]) for c in clips])
    assert set(steps) == {1, 2, 3}
    assert np.mean(steps > 1) == pytest.approx(0.3, abs=0.03)
    assert np.mean(steps == 2) == pytest.approx(0.15, abs=0.03)
    clips = clips_of(walk(0, 6000, (500,), reset_probability=0.1, clip_frames=100))
    assert all(clip[0].is_first for clip in clips)
    later = [v.is_first for c in clips for v in c[1:]]
    assert np.mean(later) == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("lengths", [(1,), (1, 1, 1), (0, 5), (3000,)])
def test_few_frames_and_empty_drives_feed_many_streams(lengths):
    walks = SequenceSampler(lengths, SEQUENCES, 16, seed=0)
    for stream in range(16):
        for t in range(50):
            sample = walks.sample(stream, t)
            assert 0 <= sample.frame < lengths[sample.sequence]


def test_no_frames_at_all_are_a_mistake_with_a_remedy():
    with pytest.raises(ValueError, match=r"data\.train"):
        SequenceSampler((0, 0), SEQUENCES, 2, seed=0)


def test_any_time_can_be_asked_for_in_any_order():
    options = {"gap_probability": 0.2, "reset_probability": 0.1}
    samples = walk(1, 5000, **options)
    walks = SequenceSampler(LENGTHS, SEQUENCES.model_copy(update=options), 3, seed=0)
    for t in (4999, 0, 2500, 17, 3000, 4998):
        assert walks.sample(1, t) == samples[t]


@pytest.mark.parametrize("clip_frames", [1, 20])
def test_a_late_step_of_a_long_training_plans_each_round_once(clip_frames, monkeypatch):
    planned = []
    plan = SequenceSampler._planned
    monkeypatch.setattr(
        SequenceSampler,
        "_planned",
        lambda self, number: planned.append(number) or plan(self, number),
    )
    streaming = StreamingConfig(clip_frames=clip_frames, gap_probability=0.2)
    walks = SequenceSampler([40] * 120, streaming, 16, seed=0)
    for stream in range(16):
        walks.sample(stream, 75_000 * 4)
    assert planned == list(range(len(planned)))  # not again for each stream or visit
    assert len(planned) > 1000


def test_a_window_is_batches_in_time_with_the_streams_of_the_rank():
    logs = [StubLog(n, f"drive{n}") for n in LENGTHS]
    still = AugmentationConfig(
        rotation_deg=0, mirror_probability=0, photometric=0, calibration_deg=0, calibration_m=0,
        lidar_dropout=0, cameras_dropout=0, camera_dropout=0,
    )  # fmt: skip
    dataset = StreamingDataset(logs, make_config(augmentation=still))
    window, samples = dataset.window(5), dataset.samples(5)
    assert len(window) == 3
    for batch, expected in zip(window, samples, strict=True):
        assert batch.streams == 2
        assert batch.is_first.tolist() == [v.is_first for v in expected]
        for stream, sample in enumerate(expected):
            frame = logs[sample.sequence][sample.frame]
            assert batch.frames[stream].sequence == frame.sequence
            assert int(batch.timestamp_us[stream]) == frame.timestamp_us
            np.testing.assert_array_equal(
                batch.images[stream].permute(0, 2, 3, 1), [c.image for c in frame.cameras]
            )
            torch.testing.assert_close(
                batch.points[batch.point_stream == stream], torch.from_numpy(frame.points)
            )


def test_carried_frames_keep_labels_but_no_sensors():
    dataset = StreamingDataset([StubLog(9, "drive")], make_config())
    for batch in dataset.window(0):
        for stream, frame in enumerate(batch.frames):
            assert len(frame.labels) == 1
            assert frame.points is None
            assert [c.name for c in frame.cameras][:2] == ["front_narrow", "front_wide"]
            assert all(c.image is None for c in frame.cameras)
            np.testing.assert_array_equal(frame.ego2global, batch.ego2global[stream])


def test_two_ranks_see_what_one_rank_with_all_streams_sees():
    logs = [StubLog(n, f"drive{n}") for n in LENGTHS]
    joint = StreamingDataset(logs, make_config(4))
    ranks = [StreamingDataset(logs, make_config(2), rank=r, world_size=2) for r in (0, 1)]
    for step in (0, 3):
        parts = zip(*(rank.window(step) for rank in ranks), strict=True)
        for batch, (first, second) in zip(joint.window(step), parts, strict=True):
            torch.testing.assert_close(batch.images, torch.cat([first.images, second.images]))
            torch.testing.assert_close(batch.points, torch.cat([first.points, second.points]))
            poses = torch.cat([first.ego2global, second.ego2global])
            torch.testing.assert_close(batch.ego2global, poses, rtol=0, atol=0)
            assert batch.is_first.tolist() == [*first.is_first.tolist(), *second.is_first.tolist()]


def test_processes_read_the_same_windows_and_a_resumed_run_goes_on_with_them():
    config = make_config(training=TrainingConfig(seed=3))
    dataset = StreamingDataset([StubLog(n, f"drive{n}") for n in LENGTHS], config)
    expected = [dataset.window(step) for step in range(6)]
    for window, other in zip(window_loader(dataset, range(6), 2), expected, strict=True):
        assert_same_window(window, other)
    again = StreamingDataset(dataset.logs, config)
    for window, other in zip(window_loader(again, range(4, 6), 0), expected[4:], strict=True):
        assert_same_window(window, other)


@pytest.mark.parametrize(
    ("cores", "ranks", "workers"), [(16, 1, 15), (16, 8, 1), (96, 8, 11), (1, 1, 1), (2, 4, 1)]
)
def test_each_rank_has_its_share_of_the_cores(monkeypatch, cores, ranks, workers):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(ranks))
    assert worker_count(TrainingConfig()) == workers
    assert worker_count(TrainingConfig(workers=3)) == 3
    assert worker_count(TrainingConfig(workers=0)) == 0


def test_windows_are_pinned_where_there_is_a_gpu(monkeypatch):
    assert not window_loader(None, range(1), 1).pin_memory
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert window_loader(None, range(1), 1, prefetch=5).pin_memory
    assert window_loader(None, range(1), 1, prefetch=5).prefetch_factor == 5
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor + 1)
    (batch,) = StreamingDataset([StubLog(2, "drive")], make_config()).window(0)[:1]
    pinned = batch.pin_memory()
    assert torch.equal(pinned.timestamp_us, batch.timestamp_us + 1)
    assert pinned.frames is batch.frames


def test_the_same_augmentation_lasts_through_a_clip_and_poses_stay_true():
    config = make_config(1)
    dataset = StreamingDataset([StubLog(30, "drive")], config)
    samples = [v for step in range(6) for (v,) in dataset.samples(step)]
    batches = [b for step in range(6) for b in dataset.window(step)]
    log, followed = dataset.logs[0], 0
    for i in range(len(samples) - 1):
        if samples[i].clip == samples[i + 1].clip:
            before, now = (log[v.frame].ego2global for v in samples[i : i + 2])
            moved = np.linalg.norm((np.linalg.inv(before) @ now)[:3, 3])
            first, second = (b.ego2global[0].numpy() for b in batches[i : i + 2])
            relative = np.linalg.inv(first) @ second
            assert np.linalg.det(relative[:3, :3]) == pytest.approx(1)
            assert np.linalg.norm(relative[:3, 3]) == pytest.approx(moved)
            followed += 1
    assert followed > 10


@pytest.mark.parametrize("workers", [0, 1])
def test_a_frame_that_cannot_be_read_is_named(workers):
    dataset = StreamingDataset([StubLog(9, "drive9", OSError("disk gone"))], make_config())
    windows = iter(window_loader(dataset, range(1), workers))
    with pytest.raises(ValueError, match=r"drive9, frame \d: disk gone"):
        next(windows)
    if workers:
        windows._shutdown_workers()  # the garbage collector would wait 5 s for them


def test_images_get_the_size_and_cameras_the_groups_of_the_configuration():
    config = make_config()
    camera = config.camera.model_copy(
        update={"image_size_px": (32, 48), "groups": {"back": "side"}}
    )
    dataset = StreamingDataset([StubLog(9, "d")], config.model_copy(update={"camera": camera}))
    batch = dataset.window(0)[0]
    assert batch.images.shape[-2:] == (32, 48) != IMAGE_SIZE_PX
    assert batch.camera_groups == (0, 1, 3, 3, 3, 3, 3)


class MappedLog(StubLog):
    """A drive with a kerb along its way."""

    static_classes = ("Curb", "Wall")

    def vector_map(self) -> tuple[MapLine, ...]:
        return (MapLine("Curb", "road_edge", np.array([[-50.0, 5, 0], [90, 5, 0]])),)


def test_the_static_task_gets_rasters_of_the_augmented_ego_where_there_is_a_map():
    static = {"cell_m": 0.8}
    config = make_config(
        static_task=True, task_loss_weights={"dynamic": 1.0, "static": 1.0}, static=static
    )
    dataset = StreamingDataset([MappedLog(6, "mapped"), StubLog(6, "bare")], config)
    seen = {"mapped": 0, "bare": 0}
    for batch in (b for step in range(4) for b in dataset.window(step)):
        for frame, pose in zip(batch.frames, batch.ego2global.numpy(), strict=True):
            seen[frame.sequence] += 1
            labels = frame.static_labels
            assert (labels is None) == (frame.sequence == "bare")
            if labels is not None:
                kerb = MappedLog(6, "").vector_map()
                expected = rasterise(kerb, pose, config.static.region())
                np.testing.assert_array_equal(labels.road_elements, expected.road_elements)
                assert labels.road_elements[1].any()
                assert labels.known.sum() == 2
    assert min(seen.values()) > 0
    plain = StreamingDataset([MappedLog(6, "mapped")], make_config())
    assert all(f.static_labels is None for b in plain.window(0) for f in b.frames)


class Fatal(Dataset):
    """Frames whose reading kills its process, or cannot be done."""

    def __init__(self, kills: bool) -> None:
        self.kills = kills

    def __getitem__(self, step: int) -> None:
        if self.kills:
            os.kill(os.getpid(), signal.SIGKILL)
        raise ValueError("drive, frame 3: the pose is not finite")


def test_a_reading_process_that_is_killed_is_one_line_with_the_remedy():
    with pytest.raises(OSError, match=r"was killed, most often because memory ran out; use fewer"):
        list(read_through(window_loader(Fatal(kills=True), range(2), 1)))


@pytest.mark.parametrize("workers", [0, 1])
def test_what_a_process_cannot_read_is_said_as_without_processes(workers):
    with pytest.raises(ValueError, match=r"^drive, frame 3: the pose is not finite$"):
        list(read_through(window_loader(Fatal(kills=False), range(2), workers)))


def test_each_stream_of_a_batch_loses_and_changes_its_own_sensors():
    """Dropouts are drawn for a clip, not for a batch, and last through it."""
    config = make_config(
        4, augmentation={"lidar_dropout": 0.4, "cameras_dropout": 0.4, "scaling": 0.1}
    )
    dataset = StreamingDataset([StubLog(60, "a"), StubLog(60, "b")], config)
    of_clip: dict[int, set[tuple[bool, bool]]] = {}
    mixed = 0
    for step in range(4):
        for samples, batch in zip(dataset.samples(step), dataset.window(step), strict=True):
            lost = list(
                zip(batch.lidar_valid.tolist(), batch.camera_valid.any(1).tolist(), strict=True)
            )
            mixed += len(set(lost)) > 1
            for sample, state in zip(samples, lost, strict=True):
                of_clip.setdefault(sample.clip, set()).add(state)
    assert mixed > 6, "streams of one batch differ"
    assert all(len(states) == 1 for states in of_clip.values())
    assert {state for states in of_clip.values() for state in states} == {
        (True, True), (False, True), (True, False),
    }  # fmt: skip


def test_pixel_labels_come_where_depth_is_trained_and_leave_with_the_sensors():
    camera = small_config().camera.model_copy(update={"depth_bins": 6})
    deaf = {"lidar_dropout": 1.0, "cameras_dropout": 0.0, "camera_dropout": 0.0}
    dataset = StreamingDataset([StubLog(9, "a")], make_config(camera=camera, augmentation=deaf))
    (batch, *_) = dataset.window(0)
    assert not batch.lidar_valid.any()
    assert batch.pixel_depth_m.isfinite().any(), "made before the LiDAR was lost"
    assert all(c.pixel_labels is None for frame in batch.frames for c in frame.cameras)
    (plain, *_) = StreamingDataset([StubLog(9, "a")], make_config()).window(0)
    assert plain.pixel_depth_m is None


def test_the_map_of_a_scaled_clip_is_scaled():
    config = make_config(
        1, **{**JOINT, "augmentation": {"scaling": 0.2, "rotation_deg": 0, "mirror_probability": 0}}
    )

    class MapLog(StubLog):
        def vector_map(self):
            return ROAD_MAP

    log = MapLog(30, "a")
    dataset, scales = StreamingDataset([log], config), set()
    for step in range(6):
        for samples, batch in zip(dataset.samples(step), dataset.window(step), strict=True):
            frame = batch.frames[0]
            scale = frame.labels.boxes[0, 3] / 4.0
            scales.add(round(scale, 6))
            pose = log[samples[0].frame].ego2global.copy()
            np.testing.assert_allclose(frame.ego2global[:3, 3], pose[:3, 3] * scale)
            larger = tuple(replace(line, points_m=line.points_m * scale) for line in ROAD_MAP)
            expected = rasterise(larger, frame.ego2global, config.static.region())
            np.testing.assert_array_equal(frame.static_labels.planes, expected.planes)
    assert len(scales) > 1
