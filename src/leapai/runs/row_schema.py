"""Columns of a Parquet table from a dataclass."""

from __future__ import annotations

from typing import get_args, get_type_hints

import pyarrow as pa

_TYPES = {"str": pa.string(), "int": pa.int64(), "float": pa.float64()}


def row_schema(kind: type) -> pa.Schema:
    """Returns columns for the fields of a dataclass of words and numbers."""
    columns = get_type_hints(kind)
    return pa.schema(
        [(name, _TYPES[(get_args(hint) or (hint,))[0].__name__]) for name, hint in columns.items()]
    )
