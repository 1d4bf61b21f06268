"""The commands `leapai train` and `leapai config`."""

from __future__ import annotations

import argparse
import sys

from leapai.cli.arguments import Command, read
from leapai.cli.configuration import OUTPUTS, ConfigurationOptions
from leapai.config.options import TrainingOptions


def _train(parsed: argparse.Namespace) -> None:
    configuration = read(ConfigurationOptions, parsed)
    if configuration.file() is not None:
        read(TrainingOptions, parsed, output=OUTPUTS).check_files()  # before it is read
    config = configuration.load()
    options = read(TrainingOptions, parsed, output=OUTPUTS / config.job_name)
    options.resume_from()
    from leapai.training.train import run_training

    run_training(config, options)


def _print_config(parsed: argparse.Namespace) -> None:
    config = read(ConfigurationOptions, parsed).load()
    from leapai.config.load import explain

    text = explain(config)
    if not sys.stdout.isatty():
        sys.stdout.write(text)
        return
    from rich.console import Console
    from rich.syntax import Syntax

    Console().print(Syntax(text, "python", background_color="default", word_wrap=True))


TRAIN = Command(
    "train",
    "train the network of a configuration",
    _train,
    (ConfigurationOptions, TrainingOptions),
)
CONFIG = Command(
    "config",
    "check a configuration and print it in full",
    _print_config,
    (ConfigurationOptions,),
)
