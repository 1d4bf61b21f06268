"""The command `leapai export`: a checkpoint as a graph for other runtimes."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from leapai.cli.arguments import Command, read
from leapai.config.options import Argument, existing_checkpoint

GROUPS = "front_narrow, front_wide, back, side"
"""Groups of cameras, in words: their types need NumPy, and commands start without it."""
MOST_CAMERAS = 64


def _cameras(text: str) -> tuple[int, ...]:
    """Reads how many cameras each group has: `1,1,1,4`."""
    numbers = text.split(",")
    if len(numbers) != len(GROUPS.split(",")) or not all(n.isdecimal() for n in numbers):
        raise argparse.ArgumentTypeError(
            f"'{text}' must be whole numbers such as 1,1,1,4: cameras of the groups {GROUPS}"
        )
    counts = tuple(map(int, numbers))
    if not 1 <= sum(counts) <= MOST_CAMERAS:
        raise argparse.ArgumentTypeError(f"'{text}' must add up to 1 to {MOST_CAMERAS} cameras")
    return counts


@dataclass(frozen=True)
class ExportOptions:
    """The checkpoint to export, and what to make of it."""

    checkpoint: Annotated[
        Path, Argument("weights to export", positional=True, metavar="CHECKPOINT")
    ]
    output: Annotated[Path, Argument("folder to write", flags=("-o", "--output"), metavar="DIR")]
    format: Annotated[
        Literal["onnx", "pt2"], Argument("format of the graph; default: onnx", flags=("--format",))
    ] = "onnx"
    cameras: Annotated[
        tuple[int, ...],
        Argument(
            f"how many cameras each group has: {GROUPS}; default: 1,1,1,4",
            metavar="N,N,N,N",
            parse=_cameras,
        ),
    ] = (1, 1, 1, 4)


def _export(parsed: argparse.Namespace) -> None:
    options = read(ExportOptions, parsed)
    existing_checkpoint(options.checkpoint)
    from leapai.checkpoints import read_checkpoint
    from leapai.export.exporting import export

    made = export(
        read_checkpoint(options.checkpoint), options.output, options.format, options.cameras
    )
    graph = options.output / made.graph.file
    sys.stdout.write(
        f"{made.job_name}: {graph}, {made.graph.bytes / 1e6:.1f} MB, {len(made.inputs)} inputs, "
        f"{len(made.outputs)} outputs\n"
    )


EXPORT = Command(
    "export",
    "write a checkpoint as one graph a step, for runtimes without PyTorch",
    _export,
    (ExportOptions,),
)
