"""The folder of `leapai export`: a graph and its manifest, and nothing of others."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Literal

from leapai.config.checkpoint_names import MANIFEST
from leapai.folders import inside, make_folder
from leapai.io import remove_stale
from leapai.runtime.manifest import is_manifest

Format = Literal["onnx", "pt2", "triton"]
TRITON_CONFIG = "config.pbtxt"
"""The file by which Triton recognises a model, in the folder of that model."""
_FILES: dict[Format, tuple[str, ...]] = {
    "onnx": ("step.onnx", MANIFEST),
    "pt2": ("step.pt2", MANIFEST),
    "triton": ("1/model.onnx", f"1/{MANIFEST}", TRITON_CONFIG),
}
"""Files of each format, first the graph. Triton keeps every version of a model in a folder of its
number, so that folder is an export of its own."""


def graph_path(folder: Path, to: Format) -> Path:
    """Returns the file of the graph in a format; its manifest lies next to it."""
    return folder / _FILES[to][0]


def remove_others(folder: Path, to: Format) -> None:
    """Removes what exports to other formats have left in a folder."""
    others = {name for names in _FILES.values() for name in names} - set(_FILES[to])
    for name in others:
        (folder / name).unlink(missing_ok=True)
    with suppress(OSError):  # not there, or not empty
        graph_path(folder, "triton").parent.rmdir()


def claim(folder: Path, to: Format) -> None:
    """Makes a folder to export into, and removes what killed writers left there.

    Raises ValueError where it holds a file of an export that no export wrote, and OSError where it
    cannot be written.
    """
    make_folder(folder)
    for each, names in _FILES.items():
        there = [name for name in names if os.path.lexists(folder / name)]
        if there and not is_manifest(graph_path(folder, each).parent / MANIFEST):
            raise ValueError(
                f"{folder / there[0]}: is there, and no leapai export wrote it; name a new or "
                "empty folder with --output"
            )
        for name in there:
            if inside(folder, name) is None:
                raise ValueError(
                    f"{folder / name}: is a folder, or a link that leads out; remove it"
                )
    place = graph_path(folder, to).parent
    make_folder(place)
    tempfile.TemporaryFile(dir=place).close()  # raises where it cannot be written
    for written in {folder, place}:
        remove_stale(written)
