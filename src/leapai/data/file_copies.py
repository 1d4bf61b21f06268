"""Copies of files from other machines, of a bounded size together; those that were used longest ago
make room."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from leapai.data.cache_folder import cache_folder
from leapai.io import whole_file

_logger = logging.getLogger(__name__)
VARIABLE = "LEAPAI_REMOTE_CACHE_GB"
DEFAULT_GB = 20.0
_FILLED_TO = 0.9
"""Share of the bound that is left when room has been made."""
_UNCOUNTED = 0.02
"""Share of the bound that a process writes before it counts again what all have written."""


class FileCopies:
    """Copies below the cache folder, by any number of processes."""

    _written = 0
    """Bytes that this process has written since it counted last."""

    def __init__(self) -> None:
        """Raises ValueError where the environment names no size."""
        self._folder = cache_folder() / "files"
        self._max_bytes = _max_bytes()

    def get(self, key: str) -> bytes | None:
        """Returns the copy of `key`; None: there is none."""
        path = self._path(key)
        try:
            content = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        digest, content = content[:32], content[32:]
        return content if sha256(content).digest() == digest else None

    def put(self, key: str, content: bytes) -> None:
        """Keeps a copy where it has room; where the disk has none, warns and goes on without."""
        if len(content) > self._max_bytes * _FILLED_TO:
            return
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path, durable=False) as temporary:
                temporary.write_bytes(sha256(content).digest() + content)
        except OSError as error:
            _logger.warning("%s: no copy is kept (%s)", path, error.strerror)
            return
        FileCopies._written += len(content)
        if FileCopies._written > self._max_bytes * _UNCOUNTED:
            self._make_room()

    def _path(self, key: str) -> Path:
        name = sha256(key.encode()).hexdigest()
        return self._folder / name[:2] / name[2:]

    def _make_room(self) -> None:
        FileCopies._written = 0
        found = []
        for path in self._folder.glob("*/*"):
            with suppress(OSError):  # another process has removed it
                state = path.stat()
                found.append((state.st_mtime_ns, state.st_size, path))
        total = sum(size for _, size, _ in found)
        if total <= self._max_bytes * (1 - _UNCOUNTED):
            return
        for _, size, path in sorted(found):
            if total <= self._max_bytes * _FILLED_TO:
                return
            with suppress(OSError):
                path.unlink()
            total -= size


def _max_bytes() -> float:
    given = os.environ.get(VARIABLE, str(DEFAULT_GB))
    try:
        gigabytes = float(given)
    except ValueError:
        gigabytes = -1.0
    if not 0 <= gigabytes < float("inf"):
        raise ValueError(f"{VARIABLE} = '{given}' must be a number of gigabytes; 0: keep no copies")
    return gigabytes * 1e9
