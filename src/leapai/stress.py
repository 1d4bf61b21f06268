"""One stress run: streams the same drives under every condition, and writes what each one costs.

`runs/stress_folder.py` lists what goes into the output folder. The result of a condition is kept as
soon as it is there, so a run that was stopped goes on. Several processes (torchrun) share the
drives.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from rich.console import Console

from leapai.config.schema import TaskConfig
from leapai.config.stress_options import StressOptions
from leapai.data.corruptions.stress_conditions import Condition, conditions_of
from leapai.distributed import broadcast, joined_ranks
from leapai.report.finished_stress import report_stress
from leapai.report.terminal_stress import print_stress_begin
from leapai.runs.run_inputs import open_inputs
from leapai.runs.stress_folder import begun_stress, kept_result, write_stress
from leapai.runs.stress_inputs import stress_inputs
from leapai.runs.stress_results import CLEAN, StressSummary
from leapai.runs.stress_streaming import CLEAN_CONDITION, StressStreaming
from leapai.runs.stress_summary import summarise_stress

if TYPE_CHECKING:
    from leapai.checkpoints import Checkpoint
    from leapai.runtime.exported_network import ExportedNetwork


def run_stress(
    config: TaskConfig,
    options: StressOptions,
    checkpoint: Checkpoint | ExportedNetwork,
    console: Console | None = None,
) -> StressSummary:
    """Streams the drives of the data under every condition that has no result in the output folder
    yet, and writes tables and page; returns the summary, that of all processes on each of them.

    Raises ValueError for what a user can fix, before the first frame where it can be known then.
    """
    if not config.dynamic_task:
        raise ValueError("dynamic_task is off: there are no objects to evaluate")
    assert options.output is not None
    with joined_ranks() as ranks, ExitStack() as held:
        console = (console or Console()) if ranks.is_first else Console(quiet=True)
        data = options.data or config.data.val
        inputs = stress_inputs(open_inputs(config, checkpoint, data, None), options)
        conditions, skipped = conditions_of(
            inputs.run.logs, options.seed, options.quick, inputs.rates
        )
        chosen = _chosen(conditions, options.only)
        if ranks.is_first:
            held.enter_context(begun_stress(options.output, inputs.settings, anew=options.anew))
        broadcast(True)  # the others go on when the folder is ready
        names = [CLEAN, *(each.name for each in conditions)]
        kept = broadcast({name: kept_result(options.output, name) for name in names})
        missing = [each for each in chosen if kept[each.name] is None]
        if missing or kept[CLEAN] is None:
            missing = [CLEAN_CONDITION, *missing]  # all others are compared with its frames
        print_stress_begin(console, inputs.run, options.output, len(chosen), len(missing))
        streaming = StressStreaming(inputs.run, options.output, console, options.every)
        for condition in missing:
            kept[condition.name] = streaming.run(condition)
        summary = None
        if ranks.is_first:
            results = [result for result in kept.values() if result is not None]
            reasons = {each.name: each.reason for each in skipped}
            summary = summarise_stress(inputs.run, inputs.settings, results, reasons)
            write_stress(options.output, inputs.run.config, summary, results)
            report_stress(options.output, streaming.metrics, console)
        of_all: StressSummary = broadcast(summary)
        return of_all


def _chosen(conditions: Sequence[Condition], only: Sequence[str]) -> Sequence[Condition]:
    """Returns the conditions that are asked for by name, kind or corruption; all by default.

    Raises ValueError for a name that none has.
    """
    named = [(each, {each.name, each.kind, each.corruption}) for each in conditions]
    unknown = [name for name in only if all(name not in names for _, names in named)]
    if unknown:
        known = ", ".join(dict.fromkeys(each.corruption or each.kind for each in conditions))
        raise ValueError(f"--only {unknown[0]}: there is no such condition; use one of: {known}")
    return [each for each, names in named if not only or names & set(only)]
