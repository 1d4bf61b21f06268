"""The command `leapai export`: a checkpoint as a folder for others."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from leapai.cli.arguments import Command, read
from leapai.cli.hub_export import export_to_hub
from leapai.config.hub_options import HubOptions
from leapai.config.options import CHECKPOINT_WORDS, Argument, existing_checkpoint


@dataclass(frozen=True)
class ExportOptions:
    """The checkpoint to export, and what to make of it."""

    checkpoint: Annotated[
        Path,
        Argument(f"weights to export: {CHECKPOINT_WORDS}", positional=True, metavar="CHECKPOINT"),
    ]
    output: Annotated[Path, Argument("folder to write", flags=("-o", "--output"), metavar="DIR")]
    format: Annotated[
        Literal["onnx", "pt2", "hub"],
        Argument(
            "onnx and pt2: one graph a step, for runtimes without PyTorch; hub: the folder of a "
            "repository on a model hub; default: onnx",
            flags=("--format",),
        ),
    ] = "onnx"


def _export(parsed: argparse.Namespace) -> None:
    options = read(ExportOptions, parsed)
    existing_checkpoint(options.checkpoint)
    if options.format == "hub":
        export_to_hub(options.checkpoint, options.output, read(HubOptions, parsed))
        return
    from leapai.checkpoints import read_checkpoint
    from leapai.export.exporting import export

    made = export(read_checkpoint(options.checkpoint), options.output, options.format)
    graph = options.output / made.graph.file
    sys.stdout.write(
        f"{made.job_name}: {graph}, {made.graph.bytes / 1e6:.1f} MB, {len(made.inputs)} inputs, "
        f"{len(made.outputs)} outputs\n"
    )


EXPORT = Command(
    "export",
    "write a checkpoint for others: as one graph a step, or as a folder for a model hub",
    _export,
    (ExportOptions, HubOptions),
)
