"""The trained checkpoint that comes with the package, and the card that describes it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

NAME = "tiny.ckpt"
CARD = "card.json"


@dataclass(frozen=True)
class WeightsCard:
    """Facts about the shipped weights; the file lies next to them and changes with them."""

    name: str
    sha256: str
    """Digest of the checkpoint that the card describes."""
    trained_on: str
    on_real_roads: tuple[str, ...]
    """Sentences on what to expect on a real road."""


def card_of(sha256: str | None) -> WeightsCard | None:
    """Returns the card of the checkpoint with this digest; None where it is not the shipped one."""
    path = Path(str(files("leapai"))) / "weights" / CARD
    if sha256 is None or not path.is_file():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    card = WeightsCard(**{**content, "on_real_roads": tuple(content["on_real_roads"])})
    return card if card.sha256 == sha256 else None


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
