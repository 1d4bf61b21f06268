"""The store on disk: what goes in comes out, by many processes, within its bound, or not at all."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from leapai.data.array_store import ArrayStore
from leapai.io import whole_file

FINGERPRINT = {"data": "made up", "version": 3}
BIG = 10**9


def arrays(seed: int = 0, size: int = 1000) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "points": rng.normal(size=(size, 5)).astype(np.float32),
        "image": rng.integers(0, 256, (4, 6, 3), np.uint8),
        "half": rng.normal(size=(3, 2)).astype(np.float16),
        "seen": rng.random(7) < 0.5,
        "pose": rng.normal(size=(4, 4)),
        "none": np.zeros((0, 5), np.float32),
        "scalar": np.array(-7, np.int64),
        "turned": rng.normal(size=(3, 4)).T,
    }


def assert_same(found: dict[str, np.ndarray] | None, expected: dict[str, np.ndarray]) -> None:
    assert found is not None
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype, name
        np.testing.assert_array_equal(found[name], array, strict=True)


def entries(store: ArrayStore) -> list[Path]:
    return [p for p in store.folder.glob("*/*") if p.parent.name != "temporary"]


def test_what_is_put_is_got_also_by_a_store_opened_later(tmp_path):
    store = ArrayStore(tmp_path, FINGERPRINT, BIG)
    assert store.get("a") is None
    assert "a" not in store
    assert store.put("a", arrays(0))
    assert store.put("b/../c", arrays(1))
    assert store.put("a", arrays(2)), "an entry may be replaced"
    for opened in (store, ArrayStore(tmp_path, dict(FINGERPRINT), BIG)):
        assert_same(opened.get("a"), arrays(2))
        assert_same(opened.get("b/../c"), arrays(1))
        assert "a" in opened


def test_an_entry_is_a_safetensors_file_that_any_reader_reads(tmp_path):
    store = ArrayStore(tmp_path, FINGERPRINT, BIG)
    store.put("a", arrays())
    found = safetensors.numpy.load_file(entries(store)[0])
    assert set(found) == set(arrays())
    np.testing.assert_array_equal(found["points"], arrays()["points"], strict=True)


def test_every_bit_of_the_header_and_its_length_counts_even_where_all_values_are_equal(tmp_path):
    store = ArrayStore(tmp_path, FINGERPRINT, BIG)
    store.put("a", {"empty": np.zeros((4, 0)), "zeros": np.zeros((4, 4))})
    (path,) = entries(store)
    content = path.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for bit in range(8 * (len(content) - 128)):
            changed = bytearray(content)
            changed[bit // 8] ^= 1 << bit % 8
            path.write_bytes(changed)
            assert store.get("a") is None, bit


def test_no_changed_byte_goes_unnoticed(tmp_path):
    store = ArrayStore(tmp_path, FINGERPRINT, BIG)
    store.put("a", arrays(size=2))
    (path,) = entries(store)
    content = path.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for i in range(len(content)):
            path.write_bytes(content[:i] + bytes([content[i] ^ 1]) + content[i + 1 :])
            assert store.get("a") is None, i


def test_what_is_got_may_be_written_to_without_harm(tmp_path):
    store = ArrayStore(tmp_path, FINGERPRINT, BIG)
    store.put("a", arrays())
    store.get("a")["points"][:] = 0
    assert_same(store.get("a"), arrays())


def test_another_fingerprint_finds_nothing_and_says_what_it_is(tmp_path):
    store = ArrayStore(tmp_path, FINGERPRINT, BIG)
    store.put("a", arrays())
    other = ArrayStore(tmp_path, FINGERPRINT | {"version": 4}, BIG)
    assert other.get("a") is None
    assert json.loads((other.folder / "fingerprint.json").read_text())["version"] == 4


@pytest.mark.parametrize("damage", ["cut", "emptied", "flipped", "foreign", "swapped"])
def test_a_damaged_entry_is_removed_and_counts_as_none(tmp_path, damage):
    store = ArrayStore(tmp_path, FINGERPRINT, BIG)
    store.put("a", arrays())
    (path,) = entries(store)
    content = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(content[:-1])
    elif damage == "emptied":
        path.write_bytes(b"")
    elif damage == "flipped":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "foreign":
        path.write_bytes(b"something else, long enough for a header")
    else:
        other = ArrayStore(tmp_path / "other", FINGERPRINT, BIG)
        other.put("b", arrays())
        path.write_bytes(entries(other)[0].read_bytes())
    with pytest.warns(UserWarning, match="made again"):
        assert store.get("a") is None
    assert not path.exists()
    assert store.put("a", arrays())
    assert_same(store.get("a"), arrays())


def test_a_full_store_says_so_once_and_keeps_what_it_has(tmp_path):
    store = ArrayStore(tmp_path, FINGERPRINT, 200_000)
    with pytest.warns(UserWarning, match=r"keeps no more: it holds .* GB") as said:
        kept = [store.put(str(i), arrays(i)) for i in range(20)]
    assert len(said) == 1
    assert 6 <= sum(kept) < 12
    for i in range(sum(kept)):
        assert_same(store.get(str(i)), arrays(i))
    assert sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file()) <= 200_000


def test_the_bound_counts_what_other_stores_of_the_folder_wrote(tmp_path):
    first = ArrayStore(tmp_path, FINGERPRINT, 200_000)
    second = ArrayStore(tmp_path, {"data": "another"}, 200_000)
    with pytest.warns(UserWarning, match="keeps no more"):
        kept = [store.put(str(i), arrays(i)) for i in range(20) for store in (first, second)]
    assert 4 <= sum(kept) < 12
    assert sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file()) <= 200_000


def test_on_a_full_disk_work_goes_on_without(tmp_path, monkeypatch):
    store = ArrayStore(tmp_path, FINGERPRINT, BIG)
    store.put("a", arrays())

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.warns(UserWarning, match="No space left on device"):
        assert not store.put("b", arrays())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not store.put("c", arrays())
    assert store.get("b") is None
    assert_same(store.get("a"), arrays())
    assert not list((store.folder / "temporary").iterdir())


def test_a_folder_that_cannot_be_written_names_the_remedy(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"cache\.folder"):
        ArrayStore(tmp_path / "file", FINGERPRINT, BIG)


def test_what_a_killed_writer_left_is_cleaned_but_not_what_is_being_written(tmp_path):
    store = ArrayStore(tmp_path, FINGERPRINT, BIG)
    half = whole_file(store.folder / "temporary" / "entry")
    new = half.__enter__()
    old = new.with_name(new.name.replace(f"-{os.getpid()}-", "-999999999-"))
    for path in (old, new):
        path.write_bytes(b"half an entry")
        long_ago = time.time() - 3600
        os.utime(path, (long_ago, long_ago))
    ArrayStore(tmp_path, FINGERPRINT, BIG)
    assert not old.exists()
    assert new.exists(), "its writer is this process"


def _hammer(folder: Path, seed: int, stop: float) -> None:
    store = ArrayStore(folder, FINGERPRINT, BIG)
    while time.time() < stop:
        store.put("shared", arrays(seed, 20_000))


def test_readers_never_see_half_of_what_two_processes_write_at_once(tmp_path):
    store = ArrayStore(tmp_path, FINGERPRINT, BIG)
    store.put("shared", arrays(1, 20_000))
    context = multiprocessing.get_context("fork")
    stop = time.time() + 1.0
    writers = [
        context.Process(target=_hammer, args=(tmp_path, seed, stop), daemon=True) for seed in (1, 2)
    ]
    for writer in writers:
        writer.start()
    whole = [arrays(seed, 20_000) for seed in (1, 2)]
    reads = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        while time.time() < stop:
            found = store.get("shared")
            first = found["points"][0, 0]
            assert_same(found, whole[0] if first == whole[0]["points"][0, 0] else whole[1])
            reads += 1
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert reads > 5


def test_a_writer_that_is_killed_leaves_no_half_entry(tmp_path):
    context = multiprocessing.get_context("fork")
    store = ArrayStore(tmp_path, FINGERPRINT, BIG)
    expected = arrays(3, 20_000)
    for delay_s in (0.05, 0.11, 0.17):
        writer = context.Process(target=_hammer, args=(tmp_path, 3, time.time() + 30))
        writer.start()
        time.sleep(delay_s)
        writer.kill()
        writer.join()
        found = store.get("shared")
        if found is not None:
            assert_same(found, expected)
