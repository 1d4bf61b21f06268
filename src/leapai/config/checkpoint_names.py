"""Checkpoints as commands name them: files, weights on a hub, folders of exported networks."""

from __future__ import annotations

from pathlib import Path

from leapai.hub import FORM, fetched, hub_name, is_hub_name

MANIFEST = "manifest.json"
"""The file that describes an exported network, in its folder."""
CHECKPOINT_WORDS = f"a file, or {FORM}"
"""How a checkpoint is named, for help texts."""


def existing_network(path: Path) -> Path:
    """Returns the path of a checkpoint, or of the folder of an exported network. Raises ValueError
    where it is neither."""
    return path if is_exported(path) else existing_checkpoint(path)


def is_exported(path: Path) -> bool:
    """Returns whether a path is the folder of an exported network."""
    return (path / MANIFEST).is_file()


def existing_checkpoint(path: Path) -> Path:
    """Returns the path of a checkpoint on this machine; of weights on a hub, that of the file that
    was fetched.

    Raises ValueError where it is a folder or does not exist, and as `hub.fetched` does.
    """
    if is_hub_name(path):
        return fetched(hub_name(path))
    if path.is_dir():
        raise ValueError(f"checkpoint {path}: is a folder; name a checkpoint file in it")
    if not path.is_file():
        raise ValueError(f"checkpoint {path}: there is no such file")
    return path
