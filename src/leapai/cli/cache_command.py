"""The command `leapai cache`: fills what a training reads, before it starts."""

from __future__ import annotations

import argparse
import os

from leapai.cli.arguments import Command, keeps, read
from leapai.cli.configuration import NamedConfigurationOptions
from leapai.config.data_sources import parse_sources
from leapai.config.options import CacheOptions, existing_checkpoint
from leapai.data.data_names import check_data


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
