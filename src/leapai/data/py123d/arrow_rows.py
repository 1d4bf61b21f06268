"""Arrow files of py123d: rows by their number, and the metadata in their schema."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leapai.data.cache_sources import note_file
from leapai.data.reading import opened_regular
from leapai.extras import import_extra
from leapai.io import printable
from leapai.types import FloatArray, IntArray

REMEDY = "convert this log again with py123d"
_METADATA = b"metadata"


class ArrowRows:
    """One file of a log. A part of it is in memory at a time, as sensors fill gigabytes."""

    def __init__(self, path: Path) -> None:
        """Opens the file. Raises ValueError where it is missing or is no Arrow file."""
        self.path = path
        self.key = path.name.removesuffix(".arrow")
        """Name of what the file holds, with which its columns begin: `lidar.lidar_merged`."""
        self._part: tuple[int, Any] = (-1, None)
        try:
            with opened_regular(path):  # a pipe would wait for ever
                self._reader = pa.ipc.open_file(pa.memory_map(str(path)), options=_options())
        except FileNotFoundError:
            raise ValueError(f"{path} is missing; {REMEDY}") from None
        except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
            raise self._damaged(error) from error

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """The metadata that py123d writes. Raises ValueError where there are none,
        MissingExtraError where msgpack is not installed."""
        msgpack = import_extra("msgpack", "py123d", "a log of py123d needs msgpack")
        packed = (self._reader.schema.metadata or {}).get(_METADATA, b"")
        try:
            found = msgpack.unpackb(packed, strict_map_key=False)
        except Exception as error:  # whatever the parser raises for foreign bytes
            raise ValueError(f"{self.path}: its metadata cannot be read; {REMEDY}") from error
        if not isinstance(found, dict):
            raise ValueError(f"{self.path}: its metadata are no table of fields; {REMEDY}")
        return found

    @property
    def fields(self) -> list[str]:
        """Names of the columns as the file has them."""
        return list(self._reader.schema.names)

    def column(self, field: str, of: pa.DataType) -> pa.Array:
        """Returns a whole column of a type. Raises ValueError where there is none."""
        try:
            index = self._reader.schema.get_field_index(field)
            if index < 0:
                raise ValueError(f"column '{field}' is missing")
            if self._reader.schema.field(index).type != of:
                raise ValueError(f"column '{field}' is no {of}")
            with pa.memory_map(str(self.path)) as file:
                # read_all() would unpack the sensors' data, too.
                reader = pa.ipc.open_file(file, options=_options([index]))
                batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
                table = pa.Table.from_batches(batches, reader.schema)
                table.validate(full=True)  # or a damaged text ends the process
                return table[0].combine_chunks()
        except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
            raise self._damaged(error) from error

    def whole_numbers(self, field: str) -> IntArray:
        """Returns a whole column of int64 [N]; -1: a row has none. Raises ValueError."""
        values = self.column(field, pa.int64()).fill_null(-1)
        return np.asarray(values.to_numpy(zero_copy_only=False), np.int64)

    @cached_property
    def time_us(self) -> IntArray:
        """[N] int64 times of the rows; -1: a row has none. Raises ValueError."""
        return self.whole_numbers(f"{self.key}.timestamp_us")

    def __len__(self) -> int:
        return int(self._starts[-1])

    def row(self, number: int) -> dict[str, Any]:
        """Returns a row as Python values, by the names of columns without that of the file. Raises
        ValueError where the file is damaged."""
        note_file(self.path)
        part = int(np.searchsorted(self._starts, number, side="right")) - 1
        try:
            if self._part[0] != part:
                batch = self._reader.get_batch(part)
                batch.validate(full=True)
                self._part = (part, batch)
            batch = self._part[1]
            row = batch.slice(number - int(self._starts[part]), 1).to_pylist()[0]
        except (pa.ArrowException, OSError, ValueError, IndexError, MemoryError) as error:
            raise self._damaged(error) from error
        return {name.removeprefix(f"{self.key}."): value for name, value in row.items()}

    @cached_property
    def _starts(self) -> IntArray:
        """First row of each part of the file, and the number of rows."""
        try:
            with pa.memory_map(str(self.path)) as file:
                reader = pa.ipc.open_file(file, options=_options([0]))
                counts = [len(reader.get_batch(i)) for i in range(reader.num_record_batches)]
        except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
            raise self._damaged(error) from error
        return np.cumsum([0, *counts], dtype=np.int64)

    def _damaged(self, error: Exception) -> ValueError:
        words = printable(" ".join(str(error).split())[:200])
        return ValueError(f"{self.path} cannot be read ({words}); {REMEDY}")


def numbers_of(lists: pa.Array, width: int) -> FloatArray:
    """Returns lists of `width` numbers [N, width]; NaN for a list that is not there."""
    each = [pc.list_element(lists, i).to_numpy(zero_copy_only=False) for i in range(width)]
    return np.stack(each, -1).astype(np.float64).reshape(len(lists), width)


def _options(fields: list[int] | None = None) -> Any:
    """Returns options of reading: some columns or all, without threads, which do not survive that
    readers of frames are forked."""
    return pa.ipc.IpcReadOptions(included_fields=fields or [], use_threads=False)
