"""The folder of `leapai export`: graphs and their manifest, and nothing of others."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Literal, get_args

from leapai.config.checkpoint_names import MANIFEST
from leapai.export.triton_config import triton_config
from leapai.folders import make_folder, refuse_links_out
from leapai.io import remove_stale
from leapai.runtime.manifest import GraphName, graph_files, read_manifest

Format = Literal["onnx", "pt2", "triton"]
TRITON_CONFIG = "config.pbtxt"
"""The file by which Triton recognises a model, in the folder of that model."""
_VERSION = "1"
"""Folder of the version that an export for Triton writes."""
_GRAPHS: tuple[GraphName, ...] = get_args(GraphName)
_FILES: dict[Format, tuple[str, ...]] = {
    "onnx": (*(f"{name}.onnx" for name in _GRAPHS), MANIFEST),
    "pt2": (*(f"{name}.pt2" for name in _GRAPHS), MANIFEST),
    "triton": (f"{_VERSION}/model.onnx", f"{_VERSION}/{MANIFEST}", TRITON_CONFIG),
}
"""Files that each format may have. Triton keeps every version of a model in a folder of its number,
so that folder is an export of its own."""


def graph_path(folder: Path, to: Format, name: GraphName = "step") -> Path:
    """Returns the file of a graph in a format; its manifest lies next to it."""
    return folder / (f"{_VERSION}/model.onnx" if to == "triton" else f"{name}.{to}")


def files_of_export(folder: Path) -> frozenset[Path]:
    """Returns the files of the exports that lie in a folder, by their manifests."""
    found = set()
    for to in _FILES:
        manifest = graph_path(folder, to).parent / MANIFEST
        listed = graph_files(manifest)
        found |= {manifest.parent / name for name in listed}
        if listed:
            found |= {manifest} | ({folder / TRITON_CONFIG} if to == "triton" else set())
    return frozenset(found) & {folder / name for names in _FILES.values() for name in names}


def remove_others(before: Collection[Path], written: Collection[Path]) -> None:
    """Removes the files of an export before (`files_of_export`) that the one that wrote these has
    not replaced."""
    for path in set(before) - set(written):
        path.unlink(missing_ok=True)
        if path.parent.name == _VERSION:
            with suppress(OSError):  # not empty
                path.parent.rmdir()


def claim(folder: Path, to: Format) -> None:
    """Makes a folder to export into, and removes what killed writers left there.

    Raises ValueError where it holds a file of an export that no export wrote, a configuration for
    Triton that was edited, or a link in place of the folder of the graphs; OSError where it cannot
    be written.
    """
    make_folder(folder)
    place = graph_path(folder, to).parent
    _check_place(place, folder)
    ours = files_of_export(folder)
    names = dict.fromkeys(name for each in _FILES.values() for name in each)
    there = [name for name in names if os.path.lexists(folder / name)]
    others = [str(folder / name) for name in there if folder / name not in ours]
    if others:
        raise ValueError(
            f"{', '.join(others)}: is there, and no leapai export wrote it; move it away, or name "
            "a new or empty folder with --output"
        )
    refuse_links_out(folder, there)
    _check_config(folder)
    make_folder(place)
    tempfile.TemporaryFile(dir=place).close()  # raises where it cannot be written
    for written in {folder, place}:
        remove_stale(written)


def _check_place(place: Path, folder: Path) -> None:
    """Raises ValueError where the folder of graphs is a link to one that is not below `folder`."""
    below = Path(os.path.realpath(place)).parents  # unlike `resolve`, also of a loop of links
    if place != folder and Path(os.path.realpath(folder)) not in below:
        raise ValueError(
            f"{place}: is a link to another folder; remove it, or name another folder with --output"
        )


def _check_config(folder: Path) -> None:
    """Raises ValueError where the configuration for Triton is not what its export wrote."""
    path = folder / TRITON_CONFIG
    if path.exists() and not _is_as_written(path, graph_path(folder, "triton").parent):
        raise ValueError(
            f"{path}: differs from what the export of its manifest writes, as if it had been "
            "edited; move it away, or name another folder with --output"
        )


def _is_as_written(path: Path, version: Path) -> bool:
    try:
        return path.read_text(encoding="utf-8") == triton_config(read_manifest(version))
    except (ValueError, TypeError, LookupError, ArithmeticError):  # a manifest may hold anything
        return False
