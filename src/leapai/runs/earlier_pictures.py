"""Pictures, videos and recordings that an earlier run left in its folder."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from leapai.extras import RecordingFormat
from leapai.folders import file_name
from leapai.pictures.foxglove_layout import LAYOUT
from leapai.runs.parquet_files import UnusableTableError, read_parquet

RECORDING_SUFFIXES: dict[RecordingFormat, str] = {
    "rerun": "rrd",
    "mcap": "mcap",
    "rosbag": "ros2.mcap",
}
_NUMBERED = re.compile(r"\d{6,}\.png")
"""Names of the pictures of frames."""


def recording_of(folder: Path, sequence: str, format: RecordingFormat = "rerun") -> Path:
    """Returns the path of the recording of a sequence in the folder of a run."""
    return folder / f"{file_name(sequence)}.{RECORDING_SUFFIXES[format]}"


def all_recordings_of(folder: Path, sequence: str) -> list[Path]:
    """Returns the paths of the recordings of a sequence in all formats."""
    return [recording_of(folder, sequence, format) for format in RECORDING_SUFFIXES]


def files_of(sequences: Iterable[str]) -> list[str]:
    """Returns the names that videos and recordings of sequences have, and that of the layout."""
    kinds = ("mp4", *RECORDING_SUFFIXES.values())
    names = [f"{file_name(sequence)}.{kind}" for sequence in sequences for kind in kinds]
    return [*names, LAYOUT]


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
    (folder / LAYOUT).unlink(missing_ok=True)


def remove_pictures_of(sequence: str, folder: Path) -> None:
    """Removes the pictures of the frames of a sequence, its video and its recordings."""
    name = file_name(sequence)
    for path in (folder / f"{name}.mp4", *all_recordings_of(folder, sequence)):
        path.unlink(missing_ok=True)
    for path in (folder / "pictures" / name).glob("*.png"):
        if _NUMBERED.fullmatch(path.name):
            path.unlink(missing_ok=True)
