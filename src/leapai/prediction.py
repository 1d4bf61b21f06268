"""Prediction: streams any source through the network and writes what it detects, unevaluated.

`runs/prediction_folder.py` lists what goes into the output folder. The sequences are streamed as in
a validation; labels and maps that the source may have are left out. Several processes (torchrun)
share the sequences.
"""

from __future__ import annotations

import signal
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console

from leapai.config.options import EXIT_OF_SIGNAL, PredictionOptions
from leapai.config.schema import TaskConfig
from leapai.data.log import UnlabelledLog
from leapai.distributed import broadcast, joined_ranks
from leapai.extras import check_recorder
from leapai.report.terminal_prediction import print_begin, print_prediction
from leapai.runs.prediction_folder import PredictionSummary, begun_prediction, write_prediction
from leapai.runs.run_inputs import open_inputs
from leapai.runs.run_summary import summarise
from leapai.runs.stream_sequences import StreamingOptions, stream_sequences
from leapai.training.stop_signal import StopSignal

if TYPE_CHECKING:
    from leapai.checkpoints import Checkpoint
    from leapai.runtime.exported_network import ExportedNetwork


def run_prediction(
    config: TaskConfig,
    options: PredictionOptions,
    checkpoint: Checkpoint | ExportedNetwork,
    console: Console | None = None,
) -> PredictionSummary:
    """Streams the sequences of the source and writes what was detected; returns the summary, that
    of all processes on each of them.

    SIGTERM or Ctrl-C ends it after the frame under way: what was streamed until then is written. A
    second Ctrl-C ends it at once. Raises ValueError for what a user can fix, and SystemExit(143)
    after SIGTERM.
    """
    assert options.output is not None
    step = options.picture_step()
    for format in options.recordings:
        check_recorder(format)
    with joined_ranks() as ranks, StopSignal() as stop, ExitStack() as held:
        console = (console or Console()) if ranks.is_first else Console(quiet=True)
        inputs = open_inputs(config, checkpoint, options.source, options.max_frames, labelled=False)
        inputs = replace(inputs, logs=[UnlabelledLog(log) for log in inputs.logs])
        if ranks.is_first:
            held.enter_context(begun_prediction(options.output))
        broadcast(True)  # the others write when the folder is ready
        print_begin(inputs, config, with_video=step is not None, console=console)
        streaming = StreamingOptions(
            picture_step=step,
            recordings=options.recordings,
            evaluates=False,
            is_stopped=lambda: stop.received is not None,
        )
        results = stream_sequences(inputs, options.output, console, streaming)
        summary = None
        if results is not None:
            summary = PredictionSummary(
                **vars(summarise(inputs.origin, results.sequences, results.stages, ranks.count)),
                trained_on=" + ".join(source.data for source in checkpoint.config.data.sources),
                sensors={name: dict(counts) for name, counts in results.sensors.frames.items()},
                complete=stop.received is None,
            )
            write_prediction(options.output, summary, results.sequences, inputs.config)
            print_prediction(summary, results, options.output, console)
        of_all: PredictionSummary = broadcast(summary)
    if stop.received == signal.SIGTERM:
        raise SystemExit(EXIT_OF_SIGNAL + signal.SIGTERM)
    return of_all
