"""Compares two folders of results, number by number: `python tools/compare_results.py OLD NEW`.

The proof of a redesign: what runs wrote before it and after it is equal. Every `metrics.json`,
Parquet table of predictions and checkpoint below OLD must stand below NEW at the same relative
path with the same content: keys, columns, values and weights bit for bit. Times, machines and
commands are not results: `run.json`, logs and the table of runs are not compared. The exit status
is 1 where anything differs, or where there is nothing to compare.

How OLD and NEW are made, each in a checkout of its own on one machine and one thread:

    leapai val --ckpt src/leapai/weights/tiny.ckpt \
        --data synthetic:split=val,drives=2,rate_hz=4 --output FOLDER/val
    leapai val --ckpt src/leapai/weights/tiny.ckpt --data nuscenes:ROOT --output FOLDER/nuscenes
    leapai train --task-config projects/perception/configs/tiny_step1.py --steps 20 --workers 0 \
        --output FOLDER/train
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch

from leapai.checkpoints import read_checkpoint


def metrics_differ(old: Path, new: Path) -> Iterator[str]:
    """Yields the keys whose values differ."""
    yield from _values_differ(json.loads(old.read_text()), json.loads(new.read_text()), "")


def tables_differ(old: Path, new: Path) -> Iterator[str]:
    """Yields the columns that differ, are missing or are new."""
    before, after = pq.read_table(old), pq.read_table(new)
    for name in sorted({*before.column_names, *after.column_names}):
        if name not in before.column_names or name not in after.column_names:
            yield f"column {name} is in one of both only"
        elif repr(before[name].to_pylist()) != repr(after[name].to_pylist()):  # NaN equals NaN
            yield f"column {name}"


def checkpoints_differ(old: Path, new: Path) -> Iterator[str]:
    """Yields the weights that differ by a bit, are missing or are new."""
    before, after = (read_checkpoint(path).state_dict for path in (old, new))
    for name in sorted({*before, *after}):
        one, other = before.get(name), after.get(name)
        if one is None or other is None or one.dtype != other.dtype or not torch.equal(one, other):
            yield f"weight {name}"


COMPARED: dict[str, Callable[[Path, Path], Iterator[str]]] = {
    "metrics.json": metrics_differ,
    "detections.parquet": tables_differ,
    "lines.parquet": tables_differ,
    "truth.parquet": tables_differ,
    "frames.parquet": tables_differ,
    "model.ckpt": checkpoints_differ,
}
"""Name of a file of results, and how two of them are compared."""


def _values_differ(old: Any, new: Any, path: str) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            if key not in old or key not in new:
                yield f"{path}{key} is in one of both only"
            else:
                yield from _values_differ(old[key], new[key], f"{path}{key}.")
    elif old != new:
        yield f"{path.rstrip('.')}: {old} is now {new}"


def main() -> int:
    """Prints a line for each file; returns the exit status."""
    parser = argparse.ArgumentParser(description="Compares two folders of results.")
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    options = parser.parse_args()
    found = sorted(path for path in options.old.rglob("*") if path.name in COMPARED)
    different = not found
    for path in found:
        relative = path.relative_to(options.old)
        other = options.new / relative
        problems = list(COMPARED[path.name](path, other)) if other.is_file() else ["is missing"]
        different |= bool(problems)
        sys.stdout.write(f"{relative}: {'equal' if not problems else '; '.join(problems[:5])}\n")
    return int(different)


if __name__ == "__main__":
    sys.exit(main())
