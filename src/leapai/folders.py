"""Output folders and the names in them: whatever name comes out of a file, nothing is
written, replaced or read outside the folder."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import socket
import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from leapai.io import remove_stale

MARK = ".leapai"
"""File that marks a folder as one of leapai's; a run that writes there locks it."""
_OWN = {MARK, "run.json", "last.ckpt"}
"""A folder that holds one of these was written by leapai."""
_SHOWN = 3
_PLAIN = re.compile(r"\w[\w.+-]{0,99}")
_HASHED = re.compile(r".*-[0-9a-f]{24}", re.DOTALL)
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP}
"""Errors of disks that have no locks, such as some of a network."""


def file_name(name: str, taken: Collection[str] = ()) -> str:
    """Returns a name for the files of what is called `name`, such as a sequence or a camera.

    A plain name is its own. Of any other one (with a slash, empty, very long, in `taken`, ...) what
    is plain in it stays, with a hash behind it, so two names never share a file.
    """
    if _PLAIN.fullmatch(name) and not _HASHED.fullmatch(name) and name not in taken:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:24]
    return f"{re.sub(r'[^A-Za-z0-9]+', '_', name)[:40].strip('_') or 'x'}-{digest}"


def inside(folder: Path, name: str) -> Path | None:
    """Returns the file `name` of a folder; None where there is none, or where it lies outside, be
    it by its name or by a symbolic link."""
    try:
        path = (folder / name).resolve(strict=True)
        within = path.is_relative_to(folder.resolve()) and path.is_file()
    except (OSError, ValueError, RuntimeError):  # not there; a NUL in it; a loop of links
        return None
    return path if within else None


def refuse_links_out(folder: Path, names: Iterable[str]) -> None:
    """Raises ValueError for one of the `names` in a folder that is no file inside of it."""
    for name in names:
        if inside(folder, name) is None:
            raise ValueError(f"{folder / name}: is a folder, or a link that leads out; remove it")


def claim(folder: Path) -> None:
    """Makes a folder to write into, marks it as one of leapai's, and removes what killed writers
    left there.

    Raises ValueError where it holds files that leapai did not write, or a link that leads out of
    it; OSError where it cannot be written.
    """
    make_folder(folder)
    names = sorted(path.name for path in folder.iterdir())
    if names and not _OWN.intersection(names):
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        raise ValueError(
            f"{folder}: holds files that no run of leapai wrote ({', '.join(names[:_SHOWN])}"
            f"{more}), which it could replace; name a new or empty folder with --output"
        )
    link = next(_links_out_of(folder), None)
    if link is not None:
        raise ValueError(
            f"{link}: is a link that leads out of the folder; remove it, or name another folder "
            "with --output"
        )
    (folder / MARK).touch()
    tempfile.TemporaryFile(dir=folder).close()  # raises where it cannot be written
    remove_stale(folder)


def make_folder(folder: Path) -> None:
    """Makes a folder. Raises ValueError where a file is in its way, and OSError that names it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ValueError(
            f"{folder}: is a file, or lies below one; name a folder with --output"
        ) from error
    except OSError as error:
        raise OSError(
            f"{str(folder)[:200]} cannot be made ({error.strerror}); name another folder with "
            "--output"
        ) from error


@contextmanager
def new_folder(folder: Path) -> Iterator[None]:
    """Claims a folder; removes it, and parents that were made, if the block raises and has left
    nothing in them. Raises as `claim` does."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    claim(folder)
    try:
        yield
    except BaseException:
        if made and [path.name for path in folder.iterdir()] == [MARK]:
            (folder / MARK).unlink()
        with suppress(OSError):  # the first that is not empty
            for path in made:
                path.rmdir()
        raise


@contextmanager
def sole_user(folder: Path) -> Iterator[None]:
    """Claims a folder and holds it for this process alone, until the block or the process ends.

    Raises ValueError as `claim` does, and where another process holds the folder.
    """
    claim(folder)
    with (folder / MARK).open("a+") as mark:
        try:
            # A lock of the process, not of the open file: those who read frames do not inherit it.
            fcntl.lockf(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                mark.seek(0)
                raise ValueError(
                    f"{folder}: another run writes into it ({mark.read(200).strip()}); wait until "
                    "it has ended, or name another folder with --output"
                ) from error
        mark.truncate(0)
        mark.write(f"process {os.getpid()} on {socket.gethostname()}")
        mark.flush()
        yield


def _links_out_of(folder: Path) -> Iterator[Path]:
    """Yields the symbolic links below a folder that lead out of it."""
    home = folder.resolve()
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            if path.is_symlink() and not path.resolve().is_relative_to(home):
                yield path
