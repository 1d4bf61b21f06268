"""A bounded store of named arrays on disk that any number of processes read and write at once.

An entry is one file in the safetensors format. It is written under a temporary name and moved, so
it is there whole or not at all, and a checksum of all its bytes in its metadata reveals one that a
failing disk has damaged. Entries live in a folder that is named after their fingerprint (what they
were made of), so whatever changes that makes them unreachable instead of wrong.

The bound holds for everything below the store's folder, whatever its fingerprint. Nothing is ever
evicted: another run may be using it. A store that is full, or whose disk is, warns once and
keeps no more; its users go on without.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from leapai.io import remove_stale, whole_file

Arrays = dict[str, npt.NDArray[Any]]

_FORMAT = "safetensors 2"
"""Format of the files, a part of every fingerprint: it changes when their layout changes."""
_NO_CHECKSUM = b'"crc32":"----------"'
"""The checksum's place in the header, in which it is computed; it has ten digits."""
_CHECKSUM = re.compile(rb'"crc32":"(\d{10})"')
_SHARE_OF_ROOM = 0.1
"""Share of the remaining room that one process may write before it measures the room again: ten
processes that write at once keep the bound."""


class ArrayStore:
    """Entries `key -> {name: array}` below `folder / <hash of fingerprint>`."""

    def __init__(self, folder: Path, fingerprint: Mapping[str, object], max_bytes: int) -> None:
        """Opens the store, and creates it where there is none. `fingerprint` is plain JSON.

        Raises ValueError where the folder cannot be written.
        """
        text = json.dumps({**fingerprint, "store": _FORMAT}, sort_keys=True, indent=1)
        self.root = folder
        self.folder = folder / hashlib.sha256(text.encode()).hexdigest()[:16]
        self.max_bytes = max_bytes
        self._temporary = self.folder / "temporary"
        self._accepts = True
        try:
            self._temporary.mkdir(parents=True, exist_ok=True)
            remove_stale(self._temporary)
            self._write(self.folder / "fingerprint.json", text.encode())
        except OSError as error:
            raise ValueError(
                f"cache folder {folder} cannot be written ({error.strerror}); name another one as "
                "cache.folder, or switch the cache off"
            ) from error
        self._measure()

    def get(self, key: str) -> Arrays | None:
        """Returns the arrays of `key`, writable, or None where there are none. A damaged entry is
        removed and counts as none."""
        path = self._path(key)
        try:
            return _unpack(path, key)
        except OSError:
            return None
        except _DamagedError as error:
            path.unlink(missing_ok=True)
            warnings.warn(f"{path}: {error}; it is made again", stacklevel=2)
            return None

    def put(self, key: str, arrays: Mapping[str, npt.NDArray[Any]]) -> bool:
        """Stores the arrays under `key`, replacing what was there. Returns False where there is no
        room."""
        if not self._accepts:
            return False
        packed = _pack(key, arrays)
        if self._written + len(packed) > self._room * _SHARE_OF_ROOM:
            self._measure()
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
        """Returns whether there is an entry, without reading it."""
        return self._path(key).exists()

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()[:32]
        return self.folder / name[:2] / name[2:]

    def _write(self, path: Path, content: bytes) -> None:
        # Not waited for: what a power failure damages is found by its checksum, and made again.
        with whole_file(path, self._temporary, durable=False) as temporary:
            temporary.write_bytes(content)

    def _measure(self) -> None:
        """Measures the room that is left, whoever filled the rest of it."""
        self._room = self.max_bytes - _bytes_below(self.root)
        self._written = 0

    def _give_up(self, why: str) -> None:
        self._accepts = False
        warnings.warn(
            f"the cache {self.root} keeps no more: {why}. Work goes on without; delete folders in "
            "it that no run uses (their fingerprint.json lists what they hold), or allow it more",
            stacklevel=3,
        )


class _DamagedError(Exception):
    """An entry that cannot be used; the message names what is wrong with it."""


def _pack(key: str, arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Returns the arrays in the safetensors format, with key, order and checksum as metadata."""
    packed = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    names = json.dumps(list(packed))  # safetensors sorts them
    metadata = {"crc32": "-" * 10, "key": key, "names": names}
    content = safetensors.numpy.save(packed, metadata)
    checksum = b'"crc32":"%010d"' % zlib.crc32(content)
    return content.replace(_NO_CHECKSUM, checksum, 1)


def _unpack(path: Path, key: str) -> Arrays:
    """Returns the arrays of a file, writable. Raises _DamagedError, and OSError where it cannot be
    read."""
    content = path.read_bytes()
    found = _CHECKSUM.search(content)
    if found is None:
        raise _DamagedError("not an entry of this store")
    before, after = memoryview(content)[: found.start()], memoryview(content)[found.end() :]
    if int(found[1]) != zlib.crc32(after, zlib.crc32(_NO_CHECKSUM, zlib.crc32(before))):
        raise _DamagedError("the entry is damaged")
    try:
        header_bytes = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + header_bytes])["__metadata__"]
        tensors = safetensors.numpy.load(content)
        arrays = {name: tensors[name] for name in json.loads(metadata["names"])}
    except (safetensors.SafetensorError, LookupError, ValueError, TypeError) as error:
        raise _DamagedError("not an entry of this store") from error
    if metadata.get("key") != key:
        raise _DamagedError(f"the entry is of {metadata.get('key')}")
    return arrays


def _bytes_below(folder: Path) -> int:
    """Returns the bytes of all files below a folder that others may be changing."""
    total = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    total += _bytes_below(Path(entry.path))
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:  # removed meanwhile
        pass
    return total
