"""The command `leapai export`: a checkpoint as a folder for others."""

from __future__ import annotations

import argparse
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
        Literal["hub"], Argument("hub: the folder of a repository on a model hub")
    ] = "hub"


def _export(parsed: argparse.Namespace) -> None:
    options = read(ExportOptions, parsed)
    existing_checkpoint(options.checkpoint)
    export_to_hub(options.checkpoint, options.output, read(HubOptions, parsed))


EXPORT = Command(
    "export",
    "write a checkpoint as a folder for a model hub",
    _export,
    (ExportOptions, HubOptions),
)
