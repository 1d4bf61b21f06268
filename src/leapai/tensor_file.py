"""Files of tensors and plain data that run no code, and in which damage is noticed.

The format is safetensors: a header in JSON, then the bytes of the tensors, uncompressed. Nested
data becomes one JSON text in which each tensor is named; a SHA-256 of every tensor and one of all
else stand next to it. So a file is read without unpickling, takes no more memory than its size
shows, and does not load with other content than it was written with. Digests reveal damage; they do
not prove who wrote a file.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from leapai.io import whole_file

MAX_BYTES = 16 << 30
"""Largest file that is read: ten times the `last.ckpt` of a full-size training on one GPU."""
_TENSOR = "$tensor"
"""Key of the object that stands in the JSON text for a tensor."""
_ZIP = b"PK\x03\x04"
"""First bytes of the format of PyTorch, in which earlier versions wrote checkpoints."""


class DamagedError(ValueError):
    """A file that is none of these, is cut short or was changed; the message is the reason."""


def write_tensors(path: Path, content: Mapping[str, Any]) -> None:
    """Writes nested dictionaries and lists of tensors and plain data, whole or not at all.

    Tuples become lists. Raises OSError where the disk refuses, and TypeError for a key that is no
    string and for what is neither a tensor nor plain data.
    """
    tensors: dict[str, Tensor] = {}
    text = json.dumps(_named(content, "", tensors))
    digests = json.dumps({name: _digest(name, tensor) for name, tensor in tensors.items()})
    metadata = {"content": text, "digests": digests, "sha256": _digest_of_texts(text, digests)}
    with whole_file(path) as temporary:
        try:
            safetensors.torch.save_file(tensors, temporary, metadata)
        except safetensors.SafetensorError as error:
            raise _cause_on_disk(error) from error


def read_tensors(path: Path) -> tuple[Any, str]:
    """Returns what `write_tensors` wrote, on the CPU, and the SHA-256 of the bytes of the file.

    Raises DamagedError where it is not that to the last bit, and OSError where it cannot be read.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise DamagedError(
            f"it has {size / 1e9:.0f} GB; the largest that is read has {MAX_BYTES / 1e9:.0f} GB"
        )
    data = path.read_bytes()
    try:
        content = _content(data)
    except DamagedError:
        raise
    except (safetensors.SafetensorError, LookupError, ValueError, TypeError) as error:
        raise DamagedError(_what_it_is(data)) from error
    except RecursionError as error:
        raise DamagedError("its data is nested too deeply") from error
    return content, hashlib.sha256(data).hexdigest()


def _content(data: bytes) -> Any:
    """Returns the nested content of a file. Raises DamagedError, and what its parsers raise."""
    tensors = safetensors.torch.load(data)
    header_bytes = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + header_bytes])["__metadata__"]
    text, digests = metadata["content"], metadata["digests"]
    if metadata["sha256"] != _digest_of_texts(text, digests):
        raise DamagedError("its data was changed or damaged after it was written")
    expected = json.loads(digests)
    wrong = [name for name, tensor in tensors.items() if _digest(name, tensor) != expected[name]]
    if wrong or len(expected) != len(tensors):
        raise DamagedError(f"{min(wrong, default='a tensor')} was changed or damaged in it")
    return _filled_in(json.loads(text), tensors)


def _named(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """Returns `value` as plain data, with its tensors moved to `tensors` under names of their
    own."""
    if isinstance(value, Tensor):
        name = name or "tensor"
        tensors[name] = _own_bytes(value)
        return {_TENSOR: name}
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) and key != _TENSOR for key in value):
            raise TypeError(f"{name}: a checkpoint has words as keys, not {list(value)!r:.80}")
        prefix = f"{name}/" if name else ""
        return {key: _named(each, prefix + key, tensors) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_named(each, f"{name}/{i}", tensors) for i, each in enumerate(value)]
    return value


def _own_bytes(tensor: Tensor) -> Tensor:
    """Returns the values on the CPU, in order, in memory that no other tensor shares."""
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)


def _filled_in(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Returns plain data with the tensors in the places where `_named` took them from."""
    if isinstance(value, list):
        return [_filled_in(each, tensors) for each in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {_TENSOR}:
        return tensors[value[_TENSOR]]
    return {key: _filled_in(each, tensors) for key, each in value.items()}


def _digest(name: str, tensor: Tensor) -> str:
    """Returns the SHA-256 of a tensor's name, type, shape and bytes."""
    digest = hashlib.sha256(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
    digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _digest_of_texts(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def _cause_on_disk(error: safetensors.SafetensorError) -> OSError:
    """Returns the disk's own error, of which safetensors gives a text with its number."""
    number = re.search(r"os error (\d+)", str(error))
    if number is None:
        return OSError(str(error))
    return OSError(int(number[1]), os.strerror(int(number[1])))


def _what_it_is(data: bytes) -> str:
    """Returns what is wrong with bytes that are no such file."""
    if not data:
        return "it is empty"
    if data.startswith(_ZIP):
        return (
            "it is in the format of PyTorch, as an earlier version of leapai wrote it; this has no "
            "digests and is not read: docs/training.md shows how to rewrite your own"
        )
    return "it is no checkpoint of leapai, is cut short or damaged"
