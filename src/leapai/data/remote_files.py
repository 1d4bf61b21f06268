"""Paths of files that are not on this machine, such as `s3://bucket/folder`, for the readers of
data sets: fsspec lists and fetches them, and a folder of this machine keeps copies of the last.

Credentials, and the address of a server other than the provider's, come from the environment alone
(AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, ...), because the names of data are written into results.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path, PosixPath
from typing import Any

from leapai.data.file_copies import FileCopies
from leapai.extras import import_extra, missing

_ADDRESS = re.compile(r"(?P<protocol>[a-z][a-z0-9]*)://(?P<host>[^/]*)")
_VERSIONS = ("ETag", "etag", "md5Hash", "LastModified", "last_modified", "mtime", "updated")
"""Names that file systems have for the version or the time of a file, the safest first."""
_ELSEWHERE = ("..", ".", "")
"""Names that an object store may hold and that lead out of a folder."""


def source_path(location: str) -> Path:
    """Returns the path of a file or folder: of this machine, with `~` for the user's own folder, or
    of another one where it begins with `PROTOCOL://`.

    Raises ValueError for an address with credentials in it or of an unknown protocol, and
    MissingExtraError where the library for it is not installed.
    """
    address = _ADDRESS.match(location)
    if address is None:
        return Path(location).expanduser()
    if "@" in address["host"]:
        raise ValueError(
            f"{address['protocol']}://...: an address must hold no credentials, as results would "
            "name; set them in the environment"
        )
    _check_protocol(address["protocol"])
    return RemotePath(location)


def local_path(location: str, data_set: str) -> Path:
    """Returns the path of a file or folder of this machine, with `~` for the user's own folder.
    Raises ValueError for an address of another one, of which the data set is not read."""
    address = _ADDRESS.match(location)
    if address is not None:
        raise ValueError(
            f"{data_set}: is not read from {address['protocol']}://; copy it to this machine and "
            "name its folder there"
        )
    return Path(location).expanduser()


def _check_protocol(protocol: str) -> None:
    fsspec = import_extra("fsspec", "remote", f"a file at {protocol}:// needs fsspec")
    try:
        fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        if protocol == "s3":
            raise missing("remote", "a file at s3:// needs s3fs") from None
        raise ValueError(f"{protocol}://: {error}") from None
    except ValueError:
        known = "s3, gs, az, https"
        raise ValueError(
            f"{protocol}:// is no protocol that fsspec has; use one of: {known}, ..."
        ) from None


class RemotePath(PosixPath):
    """A path of another machine. It has the methods of `Path` that readers of data use; whatever
    changes files is left out. What goes wrong in between is an OSError with the reason."""

    def __str__(self) -> str:
        return super().__str__().replace(":/", "://", 1)  # of which `Path` makes one slash

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Returns kind and size; the time is a number that differs where the file does."""
        with _named_errors(self):
            found = self._system.info(str(self))
        kind = stat.S_IFDIR if found["type"] == "directory" else stat.S_IFREG
        version = next((str(found[name]) for name in _VERSIONS if found.get(name)), "")
        time_ns = int.from_bytes(sha256(version.encode()).digest()[:7], "big")
        size = int(found.get("size") or 0)
        return os.stat_result(
            (kind | 0o444, 0, 0, 1, 0, 0, size, 0, 0, 0), {"st_mtime_ns": time_ns}
        )

    def exists(self, *, follow_symlinks: bool = True) -> bool:
        """Returns whether there is such a file or folder; what is above all buckets is there."""
        return len(self.parts) < 2 or self._mode() is not None

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Returns whether there is such a file."""
        return self._mode() == stat.S_IFREG

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Returns whether there is such a folder, which has at least one file below it."""
        return self._mode() == stat.S_IFDIR

    def iterdir(self) -> Generator[RemotePath, None, None]:
        """Yields what lies in the folder."""
        with _named_errors(self):
            names = [str(name) for name in self._system.ls(str(self), detail=False)]
        for name in sorted({name.rstrip("/").rpartition("/")[2] for name in names}):
            if name not in _ELSEWHERE and name != self.name:
                yield self / name

    def glob(self, pattern: str, **_: Any) -> Generator[RemotePath, None, None]:
        """Yields what fits a pattern of names and `*`, folder by folder."""
        first, _slash, rest = pattern.partition("/")
        if "*" in first:
            found = [path for path in self.iterdir() if fnmatchcase(path.name, first)]
        else:
            found = [self / first]
        for path in found:
            if rest:
                yield from path.glob(rest)
            elif path.exists():
                yield path

    def read_bytes(self) -> bytes:
        """Returns the content, from a copy on this machine where there is one of this version."""
        state = self.stat()
        copies, key = FileCopies(), f"{self} {state.st_size} {state.st_mtime_ns}"
        content = copies.get(key)
        if content is None or len(content) != state.st_size:
            with _named_errors(self):
                content = bytes(self._system.cat_file(str(self)))
            copies.put(key, content)
        return content

    def read_text(self, encoding: str | None = None, *_: Any, **__: Any) -> str:
        """Returns the content as text."""
        return self.read_bytes().decode(encoding or "utf-8")

    def open(self, mode: str = "r", *_: Any, **__: Any) -> Any:
        """Opens the file to be read in parts, of which no copy is kept."""
        with _named_errors(self):
            return self._system.open(str(self), mode)

    def absolute(self) -> RemotePath:
        """Returns the path, which is whole."""
        return self

    def expanduser(self) -> RemotePath:
        """Returns the path."""
        return self

    def resolve(self, strict: bool = False) -> RemotePath:
        """Returns the path: there are no links."""
        return self

    @property
    def _system(self) -> Any:
        # Asked for each time: fsspec keeps one for each process, and a fork needs its own.
        fsspec = import_extra("fsspec", "remote", f"{self} needs fsspec")
        return fsspec.filesystem(self.parts[0].removesuffix(":"))

    def _mode(self) -> int | None:
        try:
            return stat.S_IFMT(self.stat().st_mode)
        except FileNotFoundError:
            return None


@contextmanager
def _named_errors(path: RemotePath) -> Iterator[None]:
    """Turns what libraries of file systems raise into an OSError."""
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:  # each file system has its own, of network and of credentials
        raise OSError(
            errno.EIO,
            f"cannot be fetched ({type(error).__name__}: {str(error)[:200]}); credentials and the "
            "address of a server of your own are read from the environment",
            str(path),
        ) from error
