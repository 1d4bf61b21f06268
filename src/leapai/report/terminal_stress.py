"""A stress run in the terminal: what will be run, and what each condition costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from leapai.runs.run_inputs import RunInputs
from leapai.runs.stress_results import StressRun, percent
from leapai.runs.weights_facts import weights_facts


def print_stress_begin(
    console: Console, inputs: RunInputs, output: Path, chosen: int, missing: int
) -> None:
    """Prints data, weights, and how many conditions are to be run."""
    origin, logs = inputs.origin, inputs.logs
    frames = f"{sum(map(len, logs))} frames of {len(logs)} drive{'s' * (len(logs) != 1)}"
    todo = f"{missing} to run" if missing else "all results are there"
    console.print(f"[bold]{escape(output.name)}[/] on {escape(origin.data)}", soft_wrap=True)
    for name, words in [
        *weights_facts(origin, inputs.config),
        ("device", origin.device),
        ("frames", frames),
        ("conditions", f"{chosen} and the clean one; {todo}"),
    ]:
        console.print(f"  [dim]{name}:[/] {escape(words)}", highlight=False)


def stress_tables(run: StressRun) -> list[Table]:
    """Returns the corruptions with their scores by severity, and what else goes wrong."""
    return [_corruption_table(run), _other_table(run)]


def _corruption_table(run: StressRun) -> Table:
    summary = run.summary
    severities = sorted({s for score in summary.corruptions.values() for s in score.relative})
    mean = percent(summary.mean_relative_score)
    caption = f"share of the clean mAP of {percent(summary.clean.mean_ap)}; mRA {mean}"
    table = Table(title="corruptions of MultiCorrupt", caption=caption)
    table.add_column("corruption")
    for title in (*(f"severity {severity}" for severity in severities), "RA"):
        table.add_column(title, justify="right")
    for name, score in summary.corruptions.items():
        cells = [*(score.relative.get(severity) for severity in severities), score.resilience]
        table.add_row(escape(name), *map(percent, cells))
    return table


def _other_table(run: StressRun) -> Table:
    table = Table(title="other conditions", caption="precision at confidence 0.3")
    table.add_column("condition", overflow="fold")
    for title in ("mAP", "of clean", "recall 2 m", "precision", "ECE", "m/s"):
        table.add_column(title, justify="right")
    for result in run.results:
        if result.corruption is None:
            scores = result.scores
            shares = (scores.mean_ap, scores.relative, scores.recall_2m, scores.precision)
            table.add_row(
                escape(result.words),
                *map(percent, shares),
                *(_number(value) for value in (scores.ece, scores.velocity_error_mps)),
            )
    return table


def skipped_sentences(skipped: dict[str, str]) -> Sequence[str]:
    """Returns sentences on the conditions that were not run."""
    return [f"Not run: {name.replace('_', ' ')}, as {reason}." for name, reason in skipped.items()]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
