"""Cached drives: every field comes back, the inner drive is asked once."""

from __future__ import annotations

import importlib
import os
import pickle
import sys
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leapai.config import CacheConfig
from leapai.data import cache_sources
from leapai.data.array_store import ArrayStore
from leapai.data.cache_sources import noting_files
from leapai.data.frame_cache import CachedLog, PreparedLog, frames_fingerprint, open_cached_logs
from leapai.data.log import DrivingLog, OpenOptions, open_logs, version_of
from leapai.data.reading import SensorError, read_bytes
from leapai.types import STATIC_CLASSES, Frame, Labels, MapLine
from tests.scenes import make_frame


class StubLog(DrivingLog):
    """A drive in memory that counts how often it is read."""

    version = "stub-1"

    def __init__(self, frames: list[Frame], name: str = "stub") -> None:
        self.name = name
        self.frames = frames
        self.reads = 0

    @property
    def timestamps_us(self) -> np.ndarray:
        return np.array([f.timestamp_us for f in self.frames])

    def __getitem__(self, index: int) -> Frame:
        self.reads += 1
        return self.frames[index]

    def vector_map(self) -> tuple[MapLine, ...]:
        return (MapLine("solid", "lane_boundary", np.zeros((2, 3))),)


def assert_equal(found: Any, expected: Any, where: str = "frame") -> None:
    assert type(found) is type(expected), where
    if is_dataclass(expected):
        for field in fields(expected):
            pair = (getattr(found, field.name), getattr(expected, field.name))
            assert_equal(*pair, f"{where}.{field.name}")
    elif isinstance(expected, np.ndarray):
        np.testing.assert_array_equal(found, expected, where, strict=True)
    elif isinstance(expected, tuple):
        assert len(found) == len(expected), where
        for i, pair in enumerate(zip(found, expected, strict=True)):
            assert_equal(*pair, f"{where}[{i}]")
    else:
        assert found == expected, where


def some_frames() -> list[Frame]:
    """Whole, with labels, with failed sensors, and one of a vehicle without cameras."""
    boxes = np.array([[5.0, 1, 0.8, 4.5, 1.9, 1.6, 0.3], [9.0, -2, 0.9, 0.6, 0.6, 1.8, -1.0]])
    labels = Labels.unlabelled(boxes, np.array([0, 3]))
    labels = replace(labels, velocity_mps=np.ones((2, 3)), velocity_valid=np.array([True, False]))
    whole, faulty = make_frame(0), make_frame(1)
    blind = tuple(replace(c, image=None) if c.name == "back" else c for c in faulty.cameras)
    return [
        replace(whole, labels=labels),
        replace(faulty, cameras=blind, points=None, faults=("back: lost", "LiDAR: lost")),
        replace(make_frame(2), points=np.zeros((0, 5), np.float32)),
        replace(make_frame(3), cameras=(), labels=labels.select(np.zeros(2, bool))),
    ]


def test_every_field_comes_back_and_the_drive_is_read_once(tmp_path):
    inner = StubLog(some_frames())
    store = ArrayStore(tmp_path, {}, 10**9)
    log = CachedLog(inner, store)
    for _ in range(2):
        for i, frame in enumerate(inner.frames):
            assert_equal(log[i], frame)
    faulty = sum(bool(frame.faults) for frame in inner.frames)
    assert inner.reads == len(inner) + faulty == 5, "a failed sensor is tried again"
    elsewhere = pickle.loads(pickle.dumps(CachedLog(StubLog(some_frames()), store)))
    assert_equal(elsewhere[2], inner.frames[2])
    assert_equal(elsewhere[-2], inner.frames[2])
    assert elsewhere.inner.reads == 0


def test_name_times_map_and_version_are_the_inner_drives(tmp_path):
    inner = StubLog(some_frames())
    log = CachedLog(PreparedLog(inner, (64, 96)), ArrayStore(tmp_path, {}, 10**9))
    assert log.name == "stub"
    assert len(log) == 4
    np.testing.assert_array_equal(log.timestamps_us, inner.timestamps_us)
    assert log.vector_map()[0].kind == "solid"
    assert log.static_classes == STATIC_CLASSES
    inner.static_classes = ("Curb",)
    partly = CachedLog(PreparedLog(inner, (64, 96)), ArrayStore(tmp_path, {}, 10**9))
    assert partly.static_classes == ("Curb",)
    assert version_of([log]) == "stub-1"
    with pytest.raises(IndexError):
        log[4]


@pytest.mark.parametrize("lines", [0, 1, 3])
def test_the_map_is_kept_and_the_drive_is_asked_once(tmp_path, lines):
    rng = np.random.default_rng(lines)
    vector_map = tuple(
        MapLine(f"kind {i}", "layer", rng.normal(4e6, 1, (i + 2, 3))) for i in range(lines)
    )
    inner, asked = StubLog(some_frames()), []
    inner.vector_map = lambda: asked.append(1) or vector_map
    store = ArrayStore(tmp_path, {}, 10**9)
    for _ in range(3):
        found = CachedLog(inner, store).vector_map()
        assert_equal(found, vector_map, "map")
    assert len(asked) == 1


def test_no_map_stays_no_map(tmp_path):
    inner = StubLog(some_frames())
    inner.vector_map = lambda: None
    log = CachedLog(inner, ArrayStore(tmp_path, {}, 10**9))
    assert log.vector_map() is None
    assert log.vector_map() is None


def test_drives_of_two_names_do_not_mix(tmp_path):
    store = ArrayStore(tmp_path, {}, 10**9)
    frames = some_frames()
    first = CachedLog(StubLog(frames[:1], "one"), store)
    second = CachedLog(StubLog(frames[2:3], "two"), store)
    for _ in range(2):
        assert_equal(first[0], frames[0])
        assert_equal(second[0], frames[2])


def test_a_full_store_changes_nothing_but_the_time(tmp_path):
    inner = StubLog(some_frames())
    log = CachedLog(inner, ArrayStore(tmp_path, {}, 1000))
    with pytest.warns(UserWarning, match="keeps no more"):
        found = [log[0], log[0]]
    assert_equal(tuple(found), (inner.frames[0],) * 2)
    assert inner.reads == 2


def test_images_are_kept_in_the_size_that_the_network_wants(tmp_path):
    log = CachedLog(PreparedLog(StubLog(some_frames()), (32, 48)), ArrayStore(tmp_path, {}, 10**9))
    for _ in range(2):
        camera = log[0].cameras[0]
        assert camera.image.shape == (32, 48, 3)
        assert camera.size_px == (32, 48)
        assert camera.intrinsics[0, 0] == pytest.approx(1.9 * 48)


def test_opened_by_configuration_frames_equal_the_data_sets(tmp_path):
    data, size = "synthetic:seed=5,frames=2,drives=1", (32, 48)
    cache = CacheConfig(folder=str(tmp_path / "cache"), frames_gb=0.1)
    (plain,) = open_logs(data, image_size_px=size)
    for _ in range(2):
        (log,) = open_cached_logs(data, image_size_px=size, cache=cache)
        assert_equal(log[0], plain[0])
    assert len(list((tmp_path / "cache" / "frames").glob("*/fingerprint.json"))) == 1
    open_cached_logs(data, image_size_px=(40, 48), cache=cache)
    assert len(list((tmp_path / "cache" / "frames").glob("*/fingerprint.json"))) == 2


def test_frames_with_labels_of_another_range_are_other_entries(tmp_path):
    data, size = "synthetic:seed=3,frames=1,place=street,beams=2", (32, 48)
    cache = CacheConfig(folder=str(tmp_path / "cache"), frames_gb=0.1)
    counts = []
    for label_range_m in (None, ((-80.0, 104.0), (-80.0, 80.0)), None):
        (log,) = open_cached_logs(
            data, image_size_px=size, cache=cache, label_range_m=label_range_m
        )
        counts.append(len(log[0].labels))
    assert counts[0] == counts[2] < counts[1]


def test_without_room_for_frames_nothing_is_wrapped(tmp_path):
    cache = CacheConfig(folder=str(tmp_path / "cache"))
    logs = open_cached_logs("synthetic:drives=1,frames=1", image_size_px=(32, 48), cache=cache)
    assert not isinstance(logs[0], CachedLog)
    assert not (tmp_path / "cache").exists()


class FileLog(StubLog):
    """Drives of a data set on disk: a frame is made of one sensor file, its labels of a table."""

    version = None

    def __init__(self, folder: Path) -> None:
        super().__init__([make_frame(0), make_frame(1)], name=folder.name)
        self.folder = folder
        self.table_folders = (folder / "tables",)

    def __getitem__(self, index: int) -> Frame:
        frame = super().__getitem__(index)
        try:
            points = np.frombuffer(read_bytes(self.folder / f"{index}.bin"), np.float32)
        except SensorError as error:
            return replace(frame, points=None, faults=(str(error),))
        return replace(frame, points=points.reshape(-1, 5))


@pytest.fixture
def on_disk(tmp_path):
    """Opens the same data set anew, as another run would."""
    folder = tmp_path / "data"
    (folder / "tables").mkdir(parents=True)
    (folder / "tables" / "labels.json").write_text("[]")
    for index in range(2):
        (folder / f"{index}.bin").write_bytes(np.full((3, 5), index, np.float32).tobytes())

    def opened() -> tuple[FileLog, CachedLog]:
        inner = FileLog(folder)
        return inner, CachedLog(inner, ArrayStore(tmp_path / "cache", {}, 10**9))

    _, log = opened()
    for index in range(2):
        log[index]
    return folder, opened


def test_what_has_not_changed_is_not_read_again(on_disk):
    _, opened = on_disk
    inner, log = opened()
    assert log[0].points[0, 0] == 0
    assert log[1].points[0, 0] == 1
    assert inner.reads == 0


def test_a_sensor_file_that_changed_is_read_again_and_alone(on_disk):
    folder, opened = on_disk
    (folder / "1.bin").write_bytes(np.full((4, 5), 7, np.float32).tobytes())
    inner, log = opened()
    assert log[0].points[0, 0] == 0
    assert inner.reads == 0
    assert log[1].points[0, 0] == 7
    assert opened()[1][1].points.shape == (4, 5)


def test_a_file_with_another_time_is_read_again(on_disk):
    folder, opened = on_disk
    os.utime(folder / "1.bin", (1, 1))
    inner, log = opened()
    log[1]
    assert inner.reads == 1


def test_a_sensor_that_was_away_once_is_back_when_its_file_is(on_disk):
    folder, opened = on_disk
    (folder / "1.bin").rename(folder / "away")
    _, log = opened()
    assert log[1].points is None
    (folder / "away").rename(folder / "1.bin")
    assert opened()[1][1].points is not None


def test_a_table_that_changed_makes_all_frames_and_the_map_anew(on_disk):
    folder, opened = on_disk
    (folder / "tables" / "labels.json").write_text("[1]")
    inner, log = opened()
    log[0]
    log[1]
    assert inner.reads == 2


def test_files_of_cached_frames_are_known_to_the_cache_above(on_disk):
    folder, opened = on_disk
    inner, log = opened()
    with noting_files() as files:
        log[0]
    assert inner.reads == 0
    assert [path for path, _, _ in files] == [str(folder / "0.bin")]


def test_the_code_of_the_reader_is_part_of_the_fingerprint(tmp_path, monkeypatch):
    reader = tmp_path / "my_reader.py"
    digests = []
    for line in ("", "# changed\n"):
        reader.write_text(
            f"from tests.data.test_frame_cache import FileLog\n{line}class Mine(FileLog): ...\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "my_reader", raising=False)
        importlib.invalidate_caches()
        cache_sources._digest_of_code.cache_clear()
        logs = [importlib.import_module("my_reader").Mine(tmp_path)]
        digests.append(frames_fingerprint("x", logs, OpenOptions((8, 8)))["code"])
    assert digests[0] != digests[1]
