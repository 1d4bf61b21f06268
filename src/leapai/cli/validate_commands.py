"""The commands `leapai val` and `leapai demo`."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from leapai.cli.arguments import Command, read
from leapai.cli.configuration import OUTPUTS, ConfigurationOptions, SettingOptions
from leapai.config.options import Argument, SubmissionFormat, ValidationOptions

DEMO_DATA = "synthetic:split=val,drives=1,rate_hz=4"
DEMO_OUTPUT = OUTPUTS / "demo"


@dataclass(frozen=True)
class DemoOptions(ValidationOptions):
    """Options of the demo: fields without an `Argument` are set by it."""

    output: Annotated[Path, Argument(f"default: {DEMO_OUTPUT}", metavar="FOLDER")] = DEMO_OUTPUT
    data: Annotated[str | None, Argument(f"default: {DEMO_DATA}")] = DEMO_DATA
    checkpoint: Path | None = None
    random_weights: bool = False
    submission: SubmissionFormat | None = None


def _validate(parsed: argparse.Namespace) -> None:
    given = read(ValidationOptions, parsed, output=OUTPUTS)
    configuration = read(ConfigurationOptions, parsed)
    if configuration.file() is not None:
        given.check_files()  # before the configuration is read
    config, checkpoint = configuration.load_or_that_of(given.checkpoint)
    options = read(ValidationOptions, parsed, output=OUTPUTS / config.job_name)
    from leapai.validation import run_validation

    run_validation(config, options, checkpoint=checkpoint)


def _demo(parsed: argparse.Namespace) -> None:
    from leapai.checkpoints import read_checkpoint
    from leapai.validation import run_validation
    from leapai.weights import shipped_checkpoint

    checkpoint = read_checkpoint(shipped_checkpoint())
    config = read(SettingOptions, parsed).applied_to(checkpoint.config)
    options = replace(read(DemoOptions, parsed), checkpoint=checkpoint.path)
    run_validation(config, options, checkpoint=checkpoint)


VAL = Command(
    "val",
    "stream drives and evaluate them; write metrics, report, pictures",
    _validate,
    (ConfigurationOptions, ValidationOptions),
)
DEMO = Command(
    "demo",
    "run the tiny network on the embedded world and write its report",
    _demo,
    (DemoOptions, SettingOptions),
)
