"""The folder of a finished run: what is in it, and reading it back.

`config.json`         the configuration in full
`detections.parquet`  the detections
`lines.parquet`       the lines of the predicted map, where the static task is on
`truth.parquet`       ground truth: the labelled objects
`frames.parquet`      every frame: pose, sensor faults, memory, temporal consistency
`tracks.parquet`      the tracks: one row each
`metrics.json`        all metrics
`memory/`             with `--memory`, tables of the temporal memory
`worst/`              pictures of the worst frames
`run.json`            the summary: what was run, on what data, and what it cost; written last
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa
from pydantic import TypeAdapter, ValidationError

from leapai.config.schema import TaskConfig
from leapai.evaluation.run_metrics import RunMetrics
from leapai.evaluation.sequence_result import SequenceResult
from leapai.evaluation.tracking.tracking_results import InstanceMetrics
from leapai.folders import inside, sole_user
from leapai.io import whole_file, write_text
from leapai.runs import parquet_tables
from leapai.runs.earlier_pictures import remove_pictures
from leapai.runs.run_files import existing_file_of_run, existing_run
from leapai.runs.run_summary import RunSummary
from leapai.runs.tracks_table import TRACK_SCHEMA, TRACKS, track_table
from leapai.streaming.detection_table import DETECTION_SCHEMA, to_table

if TYPE_CHECKING:
    from leapai.runs.worst_frames import WorstFrame

_T = TypeVar("_T")
LINES = "lines.parquet"
MEMORY = "memory"
"""Folder of the tables of the temporal memory."""
REPORT = "report.html"
_AGAIN = "run `leapai val` again"
_LONGEST_NAME = 200
"""Longest name of a picture in the folder; file systems take 255 bytes."""


@dataclass(frozen=True)
class Run:
    """A finished run: its configuration, summary, results and metrics."""

    config: TaskConfig
    summary: RunSummary
    sequences: Sequence[SequenceResult]
    metrics: RunMetrics


@dataclass(frozen=True)
class RunRecord:
    """A finished run without its tables: its configuration, summary and metrics."""

    config: TaskConfig
    summary: RunSummary
    metrics: RunMetrics


@contextmanager
def begun_run(folder: Path) -> Iterator[None]:
    """Makes the folder and holds it for this process alone, as long as the block runs. An earlier
    run in it counts as unfinished from now on.

    Raises ValueError where it holds files that are not a run's, and where another process holds it.
    """
    with sole_user(folder):
        _remove_earlier(folder)
        yield


def _remove_earlier(folder: Path) -> None:
    remove_pictures(folder)
    for name in ("run.json", "instances.parquet", LINES, REPORT):
        (folder / name).unlink(missing_ok=True)
    for table in folder.glob(f"{MEMORY}/*/*.parquet"):
        table.unlink(missing_ok=True)


def write_run(
    folder: Path,
    run: Run,
    worst: Sequence[WorstFrame],
    instances: Sequence[InstanceMetrics] | None = None,
) -> None:
    """Writes all files of the run but its report; `instances` None: their table is not written."""
    write_text(folder / "config.json", config_json(run.config))
    write_detections(folder, run.sequences, run.config)
    _write_ground_truth(folder, run)
    if instances is not None:
        parquet_tables.write_instances(folder / "instances.parquet", instances)
    pictures = _write_pictures(folder, worst)
    frames = parquet_tables.frame_table(run.sequences, run.metrics.consistency.frames, pictures)
    parquet_tables.write_table(folder / "frames.parquet", parquet_tables.FRAME_SCHEMA, [frames])
    write_text(folder / "metrics.json", run.metrics.model_dump_json(indent=2) + "\n")
    write_text(folder / "run.json", json.dumps(asdict(run.summary), indent=2) + "\n")


def read_run(folder: Path) -> tuple[Run, dict[parquet_tables.FrameKey, Path]]:
    """Reads the run of a folder; returns it with the pictures of its worst frames.

    Raises ValueError with one line: what is missing, or cannot be read.
    """
    record = read_record(folder)
    config, summary = record.config, record.summary
    frames, detections, gt = (
        _read_table(folder / name, schema)
        for name, schema in (
            ("frames.parquet", parquet_tables.FRAME_SCHEMA),
            ("detections.parquet", DETECTION_SCHEMA),
            ("truth.parquet", parquet_tables.GT_SCHEMA),
        )
    )
    for name, table, count in (
        ("frames.parquet", frames, summary.frames),
        ("detections.parquet", detections, summary.detections),
    ):
        if table.num_rows != count:
            raise ValueError(
                f"{folder / name}: has {table.num_rows} rows, but run.json speaks of {count}: the "
                f"files are not of one run; {_AGAIN}"
            )
    lines = parquet_tables.LINE_SCHEMA.empty_table()
    if config.static_task:
        lines = _read_table(folder / LINES, parquet_tables.LINE_SCHEMA)
    run = Run(
        config=config,
        summary=summary,
        sequences=_sequences(folder, config, (frames, detections, gt, lines)),
        metrics=record.metrics,
    )
    return run, _pictures(folder, frames)


def read_record(folder: Path) -> RunRecord:
    """Reads the run of a folder without its tables. Raises ValueError as `read_run` does."""
    existing_run(folder)
    return RunRecord(
        config=_read_json(folder / "config.json", TypeAdapter(TaskConfig)),
        summary=_read_json(folder / "run.json", TypeAdapter(RunSummary)),
        metrics=_read_json(folder / "metrics.json", TypeAdapter(RunMetrics)),
    )


def _sequences(
    folder: Path, config: TaskConfig, tables: tuple[pa.Table, pa.Table, pa.Table, pa.Table]
) -> list[SequenceResult]:
    try:
        return parquet_tables.sequences_of(*tables, config.vocabulary)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}; {_AGAIN}") from None


def config_json(config: TaskConfig) -> str:
    """Returns the configuration in full; the same text for equal configurations."""
    return config.model_dump_json(indent=2) + "\n"


def write_detections(folder: Path, sequences: Sequence[SequenceResult], config: TaskConfig) -> None:
    """Writes the detections, their tracks and, with the static task, the lines of the map."""
    detections = [found for sequence in sequences for found in sequence.detections]
    parquet_tables.write_table(
        folder / "detections.parquet", DETECTION_SCHEMA, [to_table(found) for found in detections]
    )
    parquet_tables.write_table(folder / TRACKS, TRACK_SCHEMA, [track_table(detections)])
    if config.static_task:
        lines = (line for sequence in sequences for line in sequence.lines)
        frames = zip(detections, lines, strict=True)
        parquet_tables.write_table(
            folder / LINES,
            parquet_tables.LINE_SCHEMA,
            [parquet_tables.line_table(*frame) for frame in frames],
        )


def _write_ground_truth(folder: Path, run: Run) -> None:
    """Writes the labelled objects."""
    labelled = [frame for sequence in run.sequences for frame in sequence.labelled()]
    parquet_tables.write_table(
        folder / "truth.parquet",
        parquet_tables.GT_SCHEMA,
        [parquet_tables.gt_table(frame.detections, frame.labels) for frame in labelled],
    )


def _write_pictures(
    folder: Path, worst: Sequence[WorstFrame]
) -> dict[parquet_tables.FrameKey, str]:
    """Writes the pictures; returns their names. Those of an earlier run are removed."""
    place = folder / "worst"
    for old in place.glob("*.webp"):
        old.unlink()
    names = {}
    for rank, frame in enumerate(worst, 1):
        place.mkdir(exist_ok=True)
        names[frame.key] = f"worst/{rank:02d}.webp"
        with whole_file(folder / names[frame.key], durable=False) as temporary:
            temporary.write_bytes(frame.picture_webp)
    return names


def _pictures(folder: Path, frames: pa.Table) -> dict[parquet_tables.FrameKey, Path]:
    rows = frames.select(["sequence", "timestamp_us", "picture"]).to_pylist()
    pictures = {
        (row["sequence"], row["timestamp_us"]): row["picture"]
        for row in rows
        if row["picture"] is not None
    }
    for name in pictures.values():
        if not _is_of(folder, name):
            raise ValueError(
                f"{folder / 'frames.parquet'}: the picture {name[:80]!r} is not in the folder of "
                "the run; somebody has changed this run, so it is not read"
            )
    return {key: folder / name for key, name in pictures.items()}


def _is_of(folder: Path, name: str) -> bool:
    """Returns whether a name leads to a file of a folder, which may have been deleted."""
    if Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name:
        return False
    if len(name) > _LONGEST_NAME:
        return False
    return inside(folder, name) is not None or not os.path.lexists(folder / name)


def _read_json(path: Path, kind: TypeAdapter[_T]) -> _T:
    try:
        return kind.validate_json(existing_file_of_run(path).read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        where = f"{place}: " if place else ""
        raise ValueError(
            f"{path}: {where}{first['msg']}: the file is broken, or of another version of leapai; "
            f"{_AGAIN}"
        ) from None


def _read_table(path: Path, schema: pa.Schema) -> pa.Table:
    existing_file_of_run(path)
    try:
        return parquet_tables.read_table(path, schema)
    except ValueError as error:
        raise ValueError(f"{path}: {error}; {_AGAIN}") from None
