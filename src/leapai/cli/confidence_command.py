"""The command `leapai confidence`: confidences that mean the same with a sensor lost."""

from __future__ import annotations

import argparse
import sys

from leapai.cli.arguments import Command, read
from leapai.config.checkpoint_names import existing_checkpoint
from leapai.config.confidence_options import ConfidenceOptions
from leapai.data.data_names import check_data


def _confidence(parsed: argparse.Namespace) -> None:
    options = read(ConfidenceOptions, parsed)
    existing_checkpoint(options.checkpoint)
    check_data(options.data)
    from leapai.confidence import fit_confidence

    for fit in fit_confidence(options):
        sys.stdout.write(f"{fit}\n")
    sys.stdout.write(f"-> {options.output}\n")


CONFIDENCE = Command(
    "confidence",
    "fit confidence to which sensors a frame has, after a training",
    _confidence,
    (ConfidenceOptions,),
)
