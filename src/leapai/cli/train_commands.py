"""The commands `leapai train` and `leapai config`."""

from __future__ import annotations

import argparse
import sys

from leapai.cli.arguments import Command, read
from leapai.cli.configuration import OUTPUTS, NamedConfigurationOptions
from leapai.config.config_files import purpose_of, shipped_configs
from leapai.config.options import TrainingOptions


def _train(parsed: argparse.Namespace) -> None:
    configuration = read(NamedConfigurationOptions, parsed)
    if configuration.file() is not None:
        read(TrainingOptions, parsed, output=OUTPUTS).check_files()  # before it is read
    config = configuration.load()
    options = read(TrainingOptions, parsed, output=OUTPUTS / config.job_name)
    options.resume_from()
    from leapai.training.train import run_training

    run_training(config, options)


def _print_config(parsed: argparse.Namespace) -> None:
    configuration = read(NamedConfigurationOptions, parsed)
    if configuration.named is None:
        _list_configs()
        return
    config = configuration.load()
    from leapai.config.load import explain

    text = explain(config)
    if not sys.stdout.isatty():
        sys.stdout.write(text)
        return
    from rich.console import Console
    from rich.syntax import Syntax

    Console().print(Syntax(text, "python", background_color="default", word_wrap=True))


def _list_configs() -> None:
    """Prints the names of the shipped configurations with what each is for."""
    shipped = shipped_configs()
    width = max(map(len, shipped))
    for name, path in shipped.items():
        sys.stdout.write(f"{name:<{width}}  {purpose_of(path)}\n")


TRAIN = Command(
    "train",
    "train the network of a configuration",
    _train,
    (NamedConfigurationOptions, TrainingOptions),
)
CONFIG = Command(
    "config",
    "check a configuration and print it in full; without one, list those there are",
    _print_config,
    (NamedConfigurationOptions,),
)
