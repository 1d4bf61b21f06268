"""Options of `leapai confidence`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from leapai.config.options import DATA_WORDS, Argument


@dataclass(frozen=True)
class ConfidenceOptions:
    """A checkpoint, labelled drives that its training has not seen, and the checkpoint to write."""

    checkpoint: Annotated[
        Path, Argument("checkpoint to read", positional=True, metavar="CHECKPOINT")
    ]
    data: Annotated[str, Argument(f"labelled drives that the training has not seen: {DATA_WORDS}")]
    output: Annotated[
        Path, Argument("checkpoint to write", flags=("-o", "--output"), metavar="OUT")
    ]
    max_frames: Annotated[
        int | None, Argument("at most N frames of each drive", metavar="N", least=1)
    ] = None
