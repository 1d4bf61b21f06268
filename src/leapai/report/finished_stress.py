"""The report of a stress run that has just been written: its page, its line in the table of runs,
and the terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape

from leapai.evaluation.run_metrics import RunMetrics
from leapai.extras import is_installed, missing
from leapai.report.stress_page import write_stress_page
from leapai.report.terminal_stress import skipped_sentences, stress_tables
from leapai.runs.history import RunLine, add_to_history
from leapai.runs.run_files import STRESS
from leapai.runs.run_folder import REPORT
from leapai.runs.stress_folder import TABLE as STRESS_TABLE
from leapai.runs.stress_folder import read_stress


def report_stress(output: Path, clean: RunMetrics | None, console: Console) -> None:
    """Writes the page of a stress run, adds the run to the table of runs next to its folder, and
    prints tables and the names of the files.

    `clean` are all metrics of the clean frames; None: nothing was streamed, so the run is in the
    table already. Without jinja2 there is no page.
    """
    run = read_stress(output)
    for table in stress_tables(run):
        console.print(table)
    for sentence in skipped_sentences(run.summary.skipped):
        console.print(f"[dim]{escape(sentence)}[/]", highlight=False, soft_wrap=True)
    if clean is not None:
        add_to_history(RunLine.of_stress(run.summary, clean, output), output, console)
    if is_installed("jinja2"):
        write_stress_page(output / REPORT, output)
    else:
        console.print(f"There is no page. {missing('report', 'A page needs jinja2')}")
    for name in (STRESS, STRESS_TABLE, REPORT):
        if (output / name).exists():
            console.print(f"  -> [bold]{output / name}[/]", highlight=False, soft_wrap=True)
