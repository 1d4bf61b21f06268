"""The command `leapai predict`: what the network detects in any source, labelled or not."""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import replace
from pathlib import Path

from leapai.cli.arguments import INTERRUPTED, Command, files_in, keeps, read
from leapai.cli.configuration import OUTPUTS, SettingOptions
from leapai.config.checkpoint_names import existing_network
from leapai.config.options import PredictionOptions
from leapai.data.data_names import check_data, named_source
from leapai.extras import check_recorder


def _predict(parsed: argparse.Namespace) -> None:
    options = read(PredictionOptions, parsed)
    options.picture_step()
    for format in options.recordings:
        check_recorder(format)
    if options.checkpoint is not None:
        existing_network(options.checkpoint)
    source = named_source(options.source)
    check_data(source)
    from leapai.data.log import check_source

    check_source(source)  # before anything that takes time is imported
    output = options.output or default_output(source)
    from leapai.prediction import run_prediction
    from leapai.runs.run_inputs import read_network
    from leapai.weights import shipped_checkpoint

    checkpoint = read_network(options.checkpoint or shipped_checkpoint())
    config = read(SettingOptions, parsed).applied_to(checkpoint.config)
    options = replace(options, source=source, output=output)
    with keeps(files_in(output, "what was streamed before")):
        if not run_prediction(config, options, checkpoint).complete:
            sys.exit(INTERRUPTED)  # what it had streamed is written


def default_output(source: str) -> Path:
    """Returns the folder for a source: `outputs/predict/` and the last part of its path, or the
    name of its data set."""
    name, _, location = source.partition(":")
    last = Path(location.partition(",")[0]).name.rpartition(":")[2]
    last = "" if "=" in last else last
    return OUTPUTS / "predict" / (re.sub(r"[^\w.-]", "_", last).strip(".") or name)


PREDICT = Command(
    "predict",
    "stream any source, labelled or not; write detections, tracks, map lines, pictures",
    _predict,
    (PredictionOptions, SettingOptions),
)
