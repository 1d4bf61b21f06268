"""The table of runs, `runs.parquet` next to the run folders: a line for every finished run, be it a
validation or a stress run, whose metrics are those of its clean frames, and mRA.

Its columns are the facts of a run and the metrics that the registry shows in the history. Two runs
that end at once take turns by a lock file; the table is replaced as a whole, so a reader never sees
half of it. A table that cannot be read is left as it is.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.markup import escape

from leapai.evaluation.metric_types import RunMetric, Shown
from leapai.evaluation.metrics import RELATIVE_SCORE, TIME, run_metrics
from leapai.io import printable, whole_file
from leapai.runs.parquet_files import read_parquet
from leapai.runs.row_schema import row_schema
from leapai.runs.run_files import existing_table

if TYPE_CHECKING:
    from leapai.evaluation.run_metrics import RunMetrics
    from leapai.runs.run_folder import Run
    from leapai.runs.stress_results import StressSummary

TABLE = "runs.parquet"


@dataclass(frozen=True)
class RunFacts:
    """Facts about a run: what was run, on what."""

    finished_utc: str
    job_name: str
    output: str
    """The run folder."""
    data: str
    data_version: str | None
    weights: str
    checkpoint_sha256: str | None
    exported_sha256: str | None
    """SHA-256 of the manifest of an exported network; None: the checkpoint itself ran."""
    exported_weights: str | None
    """Type of the weights of an exported network, such as int8."""
    config_sha256: str
    seed: int
    version: str
    """Version of leapai."""
    frames: int
    labelled_frames: int
    max_frames: int | None
    """Frames streamed of each drive at most; None: all."""
    machine: str | None
    """Device, processors and threads; None: the run did not record it."""


FACTS = tuple(field.name for field in fields(RunFacts))
_ALWAYS = tuple(field.name for field in fields(RunFacts) if "None" not in str(field.type))
"""Facts that every version has recorded of every run."""


@dataclass(frozen=True)
class RunLine(RunFacts):
    """One run: its facts, and its metrics."""

    metrics: dict[str, float | None]
    """Values by key of the registry; None: there is nothing to measure."""

    @staticmethod
    def of_stress(summary: StressSummary, clean: RunMetrics, output: Path) -> RunLine:
        """Returns the line of a stress run with the metrics of its clean frames."""
        facts = {
            name: getattr(summary, name)
            for name in FACTS
            if name not in ("output", "labelled_frames", "machine")
        }
        metrics = {metric.key: metric.value(clean) for metric in run_metrics(Shown.HISTORY)}
        metrics[RELATIVE_SCORE.key] = RELATIVE_SCORE.value(summary)
        metrics[TIME.key] = None  # conditions cost time, too
        return RunLine(
            output=str(output),
            labelled_frames=summary.frames,
            machine=None,
            **facts,
            metrics=metrics,
        )

    @staticmethod
    def of(run: Run, output: Path) -> RunLine:
        """Returns the line of a finished run."""
        facts = {name: getattr(run.summary, name) for name in FACTS if name != "output"}
        metrics: dict[str, float | None] = {
            metric.key: metric.value(run.metrics) for metric in run_metrics(Shown.HISTORY)
        }
        metrics[RELATIVE_SCORE.key] = None
        metrics[TIME.key] = TIME.value(run.summary)
        return RunLine(output=str(output), **facts, metrics=metrics)


def metric_columns() -> list[RunMetric]:
    """Returns the metrics that the table has a column of, in order."""
    return [*run_metrics(Shown.HISTORY), RELATIVE_SCORE, TIME]


def append_run(table: Path, line: RunLine) -> None:
    """Adds a line to the table, which is made where there is none.

    Raises ValueError where the table cannot be read; it is left as it is.
    """
    with _alone(table):
        before = [_read(table)] if table.exists() else []
        row = {**{name: getattr(line, name) for name in FACTS}, **line.metrics}
        rows = pa.Table.from_pylist([row], schema=_schema())
        together = pa.concat_tables([*before, rows], promote_options="default")
        with whole_file(table) as temporary:
            pq.write_table(together, temporary)


def read_runs(table: Path) -> list[RunLine]:
    """Returns the lines of a table, oldest first.

    Raises ValueError where there is no table, or it cannot be read.
    """
    existing_table(table)
    keys = [metric.key for metric in metric_columns()]
    return [
        RunLine(
            **{name: _fact(row.get(name)) for name in FACTS},
            metrics={key: row.get(key) for key in keys},
        )
        for row in _read(table).to_pylist()
    ]


def _fact(value: Any) -> Any:
    return printable(value) if isinstance(value, str) else value


def _schema() -> pa.Schema:
    metrics = pa.schema(
        [(m.key, pa.float64() if m.digits else pa.int64()) for m in metric_columns()]
    )
    return pa.unify_schemas([row_schema(RunFacts), metrics])


def _read(table: Path) -> pa.Table:
    """Reads a table, which an older version may have written without some columns.

    `pq.read_table` and an empty table of pyarrow would import pandas, which takes longer than all
    else.
    """
    try:
        content = read_parquet(table)
    except ValueError as error:
        raise ValueError(f"{table}: {error}; move it away, a new one will be begun") from None
    foreign = [name for name in _ALWAYS if name not in content.column_names]
    if foreign:
        raise ValueError(
            f"{table}: has no column {', '.join(foreign)}, so it is no table of runs; move it "
            "away, a new one will be begun"
        )
    empty = [name for name in _ALWAYS if content[name].null_count]
    if empty:
        raise ValueError(
            f"{table}: has rows without {', '.join(empty)}, so it is no table of runs; move it "
            "away, a new one will be begun"
        )
    ours = {field.name: field for field in _schema()}
    try:
        return content.cast(pa.schema([ours.get(field.name, field) for field in content.schema]))
    except (pa.ArrowException, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"{table}: has columns of other types ({reason}), so it is no table of runs; move it "
            "away, a new one will be begun"
        ) from None


@contextmanager
def _alone(table: Path) -> Iterator[None]:
    """Waits until no other process changes the table. The lock ends with the process that holds
    it."""
    lock = os.open(table.with_name(f".{table.name}.lock"), os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def add_to_history(line: RunLine, output: Path, console: Console) -> None:
    """Adds the run to the table of runs. A table that is broken is no reason to fail a run."""
    try:
        append_run(output.absolute().parent / TABLE, line)
    except (ValueError, OSError) as error:
        console.print(f"[yellow]This run is not in the table of runs: {escape(str(error))}[/]")
