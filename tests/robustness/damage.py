"""Damages of bytes, JSON, text and tables, drawn by hypothesis, so that it can shrink them."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
from hypothesis import strategies as st

from tests.robustness.mutations import COLUMNS, TABLES
from tests.robustness.promise import Draw, Link

NAN = float("nan")
NUMBERS = (
    *(0, 1, -1, 3, 7, 255, 65_536, 2**31, 2**32, 2**53, 2**63, -(2**63), 10**18, 10**30, 10**400),
    *(0.0, -0.0, 0.5, 1e-300, 1e-6, 1.5, 1e6, 1e30, 1e300, -1e300, NAN, float("inf"), -1e-3),
)
TEXTS = (
    *("", " ", "x", "é", "\ud800", "a\0b", "a\nb", "x" * 300, "None", "nan", "1e400", "0x10"),
    *("/nowhere/x", "../secret.txt", "../../../../nowhere/x", ".", "..", "~", "-", "a: b", "[red]"),
    *("%s", "{}", "<script>", "\x1b[2J", "1.5", "true", "lidar", "con"),
)
SCALES = (-1, 0, 1e-9, 1e-3, 0.5, 2, 10, 255, 1e3, 1e6, 1e9)
odd_values = st.one_of(
    st.sampled_from(NUMBERS),
    st.sampled_from(TEXTS),
    st.sampled_from((None, True, False, [], {}, [[]], [{}], [None], {"a": 1}, [NAN] * 3, [0] * 4)),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=6,
    ),
)
_BYTES = ("flip", "set", "cut out", "insert", "repeat", "end", "zeros")


def damaged_bytes(draw: Draw, content: bytes) -> bytes:
    """Returns bytes with one to four parts changed, lost or added."""
    for _ in range(draw(st.integers(1, 4))):
        size = len(content)
        at = draw(st.integers(0, max(size - 1, 0)))
        kind = draw(st.sampled_from(_BYTES))
        length = draw(st.sampled_from((1, 2, 4, 8, 64, 1000)))
        rest = content[at + length :]
        if kind == "flip" and size:
            content = content[:at] + bytes([content[at] ^ 1 << length % 8]) + content[at + 1 :]
        elif kind == "set":
            content = content[:at] + draw(st.sampled_from((b"\xff", b"\x7f"))) * length + rest
        elif kind == "zeros":
            content = content[:at] + bytes(length) + rest
        elif kind == "cut out":
            content = content[:at] + rest
        elif kind == "insert":
            content = content[:at] + draw(st.binary(max_size=8)) + content[at:]
        elif kind == "repeat":
            content = content[: at + length] + content[at:]
        else:
            content = content[:at]
    return content


def damaged_json(draw: Draw, content: bytes) -> bytes:
    """Returns the text of a JSON file with up to three values changed, or with damaged bytes."""
    if draw(st.integers(0, 9)) == 0:
        return damaged_bytes(draw, content)
    value = json.loads(content)
    for _ in range(draw(st.integers(1, 3))):
        value = damaged_value(draw, value)
    return json.dumps(value).encode()


def damaged_value(draw: Draw, value: Any) -> Any:
    """Returns plain data with one value changed, deleted or doubled: in one row of a table, or in
    all rows alike."""
    value = copy.deepcopy(value)
    paths = list(_paths(value))
    if not paths:
        return draw(odd_values)
    path = paths[draw(st.integers(0, len(paths) - 1))]
    change = _drawn_change(draw)
    rows = [path]
    if isinstance(path[0], int) and len(path) > 1 and draw(st.booleans()):
        rows = [(row, *path[1:]) for row in range(len(value))]
    for each in rows:
        try:
            holder = value
            for key in each[:-1]:
                holder = holder[key]
            _change(holder, each[-1], change)
        except (LookupError, TypeError):  # a row of another form
            continue
    return value


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    keys = value.keys() if isinstance(value, dict) else ()
    for key in range(len(value)) if isinstance(value, list) else keys:
        yield (*path, key)
        yield from _paths(value[key], (*path, key))


def _drawn_change(draw: Draw) -> tuple[str, Any]:
    kind = draw(st.sampled_from(("replace", "replace", "scale", "delete", "twice", "short")))
    if kind == "replace":
        return kind, draw(odd_values)
    return kind, draw(st.sampled_from(SCALES)) if kind == "scale" else None


def _change(holder: Any, key: Any, change: tuple[str, Any]) -> None:
    kind, how = change
    there = holder[key]
    if kind == "replace":
        holder[key] = copy.deepcopy(how)
    elif kind == "delete":
        del holder[key]
    elif kind == "scale":
        holder[key] = _scaled(there, how)
    elif kind == "twice":
        holder[key] = there * 2 if isinstance(there, list | str) else [there, there]
    else:
        holder[key] = there[:-1] if isinstance(there, list | str) else None


def _scaled(value: Any, factor: float) -> Any:
    if isinstance(value, list):
        return [_scaled(each, factor) for each in value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    scaled = value * factor if abs(value) < 1e300 else value
    return int(scaled) if isinstance(value, int) and np.isfinite(scaled) else scaled


def damaged_table(draw: Draw, table: pa.Table) -> pa.Table:
    """Returns a table with one column changed, lost or of another type, or with other rows."""
    kind = draw(st.sampled_from(("column", "column", "value", "value", "type", "drop", "rows")))
    if kind == "rows":
        return TABLES[draw(st.sampled_from(sorted(TABLES)))](table)
    name = draw(st.sampled_from(table.column_names))
    at = table.column_names.index(name)
    if kind == "drop":
        return table.drop([name])
    column = table[name]
    try:
        if kind == "type":
            column = column.cast(draw(st.sampled_from(_TYPES)), safe=False)
        elif kind == "column":
            column = pa.array(COLUMNS[draw(st.sampled_from(sorted(COLUMNS)))](column.to_pylist()))
        else:
            values = column.to_pylist()
            values[draw(st.integers(0, max(len(values) - 1, 0)))] = draw(odd_values)
            typed = draw(st.booleans())
            column = pa.array(values, column.type if typed else None)
    except (pa.ArrowException, LookupError, TypeError, ValueError, OverflowError):
        return table.drop([name])  # no table has such a column
    return table.set_column(at, name, column)


_TYPES = (
    *(pa.float16(), pa.float32(), pa.float64(), pa.int8(), pa.int64(), pa.uint64(), pa.string()),
    *(pa.large_string(), pa.binary(), pa.bool_(), pa.timestamp("us"), pa.decimal128(38, 2)),
    *(pa.dictionary(pa.int32(), pa.string()), pa.date32(), pa.null()),
)


def damaged_feather(draw: Draw, content: bytes) -> bytes:
    """Returns the bytes of a feather file with a damaged table, or damaged bytes."""
    if draw(st.integers(0, 3)) == 0:
        return damaged_bytes(draw, content)
    table = damaged_table(draw, pyarrow.feather.read_table(io.BytesIO(content)))
    file = io.BytesIO()
    pyarrow.feather.write_feather(
        table, file, compression=draw(st.sampled_from(("uncompressed", "lz4", "zstd")))
    )
    return file.getvalue()


def damaged_parquet(draw: Draw, content: bytes) -> bytes:
    """Returns the bytes of a Parquet file with a damaged table, or damaged bytes."""
    if draw(st.integers(0, 3)) == 0:
        return damaged_bytes(draw, content)
    table = damaged_table(draw, pq.read_table(io.BytesIO(content)))
    file = io.BytesIO()
    try:
        pq.write_table(table, file)
    except (pa.ArrowException, ValueError):  # a type that the format does not have
        return damaged_bytes(draw, content)
    return file.getvalue()


def damaged_text(draw: Draw, content: bytes) -> bytes:
    """Returns text (TOML, CSV) with a word exchanged, lines lost, doubled or exchanged, or damaged
    bytes."""
    kind = draw(st.sampled_from(("word", "word", "word", "lines", "bytes")))
    if kind == "bytes":
        return damaged_bytes(draw, content)
    text = content.decode()
    lines = text.splitlines()
    at = draw(st.integers(0, max(len(lines) - 1, 0)))
    if kind == "lines":
        lines[at : at + 1] = draw(st.sampled_from(([], [lines[at]] * 2, lines[::-1], ["x"])))
        return "\n".join(lines).encode()
    words = lines[at].replace(",", " , ").replace("=", " = ").split(" ")
    put = draw(st.sampled_from(TEXTS) | st.sampled_from(NUMBERS).map(_number_text))
    words[draw(st.integers(0, len(words) - 1))] = put
    lines[at] = " ".join(words)
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _number_text(number: float) -> str:
    return "9" * 401 if isinstance(number, int) and number > 10**300 else str(number)


def other_file(draw: Draw, content: bytes) -> bytes | Link | None:
    """Returns what else may be found where a file was: nothing, a link, other bytes."""
    return draw(
        st.sampled_from(
            (None, b"", b"\0" * 100, b"[" * 100_000, b"{" + content, Link("nowhere"), Link("."))
        )
    )
