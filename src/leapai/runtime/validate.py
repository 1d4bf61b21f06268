"""`--state val`: streams every drive in order and writes what the system says of each frame.

Into the output folder go `detections.parquet`, `run.json`, and, where pictures are wanted, one PNG
a frame and one video a drive.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from leapai import __version__
from leapai.config import TaskConfig
from leapai.data.logs import DrivingLog, open_logs, version_of
from leapai.models.build import build_model
from leapai.models.perception import Perception
from leapai.runtime.checkpoints import load_checkpoint
from leapai.runtime.files import whole_file
from leapai.runtime.records import detection_writer
from leapai.runtime.session import StepResult, StreamSession
from leapai.runtime.stages import StageCost, StageMeter
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


@dataclass
class SensorFailures:
    """In how many frames of a run a sensor failed, and what the first fault was."""

    first: str
    frames: int = 0


@dataclass
class RunSummary:
    """What a run did; `run.json` holds it."""

    job_name: str
    data: str
    weights: str
    device: str
    data_version: str | None
    """As the data names it; None: it names none."""
    version: str = __version__
    frames: int = 0
    detections: int = 0
    tracks: int = 0
    frames_by_sequence: dict[str, int] = field(default_factory=dict)
    faults: dict[str, SensorFailures] = field(default_factory=dict)
    """By sensor."""
    stages: dict[str, StageCost] = field(default_factory=dict)


def run_validation(
    config: TaskConfig, options: ValidationOptions, console: Console | None = None
) -> RunSummary:
    """Streams the drives of the run. Raises ValueError for what a user can mend."""
    console = console or Console()
    _check(config, options)
    if options.random_weights:
        config = _show_best_guesses(config)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(RANDOM_WEIGHTS_SEED)
    model = build_model(config)
    if options.checkpoint:
        load_checkpoint(options.checkpoint, model)
    data = options.data or config.data.val
    logs = open_logs(data, image_size_px=config.camera.image_size_px)
    weights = str(options.checkpoint) if options.checkpoint else "random: it has learnt nothing"
    summary = RunSummary(config.job_name, data, weights, device, version_of(logs))
    console.print(f"[bold]{config.job_name}[/] on {data}, weights {weights}, {device}")
    run = _Run(config, options, StreamSession(model, config, device), summary)
    run.stream(logs, model, console)
    with whole_file(options.output / "run.json") as path:
        path.write_text(json.dumps(asdict(summary), indent=2) + "\n")
    console.print(stage_table(summary))
    _print_outcome(summary, options, console)
    return summary


def _check(config: TaskConfig, options: ValidationOptions) -> None:
    if not config.use_dynamic_outputs:
        raise ValueError(
            "use_dynamic_outputs = False leaves validation nothing to write; set it to True"
        )
    if options.checkpoint is None and not options.random_weights:
        raise ValueError(
            "--ckpt is missing: name a checkpoint, or say --random-weights to run without one"
        )
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError(
            f"WORLD_SIZE = {os.environ['WORLD_SIZE']}: validation runs in one process in this "
            "version; use --nproc_per_node=1"
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
    """The loop over drives and frames, and its outputs."""

    def __init__(
        self,
        config: TaskConfig,
        options: ValidationOptions,
        session: StreamSession,
        summary: RunSummary,
    ) -> None:
        self.config, self.options, self.session, self.summary = config, options, session, summary
        self.meter = StageMeter()
        self._tracks: set[int] = set()

    def stream(self, logs: Sequence[DrivingLog], model: Perception, console: Console) -> None:
        """All frames of all drives, with a progress bar."""
        self.options.output.mkdir(parents=True, exist_ok=True)
        total = sum(self._length(log) for log in logs)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with (
            Progress(*columns, TimeRemainingColumn(), console=console) as progress,
            detection_writer(self.options.output / "detections.parquet") as write,
            self.meter.measuring(model),
        ):
            task = progress.add_task("streaming", total=total)
            for log in logs:
                progress.update(task, description=log.name)
                for result in self._drive(log):
                    write(result.detections)
                    self._count(result)
                    progress.advance(task)
        self.summary.stages = dict(self.meter.costs)

    def _length(self, log: DrivingLog) -> int:
        return min(len(log), self.options.max_frames or len(log))

    def _drive(self, log: DrivingLog) -> Iterator[StepResult]:
        """The results of one drive; pictures are written on the way."""
        with ExitStack() as stack:
            pictures = None
            if self.config.eval_with_visualize:
                pictures = stack.enter_context(_Pictures(self.config, self.options.output, log))
            for index in range(self._length(log)):
                with self.meter.stage("reading"):
                    frame = log[index]
                with self.meter.stage("whole step"):
                    result = self.session.step(frame)
                if pictures:
                    with self.meter.stage("picture"):
                        pictures.add(index, frame, result)
                yield result

    def _count(self, result: StepResult) -> None:
        summary, name = self.summary, result.frame.sequence
        summary.frames += 1
        summary.frames_by_sequence[name] = summary.frames_by_sequence.get(name, 0) + 1
        summary.detections += len(result.detections)
        self._tracks.update(int(i) for i in result.detections.track_id if i >= 0)
        summary.tracks = len(self._tracks)
        for fault in result.frame.faults:
            sensor, _, reason = fault.partition(": ")
            summary.faults.setdefault(sensor, SensorFailures(reason)).frames += 1


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


def memory_dots(result: StepResult) -> MemoryDots:
    """The valid history slots of a frame, for the picture."""
    memory = result.memory
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


def stage_table(summary: RunSummary) -> Table:
    """Seconds a frame and memory of each stage."""
    table = Table(title=f"{summary.frames} frames on {summary.device}")
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


def _print_outcome(summary: RunSummary, options: ValidationOptions, console: Console) -> None:
    console.print(
        f"{summary.detections} detections, {summary.tracks} tracks in {summary.frames} frames"
    )
    for name in ("detections.parquet", *(f"{drive}.mp4" for drive in summary.frames_by_sequence)):
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
