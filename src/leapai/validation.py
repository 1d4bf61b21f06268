"""`--state val`: streams every drive in order, writes what the system says, and judges it.

`run_folder.py` says what goes into the output folder; where pictures are wanted, one PNG a frame
and one video a drive come beside it. A line goes into the table of runs beside the folder. Several
processes (torchrun) share the drives; what they write is what one process writes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from leapai.checkpoints import load_checkpoint
from leapai.config import TaskConfig
from leapai.data.log import DrivingLog, open_logs, version_of
from leapai.data.submissions import SubmissionFormat, check_submission, write_submission
from leapai.distributed import (
    broadcast,
    gather,
    joined_ranks,
    local_device,
    shard,
)
from leapai.evaluation.evaluate import evaluate
from leapai.evaluation.map.map_evaluator import MapEvaluator, merged_map_metrics
from leapai.evaluation.sequence_result import SequenceResult
from leapai.models.build import build_model
from leapai.models.perception import Perception
from leapai.report.page import write_report
from leapai.report.terminal import run_tables
from leapai.runs.history import TABLE, RunLine, append_run
from leapai.runs.profiler import StageMeter
from leapai.runs.recordings import recorder
from leapai.runs.run_folder import (
    LINES,
    REPORT,
    Run,
    begin_run,
    config_json,
    write_run,
)
from leapai.runs.run_pictures import drive_pictures
from leapai.runs.run_summary import (
    WHOLE_STEP,
    RunSummary,
    merged_costs,
    stage_table,
)
from leapai.runs.run_warnings import warnings_of
from leapai.runs.worst_frames import WorstFrames, worst_of
from leapai.streaming.session import StepResult, StreamSession

SHOWN_OF_RANDOM_WEIGHTS = 20
"""Random weights are sure of nothing: the pictures show this many of their best guesses."""
RANDOM_WEIGHTS_SEED = 0


@dataclass(frozen=True)
class ValidationOptions:
    """What a run is told beside its configuration."""

    output: Path
    data: str | None = None
    """Instead of `data.val` of the configuration."""
    checkpoint: Path | None = None
    random_weights: bool = False
    max_frames: int | None = None
    """Of each drive."""
    submission: SubmissionFormat | None = None
    """The public benchmark in whose format the run is written, too."""
    viewer: bool = False
    """Also write a recording of each drive."""


def run_validation(
    config: TaskConfig, options: ValidationOptions, console: Console | None = None
) -> RunSummary:
    """Streams the drives of the run; the summary is that of all processes, on each of them.

    Raises ValueError for what a user can mend.
    """
    _check(config, options)
    if options.random_weights:
        config = _show_best_guesses(config)
    with joined_ranks() as (rank, world):
        said = console or Console()
        run = _Run(config, options, Console(quiet=True) if rank else said)
        drives, summary = run.stream()
        summary.processes = world
        parts = gather((drives, summary.stages, run.worst.frames, run.road.tally))
        if parts is not None:
            drives = sorted((d for part, *_ in parts for d in part), key=lambda d: d.number)
            summary.stages = merged_costs(stages for _, stages, *_ in parts)
            summary.count(drives)
            summary.finished_utc = datetime.now(UTC).isoformat(timespec="seconds")
            road = merged_map_metrics(tally for *_, tally in parts)
            done = Run(config, summary, drives, evaluate(drives, config, road))
            worst = worst_of(frame for _, _, frames, _ in parts for frame in frames)
            write_run(options.output, done, worst)
            write_report(options.output / REPORT, [options.output])
            run.submit(drives)
            _tell(done, options.output, said)
        return broadcast(summary)


def _check(config: TaskConfig, options: ValidationOptions) -> None:
    if not config.use_dynamic_outputs:
        raise ValueError(
            "use_dynamic_outputs = False leaves validation nothing to write; set it to True"
        )
    if options.checkpoint is None and not options.random_weights:
        raise ValueError(
            "--ckpt is missing: name a checkpoint, or say --random-weights to run without one"
        )


def _show_best_guesses(config: TaskConfig) -> TaskConfig:
    """Thresholds that let the guesses of an untrained network through, a few of them."""
    draw = config.draw_dynamic_cfg.model_copy(
        update={"dynamic_conf": 0.0, "max_objects": SHOWN_OF_RANDOM_WEIGHTS}
    )
    evaluation = config.evaluation.model_copy(
        update={"min_score": 0.0, "max_detections": SHOWN_OF_RANDOM_WEIGHTS}
    )
    return config.model_copy(
        update={
            "draw_dynamic_cfg": draw,
            "evaluation": evaluation,
            "tracking": config.tracking.model_copy(update={"birth_score": 0.0}),
        }
    )


class _Run:
    """The loop over the drives of this process, and their frames."""

    def __init__(self, config: TaskConfig, options: ValidationOptions, console: Console) -> None:
        self.config, self.options, self.console = config, options, console
        self.device = local_device()
        if torch.cuda.is_available():
            torch.cuda.set_device(self.device)
        self.meter = StageMeter()
        self.logs: Sequence[DrivingLog] = ()
        self.worst, self.road = WorstFrames(config.bev), MapEvaluator(config)
        self.recording = recorder(options.viewer, config.draw_dynamic_cfg.dynamic_conf)

    def stream(self) -> tuple[list[SequenceResult], RunSummary]:
        """What every drive gave, and the summary, whose counts are still to come."""
        config, options = self.config, self.options
        torch.manual_seed(RANDOM_WEIGHTS_SEED)
        model = build_model(config)
        if options.checkpoint:
            load_checkpoint(options.checkpoint, model)
        data = options.data or config.data.val
        self.logs = logs = open_logs(data, image_size_px=config.camera.image_size_px)
        if options.submission:
            check_submission(options.submission, logs)
        weights = str(options.checkpoint) if options.checkpoint else "random: it has learnt nothing"
        summary = RunSummary(
            job_name=config.job_name,
            data=data,
            weights=weights,
            device=self.device,
            data_version=version_of(logs),
            config_sha256=hashlib.sha256(config_json(config).encode()).hexdigest(),
            checkpoint_sha256=_sha256(options.checkpoint),
            seed=config.training.seed if options.checkpoint else RANDOM_WEIGHTS_SEED,
            max_frames=options.max_frames,
        )
        self.console.print(
            f"[bold]{config.job_name}[/] on {data}, weights {weights}, {self.device}"
        )
        begin_run(options.output)
        drives = list(self._drives(logs, model))
        summary.stages = dict(self.meter.costs)
        return drives, summary

    def _drives(self, logs: Sequence[DrivingLog], model: Perception) -> Iterator[SequenceResult]:
        """All frames of this process' drives, with a progress bar."""
        total = sum(self._length(log) for _, log in shard(logs))
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with (
            Progress(*columns, TimeRemainingColumn(), console=self.console) as progress,
            self.meter.measuring(model),
        ):
            task = progress.add_task("streaming", total=total)
            for number, log in shard(logs):
                progress.update(task, description=log.name)
                session = StreamSession(model, self.config, self.device, first_sequence=number)
                drive = SequenceResult(number)
                for result in self._drive(log, session):
                    drive.add(result)
                    progress.advance(task)
                yield drive

    def submit(self, drives: Sequence[SequenceResult]) -> None:
        """Writes the drives in the format of a public benchmark, where one is asked for."""
        if self.options.submission is None:
            return
        detections = [found for drive in drives for found in drive.detections]
        for path in write_submission(
            self.options.submission,
            detections,
            self.logs,
            self.options.output,
            use_lidar=self.config.enable_lidar,
        ):
            self.console.print(f"  -> [bold]{path}[/]", highlight=False)

    def _length(self, log: DrivingLog) -> int:
        return min(len(log), self.options.max_frames or len(log))

    def _drive(self, log: DrivingLog, session: StreamSession) -> Iterator[StepResult]:
        """The results of one drive; it is painted and recorded on the way."""
        output, evaluate_map = self.options.output, self.road.of_sequence(log)
        with (
            drive_pictures(self.config, output, log, self.worst) as pictures,
            self.recording(output / f"{log.name}.rrd", log) as record,
        ):
            for index in range(self._length(log)):
                with self.meter.stage("reading"):
                    frame = log[index]
                with self.meter.stage(WHOLE_STEP):
                    result = session.step(frame)
                if self.config.static_task:
                    with self.meter.stage("judging the road"):
                        evaluate_map(result)
                with self.meter.stage("picture"):
                    pictures.add(index, frame, result)
                record(frame, result)
                yield result


def _sha256(path: Path | None) -> str | None:
    if path is None:
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _tell(run: Run, output: Path, console: Console) -> None:
    for table in (stage_table(run.summary), *run_tables(run.metrics)):
        console.print(table)
    if run.config.dynamic_task:
        console.print(
            f"{run.summary.detections} detections, {run.summary.tracks} tracks in "
            f"{run.summary.frames} frames"
        )
    for remark in warnings_of(run):
        console.print(f"[yellow]{escape(remark)}[/]", highlight=False)
    _remember(run, output, console)
    names = run.summary.frames_by_sequence
    drives = (f"{name}.{kind}" for name in names for kind in ("mp4", "rrd"))
    tables = ("detections.parquet", LINES, "instances.parquet")
    for name in (*tables, "metrics.json", *drives, "pictures"):
        if (output / name).exists():
            console.print(f"  -> [bold]{output / name}[/]", highlight=False)
    console.print(f"  -> [bold]{output / REPORT}[/]", highlight=False, soft_wrap=True)


def _remember(run: Run, output: Path, console: Console) -> None:
    """Adds the run to the table of runs. A table that is broken is no reason to fail a run."""
    table = output.absolute().parent / TABLE
    try:
        append_run(table, RunLine.of(run, output))
    except (ValueError, OSError) as error:
        console.print(f"[yellow]This run is not in the table of runs: {escape(str(error))}[/]")
