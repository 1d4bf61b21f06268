"""Messages of a bag by topic and time, read by rosbags: MCAP and SQLite alike."""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from leapai.data.cache_sources import note_file
from leapai.extras import import_extra
from leapai.io import printable

NS_OF_US = 1000
_MOST_LISTED, _MOST_CHARACTERS = 20, 60
"""Bounds of lists of names in errors."""


class MessageKey(NamedTuple):
    """Place of a message in a bag."""

    topic: str
    log_ns: int
    """Time at which it was recorded."""
    number: int
    """Position among the messages of its topic with that time."""


class BagFile:
    """A bag that is open for reading. Each process opens it for itself, as readers of frames are
    forked."""

    def __init__(self, path: Path) -> None:
        """Opens the bag. Raises ValueError where it cannot be read, MissingExtraError where rosbags
        is not installed."""
        self.path = path
        self._reader: Any = None
        self._types: Any = None
        self._process = -1
        self.types: dict[str, str] = {c.topic: c.msgtype for c in self._opened().connections}

    def messages(self, topics: Collection[str]) -> Iterator[tuple[MessageKey, bytes]]:
        """Yields the messages of some topics, encoded, in the order in which they were recorded.
        Raises ValueError where the bag is damaged."""
        try:
            yield from self._between(topics, None, None)
        except Exception as error:  # whatever the parsers raise where it is damaged
            raise self._damaged(error) from error

    def read(self, keys: Collection[MessageKey]) -> dict[MessageKey, bytes]:
        """Returns messages of about one time, encoded: each part of the bag is unpacked once.
        Raises ValueError where the bag is damaged."""
        if not keys:
            return {}
        note_file(self.path)
        asked, times = set(keys), [key.log_ns for key in keys]
        topics = {key.topic for key in keys}
        try:
            found = self._between(topics, min(times), max(times) + 1)
            return {key: content for key, content in found if key in asked}
        except Exception as error:  # as above
            raise self._damaged(error) from error

    def decoded(self, topic: str, content: bytes) -> Any:
        """Returns a message as rosbags decodes it, by the definition that ROS 2 has of its type;
        that of the bag is not trusted. Raises ValueError where it is damaged."""
        self._opened()
        try:
            return self._types.deserialize_cdr(content, self.types[topic])
        except Exception as error:  # whatever the decoder raises for foreign bytes
            raise ValueError(f"cannot be decoded as {self.types[topic]}") from error

    def _between(
        self, topics: Collection[str], start_ns: int | None, stop_ns: int | None
    ) -> Iterator[tuple[MessageKey, bytes]]:
        reader = self._opened()
        chosen = [c for c in reader.connections if c.topic in topics]
        count: Counter[tuple[str, int]] = Counter()
        if not chosen:  # to rosbags, none means all
            return
        for connection, log_ns, content in reader.messages(chosen, start_ns, stop_ns):
            place = (connection.topic, log_ns)
            yield MessageKey(*place, count[place]), bytes(content)
            count[place] += 1

    def _opened(self) -> Any:
        """Returns the reader of this process."""
        if self._process != os.getpid():
            rosbag2 = import_extra("rosbags.rosbag2", "mcap", "a ROS 2 bag needs rosbags")
            typesys = import_extra("rosbags.typesys", "mcap", "a ROS 2 bag needs rosbags")
            self._types = typesys.get_typestore(typesys.Stores.LATEST)
            try:
                self._reader = rosbag2.Reader(self.path)
                self._reader.open()
            except Exception as error:  # whatever the parsers raise where it is damaged
                raise self._damaged(error) from error
            self._process = os.getpid()
        return self._reader

    def _damaged(self, error: Exception) -> ValueError:
        words = printable(" ".join(str(error).split())[:200])
        return ValueError(
            f"{self.path}: cannot be read as a bag of ROS 2 ({type(error).__name__}: {words}); "
            "repair it (`mcap recover`, `ros2 bag reindex`), or record it again"
        )


def listed(names: Iterable[str]) -> str:
    """Returns names that a bag has in their order, as an error shows them: 20 at most, in signs
    that can be printed."""
    ordered = sorted(names)
    shown = [printable(name) for name in ordered[:_MOST_LISTED]]
    more = [f"{len(ordered) - _MOST_LISTED} more"] if len(ordered) > _MOST_LISTED else []
    return ", ".join([name[:_MOST_CHARACTERS] for name in shown] + more) or "none"


def stamp_us(content: bytes) -> int:
    """Returns the time in the header at the begin of an encoded message (CDR), in microseconds
    since the epoch of its clock. Raises ValueError where there is none."""
    if len(content) < 12:
        raise ValueError(f"holds {len(content)} bytes, which are no header")
    order = "<" if content[1] & 1 else ">"
    seconds, nanoseconds = struct.unpack_from(f"{order}iI", content, 4)
    if seconds < 0 or nanoseconds >= 10**9:
        raise ValueError(f"header.stamp of {seconds} s, {nanoseconds} ns is no time")
    return int(seconds) * 10**6 + int(nanoseconds) // NS_OF_US
