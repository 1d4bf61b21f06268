"""The table of a stress run: one row a condition, as `stress.parquet` holds it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from leapai.evaluation.robustness import Scores

if TYPE_CHECKING:
    from leapai.runs.stress_results import ConditionResult

_COUNTS = ("frames", "objects", "boxes")
SCORES = tuple(field.name for field in fields(Scores) if field.name != "ap_by_class")
"""Columns of the scores of a condition, as `Scores` defines them."""


def stress_schema(classes: Collection[str]) -> pa.Schema:
    """Returns the columns of conditions, given the names of the network's classes."""
    return pa.schema(
        [
            ("condition", pa.string()),
            ("kind", pa.string()),
            ("words", pa.string()),
            ("corruption", pa.string()),
            ("severity", pa.int64()),
            ("level", pa.float64()),
            *((name, pa.int64() if name in _COUNTS else pa.float64()) for name in SCORES),
            *((f"ap_{name}", pa.float64()) for name in classes),
            ("seconds", pa.float64()),
        ]
    )


def stress_table(results: Sequence[ConditionResult]) -> pa.Table:
    """Returns the results of conditions as rows of `stress_schema`."""
    classes = dict.fromkeys(name for result in results for name in result.scores.ap_by_class)
    return pa.Table.from_pylist([_row(result) for result in results], schema=stress_schema(classes))


def _row(result: ConditionResult) -> dict[str, Any]:
    return {
        "condition": result.name,
        **{
            name: getattr(result, name)
            for name in ("kind", "words", "corruption", "severity", "level", "seconds")
        },
        **{name: getattr(result.scores, name) for name in SCORES},
        **{f"ap_{name}": value for name, value in result.scores.ap_by_class.items()},
    }
