"""A bounded store of named arrays on disk that any number of processes read and write at once.

An entry is one file: a header, then the raw arrays. It is written under a temporary name and moved,
so it is there whole or not at all, and a checksum tells one that a lost disk has damaged. Entries
live in a folder that is named after their fingerprint (what they were made of), so whatever changes
that makes them unreachable instead of wrong.

The bound holds for everything below the store's folder, whatever its fingerprint. Nothing is ever
evicted: another run may be using it. A store that is full, or whose disk is, says so once and
keeps no more; whoever uses it goes on without.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Arrays = dict[str, npt.NDArray[Any]]

_MAGIC = b"leapai01"
_PREFIX_BYTES = 16
"""Magic 8, length of the header 4, checksum of all that follows 4."""
_ALIGNMENT = 64
_STALE_S = 600.0
"""A temporary file of this age belongs to a writer that was killed: writing takes milliseconds."""
_SHARE_OF_ROOM = 0.1
"""Of the room that was left, what one process may write before it looks again how much is left:
ten processes that write at once keep the bound."""


class ArrayStore:
    """Entries `key -> {name: array}` below `folder / <hash of fingerprint>`."""

    def __init__(self, folder: Path, fingerprint: Mapping[str, object], max_bytes: int) -> None:
        """Opens the store, making it where there is none. `fingerprint` is plain JSON.

        Raises ValueError where the folder cannot be written.
        """
        text = json.dumps(fingerprint, sort_keys=True, indent=1)
        self.root = folder
        self.folder = folder / hashlib.sha256(text.encode()).hexdigest()[:16]
        self.max_bytes = max_bytes
        self._temporary = self.folder / "temporary"
        self._accepts = True
        try:
            self._temporary.mkdir(parents=True, exist_ok=True)
            self._remove_stale()
            self._write(self.folder / "fingerprint.json", text.encode())
        except OSError as error:
            raise ValueError(
                f"cache folder {folder} cannot be written ({error.strerror}); name another one as "
                "cache.folder, or switch the cache off"
            ) from error
        self._look()

    def get(self, key: str) -> Arrays | None:
        """The arrays of `key`, writable, or None where there are none. A damaged entry is removed
        and counts as none."""
        path = self._path(key)
        try:
            raw = np.fromfile(path, np.uint8)
        except OSError:
            return None
        try:
            return _unpack(raw, key)
        except _DamagedError as error:
            path.unlink(missing_ok=True)
            warnings.warn(f"{path}: {error}; it is made again", stacklevel=2)
            return None

    def put(self, key: str, arrays: Mapping[str, npt.NDArray[Any]]) -> bool:
        """Keeps the arrays under `key`, replacing what was there. False: there is no room."""
        if not self._accepts:
            return False
        packed = _pack(key, arrays)
        if self._written + len(packed) > self._room * _SHARE_OF_ROOM:
            self._look()
        if len(packed) > self._room:
            self._give_up(f"it holds {self.max_bytes / 1e9:.3g} GB, as many as it may")
            return False
        path = self._path(key)
        try:
            path.parent.mkdir(exist_ok=True)
            self._write(path, packed)
        except OSError as error:
            self._give_up(str(error.strerror))
            return False
        self._written += len(packed)
        return True

    def __contains__(self, key: str) -> bool:
        """Whether there is an entry, unread."""
        return self._path(key).exists()

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()[:32]
        return self.folder / name[:2] / name[2:]

    def _write(self, path: Path, content: bytes | bytearray) -> None:
        handle, name = tempfile.mkstemp(dir=self._temporary)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)

    def _look(self) -> None:
        """Measures the room that is left, whoever filled the rest."""
        self._room = self.max_bytes - _bytes_below(self.root)
        self._written = 0

    def _give_up(self, why: str) -> None:
        self._accepts = False
        warnings.warn(
            f"the cache {self.root} keeps no more: {why}. Work goes on without; delete folders in "
            "it that no run uses (their fingerprint.json says what they hold), or allow it more",
            stacklevel=3,
        )

    def _remove_stale(self) -> None:
        for path in self._temporary.iterdir():
            try:
                if time.time() - path.stat().st_mtime > _STALE_S:
                    path.unlink()
            except FileNotFoundError:  # its writer has finished, or another process was quicker
                continue


class _DamagedError(Exception):
    """What is wrong with an entry."""


def _pack(key: str, arrays: Mapping[str, npt.NDArray[Any]]) -> bytearray:
    described, offset = [], 0
    for name, array in arrays.items():
        assert not array.dtype.hasobject, f"{key}: {name} holds objects"
        described.append([name, array.dtype.str, list(array.shape), offset])
        offset += _aligned(array.nbytes)
    header = json.dumps({"key": key, "bytes": offset, "arrays": described}).encode()
    start = _aligned(_PREFIX_BYTES + len(header))
    packed = bytearray(start + offset)
    packed[_PREFIX_BYTES : _PREFIX_BYTES + len(header)] = header
    for array, (_, _, _, at) in zip(arrays.values(), described, strict=True):
        assert isinstance(at, int)
        place = np.frombuffer(packed, np.uint8, array.nbytes, start + at)
        place[:] = np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)
    checksum = zlib.crc32(memoryview(packed)[_PREFIX_BYTES:])
    sizes = np.array([len(header), checksum], "<u4").tobytes()
    packed[:_PREFIX_BYTES] = _MAGIC + sizes
    return packed


def _unpack(raw: npt.NDArray[np.uint8], key: str) -> Arrays:
    """The arrays as views of `raw`. Raises _DamagedError."""
    if len(raw) < _PREFIX_BYTES or raw[:8].tobytes() != _MAGIC:
        raise _DamagedError("not an entry of this store")
    header_bytes, checksum = (int(v) for v in raw[8:_PREFIX_BYTES].view("<u4"))
    if zlib.crc32(raw[_PREFIX_BYTES:].data) != checksum:
        raise _DamagedError("the entry is damaged")
    header = json.loads(raw[_PREFIX_BYTES : _PREFIX_BYTES + header_bytes].tobytes())
    if header["key"] != key:
        raise _DamagedError(f"the entry is of {header['key']}")
    start = _aligned(_PREFIX_BYTES + header_bytes)
    arrays: Arrays = {}
    for name, dtype, shape, offset in header["arrays"]:
        kind = np.dtype(dtype)
        first = start + offset
        last = first + kind.itemsize * int(np.prod(shape, dtype=np.int64))
        arrays[name] = raw[first:last].view(kind).reshape(shape)
    return arrays


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _bytes_below(folder: Path) -> int:
    """Bytes of all files below a folder that others may be changing."""
    total = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    total += _bytes_below(Path(entry.path))
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:  # removed while we looked
        pass
    return total
