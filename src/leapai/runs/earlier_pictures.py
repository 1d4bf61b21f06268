"""Pictures, videos and recordings that an earlier run left in its folder."""

from __future__ import annotations

import re
from pathlib import Path

from leapai.folders import file_name
from leapai.runs.parquet_files import UnusableTableError, read_parquet

_NUMBERED = re.compile(r"\d{6,}\.png")
"""Names of the pictures of frames."""


def remove_pictures(folder: Path) -> None:
    """Removes the pictures, videos and recordings that an earlier run left in its folder: those of
    the sequences that its table of frames names. Where that cannot be read, none is removed."""
    try:
        frames = read_parquet(folder / "frames.parquet")
        sequences = {str(name) for name in frames["sequence"].unique().to_pylist()}
    except (UnusableTableError, LookupError):
        return
    for sequence in sequences:
        remove_pictures_of(sequence, folder)


def remove_pictures_of(sequence: str, folder: Path) -> None:
    """Removes the pictures of the frames of a sequence, its video and its recording."""
    name = file_name(sequence)
    for path in (folder / f"{name}.mp4", folder / f"{name}.rrd"):
        path.unlink(missing_ok=True)
    for path in (folder / "pictures" / name).glob("*.png"):
        if _NUMBERED.fullmatch(path.name):
            path.unlink(missing_ok=True)
