"""Reading the Parquet tables of a run, which may come from others: whole, with the columns and the
values that `leapai val` writes."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from leapai.runs.run_files import existing_file_of_run
from leapai.types import CLASS_NAMES, OCCLUSION_NAMES

AGAIN = "run `leapai val` again"
_ANY = int(np.iinfo(np.int64).max)
_BOUNDS = {
    "timestamp_us": (0, 10**18),
    "drive": (0, _ANY),
    "class_id": (0, len(CLASS_NAMES) - 1),
    "occlusion_level": (-1, len(OCCLUSION_NAMES) - 1),
    "memory_slots": (0, _ANY),
}
"""Columns of whole numbers that are indices or times: least and largest value."""
_FILLED = (
    *_BOUNDS, "sequence", "score", "track_id", "ego2global", "labelled", "faults", "memory_reset",
)  # fmt: skip
"""Columns without an empty cell."""


def read_table(path: Path, schema: pa.Schema, added: Set[str] = frozenset()) -> pa.Table:
    """Returns a table of a run in the columns of `schema`; those `added`, which runs of earlier
    versions lack, may be missing.

    Raises ValueError where it is no whole Parquet file, lacks a column, or has one with other types
    or with values that no run writes.
    """
    try:
        table = pq.read_table(existing_file_of_run(path))
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path}: is not a whole Parquet file ({reason}); {AGAIN}") from None
    missing = set(schema.names) - set(table.column_names)
    if missing - added:
        raise ValueError(
            f"{path}: has no column {', '.join(sorted(missing))}: it is of another program, or of "
            f"another version of leapai; {AGAIN}"
        )
    fields = [field for field in schema if field.name not in missing]
    try:
        table = table.select([field.name for field in fields]).cast(pa.schema(fields))
    except (pa.ArrowException, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path}: has columns of other types ({reason}); {AGAIN}") from None
    for name in table.column_names:
        problem = _problem_of(name, table[name])
        if problem:
            raise ValueError(f"{path}: {name} {problem}, which no run writes; {AGAIN}")
    return table


def _problem_of(name: str, column: pa.ChunkedArray) -> str:
    """Returns what is wrong with the values of a column, in words; "": nothing."""
    if name in _FILLED and column.null_count:
        return f"is empty in {column.null_count} of {len(column)} rows"
    if name in _BOUNDS and len(column):
        low, high = _BOUNDS[name]
        found = pc.min_max(column).as_py()
        if not low <= found["min"] <= found["max"] <= high:
            return f"is {found['min']} to {found['max']}"
    return ""
