"""The command `leapai stress`: what is left of a network's score when something is wrong."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from leapai.cli.arguments import Command, keeps, read
from leapai.cli.configuration import OUTPUTS, SettingOptions, name_of_run
from leapai.config.checkpoint_names import existing_network
from leapai.config.stress_options import StressOptions
from leapai.data.data_names import check_data
from leapai.runs.run_files import CONDITIONS


def _stress(parsed: argparse.Namespace) -> None:
    options = read(StressOptions, parsed)
    if options.checkpoint is not None:
        existing_network(options.checkpoint)
    if options.data is not None:
        check_data(options.data)
    from leapai.runs.run_inputs import read_network
    from leapai.weights import shipped_checkpoint

    checkpoint = read_network(options.checkpoint or shipped_checkpoint())
    config = read(SettingOptions, parsed).applied_to(checkpoint.config)
    check_data(options.data or config.data.val)
    name = name_of_run(checkpoint, checkpoint.config.job_name)
    output = options.output or OUTPUTS / f"stress_{name}"
    with keeps(conditions_in(output)):
        from leapai.stress import run_stress

        run_stress(config, replace(options, output=output), checkpoint)


def conditions_in(folder: Path) -> Callable[[], str]:
    """Returns the words on how many conditions a folder keeps the results of."""

    def kept() -> str:
        count = sum(1 for _ in (folder / CONDITIONS).glob("*.json"))
        if not count:
            return "before the result of any condition was there"
        results = (
            "the result of 1 condition" if count == 1 else f"the results of {count} conditions"
        )
        return f"early; {folder} keeps {results}, and the same command goes on from there"

    return kept


STRESS = Command(
    "stress",
    "measure what corruptions, lost sensors, wrong calibration and frame rates cost",
    _stress,
    (StressOptions, SettingOptions),
)
