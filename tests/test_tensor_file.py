"""Files of tensors and plain data: what comes back is what was written, or nothing."""

from __future__ import annotations

import os
import pickle
import random
from pathlib import Path

import pytest
import safetensors.torch
import torch

from leapai import tensor_file
from leapai.tensor_file import DamagedError, read_tensors, write_tensors

CONTENT = {
    "state_dict": {
        "channels_last": torch.rand(2, 3, 4, 4).to(memory_format=torch.channels_last),
        "half": torch.linspace(-1, 1, 7).half(),
        "count": torch.tensor(3),
        "none": torch.zeros(0, 5),
        "flags": torch.tensor([True, False]),
    },
    "config": {"job_name": "x", "sizes": [1, 2.5, None], "deep": {"a": {"b": "ü"}}},
    "training": {"ranks": [{"random": torch.arange(9, dtype=torch.uint8)}, {}], "step": 7},
}


def same(one: object, other: object) -> bool:
    """The same plain data and tensors, bit for bit."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.ckpt"
    write_tensors(path, CONTENT)
    return path


def test_nested_data_comes_back_to_the_last_bit(path):
    content, sha256 = read_tensors(path)
    assert same(content, CONTENT)
    assert len(sha256) == 64
    assert read_tensors(path)[1] == sha256


def test_a_tensor_that_was_taken_out_is_missed(path):
    with safetensors.safe_open(path, "pt") as file:
        metadata = file.metadata()
    weights = safetensors.torch.load_file(path)
    del weights["state_dict/half"]
    safetensors.torch.save_file(weights, path, metadata)
    with pytest.raises(DamagedError, match="a tensor was changed or damaged in it"):
        read_tensors(path)


def test_any_reader_of_safetensors_finds_the_weights_by_name(path):
    weights = safetensors.torch.load_file(path)
    assert torch.equal(weights["state_dict/half"], CONTENT["state_dict"]["half"])


def test_tensors_that_share_memory_are_written_each(tmp_path):
    whole = torch.arange(10.0)
    write_tensors(tmp_path / "a", {"whole": whole, "part": whole[2:4], "same": whole})
    content, _ = read_tensors(tmp_path / "a")
    assert torch.equal(content["part"], whole[2:4])
    assert torch.equal(content["same"], whole)


def damages(data: bytes, count: int, seed: int):
    """Yields `count` damaged versions of a file: flipped bits, cuts, insertions, exchanges."""
    rng = random.Random(seed)
    header = 8 + int.from_bytes(data[:8], "little")
    for number in range(count):
        changed = bytearray(data)
        at = rng.randrange(header if number % 2 else len(data))  # half of them in the header
        match number % 6:
            case 0 | 1:
                changed[at] ^= 1 << rng.randrange(8)
            case 2:
                del changed[rng.randrange(len(data)) :]
            case 3:
                changed[at] = (changed[at] + rng.randrange(1, 256)) % 256
            case 4:
                changed[at:at] = bytes(rng.randrange(1, 9))
            case 5:
                other = rng.randrange(len(data))
                changed[at], changed[other] = changed[other], changed[at]
        if changed != data:
            yield bytes(changed)


def test_no_damage_loads_as_other_content(path):
    data, loaded = path.read_bytes(), 0
    for damaged in damages(data, 300, seed=1):
        path.write_bytes(damaged)
        try:
            content, _ = read_tensors(path)
        except DamagedError:
            continue
        assert same(content, CONTENT)
        loaded += 1
    assert loaded <= 3, "nearly all damage is noticed even where it changes nothing"


def test_weights_exchanged_in_the_header_are_noticed(path):
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"state_dict/half"', b'"state_dict/hals"', 1))
    with pytest.raises(DamagedError):
        read_tensors(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"PK\x03\x04" + bytes(100), "in the format of PyTorch, as an earlier version of leapai"),
        (pickle.dumps({"state_dict": {}}), "is no checkpoint of leapai, is cut short or damaged"),
        ((1 << 60).to_bytes(8, "little") + b"{}", "is no checkpoint"),
        (b"\x02" + bytes(7) + b"{}", "is no checkpoint"),
    ],
)
def test_other_files_are_told_apart(path, content, reason):
    path.write_bytes(content)
    with pytest.raises(DamagedError, match=reason):
        read_tensors(path)


def test_data_nested_too_deeply_is_refused(path):
    metadata = {"content": "[" * 100_000 + "]" * 100_000, "digests": "{}"}
    metadata["sha256"] = tensor_file._digest_of_texts(metadata["content"], "{}")
    safetensors.torch.save_file({}, path, metadata)
    with pytest.raises(DamagedError, match="nested too deeply"):
        read_tensors(path)


def test_a_huge_file_is_refused_unread(tmp_path):
    with (tmp_path / "huge").open("wb") as file:
        os.truncate(file.fileno(), tensor_file.MAX_BYTES + 1)  # holes: it takes no room
    with pytest.raises(DamagedError, match="it has 17 GB; the largest that is read has 17 GB"):
        read_tensors(tmp_path / "huge")


@pytest.mark.parametrize("content", [{"a": {1: 2}}, {"a": {"$tensor": "b"}}, {"a": {1, 2}}])
def test_what_is_not_plain_is_refused_when_written(tmp_path, content):
    with pytest.raises(TypeError):
        write_tensors(tmp_path / "a", content)
    assert not list(tmp_path.iterdir())
