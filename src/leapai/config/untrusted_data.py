"""Names of data that stand in files of others, such as checkpoints: they may name data sets that
are installed, but no function to call."""

from __future__ import annotations

from importlib.metadata import entry_points

ENTRY_POINTS = "leapai.data"
"""Group of the entry points that name data sets."""
UNTRUSTED = "untrusted"
"""First word of data that is not opened, because a file names a function for it."""


def untrusted(data: str) -> str:
    """Returns data that a file of others names: as it is where its data set is installed, else
    marked, so that `open_logs` refuses it.

    `module:function:location` would import any module and call any function of it, so only a user
    may say it, on the command line or in a task configuration. A bare path has no colon; it is
    read, never run.
    """
    name = data.partition(":")[0]
    installed = {point.name for point in entry_points(group=ENTRY_POINTS)}
    is_path = ":" not in data
    return data if is_path or name in installed or name == UNTRUSTED else f"{UNTRUSTED}:{data}"
