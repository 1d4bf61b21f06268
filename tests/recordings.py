"""Reads recordings back with the readers of rerun and MCAP."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

needs_rerun = "rerun-sdk is not installed: pip install 'leapai[viewer]'"
needs_mcap = "mcap is not installed: pip install 'leapai[mcap]'"


def recorded(path: Path) -> dict[str, dict[str, list[Any]]]:
    """Returns entity path -> column -> rows in the order of frames, those of all time first."""
    reader = pytest.importorskip("rerun.chunk", reason=needs_rerun).RrdReader(path)
    return _tables(reader.stream())


def blueprint_of(path: Path) -> dict[str, dict[str, list[Any]]]:
    """Returns the same tables of the blueprint in a recording."""
    reader = pytest.importorskip("rerun.chunk", reason=needs_rerun).RrdReader(path)
    return _tables(reader.stream(store=reader.blueprints()[0]))


def foxglove_recorded(path: Path) -> dict[str, list[tuple[int, Any]]]:
    """Returns topic -> times in microseconds and decoded messages in their order; checksums are
    checked, and that every message has a schema of Foxglove or JSON."""
    reader_of = pytest.importorskip("mcap.reader", reason=needs_mcap)
    factory = pytest.importorskip("mcap_protobuf.decoder", reason=needs_mcap).DecoderFactory()
    topics: dict[str, list[tuple[int, Any]]] = defaultdict(list)
    with path.open("rb") as file:
        reader = reader_of.make_reader(file, validate_crcs=True, decoder_factories=[factory])
        for schema, channel, message in reader.iter_messages():
            if schema.encoding == "protobuf":
                assert schema.name.startswith("foxglove.")
                content = factory.decoder_for("protobuf", schema)(message.data)
            else:
                content = json.loads(message.data)
            topics[channel.topic].append((message.log_time // 1000, content))
    return topics


def _tables(chunks: Any) -> dict[str, dict[str, list[Any]]]:
    tables: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    batches = [(chunk.entity_path, chunk.to_record_batch()) for chunk in chunks]
    for path, batch in sorted(batches, key=lambda pair: _first_frame(pair[1])):
        for name in batch.schema.names:
            tables[path][name] += batch[name].to_pylist()
    return tables


def _first_frame(batch: Any) -> int:
    return batch["frame"][0].as_py() if "frame" in batch.schema.names else -1
