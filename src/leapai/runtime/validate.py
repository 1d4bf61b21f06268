"""`--state val`: streams every drive in order, writes what the system says, and judges it.

Into the output folder go `detections.parquet`, `run.json`, `metrics.json` where frames have labels,
and, where pictures are wanted, one PNG a frame and one video a drive. Several processes (torchrun)
share the drives; what they write is what one process writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from leapai.config import TaskConfig
from leapai.data.logs import DrivingLog, open_logs, version_of
from leapai.evaluation.detection import detection_figures
from leapai.evaluation.figures import DetectionFigures
from leapai.models.build import build_model
from leapai.models.perception import Perception
from leapai.runtime.checkpoints import load_checkpoint
from leapai.runtime.exchange import SubmissionFormat, check_submission, write_submission
from leapai.runtime.figures import figures_tables
from leapai.runtime.files import whole_file
from leapai.runtime.ranks import (
    dealt,
    gather_to_first,
    joined_ranks,
    local_device,
    share_from_first,
)
from leapai.runtime.records import detection_writer
from leapai.runtime.session import StepResult, StreamSession
from leapai.runtime.stages import StageMeter
from leapai.runtime.summary import DriveOutcome, RunSummary, merged_costs, stage_table
from leapai.types import Frame
from leapai.visualisation.compose import FramePainter
from leapai.visualisation.scene import MemoryDots
from leapai.visualisation.video import VideoWriter, write_png

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
        parts = gather_to_first((drives, summary.stages))
        if parts is not None:
            drives = sorted((d for part, _ in parts for d in part), key=lambda d: d.number)
            summary.stages = merged_costs(stages for _, stages in parts)
            summary.count(drives)
            figures = _write(config, options.output, drives, summary)
            _tell(summary, figures, options, said)
            if options.submission:
                everything = [detections for drive in drives for detections in drive.detections]
                for path in write_submission(
                    options.submission,
                    everything,
                    run.logs,
                    options.output,
                    use_lidar=config.enable_lidar,
                ):
                    said.print(f"  -> [bold]{path}[/]", highlight=False)
        return share_from_first(summary)


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

    def stream(self) -> tuple[list[DriveOutcome], RunSummary]:
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
        summary = RunSummary(config.job_name, data, weights, self.device, version_of(logs))
        self.console.print(
            f"[bold]{config.job_name}[/] on {data}, weights {weights}, {self.device}"
        )
        options.output.mkdir(parents=True, exist_ok=True)
        drives = list(self._drives(logs, model))
        summary.stages = dict(self.meter.costs)
        return drives, summary

    def _drives(self, logs: Sequence[DrivingLog], model: Perception) -> Iterator[DriveOutcome]:
        """All frames of this process' drives, with a progress bar."""
        total = sum(self._length(log) for _, log in dealt(logs))
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with (
            Progress(*columns, TimeRemainingColumn(), console=self.console) as progress,
            self.meter.measuring(model),
        ):
            task = progress.add_task("streaming", total=total)
            for number, log in dealt(logs):
                progress.update(task, description=log.name)
                session = StreamSession(model, self.config, self.device, first_sequence=number)
                drive = DriveOutcome(number)
                for result in self._drive(log, session):
                    drive.add(result)
                    progress.advance(task)
                yield drive

    def _length(self, log: DrivingLog) -> int:
        return min(len(log), self.options.max_frames or len(log))

    def _drive(self, log: DrivingLog, session: StreamSession) -> Iterator[StepResult]:
        """The results of one drive; pictures are written on the way."""
        with ExitStack() as stack:
            pictures = None
            if self.config.eval_with_visualize:
                pictures = stack.enter_context(_Pictures(self.config, self.options.output, log))
            for index in range(self._length(log)):
                with self.meter.stage("reading"):
                    frame = log[index]
                with self.meter.stage("whole step"):
                    result = session.step(frame)
                if pictures:
                    with self.meter.stage("picture"):
                        pictures.add(index, frame, result)
                yield result


def _write(
    config: TaskConfig, output: Path, drives: Sequence[DriveOutcome], summary: RunSummary
) -> DetectionFigures | None:
    """Writes what the run found; returns the figures, or None where no frame has labels."""
    with detection_writer(output / "detections.parquet") as write:
        for drive in drives:
            for said in drive.detections:
                write(said)
    with whole_file(output / "run.json") as path:
        path.write_text(json.dumps(asdict(summary), indent=2) + "\n")
    metrics = output / "metrics.json"
    frames = [frame for drive in drives for frame in drive.labelled()]
    if not frames:
        metrics.unlink(missing_ok=True)  # of an earlier run: they are not those of this one
        return None
    figures = detection_figures(frames, config.bev, config.evaluation)
    with whole_file(metrics) as path:
        path.write_text(figures.model_dump_json(indent=2) + "\n")
    return figures


class _Pictures:
    """The pictures and the video of one drive."""

    def __init__(self, config: TaskConfig, output: Path, log: DrivingLog) -> None:
        self.folder = output / "pictures" / log.name
        self.painter = FramePainter(config.draw_dynamic_cfg, config.temporal_visualization)
        self.vector_map = log.vector_map()
        step_us = np.diff(log.timestamps_us)
        rate_hz = 1e6 / float(np.median(step_us)) if len(step_us) else 1.0
        self.folder.mkdir(parents=True, exist_ok=True)
        self.video = VideoWriter(output / f"{log.name}.mp4", rate_hz)

    def add(self, index: int, frame: Frame, result: StepResult) -> None:
        """Paints one frame."""
        picture = self.painter.paint(frame, result.detections, memory_dots(result), self.vector_map)
        write_png(self.folder / f"{index:06d}.png", picture)
        self.video.append(picture)

    def __enter__(self) -> _Pictures:
        self.video.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.video.__exit__(*error)  # type: ignore[arg-type]


def memory_dots(result: StepResult) -> MemoryDots | None:
    """The valid history slots of a frame, for the picture; None: there is no dynamic task."""
    memory = result.memory
    if memory is None:
        return None
    valid = memory.valid[0].cpu().numpy()
    stored_us = memory.timestamp_us[0].cpu().numpy()[valid]
    # Frames may be unevenly spaced, so age counts distinct times, newest first.
    distinct = np.unique(stored_us)
    age = len(distinct) - np.searchsorted(distinct, stored_us)
    return MemoryDots(
        position_m=memory.reference_m[0].cpu().numpy()[valid],
        velocity_mps=memory.velocity_mps[0].cpu().numpy()[valid],
        class_id=memory.class_id[0].cpu().numpy()[valid],
        age=age,
    )


def _tell(
    summary: RunSummary,
    figures: DetectionFigures | None,
    options: ValidationOptions,
    console: Console,
) -> None:
    console.print(stage_table(summary))
    if figures is None:
        console.print("No frame has labels, so there are no figures.")
    else:
        for table in figures_tables(figures):
            console.print(table)
    _print_outcome(summary, options, console)


def _print_outcome(summary: RunSummary, options: ValidationOptions, console: Console) -> None:
    console.print(
        f"{summary.detections} detections, {summary.tracks} tracks in {summary.frames} frames"
    )
    videos = (f"{drive}.mp4" for drive in summary.frames_by_sequence)
    for name in ("detections.parquet", "metrics.json", *videos):
        if (options.output / name).is_file():
            console.print(f"  -> [bold]{options.output / name}[/]", highlight=False)
    if (options.output / "pictures").is_dir():
        console.print(f"  -> [bold]{options.output / 'pictures'}[/]", highlight=False)
    if options.random_weights:
        console.print("[yellow]The weights are random: the boxes are guesses of no worth.[/]")
    for sensor, failures in summary.faults.items():
        console.print(
            f"[yellow]{sensor} failed in {failures.frames} of {summary.frames} frames,"
            f" first: {failures.first}[/]",
            highlight=False,
        )
