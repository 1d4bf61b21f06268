"""Indexes of tables: what a reader needs of a data set's tables, checked, joined and written once
as arrays in an Arrow file, which every process maps into its memory instead of parsing the tables.

An index lies in the cache folder of the user (`cache_folder.py`). The name of its file has three
parts: a digest of the place of the tables; one of their state, which is the size and the time of
each and the code that reads them; and one of the content of the file. So an index of tables that
have changed is not found, a damaged one is seen and built again, and the last one of any number of
builders stays. Builders wait for each other where the disk has locks.

The file holds one record batch of one row: each column is a list, which is one array. Its metadata
is JSON.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from leapai.data.cache_folder import cache_folder
from leapai.data.cache_sources import FileState, own_code, state_of
from leapai.io import remove_stale, whole_file

_logger = logging.getLogger(__name__)
FORMAT = 1
"""Version of the file; it goes up when its layout changes."""
LARGE_BYTES = 64 << 20
"""Tables from this size on are indexed by a process of their own, which gives its memory back."""
_TICK_NS = 20_000_000
"""Files that are written within this time may have one time."""
_CONTENT = b"content"
_TEXT = pa.large_string()
_REFUSED = 3
"""Exit status of a process that found a table which cannot be used."""
Arrays = Mapping[str, "npt.NDArray[Any] | Sequence[str]"]


@dataclass(frozen=True)
class IndexContent:
    """Content of an index, as it is written."""

    arrays: Arrays
    """Arrays of numbers of any shape, and lists of texts."""
    notes: Sequence[str] = ()
    """Rows that are left out, counted, a line for each table."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else there is, plain JSON."""


class TableIndex:
    """An index that is open. Arrays are views of the file: what nobody reads takes no memory."""

    def __init__(self, path: Path) -> None:
        """Maps the file. Raises ValueError where it is no index."""
        self._path = path
        try:
            batch = pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)
            content = json.loads(batch.schema.metadata[_CONTENT])
            self.notes: list[str] = content["notes"]
            self.facts: dict[str, Any] = content["facts"]
            self._arrays = {
                name: _view(batch.column(name).values, shape)
                for name, shape in content["shapes"].items()
            }
        except (pa.ArrowException, OSError, LookupError, TypeError) as error:
            raise ValueError(f"{path} is no index of tables ({error})") from error

    def __reduce__(self) -> tuple[type[TableIndex], tuple[Path]]:
        return TableIndex, (self._path,)

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """Returns an array of numbers, read-only."""
        found: npt.NDArray[Any] = self._arrays[name]
        return found

    def texts(self, name: str, start: int = 0, stop: int | None = None) -> list[str]:
        """Returns the texts `start` to `stop` of a list."""
        column = self._arrays[name]
        stop = len(column) if stop is None else stop
        found: list[str] = column.slice(start, stop - start).to_pylist()
        return found

    def text(self, name: str, row: int) -> str:
        """Returns one text of a list."""
        found: str = self._arrays[name][row].as_py()
        return found


@dataclass(frozen=True)
class TableSource:
    """The tables that an index is made of."""

    place: Path
    """Folder by which the index is found."""
    files: Sequence[Path]
    """Files whose size and time decide whether it is still the index of these tables."""
    build: str
    """`module:function`; the function is called with `arguments` and returns `IndexContent`."""
    arguments: Sequence[str]
    """Plain texts, because they are handed to another process where the tables are large."""


def open_index(tables: TableSource) -> TableIndex:
    """Opens the index of the tables; builds it where there is none, or none that is whole. Warns of
    the rows that are left out.

    Raises what `build` raises: ValueError for a table that cannot be used. Where the cache folder
    cannot be written, the index is built for this process alone.
    """
    index = _found_or_built(tables)
    for words in index.notes:
        _logger.warning("%s/%s", tables.place, words)
    return index


def _found_or_built(tables: TableSource) -> TableIndex:
    folder = cache_folder() / "tables"
    states = [state_of(path) for path in tables.files]
    place = _short_digest([state_of(tables.place)[0], tables.build, *tables.arguments])
    stem = f"{place}-{_short_digest([FORMAT, own_code(), states])}"
    found = _whole_index(folder, stem, states)
    if found is not None:
        return found
    with _held(folder, place) as folder:
        # Another may have built it while this process waited.
        return _whole_index(folder, stem, states) or _built(tables, states, folder, stem)


def _whole_index(folder: Path, stem: str, states: Sequence[FileState]) -> TableIndex | None:
    """Returns the index of these tables; None: there is none. Removes one that is damaged."""
    for path in sorted(folder.glob(f"{stem}-*.arrow")):
        try:
            written_ns = path.stat().st_mtime_ns
            if any(0 <= written_ns - time_ns < _TICK_NS for _, _, time_ns in states):
                continue  # a table may have been written again at the time that it had already
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()[:32]
            if path.name == f"{stem}-{digest}.arrow":
                return TableIndex(path)
            problem = "it is damaged"
        except FileNotFoundError:  # a builder of newer tables has removed it
            continue
        except (OSError, ValueError) as error:
            problem = str(error)
        _logger.warning("%s: %s; it is built again", path, problem)
        with suppress(OSError):
            path.unlink()
    return None


@contextmanager
def _held(folder: Path, place: str) -> Iterator[Path]:
    """Yields the folder, which no other builder for the place holds until the block ends. Where it
    cannot be written, yields one that is removed then: a file that is mapped stays."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / f"{place}.lock").open("a")
    except OSError as error:
        _logger.warning(
            "%s cannot be written (%s), so an index of tables is built for this process alone; "
            "name another folder as LEAPAI_CACHE",
            *(folder, error.strerror),
        )
        with tempfile.TemporaryDirectory() as own:
            yield Path(own)
        return
    with lock:
        with suppress(OSError):  # a disk without locks: two may build, and the last one stays
            fcntl.lockf(lock, fcntl.LOCK_EX)
        remove_stale(folder)
        yield folder


def _built(tables: TableSource, states: Sequence[FileState], folder: Path, stem: str) -> TableIndex:
    """Builds the index, and removes those of earlier states of the tables."""
    for path in folder.glob(f"{stem}-*.arrow"):  # not trusted, or it would have been opened
        with suppress(OSError):
            path.unlink()
    if sum(size for _, size, _ in states) < LARGE_BYTES:
        build_and_write(tables.build, tables.arguments, folder, stem)
    else:
        _logger.warning(
            "%s: its tables are indexed, once, which takes a minute or two", tables.place
        )
        _build_elsewhere(tables, folder, stem)
    found = _whole_index(folder, stem, ())
    if found is None:
        raise OSError(f"{folder}: what was written there cannot be read; see to that disk")
    for path in folder.glob(f"{stem.partition('-')[0]}-*.arrow"):
        if not path.name.startswith(f"{stem}-"):
            with suppress(OSError):
                path.unlink()
    return found


def build_and_write(build: str, arguments: Sequence[str], folder: Path, stem: str) -> None:
    """Calls `build` and writes what it returns as an index. Raises what it raises."""
    module, _, function = build.partition(":")
    content: IndexContent = getattr(import_module(module), function)(*arguments)
    buffer = _as_arrow(content)
    digest = hashlib.sha256(buffer).hexdigest()[:32]
    with whole_file(folder / f"{stem}-{digest}.arrow") as temporary:
        temporary.write_bytes(buffer)


def _build_elsewhere(tables: TableSource, folder: Path, stem: str) -> None:
    """Calls `build_and_write` in another process. Raises ValueError with its error, and OSError
    where it was killed."""
    given = json.dumps([tables.build, list(tables.arguments), str(folder), stem])
    done = subprocess.run(
        [sys.executable, "-m", __name__, given],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode == _REFUSED:
        raise ValueError(done.stdout.strip())
    if done.returncode:
        raise OSError(
            f"{tables.place}: the process that indexes the tables has ended with "
            f"{done.returncode}, most often because memory ran out; 2 GB must be free"
        )


def _as_arrow(content: IndexContent) -> pa.Buffer:
    columns: dict[str, pa.Array] = {}
    shapes: dict[str, Sequence[int] | None] = {}
    for name, array in content.arrays.items():
        if isinstance(array, np.ndarray):
            values, shapes[name] = pa.array(array.ravel()), array.shape
        else:
            values, shapes[name] = pa.array(array, _TEXT), None
        columns[name] = pa.LargeListArray.from_arrays(np.array([0, len(values)]), values)
    facts = {"shapes": shapes, "notes": list(content.notes), "facts": dict(content.facts)}
    batch = pa.record_batch(columns)
    batch = batch.replace_schema_metadata({_CONTENT: json.dumps(facts)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


def _view(values: pa.Array, shape: Sequence[int] | None) -> Any:
    return values if shape is None else values.to_numpy(zero_copy_only=True).reshape(shape)


def _short_digest(of: Any) -> str:
    return hashlib.sha256(json.dumps(of).encode()).hexdigest()[:16]


def _main(given: str) -> int:
    build, arguments, folder, stem = json.loads(given)
    try:
        build_and_write(build, arguments, Path(folder), stem)
    except (ValueError, OSError) as error:
        print(error)  # noqa: T201 - the process that waits raises it
        return _REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1]))
