"""Tables of which nothing is trusted: a bad row is left out and counted, a table that is bad as a
whole is refused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from leapai.data import columns
from leapai.data.columns import Column
from leapai.data.json_rows import json_rows
from leapai.types import BoolArray, FloatArray, IntArray

MAX_COORDINATE_M = 1e8
"""No projection of the Earth, and no geocentric frame, has larger coordinates."""
MAX_COUNT = 10_000_000
MAX_TIME = 2**62
_ROWS_AT_ONCE = 20_000
"""Rows of a JSON table that are in memory as Python objects at a time."""
_WHOLE_TABLE = 0.5
"""Where more than this share of the rows is bad, not rows are at fault, but the table."""


class CheckedTable:
    """One table. A reader asks for its columns by kind: a value that is not of the kind marks its
    row. `usable` then gives the rows without a mark.

    Columns have all N rows; values of a marked row are stand-ins.
    """

    def __init__(
        self, path: Path, count: int, column: Callable[[str], Column], key: str, remedy: str
    ) -> None:
        self.path = path
        self._column = column
        self._key, self._remedy = key, remedy
        self._good = np.ones(count, bool)
        self._first = ""

    def __len__(self) -> int:
        return len(self._good)

    @property
    def good(self) -> BoolArray:
        """Rows [N] without a mark so far."""
        return self._good.copy()

    def column(self, field: str) -> Column:
        """Returns the values [N] of a column as the file has them."""
        return self._column(field)

    def narrowed(self, kept: BoolArray) -> CheckedTable:
        """Returns the table of the rows `kept` [N] alone, with their marks."""
        rows = np.flatnonzero(kept)

        def column(field: str) -> Column:
            whole = self._column(field)
            return (
                whole[rows] if isinstance(whole, np.ndarray) else [whole[i] for i in rows.tolist()]
            )

        narrow = CheckedTable(self.path, len(rows), column, self._key, self._remedy)
        narrow._good, narrow._first = self._good[rows], self._first
        return narrow

    def keys(self) -> list[str]:
        """Returns the names of the rows [N]; of two rows with one name the second is marked."""
        found = self.names(self._key)
        first = columns.first_of_each(found)
        self.mark(first | ~self._good, self._key, "a row before it has the same")
        return found

    def names(self, field: str) -> list[str]:
        """Returns texts [N]."""
        found, good = columns.names(self._column(field))
        self.mark(good, field, f"must be a text of 1 to {columns.MAX_NAME} characters")
        return found

    def paths(self, field: str) -> list[str]:
        """Returns names of files [N] relative to the root of the data set."""
        found, good = columns.paths(self._column(field))
        self.mark(good, field, "must be a file inside the data set")
        return found

    def references(self, field: str, row_of: Mapping[str, int], other: Path) -> IntArray:
        """Returns the rows [N] of the table `other` that a column names."""
        found = columns.references(self._column(field), row_of)
        self.mark(found >= 0, field, f"there is no such row in {other.name} that can be used")
        return found

    def flags(self, field: str) -> BoolArray:
        """Returns switches [N]."""
        found, good = columns.flags(self._column(field))
        self.mark(good, field, "must be true or false")
        return found

    def whole(self, field: str, low: int, high: int) -> IntArray:
        """Returns whole numbers [N] int64 in `low` to `high`."""
        found, good = columns.whole_numbers(self._column(field), low, high)
        self.mark(good, field, f"must be a whole number in {low} to {high}")
        return found

    def optional_counts(self, field: str) -> IntArray:
        """Returns counts [N] int64; -1 where the table has none."""
        found, good = columns.whole_numbers(self._column(field), 0, MAX_COUNT)
        return np.where(good, found, -1)

    def times(self, field: str) -> IntArray:
        """Returns times [N] int64."""
        return self.whole(field, 0, MAX_TIME)

    def positions(self, field: str | Sequence[str], limit_m: float) -> FloatArray:
        """Returns positions [N, 3] with coordinates up to `limit_m`."""
        found = self.numbers(field, 3)
        good = columns.positions(found, limit_m)
        self.mark(good, _name(field), f"must be three numbers up to {limit_m:g} m")
        return found

    def rotations(self, field: str | Sequence[str]) -> FloatArray:
        """Returns quaternions [N, 4] (w x y z) of length 1."""
        found = self.numbers(field, 4)
        good = columns.rotations(found)
        self.mark(good, _name(field), "must be a quaternion w x y z of length 1")
        return np.where(good[:, None], found, (1.0, 0.0, 0.0, 0.0))

    def upright_rotations(self, field: str | Sequence[str]) -> FloatArray:
        """Returns quaternions [N, 4] (w x y z) of vehicles or of objects on a road. Raises
        ValueError where they are upright only when they are read in another order."""
        found = self.rotations(field)
        order = columns.likely_order(found[self._good])
        if order != "w x y z":
            raise ValueError(
                f"{self.path}: {_name(field)}: its quaternions seem to be {order}, for example "
                f"{found[self._good][0].round(3).tolist()}; they must be w x y z: reorder them"
            )
        return found

    def sizes(self, field: str | Sequence[str]) -> FloatArray:
        """Returns sizes [N, 3] of boxes."""
        found = self.numbers(field, 3)
        low, high = columns.SIZE_M
        self.mark(
            columns.sizes(found), _name(field), f"must be three sides of {low:g} to {high:g} m"
        )
        return found

    def numbers(self, field: str | Sequence[str], width: int) -> FloatArray:
        """Returns `width` numbers a row [N, width] from a column of lists, or from `width`
        columns; NaN where they are none."""
        if isinstance(field, str):
            return columns.numbers(self._column(field), width)
        each = [_single(self._column(name)) for name in field]
        return np.stack(each, -1).reshape(len(self), width)

    def mark(self, good: BoolArray, field: str, expected: str) -> None:
        """Marks the rows that are not `good` [N], because of a field."""
        bad = np.flatnonzero(~good & self._good)
        if len(bad) and not self._first:
            name = _short(self._column(self._key)[bad[0]])
            self._first = f"row {name}: {field}{self._value(field, int(bad[0]))}: {expected}"
        self._good[bad] = False

    def usable(self, notes: list[str]) -> IntArray:
        """Returns the rows without a mark. Adds a line to `notes` where there are others. Raises
        ValueError where these are more than half of the table."""
        left_out = int((~self._good).sum())
        if left_out:
            words = f"{left_out} of {len(self)} rows cannot be used; the first, {self._first}"
            if left_out > _WHOLE_TABLE * len(self):
                raise ValueError(f"{self.path}: {words}; {self._remedy}")
            notes.append(f"{self.path.name}: {words}; they are left out")
        return np.flatnonzero(self._good)

    def check_unit(self, times: Sequence[IntArray], unit: str) -> None:
        """Raises ValueError where the times of drives, each in order, are not in `unit`."""
        known = [each for each in times if len(each)]
        if not known:
            return
        steps = np.concatenate([np.diff(each) for each in known])
        steps = steps[steps > 0]
        step = float(np.median(steps)) if len(steps) else None
        likely = columns.likely_unit(float(max(t[-1] for t in known)), step, unit)
        if likely != unit:
            raise ValueError(
                f"{self.path}: its times, {known[0][0]} for example, seem to be {likely}; they "
                f"must be {unit}: convert them"
            )

    def _value(self, field: str, row: int) -> str:
        try:
            return f" = {_short(self._column(field)[row])}"
        except KeyError:  # several columns
            return ""


def json_table(
    path: Path,
    remedy: str,
    fields: Sequence[str],
    keep: Callable[[Mapping[str, Any]], bool] | None = None,
) -> CheckedTable:
    """Reads these fields, and the `token`, of a JSON file with a list of rows; with `keep` of the
    rows that it chooses. Columns of numbers become arrays while the file is read.

    Raises ValueError where the file is missing or no such list.
    """
    names = dict.fromkeys(("token", *fields))
    blocks: dict[str, list[Column]] = defaultdict(list)
    is_row: list[bool] = []
    known: dict[str, dict[str, str]] = {name: {} for name in names if name != "token"}
    rows = json_rows(path, remedy)
    while read := list(islice(rows, _ROWS_AT_ONCE)):
        tables = [row if isinstance(row, dict) else {} for row in read]
        kept = [i for i, row in enumerate(tables) if keep is None or keep(row)]
        is_row += [isinstance(read[i], dict) for i in kept]
        for name in names if kept else ():
            values = [tables[i].get(name) for i in kept]
            blocks[name].append(_compact(values, known.get(name)))
    found = {name: _joined(blocks[name]) for name in names}
    table = CheckedTable(path, len(is_row), found.__getitem__, "token", remedy)
    table.mark(np.array(is_row, bool), "token", "the row must be a table of fields")
    return table


def _compact(values: list[Any], known: dict[str, str] | None) -> Column:
    """Returns numbers, and lists of equally many numbers, as an array; other values as they are,
    where `known` has texts that occur again, each once in memory."""
    kinds = set(map(type, values))
    if kinds and kinds <= {int, float}:
        array = np.array(values)
        return array if array.dtype.kind in "if" else values
    if kinds == {list} and values[0] and type(values[0][0]) in (int, float):
        try:
            array = np.array(values)
        except ValueError:  # rows of different lengths
            return values
        return array if array.dtype.kind in "if" and array.ndim == 2 else values
    if kinds == {str} and known is not None:
        return [known.setdefault(value, value) for value in values]
    return values


def _joined(blocks: Sequence[Column]) -> Column:
    """Returns the blocks of a column as one: an array where all are arrays of one shape of row."""
    shapes = {block.shape[1:] if isinstance(block, np.ndarray) else None for block in blocks}
    if len(shapes) == 1 and None not in shapes:
        return np.concatenate([np.asarray(block) for block in blocks])
    return [value for block in blocks for value in _as_list(block)]


def _as_list(column: Column) -> list[Any]:
    return column.tolist() if isinstance(column, np.ndarray) else list(column)


def _single(column: Column) -> FloatArray:
    """Returns a column of numbers [N] float64, NaN where there is none."""
    array = np.asarray(column)
    if array.dtype.kind in "iuf" and array.ndim == 1:
        return array.astype(np.float64)
    return columns.numbers([[value] for value in column], 1)[:, 0]


def _name(field: str | Sequence[str]) -> str:
    return field if isinstance(field, str) else ", ".join(field)


def _short(value: object) -> str:
    value = value.tolist() if isinstance(value, np.generic | np.ndarray) else value
    words = value if isinstance(value, str) and value.isprintable() else ascii(value)
    return words if len(words) <= 60 else words[:57] + "..."
