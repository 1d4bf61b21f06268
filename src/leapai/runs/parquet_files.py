"""Reading of Parquet files that others may have made: their size is known before they are unpacked.

The format is compressed twice, by codecs and by counts of repeated values, so a small file may hold
more than any memory.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from leapai.io import printable
from leapai.runs.table_bounds import bounds_problem

MAX_BYTES = 4 << 30
"""Largest table that is read, unpacked: ten times that of the detections of 6 000 keyframes."""
_BYTES_A_VALUE = 8


class UnusableTableError(ValueError):
    """A file of a table that cannot be used; the message is the reason, without the file."""


def read_typed(path: Path, schema: pa.Schema, added: frozenset[str]) -> pa.Table:
    """Returns the table of a run with the columns of `schema`, of which those `added` later may be
    missing.

    Raises UnusableTableError as `read_parquet` does, and for other columns, types and values.
    """
    table = read_parquet(path)
    missing = set(schema.names) - set(table.column_names) - set(added)
    if missing:
        raise UnusableTableError(
            f"has no column {', '.join(sorted(missing))}: it is of another program, or of another "
            "version of leapai"
        )
    for name in added & set(schema.names) - set(table.column_names):
        table = table.append_column(name, pa.nulls(table.num_rows, schema.field(name).type))
    try:
        typed = table.select(schema.names).cast(schema)
    except (pa.ArrowException, ValueError) as error:
        raise UnusableTableError(f"has columns of other types ({_words(error)})") from None
    problem = bounds_problem(typed)
    if problem is not None:
        raise UnusableTableError(f"{problem}, which no run has")
    return typed


def read_parquet(path: Path) -> pa.Table:
    """Returns the table of a file. Raises UnusableTableError with the reason, in one line, where it
    is no whole Parquet file, or would take more memory than `MAX_BYTES`."""
    try:
        with pq.ParquetFile(path) as file:
            _check_size(file.metadata)
            words = [
                file.schema.column(i).path
                for i in range(len(file.schema))
                if file.schema.column(i).physical_type == "BYTE_ARRAY"
            ]
        # Words stay in their dictionary, in which each stands once, until their length is known.
        with pq.ParquetFile(path, read_dictionary=words) as file:
            table = file.read()
        table.validate(full=True)
        return _plain(table)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UnusableTableError(f"is not a whole Parquet file ({_words(error)})") from None


def _words(error: Exception) -> str:
    """Returns the first line of an error of pyarrow, which may hold bytes of the file."""
    words = (str(error).splitlines() or [type(error).__name__])[0]
    return printable(words)[:200]


def _check_size(metadata: pq.FileMetaData) -> None:
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    columns = [group.column(i) for group in groups for i in range(group.num_columns)]
    values = sum(column.num_values for column in columns)
    stored = sum(column.total_uncompressed_size for column in columns)
    _check_bytes(max(values, metadata.num_rows) * _BYTES_A_VALUE + stored)


def _check_bytes(count: int) -> None:
    if count > MAX_BYTES:
        raise UnusableTableError(
            f"would take {count / 1e9:.1f} GB of memory, more than the {MAX_BYTES / 1e9:.1f} GB "
            "of any run"
        )


def _plain(table: pa.Table) -> pa.Table:
    """Returns the table with words in place of their numbers in a dictionary."""
    for at, field in enumerate(table.schema):
        column, kind = table.column(at), field.type
        if pa.types.is_list(kind) and pa.types.is_dictionary(kind.value_type):
            _check_bytes(sum(_bytes_of(chunk.flatten()) for chunk in column.chunks))
            column = column.cast(pa.list_(kind.value_type.value_type))
        elif pa.types.is_dictionary(kind):
            _check_bytes(sum(_bytes_of(chunk) for chunk in column.chunks))
            column = column.cast(kind.value_type)
        table = table.set_column(at, field.name, column)
    return table


def _bytes_of(words: pa.DictionaryArray) -> int:
    lengths = pc.take(pc.binary_length(words.dictionary), words.indices)
    return int(pc.sum(lengths).as_py() or 0)
