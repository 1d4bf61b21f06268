"""The trained checkpoint that comes with the package."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

NAME = "tiny.ckpt"


def shipped_checkpoint() -> Path:
    """Returns the path of the shipped checkpoint: `tiny_step2_dynamic` and
    `tiny_step2_static`, trained and merged.

    Raises ValueError where the package was built without it.
    """
    path = Path(str(files("leapai"))) / "weights" / NAME
    if not path.is_file():
        raise ValueError(
            f"{path}: this copy of the package has no trained weights; install it again, "
            "or train your own as docs/training.md describes"
        )
    return path
