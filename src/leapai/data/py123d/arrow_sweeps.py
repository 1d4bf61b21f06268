"""Sweeps of py123d as Arrow streams, unpacked within bounds.

A packed buffer begins with the length that it has when it is unpacked, and Arrow reserves that much
at once. So the lengths are added up first; where they are is read from the message's FlatBuffers
table (https://arrow.apache.org/docs/format/Columnar.html).
"""

from __future__ import annotations

import struct
from typing import Any

import pyarrow as pa

_HEADER, _ROWS, _BUFFERS, _COMPRESSION = 2, 0, 2, 3
"""Numbers of fields in the tables `Message` and `RecordBatch` of Arrow's format."""
_VERSION_5 = 4
"""Number of the version of the format that Arrow has written since 1.0."""
_NOT_PACKED = -1
"""Length of a buffer that is kept as it is among packed ones."""


def unpacked(data: bytes, most_rows: int, most_bytes: int) -> dict[str, Any]:
    """Returns the columns of a stream's first batch by their names.

    Raises ValueError where it is larger than the bounds; and what the decoder raises for what is no
    such stream.
    """
    reader = pa.ipc.MessageReader.open_stream(pa.BufferReader(data))
    first, message = reader.read_next_message(), reader.read_next_message()
    if (first.type, message.type) != ("schema", "record batch"):
        raise ValueError(f"begins with {first.type}, {message.type}")
    if message.metadata_version != _VERSION_5:  # earlier ones say elsewhere what is packed
        raise ValueError("is written in a format before Arrow 1.0")
    rows, size = _claimed(message.metadata.to_pybytes(), message.body)
    if rows > most_rows or size > most_bytes:
        raise ValueError(f"claims {rows} rows of {size} bytes")
    batch = pa.ipc.read_record_batch(message, pa.ipc.read_schema(first))
    batch.validate(full=True)
    return {
        name: batch.column(i).to_numpy(zero_copy_only=False)
        for i, name in enumerate(batch.schema.names)
    }


def _claimed(message: bytes, body: pa.Buffer) -> tuple[int, int]:
    """Returns the number of rows, and of the bytes of all buffers when they are unpacked, as the
    table of a message claims them. Raises ValueError or struct.error where it is damaged."""
    batch = _target(message, _field(message, _target(message, 0), _HEADER))
    (rows,) = struct.unpack_from("<q", message, _field(message, batch, _ROWS))
    if not _field(message, batch, _COMPRESSION):
        return rows, body.size
    buffers = _target(message, _field(message, batch, _BUFFERS))
    (count,) = struct.unpack_from("<I", message, buffers)
    total, content = 0, memoryview(body)
    for i in range(count):
        start, length = struct.unpack_from("<qq", message, buffers + 4 + 16 * i)
        if length:
            (size,) = struct.unpack_from("<q", content, start)
            total += length if size == _NOT_PACKED else size
            if size < _NOT_PACKED or start < 0:
                raise ValueError(f"claims a buffer of {size} bytes at {start}")
    return rows, total


def _field(message: bytes, table: int, number: int) -> int:
    """Returns the place of a field of a FlatBuffers table; 0: the table does not have it."""
    (back,) = struct.unpack_from("<i", message, table)
    (size,) = struct.unpack_from("<H", message, table - back)
    entry = 4 + 2 * number
    if entry >= size:
        return 0
    (offset,) = struct.unpack_from("<H", message, table - back + entry)
    return table + offset if offset else 0


def _target(message: bytes, place: int) -> int:
    """Returns the place that the offset at a place leads to."""
    (offset,) = struct.unpack_from("<I", message, place)
    return place + int(offset)
