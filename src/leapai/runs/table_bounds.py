"""Bounds of the values in the tables of a run, which somebody else may have written.

A column that is not named here holds any value of its type. Rows of a run that leapai wrote keep
all of them.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from leapai.streaming.detection_table import BOX_COLUMNS, VELOCITY_COLUMNS
from leapai.types import LANE_MARKINGS, OCCLUSION_NAMES, ROAD_ELEMENTS
from leapai.types.vocabulary import MOST_CLASSES

MAX_M, MAX_ID, MAX_TIME_US = 1e6, 2**53, 10**18
"""No coordinate in the ego frame is further; larger whole numbers are not exact as floats; 10^18 us
is the year 33658."""
_NUMBERS = {
    **dict.fromkeys((*BOX_COLUMNS, *VELOCITY_COLUMNS, "x_m", "y_m"), (-MAX_M, MAX_M)),
    **dict.fromkeys(("score", "confidence"), (0, 1)),
    "class_id": (0, MOST_CLASSES - 1),
    "occlusion_level": (-1, len(OCCLUSION_NAMES) - 1),
    "track_id": (-1, MAX_ID),
    "timestamp_us": (0, MAX_TIME_US),
    "drive": (0, MAX_ID),
    "memory_slots": (0, MAX_ID),
    "num_lidar_points": (-1, MAX_ID),
}
_WORDS = {"kind": [*LANE_MARKINGS, *ROAD_ELEMENTS]}
_MAY_LACK = {
    *("memory_age_s", "consistency", "picture", "num_radar_points"),
    *("expected", "missing", "id_changes", "class_flips", "occlusion_flips"),
}
"""Columns with rows that have no value."""


def bounds_problem(table: pa.Table) -> str | None:
    """Returns the first value that no run has, in words; None: there is none."""
    for name in table.column_names:
        column = table[name]
        values = pc.list_flatten(column) if pa.types.is_nested(column.type) else column
        if name not in _MAY_LACK and column.null_count + values.null_count:
            return f"column {name} has rows without a value"
        if name in _WORDS and not _all(pc.is_in(values, pa.array(_WORDS[name]))):
            return f"column {name} has a word that is none of {', '.join(_WORDS[name])}"
        if name in _NUMBERS:
            low, high = _NUMBERS[name]
            is_in = pc.and_(pc.greater_equal(values, low), pc.less_equal(values, high))
            if not _all(is_in):  # false for NaN, too
                return f"column {name} has a value outside {low:g} to {high:g}"
    return None


def _all(values: pa.ChunkedArray) -> bool:
    return bool(pc.all(values, min_count=0).as_py())
