"""The table of runs, `runs.parquet` beside the run folders: a line for every finished run.

Two runs that end at once take turns by a lock file; the table is replaced as a whole, so a reader
never sees half of it. A table that cannot be read is left as it is.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from leapai.io import whole_file
from leapai.runs.parquet_tables import row_schema
from leapai.runs.run_folder import Run

TABLE = "runs.parquet"


@dataclass(frozen=True)
class RunLine:
    """One run. None: it has no such figure."""

    finished_utc: str
    job_name: str
    output: str
    """The run folder."""
    data: str
    data_version: str | None
    weights: str
    checkpoint_sha256: str | None
    config_sha256: str
    seed: int
    version: str
    """Of leapai."""
    frames: int
    labelled_frames: int
    max_frames: int | None
    """Of each drive; None: drives were streamed to their end."""
    mean_ap: float | None
    nds: float | None
    velocity_error_mps: float | None
    amota: float | None
    id_switches: int | None
    consistency: float | None
    marking_iou: float | None
    """Mean over lane markings."""
    element_iou: float | None
    """Mean over road elements."""
    seconds_per_frame: float | None

    @staticmethod
    def of(run: Run, output: Path) -> RunLine:
        """The line of a finished run."""
        summary, detection, tracking = run.summary, run.metrics.detection, run.metrics.tracking
        road = run.metrics.road
        return RunLine(
            output=str(output),
            mean_ap=None if detection is None else detection.mean_ap,
            nds=None if detection is None else detection.nds,
            velocity_error_mps=None if detection is None else detection.errors.velocity_mps,
            amota=None if tracking is None else tracking.amota,
            id_switches=None if tracking is None else tracking.ids,
            consistency=run.metrics.consistency.consistency,
            marking_iou=None if road is None else road.iou.lane_markings,
            element_iou=None if road is None else road.iou.road_elements,
            seconds_per_frame=summary.seconds_per_frame,
            **{name: getattr(summary, name) for name in _OF_SUMMARY},
        )


_OF_SUMMARY = (
    "finished_utc", "job_name", "data", "data_version", "weights", "checkpoint_sha256",
    "config_sha256", "seed", "version", "frames", "labelled_frames", "max_frames",
)  # fmt: skip
_NAMES_A_RUN = ("finished_utc", "job_name", "output")
SCHEMA = row_schema(RunLine)


def append_run(table: Path, line: RunLine) -> None:
    """Adds a line to the table, which is made where there is none.

    Raises ValueError where the table cannot be read; it is left as it is.
    """
    with _alone(table):
        before = [_read(table)] if table.exists() else []
        rows = pa.Table.from_pylist([asdict(line)], schema=SCHEMA)
        together = pa.concat_tables([*before, rows], promote_options="default")
        with whole_file(table) as temporary:
            pq.write_table(together, temporary)


def read_runs(table: Path) -> list[RunLine]:
    """The lines of a table, oldest first.

    Raises ValueError where there is no table, or it cannot be read.
    """
    if not table.is_file():
        raise ValueError(f"{table}: there is no table of runs; `leapai val` writes one")
    return [RunLine(**row) for row in _read(table).select(SCHEMA.names).to_pylist()]


def _read(table: Path) -> pa.Table:
    try:
        content = pq.read_table(table)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"{table}: is no whole Parquet file ({reason}); move it away, a new one will be begun"
        ) from None
    foreign = [name for name in _NAMES_A_RUN if name not in content.column_names]
    if foreign:
        raise ValueError(
            f"{table}: has no column {', '.join(foreign)}, so it is no table of runs; move it "
            "away, a new one will be begun"
        )
    # An older version may not have had every column.
    return pa.concat_tables([SCHEMA.empty_table(), content], promote_options="default")


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
