"""The command `leapai inspect`: a data set in numbers and pictures."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from leapai.cli.arguments import Command, files_in, keeps, read
from leapai.cli.configuration import OUTPUTS
from leapai.config.options import DATA_WORDS, Argument
from leapai.data.data_names import check_data

WARNED = 1
"""Exit status of an inspection with warnings."""
IMAGE_SIZE_PX = (256, 480)
"""Size at which a data set that renders does so for `leapai inspect`."""
STATISTICS_IMAGE_SIZE_PX = (128, 240)
"""The same for `--stats`, which measures images at the width of the tiny networks."""


@dataclass(frozen=True)
class InspectOptions:
    """Options of the inspection of a data set."""

    data: Annotated[str, Argument(DATA_WORDS, positional=True, metavar="DATA")]
    json: Annotated[bool, Argument("print the results as JSON")] = False
    stats: Annotated[bool, Argument("show distributions of objects and sensors instead")] = False
    against: Annotated[
        str | None, Argument("with --stats: data to compare with", metavar="DATA")
    ] = None
    vocabulary: Annotated[
        str, Argument("vocabulary of the boxes that ships; default: design", metavar="NAME")
    ] = "design"
    output: Annotated[
        Path, Argument("folder of the pictures; default: outputs/inspect", metavar="FOLDER")
    ] = OUTPUTS / "inspect"
    max_frames: Annotated[
        int, Argument("frames whose sensors are read; default: 40", metavar="N", least=1)
    ] = 40
    pictures: Annotated[int, Argument("frames to draw; default: 2", metavar="N", least=0)] = 2


def _inspect(parsed: argparse.Namespace) -> None:
    options = read(InspectOptions, parsed)
    if options.against and not options.stats:
        raise ValueError("--against compares statistics; add --stats")
    for data in filter(None, (options.data, options.against)):
        check_data(data)
    with keeps(files_in(options.output, "the pictures that were drawn before")):
        if options.stats:
            _write_statistics(options)
        else:
            _write_inspection(options)


def _write_inspection(options: InspectOptions) -> None:
    from rich.console import Console

    from leapai.config.vocabulary_variable import named_vocabulary
    from leapai.data.log import open_logs
    from leapai.inspection.inspection_pictures import write_pictures
    from leapai.inspection.log_inspection import inspect_logs, render_inspection

    vocabulary = named_vocabulary(options.vocabulary)
    logs = open_logs(options.data, image_size_px=IMAGE_SIZE_PX, vocabulary=vocabulary)
    inspection = inspect_logs(logs, options.max_frames)
    if options.json:
        sys.stdout.write(inspection.model_dump_json(indent=2) + "\n")
    else:
        Console().print(render_inspection(inspection))
    written = write_pictures(logs, options.output, options.pictures)
    if not options.json:
        sys.stdout.write(f"{written} pictures -> {options.output}\n")
    if inspection.warnings:
        raise SystemExit(WARNED)


def _write_statistics(options: InspectOptions) -> None:
    from rich.console import Console

    from leapai.config.vocabulary_variable import named_vocabulary
    from leapai.data.log import open_logs
    from leapai.inspection.comparison import compare, render_statistics
    from leapai.inspection.statistics import collect
    from leapai.inspection.statistics_page import write_statistics_page

    names = [options.data, options.against] if options.against else [options.data]
    vocabulary = named_vocabulary(options.vocabulary)
    opened = [
        open_logs(name, image_size_px=STATISTICS_IMAGE_SIZE_PX, vocabulary=vocabulary)
        for name in names
    ]
    samples = [collect(logs, options.max_frames) for logs in opened]
    other = samples[1] if options.against else None
    statistics = compare(options.data, samples[0], options.against, other)
    page = options.output / "statistics.html"
    write_statistics_page(page, names, samples)
    if options.json:
        sys.stdout.write(statistics.model_dump_json(indent=2) + "\n")
    else:
        Console().print(render_statistics(statistics))
        sys.stdout.write(f"{page}\n")


INSPECT = Command("inspect", "check a data set and show what it holds", _inspect, (InspectOptions,))
