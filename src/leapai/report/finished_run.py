"""The report of a run that has just been written: its page, its line in the table of runs, and the
terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from leapai.extras import is_installed
from leapai.report.page import write_report
from leapai.report.terminal import run_tables
from leapai.runs.earlier_pictures import files_of
from leapai.runs.history import RunLine, add_to_history
from leapai.runs.run_folder import LINES, MEMORY, REPORT, Run
from leapai.runs.run_summary import RunSummary
from leapai.runs.run_warnings import warnings_of
from leapai.runs.tracks_table import TRACKS


def report_run(run: Run, output: Path, console: Console) -> None:
    """Writes the page of a run whose folder is `output`, adds the run to the table of runs next to
    it, and prints metrics, warnings and the names of the files.

    Without jinja2 there is no page.
    """
    if is_installed("jinja2"):
        write_report(output / REPORT, [output])
    for table in (stage_table(run.summary), *run_tables(run.metrics)):
        console.print(table)
    if run.config.dynamic_task:
        console.print(
            f"{run.summary.detections} detections, {run.summary.tracks} tracks in "
            f"{_frames(run.summary)}"
        )
    for warning in warnings_of(run):
        console.print(f"[yellow]{escape(warning)}[/]", highlight=False)
    add_to_history(RunLine.of(run, output), output, console)
    _print_files(run, output, console)


def stage_table(summary: RunSummary) -> Table:
    """Returns a table of seconds a frame and memory of each stage."""
    table = Table(title=f"{_frames(summary)} on {summary.device}")
    table.add_column("stage")
    for title in ("s / frame", "peak MB", "added MB"):
        table.add_column(title, justify="right")
    for name, cost in summary.stages.items():
        table.add_row(
            name,
            f"{cost.seconds / max(summary.frames, 1):.4f}",
            f"{cost.peak_bytes / 1e6:.0f}",
            f"{cost.added_bytes / 1e6:.0f}",
        )
    return table


def _frames(summary: RunSummary) -> str:
    return "1 frame" if summary.frames == 1 else f"{summary.frames} frames"


def _print_files(run: Run, output: Path, console: Console) -> None:
    of_sequences = files_of(run.summary.frames_by_sequence)
    tables = ("detections.parquet", TRACKS, LINES, "instances.parquet", MEMORY)
    for name in (*tables, "metrics.json", *of_sequences, "pictures"):
        if (output / name).exists():
            console.print(f"  -> [bold]{output / name}[/]", highlight=False)
    if (output / REPORT).exists():
        console.print(f"  -> [bold]{output / REPORT}[/]", highlight=False, soft_wrap=True)
