"""The folder in which what was made of data sets, or fetched of them, is kept for all runs."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "LEAPAI_CACHE"


def cache_folder() -> Path:
    """Returns the folder that the environment names as LEAPAI_CACHE, else `leapai` in the cache
    folder of the user. Whatever is in it can be made again."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "leapai"
