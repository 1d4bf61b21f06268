"""Options of `leapai stress`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from leapai.config.checkpoint_names import CHECKPOINT_WORDS
from leapai.config.options import DATA_WORDS, Argument


@dataclass(frozen=True)
class StressOptions:
    """Options of a stress run, which measures robustness."""

    checkpoint: Annotated[
        Path | None,
        Argument(
            f"checkpoint, {CHECKPOINT_WORDS}, or the folder of an exported network; default: the "
            "weights that ship with leapai",
            positional=True,
            metavar="CHECKPOINT",
        ),
    ] = None
    data: Annotated[
        str | None, Argument(f"labelled data, instead of the checkpoint's data.val: {DATA_WORDS}")
    ] = None
    output: Annotated[
        Path | None,
        Argument(
            "folder to write, or to go on in; default: outputs/stress_NAME_OF_WEIGHTS",
            flags=("-o", "--output"),
            metavar="FOLDER",
        ),
    ] = None
    quick: Annotated[bool, Argument("few frames and one severity of everything, to try it out")] = (
        False
    )
    max_frames: Annotated[
        int | None, Argument("at most N frames of each drive", metavar="N", least=1)
    ] = None
    only: Annotated[
        tuple[str, ...],
        Argument(
            "run these conditions alone, by corruption, kind or name, such as fog, lost or "
            "fog_3; may be repeated, others can be added later",
            metavar="CONDITION",
        ),
    ] = ()
    every: Annotated[
        int | None,
        Argument(
            "write pictures of every N-th frame of a drive, and a video, for every condition",
            metavar="N",
            least=1,
        ),
    ] = None
    seed: Annotated[
        int, Argument("seed of what is drawn for the conditions; default: 0", metavar="N", least=0)
    ] = 0
    anew: Annotated[bool, Argument("begin again, without the results in the folder")] = False
