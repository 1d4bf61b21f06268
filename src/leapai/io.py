"""Output files that are there whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def whole_file(path: Path, folder: Path | None = None) -> Iterator[Path]:
    """Yields a temporary path that is moved to `path` when the block ends, and removed when it
    raises.

    The temporary file lies next to `path`, or in `folder`, which must be on the same disk. Its name
    is unique, so that any number of writers may write one `path` at once: the last one stays.
    """
    name = f"{path.name}.tmp{os.getpid()}-{secrets.token_hex(4)}"
    temporary = (folder or path.parent) / name
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(folder: Path) -> Iterator[None]:
    """Makes a folder and tries to write there; removes it, and parents that were made, if the block
    raises and has left them empty. Raises OSError where it cannot be written."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".writable{os.getpid()}"
    probe.touch()
    probe.unlink(missing_ok=True)
    try:
        yield
    except BaseException:
        with suppress(OSError):  # the first that is not empty
            for path in made:
                path.rmdir()
        raise


def write_text(path: Path, text: str) -> None:
    """Writes a text file (UTF-8) that is there whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
