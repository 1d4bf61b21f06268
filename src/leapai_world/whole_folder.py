"""Folders that are written as a whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_folder(output: Path) -> Iterator[Path]:
    """Yields a path next to the new folder `output`, which the block makes and fills; it is moved
    there at the end, and a block that fails leaves nothing.

    Raises ValueError where `output` exists, and where the block runs out of disk or may not write.
    """
    if output.exists():
        raise ValueError(f"{output} exists; name a new folder, or remove it first")
    temporary = output.with_name(f"{output.name}.tmp{os.getpid()}")
    try:
        yield temporary
        temporary.rename(output)
    except OSError as error:
        raise ValueError(
            f"{output}: {error.strerror}; nothing is left of it: free some space, or choose "
            "another folder or fewer drives"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
