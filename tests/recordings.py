"""Reads recordings back, for tests that have rerun-sdk."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

needs_rerun = "rerun-sdk is not installed: pip install 'leapai[viewer]'"


def recorded(path: Path) -> dict[str, dict[str, list[Any]]]:
    """Returns entity path -> column -> rows in the order of frames, those of all time first."""
    reader = pytest.importorskip("rerun.chunk", reason=needs_rerun).RrdReader(path)
    return _tables(reader.stream())


def blueprint_of(path: Path) -> dict[str, dict[str, list[Any]]]:
    """Returns the same tables of the blueprint in a recording."""
    reader = pytest.importorskip("rerun.chunk", reason=needs_rerun).RrdReader(path)
    return _tables(reader.stream(store=reader.blueprints()[0]))


def _tables(chunks: Any) -> dict[str, dict[str, list[Any]]]:
    tables: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    batches = [(chunk.entity_path, chunk.to_record_batch()) for chunk in chunks]
    for path, batch in sorted(batches, key=lambda pair: _first_frame(pair[1])):
        for name in batch.schema.names:
            tables[path][name] += batch[name].to_pylist()
    return tables


def _first_frame(batch: Any) -> int:
    return batch["frame"][0].as_py() if "frame" in batch.schema.names else -1
