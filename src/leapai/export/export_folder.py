"""The folder of `leapai export`: a graph and its manifest, and nothing of others."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Literal, get_args

from leapai.config.checkpoint_names import MANIFEST
from leapai.folders import inside, make_folder
from leapai.io import remove_stale
from leapai.runtime.manifest import is_manifest

Format = Literal["onnx", "pt2"]


def graph_path(folder: Path, to: Format) -> Path:
    """Returns the file of the graph in a format."""
    return folder / f"step.{to}"


def remove_graphs(folder: Path, but: Path) -> None:
    """Removes the graphs of earlier exports, which the manifest no longer names."""
    for each in get_args(Format):
        path = graph_path(folder, each)
        if path != but:
            path.unlink(missing_ok=True)


def claim(folder: Path) -> None:
    """Makes a folder to export into, and removes what killed writers left there.

    Raises ValueError where it holds a manifest or a graph that no export wrote, and OSError where
    it cannot be written.
    """
    make_folder(folder)
    files = (folder / MANIFEST, *(graph_path(folder, each) for each in get_args(Format)))
    there = [path for path in files if os.path.lexists(path)]
    if there and not is_manifest(folder / MANIFEST):
        raise ValueError(
            f"{there[0]}: is there, and no leapai export wrote it; name a new or empty folder with "
            "--output"
        )
    for path in there:
        if inside(folder, path.name) is None:
            raise ValueError(f"{path}: is a folder, or a link that leads out; remove it")
    tempfile.TemporaryFile(dir=folder).close()  # raises where it cannot be written
    remove_stale(folder)
