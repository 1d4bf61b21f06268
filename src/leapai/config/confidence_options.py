"""Options of `leapai confidence`."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from leapai.config.checkpoint_names import existing_checkpoint
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

    def check_files(self) -> None:
        """Raises ValueError where there is no such checkpoint, and where none can be written as
        named, as far as this is known before anything is streamed."""
        checkpoint, output = existing_checkpoint(self.checkpoint), self.output
        if output.is_dir():
            raise ValueError(f"{output}: is a folder; name the checkpoint file to write with -o")
        if not output.parent.is_dir():
            raise ValueError(
                f"{output}: there is no folder {output.parent}; make it, or name a file in another "
                "one with -o"
            )
        if output.exists() and output.samefile(checkpoint):
            raise ValueError(
                f"{output}: is the checkpoint to read, which stays as it is; name another file "
                "with -o"
            )
        try:
            tempfile.TemporaryFile(dir=output.parent).close()
        except OSError as error:
            raise ValueError(
                f"{output}: nothing can be written in its folder ({error.strerror}); name a file "
                "in another one with -o"
            ) from error
