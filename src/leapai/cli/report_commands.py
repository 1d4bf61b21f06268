"""The commands `leapai report`, `leapai runs` and `leapai view`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from leapai.cli.arguments import Command, read
from leapai.cli.configuration import OUTPUTS
from leapai.config.options import Argument
from leapai.extras import RecordingFormat
from leapai.runs.run_files import existing_run, existing_table, is_stress_run

PIPED_WIDTH = 200
"""Characters of a line of tables that go into a file or another program."""
_Run = Annotated[Path, Argument("folder that `leapai val` wrote", positional=True, metavar="RUN")]
_RunOrStress = Annotated[
    Path,
    Argument("folder that `leapai val` or `leapai stress` wrote", positional=True, metavar="RUN"),
]


@dataclass(frozen=True)
class ReportOptions:
    """Options of a report on one run or two."""

    run: _RunOrStress
    other: Annotated[
        Path | None,
        Argument("folder of another run, to compare it with", positional=True, metavar="RUN_B"),
    ] = None
    output: Annotated[
        Path | None,
        Argument(
            "file to write; default: report.html in RUN, or report_against_RUN_B.html",
            metavar="FILE",
        ),
    ] = None


@dataclass(frozen=True)
class RunsOptions:
    """Options of the table of runs."""

    numbers: Annotated[
        tuple[int, ...],
        Argument("two runs to compare, by their numbers", positional=True, metavar="N", least=1),
    ] = ()
    table: Annotated[
        Path,
        Argument(
            "table that `leapai val` keeps next to its run folders; default: outputs/runs.parquet",
            metavar="FILE",
        ),
    ] = OUTPUTS / "runs.parquet"


@dataclass(frozen=True)
class ViewOptions:
    """Options of looking at a run in a viewer."""

    run: _Run
    drive: Annotated[
        str | None, Argument("drive to show; default: the first of the run", metavar="NAME")
    ] = None
    mcap: Annotated[bool, Argument("write a recording for Foxglove instead, and its layout")] = (
        False
    )
    opens: Annotated[
        bool, Argument("write the recording and show nothing", flags=("--no-open",))
    ] = True


def _report(parsed: argparse.Namespace) -> None:
    options = read(ReportOptions, parsed)
    if options.other is None and is_stress_run(options.run):
        _report_stress(options)
        return
    for folder in filter(None, (options.run, options.other)):
        existing_run(folder)
    from leapai.report.page import write_report
    from leapai.runs.run_folder import REPORT as REPORT_FILE

    name, folders = REPORT_FILE, [options.run]
    if options.other:
        name = f"report_against_{options.other.resolve().name}.html"
        folders.append(options.other)
    path = options.output or options.run / name
    write_report(path, folders)
    sys.stdout.write(f"{path}\n")


def _report_stress(options: ReportOptions) -> None:
    from leapai.report.stress_page import write_stress_page
    from leapai.runs.run_folder import REPORT as REPORT_FILE

    path = options.output or options.run / REPORT_FILE
    write_stress_page(path, options.run)
    sys.stdout.write(f"{path}\n")


def _runs(parsed: argparse.Namespace) -> None:
    options = read(RunsOptions, parsed)
    if len(options.numbers) not in (0, 2):
        raise ValueError("leapai runs takes no number, or the numbers of two runs to compare")
    existing_table(options.table)
    from rich.console import Console

    from leapai.report.terminal_runs import comparison_table, runs_tables
    from leapai.runs.history import read_runs

    lines = read_runs(options.table)
    console = Console() if sys.stdout.isatty() else Console(width=PIPED_WIDTH)
    if options.numbers:
        first, second = options.numbers
        console.print(comparison_table(lines, first, second))
    else:
        console.print(*runs_tables(lines, console.width))


def _view(parsed: argparse.Namespace) -> None:
    options = read(ViewOptions, parsed)
    existing_run(options.run)
    from leapai.runs.recordings import view_run

    format: RecordingFormat = "mcap" if options.mcap else "rerun"
    view_run(options.run, options.drive, format=format, opens=options.opens)


REPORT = Command(
    "report", "write the report of a run, or of two side by side", _report, (ReportOptions,)
)
RUNS = Command("runs", "list the runs, or compare two of them", _runs, (RunsOptions,))
VIEW = Command("view", "show a run in the viewer of rerun, or in Foxglove", _view, (ViewOptions,))
