"""Damages of files and tables as other tools, disks and networks make them, each one reproducible.

A damage is a name and a function; tests and fuzzers choose which to apply and where. Tables are the
rows of a JSON file (nuScenes) or the columns of a feather file (Argoverse 2).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.feather

from leapai.types import Frame

MISSING = object()
"""Stands for a key that is not there."""
HUGE_INTEGER = 10**30
DEPTH = 100_000
"""Levels of nested lists, more than any parser's stack."""


class Mutation(NamedTuple):
    """One damage of one file below the root of a data set."""

    name: str
    path: str
    """The damaged file, relative to the root."""
    apply: Callable[[Path], None]
    """Damages the file at a path in place."""


def _with_first(value: Any, number: Any) -> Any:
    """Returns a list, or a list of lists, with another first number."""
    if isinstance(value, list) and value:
        return [_with_first(value[0], number), *value[1:]]
    return number


VALUES: dict[str, Callable[[Any], Any]] = {
    "missing": lambda value: MISSING,
    "null": lambda value: None,
    "text": lambda value: "x",
    "number": lambda value: 3,
    "fraction": lambda value: 0.5,
    "list": lambda value: [],
    "table": lambda value: {"a": 1},
    "true": lambda value: True,
    "short": lambda value: value[:-1] if isinstance(value, list | str) else value,
    "long": lambda value: value + value if isinstance(value, list | str) else value,
    "NaN": lambda value: _with_first(value, float("nan")),
    "infinite": lambda value: _with_first(value, float("inf")),
    "1e300": lambda value: _with_first(value, 1e300),
    "1e30": lambda value: _with_first(value, 1e30),
    "tiny": lambda value: _with_first(value, 1e-300),
    "negative": lambda value: _with_first(value, -1),
    "zero": lambda value: _with_first(value, 0),
    "null inside": lambda value: _with_first(value, None),
    "text inside": lambda value: _with_first(value, "x"),
    "huge integer": lambda value: _with_first(value, HUGE_INTEGER),
    "lone surrogate": lambda value: "\ud800",
    "null byte": lambda value: "a\0b",
    "absolute path": lambda value: "/nowhere/x",
    "path outside": lambda value: "../../../../nowhere/x",
}
"""Damages of one value of a JSON table."""


def json_mutations(root: Path, folder: str) -> Iterator[Mutation]:
    """Yields every damage of every table in `folder`: of a value in one row and in all rows, of a
    row, and of the file."""
    for path in sorted((root / folder).glob("*.json")):
        name = str(path.relative_to(root))
        rows = json.loads(path.read_bytes())
        fields = sorted({field for row in rows for field in row}) if isinstance(rows, list) else []
        for field in fields:
            for kind, damage in VALUES.items():
                for scope in ("first", "all"):
                    label = f"{name}: {field}: {kind}, {scope}"
                    yield Mutation(label, name, _value_damage(field, damage, scope))
        for kind, change in ROWS.items():
            yield Mutation(f"{name}: rows: {kind}", name, _rows_damage(change))
        yield from file_mutations(name)


def _value_damage(field: str, damage: Callable[[Any], Any], scope: str) -> Callable[[Path], None]:
    def change(rows: list[Any]) -> Any:
        for row in rows if scope == "all" else rows[:1]:
            value = damage(row.get(field))
            if value is MISSING:
                row.pop(field, None)
            else:
                row[field] = value
        return rows

    return _rows_damage(change)


ROWS: dict[str, Callable[[list[Any]], Any]] = {
    "first twice": lambda rows: [*rows, *rows[:1]],
    "all twice": lambda rows: rows + rows,
    "first gone": lambda rows: rows[1:],
    "all gone": lambda rows: [],
    "first is null": lambda rows: [None, *rows[1:]],
    "first is text": lambda rows: ["x", *rows[1:]],
    "first is a list": lambda rows: [[], *rows[1:]],
    "a table of rows": lambda rows: {"rows": rows},
    "null": lambda rows: None,
    "text": lambda rows: "x",
    "number": lambda rows: 3,
}
"""Damages of the rows of a JSON table."""


def _rows_damage(change: Callable[[list[Any]], Any]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        path.write_text(json.dumps(change(json.loads(path.read_bytes()))))

    return apply


def _deep(path: Path) -> None:
    path.write_text("[" * DEPTH + "]" * DEPTH)


def _deep_value(path: Path) -> None:
    path.write_text('[{"token": ' + "[" * DEPTH + "]" * DEPTH + "}]")


def flip(content: bytes, seed: int, count: int = 1) -> bytes:
    """Returns `content` with one bit flipped in each of `count` bytes."""
    rng = np.random.default_rng(seed)
    damaged = bytearray(content)
    for at in rng.integers(0, max(len(damaged), 1), count if damaged else 0):
        damaged[at] ^= 1 << int(rng.integers(0, 8))
    return bytes(damaged)


def _bytes_damage(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        path.write_bytes(change(path.read_bytes()))

    return apply


FILES: dict[str, Callable[[Path], None]] = {
    "missing": Path.unlink,
    "empty": lambda path: path.write_bytes(b"") and None,
    "halved": _bytes_damage(lambda content: content[: len(content) // 2]),
    "last byte gone": _bytes_damage(lambda content: content[:-1]),
    "zeros": _bytes_damage(lambda content: bytes(len(content))),
    "noise": _bytes_damage(lambda content: np.random.default_rng(0).bytes(len(content))),
    "deep": _deep,
    "deep value": _deep_value,
    "byte order mark": _bytes_damage(lambda content: b"\xef\xbb\xbf" + content),
    "latin-1": _bytes_damage(lambda content: content.replace(b"e", b"\xe9")),
}
"""Damages of a whole file."""


def file_mutations(name: str, flips: Sequence[int] = range(6)) -> Iterator[Mutation]:
    """Yields every damage of the bytes of one file."""
    for kind, apply in FILES.items():
        yield Mutation(f"{name}: file: {kind}", name, apply)
    for seed in flips:
        damage = _bytes_damage(lambda content, seed=seed: flip(content, seed, 1 + seed % 3))
        yield Mutation(f"{name}: file: flipped {seed}", name, damage)


COLUMNS: dict[str, Callable[[list[Any]], list[Any]]] = {
    "first null": lambda values: [None, *values[1:]],
    "all null": lambda values: [None] * len(values),
    "first NaN": lambda values: _number_first(values, float("nan")),
    "first infinite": lambda values: _number_first(values, float("inf")),
    "first 1e300": lambda values: _number_first(values, 1e300),
    "first negative": lambda values: _number_first(values, -5),
    "first zero": lambda values: _number_first(values, 0),
    "first huge": lambda values: _number_first(values, 2**62),
    "all text": lambda values: ["x"] * len(values),
    "all zero": lambda values: [0] * len(values),
    "all NaN": lambda values: [float("nan")] * len(values),
    "all 1e30": lambda values: [1e30] * len(values),
    "floats": lambda values: _mapped(values, float),
    "a thousandth": lambda values: _mapped(values, lambda value: value // 1000),
    "lists": lambda values: [[value] for value in values],
    "first empty": lambda values: ["", *values[1:]] if isinstance(values[0], str) else values,
}
"""Damages of one column of a feather table."""


def _number_first(values: list[Any], number: Any) -> list[Any]:
    if isinstance(values[0], str):
        return values
    if isinstance(values[0], float) or isinstance(number, float):
        return [float(number), *(float(value) for value in values[1:])]
    return [number, *values[1:]]


def _mapped(values: list[Any], function: Callable[[Any], Any]) -> list[Any]:
    return values if isinstance(values[0], str) else [function(value) for value in values]


def feather_mutations(root: Path, paths: Sequence[str], flips: int) -> Iterator[Mutation]:
    """Yields every damage of every column of the feather tables `paths`, and of the files."""
    for name in paths:
        columns = pyarrow.feather.read_table(root / name, memory_map=False).column_names
        for column in columns:
            for kind, change in COLUMNS.items():
                label = f"{name}: {column}: {kind}"
                yield Mutation(label, name, _column_damage(column, change))
            yield Mutation(f"{name}: {column}: gone", name, _table_damage(_drop(column)))
        for kind, rows in TABLES.items():
            yield Mutation(f"{name}: rows: {kind}", name, _table_damage(rows))
        yield from file_mutations(name, range(flips))


TABLES: dict[str, Callable[[pa.Table], pa.Table]] = {
    "none": lambda table: table.slice(0, 0),
    "all twice": lambda table: pa.concat_tables([table, table]),
    "first gone": lambda table: table.slice(1),
    "one only": lambda table: table.slice(0, 1),
}
"""Damages of the rows of a feather table."""


def _drop(column: str) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.drop([column])


def _column_damage(column: str, change: Callable[[list[Any]], list[Any]]) -> Callable[[Path], None]:
    def damaged(table: pa.Table) -> pa.Table:
        values = change(table[column].to_pylist())
        return table.set_column(table.column_names.index(column), column, pa.array(values))

    return _table_damage(damaged)


def _table_damage(change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        table = change(pyarrow.feather.read_table(path, memory_map=False))
        pyarrow.feather.write_feather(table, path, compression="uncompressed")

    return apply


def map_mutations(root: Path, name: str) -> Iterator[Mutation]:
    """Yields damages of values in a nested JSON file, one of each key and level, and of the
    file."""
    content = json.loads((root / name).read_bytes())
    for keys in _first_paths(content):
        for kind, damage in VALUES.items():
            label = f"{name}: {'.'.join(map(str, keys))}: {kind}"
            yield Mutation(label, name, _nested_damage(keys, damage))
    yield from file_mutations(name)


def _first_paths(content: Any) -> Iterator[tuple[Any, ...]]:
    """Yields the ways to the first value below each key; keys of tables that are tokens count
    once."""
    if isinstance(content, dict):
        keys = list(content)
        tokens = len(keys) > 3 and all(key.isdigit() for key in keys)
        for key in keys[:1] if tokens else keys:
            yield (key,)
            yield from ((key, *rest) for rest in _first_paths(content[key]))
    elif isinstance(content, list) and content:
        yield (0,)
        yield from ((0, *rest) for rest in _first_paths(content[0]))


def _nested_damage(keys: tuple[Any, ...], damage: Callable[[Any], Any]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        content = json.loads(path.read_bytes())
        holder = content
        for key in keys[:-1]:
            holder = holder[key]
        value = damage(holder[keys[-1]])
        if value is MISSING:
            del holder[keys[-1]]
        else:
            holder[keys[-1]] = value
        path.write_text(json.dumps(content))

    return apply


def absurd(frame: Frame) -> list[str]:
    """Names of the fields that no vehicle has."""
    poses = [frame.ego2global, *(camera.ego_from_camera for camera in frame.cameras)]
    rigid = all(np.isfinite(p).all() and abs(np.linalg.det(p[:3, :3]) - 1) < 1e-3 for p in poses)
    matrices = [camera.intrinsics for camera in frame.cameras]
    labels = frame.labels
    checks = {
        "time": 1e14 < frame.timestamp_us < 4e15,
        "pose": rigid and all(np.abs(p[:3, 3]).max() <= 100 for p in poses[1:]),
        "intrinsics": all(np.isfinite(m).all() and 1 < m[0, 0] < 1e6 for m in matrices),
    }
    if labels is not None and len(labels):
        sizes = labels.boxes[:, 3:6]
        checks |= {
            "boxes": bool((np.abs(labels.boxes[:, :3]) <= 1000).all()),
            "sizes": bool(((sizes > 0.001) & (sizes < 200)).all()),
            "points": bool((labels.num_lidar_points >= -1).all()),
            "speed": bool((np.abs(labels.velocity_mps) <= 200).all()),
            "tracks": len(set(labels.track_id.tolist())) == len(labels),
        }
    return [name for name, good in checks.items() if not good]
