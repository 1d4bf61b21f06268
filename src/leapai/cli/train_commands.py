"""The commands `leapai train`, `leapai cache` and `leapai config`."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

from leapai.cli.arguments import Command, keeps, read
from leapai.cli.configuration import OUTPUTS, NamedConfigurationOptions
from leapai.config.checkpoint_names import existing_checkpoint
from leapai.config.config_files import purpose_of, shipped_configs
from leapai.config.data_sources import parse_sources
from leapai.config.options import CONFIG_VARIABLE, LAST, CacheOptions, TrainingOptions
from leapai.data.data_names import check_data


def _train(parsed: argparse.Namespace) -> None:
    configuration = read(NamedConfigurationOptions, parsed)
    given = read(TrainingOptions, parsed, output=OUTPUTS)
    if configuration.file() is not None:
        given.check_files()  # before the configuration is read
    config = configuration.load()
    options = replace(
        read(TrainingOptions, parsed, output=OUTPUTS / config.job_name),
        resume_command=resume_command(parsed.given, os.environ),
    )
    options.resume_from()
    for source in parse_sources(options.data or config.data.train):
        check_data(source.data)
    check_data(options.val_data or config.data.val)
    with keeps(lambda: _kept(options)):
        from leapai.training.freed_memory import keep_freed_memory
        from leapai.training.train import run_training

        keep_freed_memory()
        run_training(config, options)


def _kept(options: TrainingOptions) -> str:
    """Returns what an interrupted training that could not finish its step has kept."""
    last = options.output / LAST
    if not last.is_file():
        return "before the first step was saved: no weights were kept"
    return (
        f"at once; {last} keeps the training as it was last saved; go on with: "
        f"{options.resume_command}"
    )


def resume_command(given: Sequence[str], environment: Mapping[str, str]) -> str:
    """Returns the command line that goes on with a training whose arguments were `given`, as the
    launcher of its `environment` takes it."""
    launched = "TORCHELASTIC_RUN_ID" in environment
    words = [*(sys.argv if launched else given)]
    while "--resume" in words:
        at = words.index("--resume")
        del words[at : at + 2]
    words = [word for word in words if not word.startswith("--resume=")] + ["--resume", "auto"]
    if launched:
        words = [*_launcher(environment), *words]
    elif shutil.which("leapai"):
        words.insert(0, "leapai")
    else:
        words = [sys.executable, "-m", "leapai", *words]
    named = environment.get(CONFIG_VARIABLE)
    return (f"{CONFIG_VARIABLE}={shlex.quote(named)} " if named else "") + shlex.join(words)


def _launcher(environment: Mapping[str, str]) -> list[str]:
    """Returns the call of torchrun that started this process."""
    words = ["torchrun", f"--nproc_per_node={environment['LOCAL_WORLD_SIZE']}"]
    nodes = environment.get("GROUP_WORLD_SIZE", "1")
    if nodes != "1":
        words += [
            f"--nnodes={nodes}",
            f"--node_rank={environment['GROUP_RANK']}",
            f"--master_addr={environment['MASTER_ADDR']}",
        ]
    return [*words, f"--master_port={environment['MASTER_PORT']}"]


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


def _cache(parsed: argparse.Namespace) -> None:
    options = read(CacheOptions, parsed)
    rank, count = options.shard(os.environ)
    if options.checkpoint is not None:
        existing_checkpoint(options.checkpoint)
    config = read(NamedConfigurationOptions, parsed).load()
    for source in parse_sources(options.data or config.data.train):
        check_data(source.data)
    check_data(options.val_data or config.data.val)
    kept = f"early; {config.cache.folder} keeps what was made; the same command goes on"
    with keeps(lambda: kept):
        from rich.console import Console

        from leapai.distributed import Ranks
        from leapai.training.cache_filling import fill_caches

        ranks = Ranks(rank, count, int(os.environ.get("LOCAL_RANK", "0")))
        fill_caches(config, options, ranks, Console(soft_wrap=True))


CACHE = Command(
    "cache",
    "fill the caches of frames and features of a training, by any number of processes",
    _cache,
    (NamedConfigurationOptions, CacheOptions),
)
