"""A file of MCAP that is written message by message.

Needs mcap (`pip install 'leapai[mcap]'`), so this module is imported late.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from mcap.writer import Writer


class McapFile:
    """A context manager, at whose end the file is whole; every message has a checksum."""

    def __init__(self, path: Path, profile: str = "") -> None:
        """`profile`: how readers are to understand the messages, by the names of MCAP."""
        self._file = path.open("wb")
        self._writer = Writer(self._file, enable_data_crcs=True)
        self._writer.start(profile=profile, library="leapai")
        self._channels: dict[str, int] = {}

    def _write(self, topic: str, time_us: int, data: bytes) -> None:
        """Writes a message of a topic, whose channel is known."""
        time_ns = time_us * 1000
        self._writer.add_message(self._channels[topic], time_ns, data, time_ns)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.finish()
        self._file.close()
