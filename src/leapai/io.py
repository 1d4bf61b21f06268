"""Output files that are there whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}
"""Errors that say what is wrong with a disk, but seldom name the file."""
_HOST = re.sub(r"[^A-Za-z0-9]+", "_", socket.gethostname()) or "host"
_TEMPORARY = re.compile(r"\.tmp-(?P<host>\w+)-(?P<process>\d+)-[0-9a-f]{8}$")
"""End of the name of a temporary file: its host and process, and a random part."""
_STALE_S, _STALE_ELSEWHERE_S = 60.0, 86_400.0
"""A temporary file that nobody has written to for so long is stale: where its process has ended, or
where it is of another host and this cannot be asked."""


@contextmanager
def whole_file(path: Path, folder: Path | None = None, *, durable: bool = True) -> Iterator[Path]:
    """Yields a temporary path that is moved to `path` when the block ends, and removed when it
    raises.

    The temporary file lies next to `path`, or in `folder`, which must be on the same disk. Its name
    is unique, so that any number of writers may write one `path` at once: the last one stays. Its
    bytes are on the disk before it is moved, so that a power failure leaves the old file or the new
    one; not `durable`, this is left to the system, which is quicker where there are many files that
    can be made again. Raises OSError with file, reason and remedy where the disk is full or broken.
    """
    name = f"{path.name}.tmp-{_HOST}-{os.getpid()}-{secrets.token_hex(4)}"
    temporary = (folder or path.parent) / name
    try:
        yield temporary
        if durable:
            _sync(temporary)
        temporary.replace(path)
        if durable:
            _sync(path.parent)
    except OSError as error:
        if error.errno not in _OF_THE_DISK:
            raise
        raise disk_error(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_files(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Yields temporary paths that are moved to `paths` together, in their order, when the block
    ends; none of them where it raises. Raises OSError as `whole_file` does."""
    with ExitStack() as files:
        last_first = [files.enter_context(whole_file(path)) for path in reversed(paths)]
        yield last_first[::-1]
        for temporary in last_first:  # so that the moves follow each other at once
            _sync(temporary)


def disk_error(path: Path, error: OSError) -> OSError:
    """Returns the error of a disk as one that names the file and the remedy."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    named = OSError(
        f"{path} cannot be written: {reason}; make room on that disk, or name a folder on another "
        "one"
    )
    named.strerror = reason
    return named


def printable(text: str) -> str:
    """Returns a text out of a file without the codes that a terminal would obey."""
    return "".join(each if each.isprintable() else "?" for each in text)


def write_text(path: Path, text: str) -> None:
    """Writes a text file (UTF-8) that is there whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove_stale(folder: Path) -> None:
    """Removes the temporary files that killed writers have left in a folder; those of writers that
    may still be at work stay."""
    for path in folder.iterdir():
        found = _TEMPORARY.search(path.name)
        with suppress(FileNotFoundError):  # its writer has finished, or another was quicker
            if found and not path.is_symlink() and _is_stale(path, found):
                path.unlink()


def _is_stale(path: Path, name: re.Match[str]) -> bool:
    age_s = time.time() - path.stat().st_mtime
    if name["host"] != _HOST:
        return age_s > _STALE_ELSEWHERE_S
    return age_s > _STALE_S and not _is_running(int(name["process"]))


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user
        return True
    return True


def _sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network folders cannot
            raise
    finally:
        os.close(opened)
