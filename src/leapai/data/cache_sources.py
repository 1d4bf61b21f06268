"""Sources of cached frames: the files that were read for them, tables, and the code of readers.

A reader opens its sensor files through `reading.read_bytes`, which notes each here. A cache keeps
the notes with the frame, and makes it anew where the size or the time of a file has changed.
"""

from __future__ import annotations

import hashlib
import inspect
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import leapai
from leapai.data.remote_files import RemotePath, source_path

if TYPE_CHECKING:
    from leapai.data.log import DrivingLog

FileState = tuple[str, int, int]
"""Absolute path, size in bytes and time of the last change in nanoseconds; -1: it is not there."""
NEVER: tuple[FileState, ...] = (("", -2, -2),)
"""Notes of a frame that is to be made anew in any case."""
_OWN_CODE = ("data", "geometry", "types")
"""Rooms of the package whose code makes a frame."""

_notes: ContextVar[list[FileState] | None] = ContextVar("notes", default=None)


@contextmanager
def noting_files() -> Iterator[list[FileState]]:
    """Yields the list to which every sensor file is added that is read within the block."""
    notes: list[FileState] = []
    token = _notes.set(notes)
    try:
        yield notes
    finally:
        _notes.reset(token)


def note_file(path: Path) -> None:
    """Notes a file that is about to be read, where anybody wants to know."""
    if _notes.get() is not None:
        note_states([state_of(path)])


def state_of(path: Path) -> FileState:
    """Returns path, size and time of a file."""
    remote = isinstance(path, RemotePath)
    return _state(str(path) if remote else os.path.abspath(path))


def note_states(states: Iterable[FileState]) -> None:
    """Notes files that were read earlier, for what comes from a cache now."""
    notes = _notes.get()
    if notes is not None:
        notes.extend(states)


def are_unchanged(states: Iterable[FileState]) -> bool:
    """Returns whether all files are as they were noted."""
    return all(state == _state(state[0]) for state in states)


def sources_of(logs: Sequence[DrivingLog]) -> str:
    """Returns versions, code and tables that all frames of these logs depend on, as one text."""
    versions = sorted({str(log.version) for log in logs})
    return f"{versions} {code_of(logs)} {[table_digest(log) for log in logs]}"


def code_of(logs: Sequence[DrivingLog]) -> str:
    """Returns a digest of the code that makes the frames of logs."""
    return hashlib.sha256("".join(sorted({_code_of(log) for log in logs})).encode()).hexdigest()


def own_code() -> str:
    """Returns a digest of the code of this package that reads data."""
    return _digest_of_code(_own_files())


def table_digest(log: DrivingLog) -> str:
    """Returns a digest of names, sizes and times of the files in the table folders of a log."""
    return _digest_of_folders(log.table_folders)


def _digest_of_folders(folders: tuple[Path, ...]) -> str:
    states = [
        state_of(path)
        for folder in folders
        if folder.is_dir()
        for path in sorted(folder.iterdir())
        if path.is_file()
    ]
    return hashlib.sha256(repr(states).encode()).hexdigest()


def _code_of(log: DrivingLog) -> str:
    """Returns a digest of the code of this package that makes frames, and of a plug-in's own file
    where its logs name no version."""
    innermost = getattr(log, "inner", log)
    plugin = inspect.getsourcefile(type(innermost)) if log.version is None else None
    return _digest_of_code((*_own_files(), *([Path(plugin)] if plugin else [])))


@cache
def _own_files() -> tuple[Path, ...]:
    home = Path(leapai.__file__).parent
    return tuple(path for room in _OWN_CODE for path in sorted((home / room).rglob("*.py")))


@cache
def _digest_of_code(files: tuple[Path, ...]) -> str:
    """Returns a digest of the content of these files, read once in a process."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _state(path: str) -> FileState:
    try:
        found = source_path(path).stat()
    except (OSError, ValueError):
        return path, -1, -1
    return path, found.st_size, found.st_mtime_ns
