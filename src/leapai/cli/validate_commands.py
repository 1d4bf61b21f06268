"""The commands `leapai val` and `leapai demo`."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from leapai.cli.arguments import Command, files_in, keeps, read
from leapai.cli.configuration import (
    DEMO_DATA,
    OUTPUTS,
    NamedConfigurationOptions,
    SettingOptions,
    name_of_run,
)
from leapai.config.options import RECORDED_WORDS, Argument, ResultFormat, ValidationOptions
from leapai.data.data_names import check_data
from leapai.extras import check_recorder

if TYPE_CHECKING:
    from leapai.checkpoints import Checkpoint
    from leapai.config.schema import TaskConfig
    from leapai.runtime.exported_network import ExportedNetwork

DEMO_OUTPUT = OUTPUTS / "demo"


@dataclass(frozen=True)
class DemoOptions(ValidationOptions):
    """Options of the demo: fields without an `Argument` are set by it."""

    output: Annotated[
        Path, Argument(f"folder to write; default: {DEMO_OUTPUT}", metavar="FOLDER")
    ] = DEMO_OUTPUT
    data: Annotated[str | None, Argument(f"drives to stream; default: {DEMO_DATA}")] = DEMO_DATA
    checkpoint: Path | None = None
    random_weights: bool = False
    format: Annotated[ResultFormat | None, Argument(RECORDED_WORDS)] = None


def _validate(parsed: argparse.Namespace) -> None:
    given = read(ValidationOptions, parsed, output=OUTPUTS)
    configuration = read(NamedConfigurationOptions, parsed)
    if configuration.file() is None and not (given.checkpoint or given.random_weights):
        given = replace(given, checkpoint=_announced_shipped_checkpoint())
    given.check_files()  # before anything is read
    _check_before_imports(given)
    config, checkpoint = configuration.load_or_that_of(given.checkpoint)
    name = name_of_run(checkpoint, config.job_name)
    options = read(ValidationOptions, parsed, output=OUTPUTS / name, checkpoint=given.checkpoint)
    _run(config, options, checkpoint)


def _check_before_imports(options: ValidationOptions) -> None:
    """Raises ValueError for data and extras that are not there, before anything heavy is
    imported."""
    if options.data is not None:
        check_data(options.data)
    for format in options.recordings:
        check_recorder(format)


def _announced_shipped_checkpoint() -> Path:
    """Returns the checkpoint that ships, and prints that it is taken."""
    from leapai.weights import shipped_checkpoint

    path = shipped_checkpoint()
    if os.environ.get("RANK", "0") == "0":
        sys.stdout.write(
            "Neither a configuration nor --ckpt is given: this runs the network that ships with "
            f"leapai, {path.name}\n"
        )
        sys.stdout.flush()
    return path


def _demo(parsed: argparse.Namespace) -> None:
    options = read(DemoOptions, parsed)
    _check_before_imports(options)
    from leapai.checkpoints import read_checkpoint
    from leapai.weights import shipped_checkpoint

    checkpoint = read_checkpoint(shipped_checkpoint())
    config = read(SettingOptions, parsed).applied_to(checkpoint.config)
    _run(config, replace(options, checkpoint=checkpoint.path), checkpoint)


def _run(
    config: TaskConfig, options: ValidationOptions, checkpoint: Checkpoint | ExportedNetwork | None
) -> None:
    check_data(options.data or config.data.val)
    written = "what was streamed before (pictures, videos), but no metrics and no report"
    with keeps(files_in(options.output, written)):
        from leapai.validation import run_validation

        run_validation(config, options, checkpoint=checkpoint)


VAL = Command(
    "val",
    "stream drives and evaluate them; write metrics, report, pictures",
    _validate,
    (NamedConfigurationOptions, ValidationOptions),
)
DEMO = Command(
    "demo",
    "run the tiny network on the embedded world and write its report",
    _demo,
    (DemoOptions, SettingOptions),
)
