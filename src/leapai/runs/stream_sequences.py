"""Streams the sequences of a run through the network, on the way measured, painted and recorded.

Several processes (torchrun) share the sequences; what they give together is what one process gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from leapai.distributed import gather, shard
from leapai.evaluation.map.map_evaluator import MapEvaluator, merged_map_metrics
from leapai.evaluation.sequence_result import SequenceResult
from leapai.runs.memory_tables import memory_writer
from leapai.runs.profiler import WHOLE_STEP, StageCost, StageMeter, merged_costs
from leapai.runs.recordings import recorder
from leapai.runs.run_inputs import RunInputs
from leapai.runs.run_pictures import sequence_pictures
from leapai.runs.sensor_counts import SensorCounts, merged_counts
from leapai.runs.worst_frames import WorstFrame, WorstFrames, worst_of
from leapai.runtime.exported_network import ExportedNetwork
from leapai.streaming.session import StreamSession

if TYPE_CHECKING:
    from leapai.config.network_sections import BevConfig
    from leapai.data.log import DrivingLog
    from leapai.evaluation.map.map_results import MapMetrics
    from leapai.extras import RecordingFormat
    from leapai.streaming.step_result import StepResult


@dataclass(frozen=True)
class StreamingOptions:
    """Outputs that are made of the frames while they stream, and a way to stop."""

    picture_step: int | None = None
    """N: every N-th frame of a sequence gets a picture; None: none does but the worst frames."""
    recordings: Sequence[RecordingFormat] = ()
    """Formats in which each sequence is recorded."""
    memory: bool = False
    """The tables of the temporal memory are written."""
    evaluates: bool = True
    """The predicted map is evaluated on the way, as its rasters are too large to be kept."""
    is_stopped: Callable[[], bool] = lambda: False
    """Asked after each frame: the streaming ends there where it returns true."""
    label: str = ""
    """Words before the name of the drive, where one run streams several times; then the bar goes
    when it is done."""
    worst: Callable[[BevConfig], WorstFrames] = WorstFrames
    """Makes the collection of the worst frames."""


@dataclass(frozen=True)
class StreamResults:
    """Results of streaming the sequences of a run."""

    sequences: Sequence[SequenceResult]
    """Results of the sequences, in the order of the data."""
    map_metrics: MapMetrics | None
    """Metrics of the map, counted on the way as rasters are large; None: it was not predicted."""
    worst_frames: Sequence[WorstFrame]
    """The worst frames, worst first."""
    stages: dict[str, StageCost]
    """Costs of each stage, over all processes."""
    sensors: SensorCounts
    """Frames by the status of each sensor."""


def stream_sequences(
    inputs: RunInputs, output: Path, console: Console, options: StreamingOptions
) -> StreamResults | None:
    """Streams every sequence in order, with a progress bar; writes pictures and recordings.

    All processes must call; the first gets the results of all, the others None. Raises ValueError
    for data that cannot be read.
    """
    streaming = _Streaming(inputs, output, console, options)
    sequences = list(streaming.sequences())
    map_tally, worst_frames = streaming.map.tally, streaming.worst.frames
    costs = dict(streaming.meter.costs)
    parts = gather((sequences, map_tally, worst_frames, costs, streaming.sensors))
    if parts is None:
        return None
    all_sequences = chain.from_iterable(part for part, *_ in parts)
    return StreamResults(
        sequences=sorted(all_sequences, key=lambda sequence: sequence.number),
        map_metrics=merged_map_metrics(tally for _, tally, *_ in parts),
        worst_frames=worst_of(chain.from_iterable(worst for _, _, worst, *_ in parts)),
        stages=merged_costs(costs for *_, costs, _ in parts),
        sensors=merged_counts(sensors for *_, sensors in parts),
    )


class _Streaming:
    """The loop over the sequences of this process, and what it measures."""

    def __init__(
        self, inputs: RunInputs, output: Path, console: Console, options: StreamingOptions
    ) -> None:
        config = inputs.config
        self.options, self.sensors = options, SensorCounts()
        self.inputs, self.output, self.console = inputs, output, console
        self.meter, self.worst = StageMeter(), options.worst(config.bev)
        self.map = MapEvaluator(config)
        self.recording = recorder(options.recordings, config.draw_dynamic_cfg.dynamic_conf)
        self.memory_tables = memory_writer(options.memory, config.bev.grid())

    def sequences(self) -> Iterator[SequenceResult]:
        """Streams the sequences of this process, one after another."""
        config, model, device = self.inputs.config, self.inputs.model, self.inputs.origin.device
        total = sum(self._length(log) for _, log in shard(self.inputs.logs))
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with (
            Progress(
                *columns,
                TimeRemainingColumn(),
                console=self.console,
                transient=bool(self.options.label),
                disable=bool(self.options.label) and not self.console.is_terminal,
            ) as progress,
            nullcontext() if isinstance(model, ExportedNetwork) else self.meter.measuring(model),
        ):
            task = progress.add_task("streaming", total=total)
            for number, log in shard(self.inputs.logs):
                if self.options.is_stopped():
                    return
                progress.update(task, description=f"{self.options.label} {log.name}".strip())
                session = StreamSession(model, config, device, first_sequence=number)
                sequence = SequenceResult(number)
                for result in self._steps(log, session):
                    sequence.add(result)
                    progress.advance(task)
                yield sequence

    def _length(self, log: DrivingLog) -> int:
        return min(len(log), self.inputs.origin.max_frames or len(log))

    def _steps(self, log: DrivingLog, session: StreamSession) -> Iterator[StepResult]:
        """Streams the frames of a sequence; on the way each is evaluated, painted and recorded."""
        config, stage, step = self.inputs.config, self.meter.stage, self.options.picture_step
        evaluates_map = self.options.evaluates and config.static_task
        evaluate_map = self.map.of_sequence(log)
        with (
            sequence_pictures(config, self.output, log, self.worst, step) as pictures,
            self.recording(self.output, log) as record,
            self.memory_tables(self.output, log) as write_memory,
        ):
            for index in range(self._length(log)):
                with stage("reading"):
                    frame = log[index]
                with stage(WHOLE_STEP):
                    result = session.try_step(frame)
                if result is None:
                    self.console.print(f"  {session.refused[-1]}", highlight=False, markup=False)
                    if self.options.is_stopped():
                        return
                    continue
                if evaluates_map:
                    with stage("map evaluation"):
                        evaluate_map(result)
                with stage("picture"):
                    pictures.add(index, result.checked, result)
                record(result.checked, result)
                write_memory(result)
                self.sensors.add(result)
                yield result
                if self.options.is_stopped():
                    return
