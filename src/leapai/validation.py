"""Validation: streams sequences through the network, evaluates the detections, writes the run.

`runs/run_folder.py` lists what goes into the output folder. With `eval_with_visualize` a picture of
every frame (`--every N`: of every N-th) and a video of every sequence are added. A line goes into
the table of runs next to the folder. Several processes (torchrun) share the sequences; they write
what one process writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from leapai.config.options import ValidationOptions
from leapai.config.schema import TaskConfig
from leapai.data.submissions import check_submission, write_submission
from leapai.distributed import broadcast, joined_ranks
from leapai.evaluation.evaluate import evaluate, evaluate_instances
from leapai.extras import check_recorder, is_installed, missing
from leapai.report.finished_run import report_run
from leapai.runs.run_folder import Run, begun_run, write_run
from leapai.runs.run_inputs import RunInputs, open_inputs
from leapai.runs.run_summary import RunSummary, summarise
from leapai.runs.stream_sequences import StreamingOptions, StreamResults, stream_sequences
from leapai.runs.weights_facts import weights_facts

if TYPE_CHECKING:
    from leapai.checkpoints import Checkpoint
    from leapai.evaluation.run_metrics import RunMetrics
    from leapai.runtime.exported_network import ExportedNetwork


def run_validation(
    config: TaskConfig,
    options: ValidationOptions,
    console: Console | None = None,
    checkpoint: Checkpoint | ExportedNetwork | None = None,
) -> RunSummary:
    """Streams the sequences of the data and writes the run; returns its summary, that of all
    processes on each of them.

    `checkpoint` is that of the options where it was read before; it is not read again. Raises
    ValueError for what a user can fix, before the first frame where it can be known then.
    """
    _check(config, options)
    with joined_ranks() as ranks, ExitStack() as held:
        console = (console or Console()) if ranks.is_first else Console(quiet=True)
        inputs = _begin(config, options, checkpoint, console)
        if ranks.is_first:
            held.enter_context(begun_run(options.output))
        broadcast(True)  # the others write when the folder is ready
        streaming = StreamingOptions(
            _picture_step(config, options), recordings=options.recordings, memory=options.memory
        )
        results = stream_sequences(inputs, options.output, console, streaming)
        if results is None:
            return broadcast(None)
        metrics = evaluate(results.sequences, inputs.config, results.map_metrics)
        run = _write(inputs, results, metrics, options, ranks.count)
        _submit(inputs, results, options, console)
        report_run(run, options.output, console)
        return broadcast(run.summary)


def _check(config: TaskConfig, options: ValidationOptions) -> None:
    """Raises ValueError for what is wrong with the request itself."""
    if not config.use_dynamic_outputs:
        raise ValueError(
            "use_dynamic_outputs = False leaves validation nothing to write; set it to True"
        )
    if not config.has_task:
        raise ValueError(
            f"{config.job_name} has no task on, so that there is nothing to validate: train Step 1 "
            "from its weights (leapai train --ckpt)"
        )
    options.check_files()
    options.picture_step()  # refuses options that contradict each other
    if options.memory and not config.dynamic_task:
        raise ValueError(
            "--memory: dynamic_task is off, and it has the memory of queries; leave --memory out"
        )
    for format in options.recordings:
        check_recorder(format)


def _begin(
    config: TaskConfig,
    options: ValidationOptions,
    checkpoint: Checkpoint | ExportedNetwork | None,
    console: Console,
) -> RunInputs:
    """Opens all that the run reads; announces what will run."""
    source = checkpoint or options.checkpoint
    inputs = open_inputs(config, source, options.data or config.data.val, options.max_frames)
    if options.submission:
        check_submission(options.submission, inputs.logs)
    origin = inputs.origin
    console.print(f"[bold]{options.output.name}[/] on {origin.data}")
    for name, words in [*weights_facts(origin, config), ("device", origin.device)]:
        console.print(f"  [dim]{name}:[/] {escape(words)}", highlight=False)
    for sentence in _left_out(config, options):
        console.print(f"[yellow]{escape(sentence)}[/]", highlight=False, soft_wrap=True)
    return inputs


def _picture_step(config: TaskConfig, options: ValidationOptions) -> int | None:
    return options.picture_step(by_default=config.eval_with_visualize)


def _left_out(config: TaskConfig, options: ValidationOptions) -> Iterator[str]:
    """Sentences on the outputs that need an extra that is not installed; all others are written."""
    if _picture_step(config, options) and not is_installed("av"):
        yield f"There will be pictures, but no video. {missing('report', 'A video needs av')}"
    if not is_installed("jinja2"):
        yield f"There will be no report.html. {missing('report', 'A report needs jinja2')}"


def _write(
    inputs: RunInputs,
    results: StreamResults,
    metrics: RunMetrics,
    options: ValidationOptions,
    processes: int,
) -> Run:
    summary = summarise(inputs.origin, results.sequences, results.stages, processes)
    run = Run(inputs.config, summary, results.sequences, metrics)
    instances = evaluate_instances(results.sequences, inputs.config)
    write_run(options.output, run, results.worst_frames, instances)
    return run


def _submit(
    inputs: RunInputs, results: StreamResults, options: ValidationOptions, console: Console
) -> None:
    """Writes the detections in the format of a public benchmark, where one is asked for."""
    if options.submission is None:
        return
    detections = [found for sequence in results.sequences for found in sequence.detections]
    for path in write_submission(
        options.submission,
        detections,
        inputs.logs,
        options.output,
        use_lidar=inputs.config.enable_lidar,
    ):
        console.print(f"  -> [bold]{path}[/]", highlight=False)
